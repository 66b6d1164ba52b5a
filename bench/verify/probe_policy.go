package verify

import (
	"errors"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/watch"
)

const (
	policyPuts = 200
	policyLag  = 50
)

// probePolicies: a reader stops; of its watches one wants only the newest, and
// one wants to be cut off.
func probePolicies(s *scene) {
	l := s.open()
	latest := s.prefixed()
	latest.Policy = watch.Latest
	cut := s.between(s.key("k"), s.key("l"))
	cut.Policy, cut.MaxLagRevisions = watch.Cancel, policyLag
	newest, lagging, patient := l.create(latest), l.create(cut), l.create(s.between(s.key("k"), s.key("m")))
	if !l.answered() {
		return
	}
	big := strings.Repeat("x", slowValue)
	s.fill(policyPuts, func(i int) (string, string) { return fmt.Sprintf("k%d", i%4), fmt.Sprintf("%d %s", i, big) })
	last := s.put("k", "the last")
	for _, w := range []*watched{newest, patient} {
		l.until("the last event", func() bool { return w.failed || w.has(s.key("k"), last) })
	}
	l.finish()
	l.until("the end of the lagging watch", func() bool { return lagging.failed || lagging.check.Ended() || lagging.has(s.key("k"), last) })
	if s.failed() {
		return
	}
	conflated := newest.check.Counts().Conflated
	if conflated == 0 {
		s.tally.lacking("V6", errNotProvoked.Error())
		return
	}
	s.tally.saw("V6", conflated+1)
	if end := lagging.got[len(lagging.got)-1]; !errors.Is(end.Err, watch.ErrLagging) {
		s.broke("V6", fmt.Sprintf("a watch that may lag by %d revisions was not cut off behind %d", policyLag, policyPuts),
			Line{What: "create", Text: lagging.describe(), Note: "policy cancel"}, marked(Line{What: what(&end), Text: text(&end, s)}))
	}
}

// probeGauges: what filters leave out must not wait anywhere.
func probeGauges(s *scene) {
	inside, ok := s.subject.(Inspector)
	if !ok {
		return
	}
	l := s.open()
	for _, options := range []func(*Request){func(r *Request) { r.NoPut = true }, func(r *Request) { r.NoPut, r.NoDelete = true, true }} {
		r := s.prefixed()
		options(&r)
		l.create(r)
	}
	if !l.answered() {
		return
	}
	for i := range 20 {
		s.put("k", fmt.Sprint(i))
	}
	l.sync()
	if s.failed() {
		return
	}
	s.tally.saw("F3", 20)
	if st := inside.HubStats(); st.PendingBytes != 0 {
		s.broke("F3", fmt.Sprintf("%d bytes wait, all events were filtered out", st.PendingBytes),
			Line{What: "create", Text: l.all[0].describe()}, Line{Mark: true, What: "stats", Text: fmt.Sprintf("PendingBytes %d", st.PendingBytes)})
	}
}
