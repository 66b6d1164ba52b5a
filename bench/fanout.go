package bench

import (
	"context"
	"runtime"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// fanOutRun: a fixed number of puts at full speed, until the last watcher has
// the last event; before it, puts at full speed that nobody watches.
type fanOutRun struct {
	took   time.Duration // from the first put to the last event, or the end
	events int64
}

func (*fanOutRun) looked() watchtest.Counts { return watchtest.Counts{} }

// Phases of fanOutRun.
const (
	phaseAlone   = 1
	phaseWatched = 2
)

func (m *fanOutRun) measure(s *session) error {
	start := s.clock.now()
	from := start + int64(s.sc.Warmup)
	until := from + int64(s.sc.Duration)
	s.rec.phases.begin(phaseAlone, from)
	alone := s.startLoad(s.ctx, start, until)
	alone.wait()
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	s.planned.Store(s.sc.Puts * int64(s.sc.Watchers))
	reached := newLatch(s.sc.Streams)
	consumers, err := s.beginWatches(group{
		name: "stream", streams: s.sc.Streams, watchers: s.sc.Watchers, goal: s.sc.Puts, reached: reached,
		request: func(i int) watch.Request {
			key, end := s.work.watchRange(s.sc.Shape, i, s.sc.Watchers)
			return watch.Request{Key: key, End: end}
		},
	})
	if err != nil {
		return err
	}
	runtime.GC() // what the puts before and the registering left
	err = s.sampled(func() error {
		at := s.clock.now()
		s.rec.phases.begin(phaseWatched, at)
		defer func() { m.took, m.events = time.Duration(s.clock.now()-at), s.delivered() }()
		l := s.startPuts(s.ctx, alone.next.Load(), s.sc.Puts)
		defer l.wait()
		return s.wait("every watcher has the last event", reached.open)
	})
	if err != nil {
		return err
	}
	_, err = s.confirm(consumers, s.rev.Load())
	return err
}

func (m *fanOutRun) figures(s *session, run *Run) {
	run.latency("alone.put", s.putOf(phaseAlone), noPuts)
	run.latency("put", s.putOf(phaseWatched), noPuts)
	run.set("fanout.took_ns", float64(m.took))
	run.set("fanout.events", float64(m.events))
	run.set("fanout.events_per_s", float64(m.events)/m.took.Seconds())
	run.set("fanout.cpu_per_event_ns", float64(s.usage.cpu)/float64(max(1, m.events)))
	run.set("done_ratio", float64(m.events)/float64(s.planned.Load()))
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(m.took))
}
