package verify

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/watch"
)

// negative is an id that means nothing to anybody.
const negative = -5

// probeIDs: ids that are picked, given, in use, negative; and cancels of ids
// that are not there.
func probeIDs(s *scene) {
	l := s.open()
	picked := []*watched{l.create(s.prefixed()), l.create(s.prefixed())}
	given := s.prefixed()
	given.ID = 2
	picked = append(picked, l.create(given), l.create(s.prefixed())) // the last skips 2
	for i, id := range []int64{7, 2, 1 << 40} {
		r := s.prefixed()
		r.ID = id
		w := l.create(r)
		if i == 1 {
			l.expectRefused(w, "C13", watch.ErrDuplicateID)
			continue
		}
		l.until("create", func() bool { return len(l.asked) == 0 })
		if !s.failed() && w.id != id {
			s.broke("C13", fmt.Sprintf("id %d was asked for and %d given", id, w.id), l.log(w.id, 4)...)
		}
		s.tally.saw("C13", 1)
	}
	if s.failed() {
		return
	}
	for want, w := range picked {
		s.tally.saw("C13", 1)
		if w.refused != nil || w.id != int64(want) {
			s.broke("C13", fmt.Sprintf("id %d was picked, the lowest free one is %d", w.id, want), l.log(w.id, 4)...)
		}
	}
	s.negativeID()
	s.cancelUnknown(l, picked[0])
}

// expectRefused waits for the answer to w, which should be a refusal with
// this reason.
func (l *lane) expectRefused(w *watched, rule string, reason error) {
	s := l.s
	if !l.until("create", func() bool { return len(l.asked) == 0 }) {
		return
	}
	s.tally.saw(rule, 1)
	ask := Line{What: "create", Text: w.describe()}
	r := w.refused
	if r == nil {
		s.broke(rule, "the create was granted", ask, Line{Mark: true, What: "created", Text: fmt.Sprintf("id %d", w.id)})
		return
	}
	mark := Line{Mark: true, What: "refused", Text: text(r, s), Note: fmt.Sprint(r.Err)}
	switch {
	case r.WatchID != watch.NoWatch:
		s.broke(rule, fmt.Sprintf("a refusal with id %d, want %d", r.WatchID, watch.NoWatch), ask, mark)
	case r.CompactRevision != 0:
		s.broke(rule, fmt.Sprintf("a refusal with compact revision %d", r.CompactRevision), ask, mark)
	case !errors.Is(r.Err, reason):
		s.broke(rule, fmt.Sprintf("refused with %q, want %q", fmt.Sprint(r.Err), reason), ask, mark)
	}
}

func (s *scene) negativeID() {
	l := s.open()
	r := s.prefixed()
	r.ID = negative
	l.expectRefused(l.create(r), "C14", watch.ErrNegativeID)
}

// cancelUnknown: the answer to a create that is sent after the cancels must
// be the next thing that comes.
func (s *scene) cancelUnknown(l *lane, w *watched) {
	l.cancel(w)
	l.until("cancel", func() bool { return w.check.Ended() })
	if s.failed() {
		return
	}
	for _, id := range []int64{w.id, 4711} {
		before := l.notes
		s.must("cancel", l.stream.Cancel(id))
		next := l.create(s.prefixed())
		for !s.failed() && len(l.asked) > 0 {
			l.recv("create")
		}
		if s.failed() {
			return
		}
		s.tally.saw("X2", 1)
		if l.notes != before+1 {
			s.broke("X2", fmt.Sprintf("cancelling id %d, which is not there, was answered", id), l.log(id, 4)...)
		}
		_ = next
	}
}
