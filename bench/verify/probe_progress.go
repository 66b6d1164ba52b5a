package verify

import (
	"context"
	"fmt"
	"time"
)

const (
	answeredRounds = 15
	loadedRounds   = 40
	loadWriters    = 4
	progressMost   = 10_000 // writes; etcd was seen to take a few hundred
	silentTries    = 12
	lateTries      = 3 // once more, after another stream was answered
)

// probeProgress: progress on request, at rest and under load.
func probeProgress(s *scene) {
	s.put("a", "0")
	l := s.open()
	for range 3 {
		l.create(s.prefixed())
	}
	if !l.answered() {
		return
	}
	for i := range answeredRounds {
		s.put("a", fmt.Sprint(i))
		l.askOnce()
	}
	s.noWatches()
	s.underLoad()
}

// askOnce asks for progress once, and once more only if it was forgotten.
func (l *lane) askOnce() {
	s := l.s
	l.sync()
	// One put more: whatever else was sent to the request has come before it.
	rev := s.put("behind", "1")
	l.until("an event", func() bool { return l.all[0].failed || l.all[0].has(s.key("behind"), rev) })
	if s.failed() {
		return
	}
	s.tally.saw("N3", 1)
	if len(l.answers) > l.requests {
		s.broke("N3", fmt.Sprintf("%d answers came to %d requests", len(l.answers), l.requests),
			Line{What: "ask", Text: fmt.Sprintf("for progress, %d times", l.requests)}, Line{Mark: true, What: "progress", Text: fmt.Sprintf("%d times", len(l.answers))})
	}
}

// noWatches: a stream without watches gets no answer.
func (s *scene) noWatches() {
	l := s.open()
	l.ask()
	l.create(s.prefixed())
	if !l.answered() {
		return
	}
	s.tally.saw("N3", 1)
	if len(l.answers) > 0 {
		s.broke("N3", "a stream without watches was answered",
			Line{What: "ask", Text: "for progress, no watch is there"}, Line{Mark: true, What: "progress", Text: fmt.Sprintf("at revision %d", l.answers[0])})
	}
}

// underLoad asks for progress all the time while several write, and watches
// what is written and what is not.
func (s *scene) underLoad() {
	l := s.open()
	l.create(s.prefixed())
	r := s.prefixed()
	r.StartRevision = s.book.last()
	l.create(r)
	silent := s.open()
	quiet := s.between(s.key("quiet"), s.key("quiet0"))
	silent.create(quiet)
	quiet.StartRevision = s.book.last()
	nothing := silent.create(quiet)
	var stops []func()
	for i := range loadWriters {
		stops = append(stops, s.beside(func(ctx context.Context) error { return s.keepWriting(ctx, fmt.Sprintf("load%d", i)) }))
	}
	for range loadedRounds {
		l.sync()
	}
	told := silent.trySync(silentTries)
	l.sync()
	told = told || silent.trySync(lateTries) // the server may have paused
	for _, stop := range stops {
		stop()
	}
	l.finish()
	if s.failed() {
		return
	}
	s.tally.saw("N6", 2)
	if !told {
		s.broke("N6", fmt.Sprintf("%d requests for progress were not answered, beside a stream that is answered", silentTries+lateTries),
			Line{What: "create", Text: nothing.describe()}, Line{Mark: true, What: "ask", Text: fmt.Sprintf("for progress, %d times", silentTries+lateTries), Note: "no answer"})
	}
}

// probePeriodic waits for periodic progress. Where the interval is not known
// it goes on beside all other probes.
func probePeriodic(s *scene) {
	s.put("a", "0")
	l := s.open()
	r := s.between(s.key("a"), nil)
	r.Progress = true
	asked := l.create(r)
	l.create(s.between(s.key("a"), nil)) // did not ask
	if !l.answered() {
		return
	}
	began := time.Now()
	for !s.failed() && asked.periodic < 2 {
		select {
		case <-s.over:
			if asked.periodic == 0 {
				s.tally.lacking("N1", fmt.Sprintf("none came within %v; etcd's default is one in 10 minutes", time.Since(began).Round(time.Second)))
			}
			return
		default:
			l.recvFor(50 * time.Millisecond)
		}
	}
	s.tally.saw("N1", int64(asked.periodic))
}
