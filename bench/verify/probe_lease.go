package verify

import (
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

const noLeases = "leases come with the server"

// leaseTTL is what etcd makes of anything shorter by default.
const leaseTTL = 2

var leasedNames = []string{"m", "c", "z", "a", "b"}

// probeLeases: a lease that is revoked and one that expires delete their keys
// sorted, in one revision.
func probeLeases(s *scene) {
	lessor, ok := s.subject.(Lessor)
	if !ok {
		s.tally.lacking("E7", noLeases)
		return
	}
	l := s.open()
	w := l.create(s.prefixed()).unbound() // the store deletes by itself
	if !l.answered() {
		return
	}
	expiring := s.leased(lessor, "expired/", leaseTTL)
	revoked := s.leased(lessor, "revoked/", 600)
	if s.failed() {
		return
	}
	s.must("revoke", lessor.Revoke(s.ctx, revoked))
	s.ended(l, w, "revoked/")
	s.ended(l, w, "expired/")
	_ = expiring
}

// leased puts keys with a lease, which it grants.
func (s *scene) leased(lessor Lessor, below string, ttl int64) int64 {
	if s.failed() {
		return 0
	}
	id, err := lessor.Grant(s.ctx, ttl)
	if s.must("grant", err); err != nil {
		return 0
	}
	for _, name := range leasedNames {
		_, err := s.subject.Put(s.ctx, s.key(below+name), []byte("1"), id)
		s.must("put", err)
	}
	return id
}

// ended waits for the deletes of a lease and looks at them.
func (s *scene) ended(l *lane, w *watched, below string) {
	deletes := func() (out []mvcc.Event) {
		for _, e := range s.puts(w, mvcc.EventDelete) {
			if len(s.short(e.KV.Key)) > len(below) && s.short(e.KV.Key)[:len(below)] == below {
				out = append(out, e)
			}
		}
		return out
	}
	if !l.until("the end of a lease", func() bool { return w.failed || len(deletes()) >= len(leasedNames) }) || w.failed {
		return
	}
	var names []string
	got := deletes()
	revs := map[int64]bool{}
	for _, e := range got {
		names = append(names, s.short(e.KV.Key)[len(below):])
		revs[e.KV.ModRevision] = true
	}
	s.tally.saw("E7", int64(len(leasedNames)))
	want := slices.Sorted(slices.Values(leasedNames))
	if len(revs) != 1 || !slices.Equal(names, want) {
		lines := []Line{{What: "end", Text: "of a lease on " + fmt.Sprint(leasedNames)}}
		for i := range got {
			lines = append(lines, Line{What: "event", Text: eventText(&got[i], s)})
		}
		lines[len(lines)-1].Mark = true
		s.broke("E7", fmt.Sprintf("a lease deleted %q at %d revisions, want %q at one", names, len(revs), want), lines...)
	}
}
