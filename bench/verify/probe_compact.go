package verify

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
)

// probeCompaction: watches from the compact revision itself, from below it,
// and one that is there while it happens.
func probeCompaction(s *scene) {
	live := s.open()
	live.create(s.prefixed())
	live.answered()
	old := s.put("x", "1")
	s.put("y", "1")
	s.put("x", "2")
	deleted := s.delete("x") // the compact revision is a delete
	s.compact(deleted)
	s.put("x", "3") // what comes if the delete does not
	s.fromCompacted("x", deleted, mvcc.EventDelete)
	s.put("y", "2")
	put := s.put("y", "3") // and now a put
	s.compact(put)
	s.put("y", "4")
	s.fromCompacted("y", put, mvcc.EventPut)
	s.previousGone(put)
	s.below(old, put)
	live.finish()
	if want := 8; !s.failed() {
		s.tally.saw("E8", 2)
		if got := live.all[0].events; got > want {
			s.broke("E8", fmt.Sprintf("%d events came, %d were made", got, want),
				Line{What: "create", Text: live.all[0].describe()}, Line{What: "compact", Text: fmt.Sprintf("at %d", deleted)},
				Line{Mark: true, What: "events", Text: fmt.Sprintf("%d, want %d", got, want)})
		}
	}
}

// first waits for what comes first to a watch that reads history: events, its
// end, or that there is nothing to read.
func (l *lane) first(w *watched) {
	l.answered()
	for !l.s.failed() && !w.failed && w.events == 0 && !w.check.Ended() && !l.trySync(1) {
		if l.s.ctx.Err() != nil {
			l.s.fail("history", l.s.ctx.Err())
		}
	}
}

// fromCompacted watches from the compact revision: the event there must come.
func (s *scene) fromCompacted(name string, rev int64, typ mvcc.EventType) {
	for _, r := range []Request{s.between(s.key(name), nil), s.prefixed()} {
		l := s.open()
		r.StartRevision = rev
		w := l.create(r)
		l.first(w)
		if s.failed() || w.failed {
			return
		}
		s.tally.saw("C10", 1)
		if got := w.allEvents(); len(got) == 0 || got[0].KV.ModRevision != rev || got[0].Type != typ {
			s.broke("C10", fmt.Sprintf("the %v of %s at the compact revision %d did not come first", typ, name, rev),
				Line{What: "compact", Text: fmt.Sprintf("at %d", rev)}, Line{What: "create", Text: w.describe()}, marked(l.last))
		}
	}
}

// previousGone: the previous value of the event at the compact revision is
// gone, that of the next is not.
func (s *scene) previousGone(compact int64) {
	l := s.open()
	r := s.between(s.key("y"), nil)
	r.StartRevision, r.PrevKV = compact, true
	w := l.create(r)
	l.answered()
	l.finish()
	if s.failed() || w.failed {
		return
	}
	absent := int64(0)
	for _, e := range w.allEvents() {
		if e.Prev == nil {
			absent++
		}
	}
	if absent > 0 {
		s.tally.saw("P2", int64(w.events))
	}
}

// below watches from compacted revisions: told so, with the revision to begin
// from.
func (s *scene) below(from, compact int64) {
	for rev := from; rev < compact; rev++ {
		l := s.open()
		r := s.prefixed()
		r.StartRevision = rev
		w := l.create(r)
		l.first(w)
		if s.failed() || w.failed {
			return
		}
		s.tally.saw("C11", 1)
		if last := w.got[len(w.got)-1]; last.CompactRevision < compact {
			s.broke("C11", fmt.Sprintf("a start at %d, history is compacted at %d", rev, compact),
				Line{What: "compact", Text: fmt.Sprintf("at %d", compact)}, Line{What: "create", Text: w.describe()}, marked(l.last))
		}
	}
}

const (
	overtakenStreams  = 34
	overtakenFirst    = 6 // streams that are read at first: enough to see it
	overtakenBlockers = 10
	overtakenPuts     = 22
	overtakenValue    = 2 << 10
	// overtakenEach is one more than etcd queues control responses: those are
	// taken though nobody reads.
	overtakenEach = 17
	// enough is how many etcd looks after in one turn.
	enough = 512
)

// probeOvertaken: streams that nobody reads, full of events, on which watches
// are made from a revision that is compacted. Each must be told once, however
// many wait.
func probeOvertaken(s *scene) {
	old := s.put("old", "1")
	for range overtakenStreams {
		l := s.open()
		for range overtakenBlockers {
			l.create(s.between(s.key("full"), nil))
		}
	}
	s.each(func(_ int, l *lane) { l.answered() })
	value := strings.Repeat("x", overtakenValue)
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
	s.toldOnce(func(i int) bool { return i < overtakenFirst })
	if s.tally.isBroken("C12") {
		return
	}
	s.toldOnce(func(i int) bool { return i >= overtakenFirst })
	told := int64(0)
	for _, l := range s.lanes {
		for _, w := range l.all {
			if w.check != nil && w.check.Counts().Compacted > 0 {
				told++
			}
		}
	}
	switch {
	case s.failed():
	case told < enough:
		s.tally.lacking("C12", fmt.Sprintf("could not be provoked: only %d watches were overtaken", told))
	default:
		s.tally.saw("C12", told)
		s.tally.saw("C11", told)
	}
}

// toldOnce reads some of the streams: until every watch on them that was
// overtaken is told, and then on, so that what comes again is seen.
func (s *scene) toldOnce(some func(i int) bool) {
	read := func(do func(l *lane)) {
		s.each(func(i int, l *lane) {
			if some(i) {
				do(l)
			}
		})
	}
	read(func(l *lane) { l.until("word of compaction", l.told) })
	s.settle(3)
	last := s.put("full", "the last")
	read(func(l *lane) { l.until("what came since", func() bool { return l.told() && l.upTo(last) }) })
}

// told reports whether every watch from before the compaction has been told.
func (l *lane) told() bool {
	for _, w := range l.all {
		if w.req.StartRevision > 0 && (w.check == nil || !w.check.Ended()) && !w.failed {
			return false
		}
	}
	return true
}

// upTo reports whether the watches that are open have seen the revision of
// the last put, those at least that are not broken.
func (l *lane) upTo(rev int64) bool {
	for _, w := range l.open {
		if !w.failed && !w.has(l.s.key("full"), rev) {
			return false
		}
	}
	return true
}

const (
	jumpedWatches = 12
	jumpedPuts    = 40
)

// probeJumped: a reader stops, and history is compacted beyond where its
// watches stand. Each gets all events, or word of compaction.
func probeJumped(s *scene) {
	l := s.open()
	for i := range jumpedWatches {
		l.create(s.between(s.key("k"), s.key(fmt.Sprintf("l%02d", i))))
	}
	if !l.answered() {
		return
	}
	big := strings.Repeat("x", slowValue)
	s.fill(jumpedPuts, func(i int) (string, string) { return fmt.Sprintf("k%02d", i%10), fmt.Sprintf("%d %s", i, big) })
	s.compact(s.book.last())
	last := s.put("k", "the last")
	overtaken := int64(0)
	for _, w := range l.all {
		l.until("events, or word of compaction", func() bool { return w.failed || w.check.Ended() || w.has(s.key("k"), last) })
		if w.check.Counts().Compacted > 0 {
			overtaken++
		}
	}
	for _, w := range l.all {
		w.settled()
	}
	switch {
	case s.failed():
	case overtaken == 0:
		s.tally.lacking("V3", "could not be provoked: every watch got all its events")
	default:
		s.tally.saw("V3", overtaken)
	}
}
