package verify

import (
	"fmt"
	"strings"
)

const (
	overtakenStreams  = 40
	overtakenBlockers = 10
	overtakenPuts     = 30
	// etcd's recvLoop takes one more than its queue of control responses holds
	overtakenEach = 17
)

// probeOvertaken: streams that nobody reads, full of events, on which watches
// are made from a revision that is compacted. Each must be told once, however
// many wait.
func probeOvertaken(s *scene) {
	old := s.put("old", "1")
	for i := range overtakenStreams {
		l := s.open()
		for range overtakenBlockers {
			l.create(s.between(s.key("full"), nil))
		}
		l.until("create", func() bool { return len(l.asked) == 0 })
		_ = i
	}
	value := strings.Repeat("x", 1000)
	for i := range overtakenPuts {
		s.put("full", fmt.Sprintf("%d %s", i, value))
	}
	s.compact(s.book.last())
	for _, l := range s.lanes {
		for range overtakenEach {
			r := s.prefixed()
			r.StartRevision = old
			l.create(r)
		}
	}
	s.settle(3)
	s.each(func(l *lane) { l.until("told of compaction", l.told) })
	s.settle(3)
	last := s.put("full", "the last")
	s.each(func(l *lane) { l.until("what was told since", func() bool { return l.told() && l.upTo(last) }) })
	told := int64(0)
	for _, l := range s.lanes {
		for _, w := range l.all {
			if w.check != nil && w.check.Counts().Compacted > 0 {
				told++
			}
		}
	}
	if s.failed() {
		return
	}
	if told < enough {
		s.tally.lacking("C12", fmt.Sprintf("could not be provoked: only %d watches were overtaken", told))
		return
	}
	s.tally.saw("C12", told)
	s.tally.saw("C11", told)
}

// enough watches must have been overtaken at once: as many as etcd looks after
// in one turn.
const enough = 512

// told reports whether every watch from before the compaction has been told,
// or more than that was seen.
func (l *lane) told() bool {
	for _, w := range l.all {
		if w.req.StartRevision > 0 && (w.check == nil || !w.check.Ended()) && !w.failed {
			return false
		}
	}
	return true
}

// upTo reports whether the watches that are open have seen a revision, those
// at least that are not broken.
func (l *lane) upTo(rev int64) bool {
	for _, w := range l.open {
		if !w.failed && !w.has(l.s.key("full"), rev) {
			return false
		}
	}
	return true
}
