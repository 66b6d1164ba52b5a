package verify

import (
	"context"
	"fmt"
	"time"
)

const (
	// longHistory is more revisions than etcd gives to one watch at once.
	longHistory = 1200
	resumes     = 8
	prevWatches = 50
	owedStreams = 5
)

// probeCatchUp: watches that read a long history, whole and in parts, with
// every option, while more is written.
func probeCatchUp(s *scene) {
	first := s.put("begin", "1")
	s.fill(longHistory, func(i int) (string, string) { return fmt.Sprintf("k%03d", i%200), fmt.Sprint(i) })
	end := s.txn(s.opDeleteTo("k100", "k120"), s.opPut("k050", "x"))
	stop := s.beside(func(ctx context.Context) error { return s.keepWriting(ctx, "live") })
	l := s.open()
	requests := []Request{s.prefixed(), s.prefixed(), s.between(s.key("k"), s.key("k1")), s.between(s.key("k007"), nil), s.prefixed()}
	requests[1].PrevKV, requests[4].NoPut = true, true
	for i := range requests {
		requests[i].StartRevision = first
		l.create(requests[i])
	}
	l.until("history", func() bool { return l.all[0].failed || l.all[0].events > longHistory })
	s.resume(l.all[2], end)
	stop()
	l.finish()
}

// loadPause keeps the load of one writer below a thousand puts a second: it
// shall be there, not drown who reads.
const loadPause = time.Millisecond

// keepWriting puts one key again and again until ctx ends; the write under
// way is finished.
func (s *scene) keepWriting(ctx context.Context, name string) error {
	for i := 0; ctx.Err() == nil; i++ {
		if _, err := s.tryPut(name, fmt.Sprint(i)); err != nil {
			return err
		}
		time.Sleep(loadPause)
	}
	return nil
}

// resume cuts a watch off at revisions that it received, each time another,
// and goes on from the next by a new watch on a stream of its own.
func (s *scene) resume(old *watched, end int64) {
	old.lane.until("history", func() bool {
		return old.failed || old.events > 0 && old.allEvents()[old.events-1].KV.ModRevision >= end
	})
	events := old.allEvents()
	for i := range resumes {
		if s.failed() || old.failed {
			return
		}
		l := s.open()
		r := old.req
		r.StartRevision = events[len(events)*i/resumes].KV.ModRevision + 1
		w := l.create(r).resuming(old)
		l.until("history", func() bool { return w.failed || w.events > 0 && w.allEvents()[w.events-1].KV.ModRevision >= end })
		l.finish()
		s.tally.saw("G5", int64(w.events))
	}
}

// probeOptions: options are in force from the first response of a watch that
// reads history; and a request for progress that cannot be answered yet.
func probeOptions(s *scene) {
	first := s.put("k", "0")
	for i := range 4 {
		s.put("k", fmt.Sprint(i+1))
	}
	s.fill(longHistory, func(i int) (string, string) { return fmt.Sprintf("f%02d", i%20), "" })
	if s.failed() {
		return
	}
	l := s.open()
	for range prevWatches {
		r := s.between(s.key("k"), nil)
		r.StartRevision, r.PrevKV = first+1, true
		l.create(r)
	}
	l.until("history", func() bool { return !l.lacks(1) })
	for _, w := range l.all {
		if len(w.got) > 1 && !w.failed {
			s.tally.saw("C16", 1)
		}
	}
	s.owed(first)
}

// lacks reports whether some watch has fewer events than n.
func (l *lane) lacks(n int) bool {
	for _, w := range l.all {
		if w.events < n && !w.failed {
			return true
		}
	}
	return false
}

// owed asks for progress at once after creating a watch that has a history to
// read.
func (s *scene) owed(first int64) {
	var lanes []*lane
	for range owedStreams {
		l := s.open()
		r := s.prefixed()
		r.StartRevision = first
		l.create(r)
		l.ask()
		lanes = append(lanes, l)
	}
	for _, l := range lanes {
		l.until("history", func() bool { return !l.lacks(longHistory) })
	}
	s.settle(3)
	for range 2 { // what is owed stands before them
		rev := s.put("after", "1")
		for _, l := range lanes {
			l.until("an event", func() bool { return l.all[0].failed || l.all[0].has(s.key("after"), rev) })
		}
	}
	if s.failed() {
		return
	}
	for _, l := range lanes {
		s.tally.saw(owedOfN3, 1)
		if len(l.answers) == 0 && !l.all[0].failed {
			s.broke(owedOfN3, "a request for progress while history was read was never answered",
				Line{What: "create", Text: l.all[0].describe()}, Line{What: "ask", Text: "for progress"},
				Line{Mark: true, What: "events", Text: fmt.Sprintf("%d, all there are", l.all[0].events), Note: "and no answer"})
		}
	}
}
