package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/watchkv/watchkv/watch/watchtest"
)

// reopenRun: a store with a history is closed and opened again, its files in
// the system's cache.
type reopenRun struct {
	took []time.Duration
}

func (*reopenRun) looked() watchtest.Counts { return watchtest.Counts{} }

func (m *reopenRun) measure(s *session) error {
	if _, err := s.fill(); err != nil {
		return err
	}
	want := s.rev.Load()
	return s.sampled(func() error {
		for range s.sc.Opens {
			if err := context.Cause(s.ctx); err != nil {
				return err
			}
			if err := m.once(s, want); err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *reopenRun) once(s *session, want int64) error {
	err := s.target.Close()
	s.target = nil
	if err != nil {
		return err
	}
	runtime.GC()
	at := time.Now()
	target, err := s.options.Kind.Open(s.dir)
	if err != nil {
		return err
	}
	s.target = target
	rev, err := target.Rev(s.ctx)
	m.took = append(m.took, time.Since(at))
	if err == nil && rev != want {
		err = fmt.Errorf("opened at revision %d, closed at %d", rev, want)
	}
	return err
}

func (m *reopenRun) figures(s *session, run *Run) {
	if len(m.took) == 0 {
		run.absent("open.median_ns", "the run ended before it was open")
		return
	}
	slices.Sort(m.took)
	run.set("open.median_ns", float64(m.took[len(m.took)/2]))
	run.set("open.min_ns", float64(m.took[0]))
	run.set("open.max_ns", float64(m.took[len(m.took)-1]))
	run.set("open.keys", float64(s.distinctKeys()))
	run.set("done_ratio", float64(len(m.took))/float64(s.sc.Opens))
	run.set("measured_ns", float64(s.usage.wall))
}

// distinctKeys is how many keys the history has.
func (s *session) distinctKeys() (n int) {
	for _, events := range s.perKey {
		if events > 0 {
			n++
		}
	}
	return n
}
