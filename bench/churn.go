package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// churnRun models clients that come and go: controllers that restart,
// commands that wait for one object, pods that watch their own configuration.
// Watches are created and cancelled all the time, on streams that stay, while
// others only want to hear what is put.
//
// In the first part of Duration nobody comes (quiet). In the second, ChurnPerS
// watches a second are begun by the clock, each of what one of the Watchers
// watches; as soon as there are more than Visitors of them, the oldest is
// cancelled for each that begins. A watch that is begun late because the
// target was slow is charged from when it was due.
type churnRun struct {
	created, canceled atomic.Int64 // answered while it was measured
	ended             atomic.Int64 // answered at any time
	answered          *latch       // one for each request that waits for its answer, one for the scenario
	visitors          []*consumer
}

func (*churnRun) looked() watchtest.Counts { return watchtest.Counts{} }

// churnStreams is how many streams the visitors share, at most.
const churnStreams = 10

func (m *churnRun) measure(s *session) error {
	consumers, err := s.liveWatches()
	if err != nil {
		return err
	}
	if err := m.open(s); err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		before := start + int64(s.sc.Warmup)
		during := before + int64(either(s.sc.Quiet, s.sc.Duration/2))
		until := before + int64(s.sc.Duration)
		s.rec.phases.follow(before, during, until)
		l := s.startLoad(s.ctx, start, until)
		defer l.wait()
		coming := time.AfterFunc(time.Duration(during-s.clock.now()), func() { s.say("watches come and go") })
		defer coming.Stop()
		m.churn(s, during, until)
		l.wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		m.answered.down()
		if err := s.wait("all watches that were created or cancelled are answered", m.answered.open); err != nil {
			return err
		}
		// One put more: etcd tells no progress to a watch that began after the last.
		w := &writer{lane: s.rec.lane(0), waiting: new(atomic.Int64)}
		if err := s.putNext(s.ctx, w, l.next.Add(1)-1, s.clock.now(), lateUnknown); err != nil {
			return err
		}
		for _, c := range m.visitors {
			if len(c.visits.here()) > 0 { // etcd says nothing of progress on a stream without watches
				consumers = append(consumers, c)
			}
		}
		_, err := s.confirm(consumers, s.rev.Load())
		return err
	})
}

// open opens the streams for the visitors.
func (m *churnRun) open(s *session) error {
	m.answered = newLatch(1)
	for i := range min(churnStreams, s.sc.Visitors) {
		c, err := s.newVisitor(fmt.Sprintf("visitors' stream %d", i), i)
		if err != nil {
			return err
		}
		c.visits.created = func(v *visit, at int64) {
			s.rec.answer(c.lane, answerCreated, s.rec.phases.at(v.asked), time.Duration(at-v.asked))
			if s.rec.phases.at(at) == phaseDuring {
				m.created.Add(1)
			}
			m.answered.down()
		}
		c.visits.ended = func(v *visit, r *watch.Response, at int64) error {
			asked := v.cancelled.Load()
			if asked == 0 {
				return fmt.Errorf("%s: watch %d was ended: %w", c.name, v.id, r.Err)
			}
			s.rec.answer(c.lane, answerCanceled, s.rec.phases.at(asked), time.Duration(at-asked))
			if s.rec.phases.at(at) == phaseDuring {
				m.canceled.Add(1)
			}
			m.ended.Add(1)
			m.answered.down()
			return nil
		}
		m.visitors = append(m.visitors, c)
		s.consumers = append(s.consumers, c)
		if err := c.begin(s.ctx); err != nil {
			return err
		}
	}
	return nil
}

// churn begins and cancels watches until the time is over, by one goroutine
// for each of the visitors' streams.
func (m *churnRun) churn(s *session, during, until int64) {
	pacer := Pacer{PerS: s.sc.ChurnPerS}
	var next atomic.Int64
	var wg sync.WaitGroup
	for i, c := range m.visitors {
		room := share(s.sc.Visitors, len(m.visitors), i)
		wg.Go(func() {
			var here []*visit // oldest first
			for {
				n := next.Add(1) - 1
				due := during + int64(pacer.Due(n))
				early := s.clock.now() < due
				if due >= until || s.clock.now() >= until || s.sleepUntil(due) != nil {
					return
				}
				if early {
					s.rec.late(c.lane, due, s.clock.now()-due)
				}
				v, err := m.come(s, c, n, due)
				if err == nil {
					if here = append(here, v); len(here) > room {
						m.answered.left.Add(1)
						err = c.leave(here[0])
						here = here[1:]
					}
				}
				if err != nil {
					s.fail(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// share is how many of n things the i-th of so many gets.
func share(n, of, i int) int { return (n + of - 1 - i) / of }

// come begins the n-th visit.
func (m *churnRun) come(s *session, c *consumer, n, due int64) (*visit, error) {
	which := int(mix(s.work.seed+2, uint64(n)) % uint64(s.sc.Watchers))
	key, end := s.work.watchRange(s.sc.Shape, which, s.parts())
	m.answered.left.Add(1)
	return c.visit(watch.Request{Key: key, End: end}, due)
}

func (m *churnRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, phaseDuring)
	s.phaseFigures(run, "quiet.", classHealthy, phaseBefore)
	s.loadFigures(run)
	run.latency("created", s.answerOf(answerCreated, phaseDuring), "no watch was created")
	run.latency("canceled", s.answerOf(answerCanceled, phaseDuring), "no watch was cancelled")
	created, canceled := float64(m.created.Load()), float64(m.canceled.Load())
	run.set("churn.ended", float64(m.ended.Load()))
	if took := s.length(phaseDuring).Seconds(); took > 0 && s.rec.phases.marks[phaseDuring-1].Load() < s.ended {
		run.set("churn.creates_per_s", created/took)
		run.set("churn.cancels_per_s", canceled/took)
		events := s.rec.total(func(l *lane) int64 { return l.events[classAffected][phaseDuring] })
		run.set("churn.events_per_s", float64(events)/took)
	} else {
		const early = "the run ended before a watch came"
		run.absent("churn.creates_per_s", early)
		run.absent("churn.cancels_per_s", early)
		run.absent("churn.events_per_s", early)
	}
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.measured()))
}
