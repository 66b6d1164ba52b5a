package bench

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// stormRun models what follows when a proxy, a network or a server comes back:
// every client has lost its connection, all of them return in the same moment,
// each with streams and watches of its own, and each asks to go on from a
// revision that is long past. The puts do not wait for them.
//
// First all watchers are connected and synced (before). Then all their streams
// are closed at once, and opened again by as many goroutines; each watch
// starts History revisions back (during), until every stream has confirmed
// that it is synced up to where the store was when they came back. The same
// time goes by once more (after). Bystanders keep their connections: what they
// notice is the price that others pay.
type stormRun struct {
	began     int64         // moment at which the streams were opened again; 0: not yet
	created   time.Duration // until every watch was created again; 0: not
	synced    time.Duration // until the last stream was synced; 0: not
	half      time.Duration // until half of the streams were
	gone      watchtest.Counts
	streams   []*consumer // that came back
	startFrom int64
}

func (m *stormRun) looked() watchtest.Counts { return m.gone }

func (m *stormRun) measure(s *session) error {
	base, err := s.fill()
	if err != nil {
		return err
	}
	runtime.GC() // what the filling left is not the scenario's memory
	bystanders, err := s.bystanders()
	if err != nil {
		return err
	}
	connected, disconnect := context.WithCancel(s.ctx)
	defer disconnect()
	clients, err := s.beginUntil(connected, group{
		name: "stream", streams: s.sc.Streams, watchers: s.sc.Watchers, timed: true, affected: s.sc.Streams,
		request: func(i int) watch.Request { return m.request(s, i, 0) },
	})
	if err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		before := start + int64(s.sc.Warmup)
		s.rec.phases.begin(phaseBefore, before)
		l := s.startLoad(s.ctx, start, untilTold)
		defer l.wait()
		defer func() { l.endAt(s.clock.now()) }()
		if err := s.sleepUntil(before + int64(s.sc.Duration)/2); err != nil {
			return err
		}
		s.rec.phases.begin(phaseDuring, s.clock.now())
		s.say("everybody comes back")
		disconnect()
		if m.gone, err = s.leave(clients); err != nil {
			return err
		}
		if err := m.storm(s, base); err != nil {
			return err
		}
		s.say("everybody is back")
		after := s.clock.now()
		until := after + int64(s.sc.Duration)/2
		s.rec.phases.begin(phaseAfter, after)
		s.rec.phases.begin(phaseAfter+1, until)
		l.endAt(until)
		l.wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(append(bystanders, m.streams...), s.rev.Load())
		return err
	})
}

func (m *stormRun) request(s *session, i int, from int64) watch.Request {
	key, end := s.work.watchRange(s.replayShape(), i, s.parts())
	return watch.Request{Key: key, End: end, StartRevision: from}
}

// storm opens all streams and begins all watches at once, and waits until they
// are synced.
func (m *stormRun) storm(s *session, base int64) error {
	goal := s.rev.Load()
	m.startFrom = max(base+1, goal-s.sc.History+1)
	created := newLatch(s.sc.Watchers)
	clients := make([]*consumer, s.sc.Streams)
	confirmed := s.confirmed.Load()
	defer s.traceCatchUp(classAffected, func() int { return int(s.confirmed.Load() - confirmed) })()
	m.began = s.clock.now()
	var opening sync.WaitGroup
	for i := range clients {
		opening.Go(func() {
			c, err := s.newConsumer("returned stream", i)
			if err != nil {
				s.fail(err)
				return
			}
			c.class, c.timed, c.created = classAffected, true, created
			for j := i; j < s.sc.Watchers; j += s.sc.Streams {
				c.plan(m.request(s, j, m.startFrom))
			}
			clients[i] = c
			if err := c.begin(s.ctx); err != nil {
				s.fail(err)
			}
		})
	}
	opening.Wait()
	for _, c := range clients {
		if c != nil {
			m.streams = append(m.streams, c)
		}
	}
	s.consumers = append(s.consumers, m.streams...)
	if err := s.wait("all watches are created again", created.open); err != nil {
		return err
	}
	m.created = time.Duration(s.clock.now() - m.began)
	each, err := s.confirmEach(m.streams, goal)
	if err != nil {
		return err
	}
	slices.Sort(each)
	m.half, m.synced = time.Duration(each[len(each)/2]-m.began), time.Duration(each[len(each)-1]-m.began)
	return nil
}

func (m *stormRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, phaseDuring)
	s.phaseFigures(run, "before.", classHealthy, phaseBefore)
	s.phaseFigures(run, "after.", classHealthy, phaseAfter)
	run.latency("returned.notify", s.notifyOf(classAffected, phaseDuring), noEvents)
	s.loadFigures(run)
	const early = "the run ended before all were synced again"
	took := m.synced
	if took == 0 {
		run.absent("storm.synced_ns", early)
		run.absent("storm.half_synced_ns", early)
		took = time.Duration(max(0, s.ended-m.began))
	} else {
		run.set("storm.synced_ns", float64(m.synced))
		run.set("storm.half_synced_ns", float64(m.half))
	}
	if m.created > 0 {
		run.set("storm.created_ns", float64(m.created))
		run.set("storm.streams_per_s", float64(s.sc.Streams)/m.created.Seconds())
	} else {
		run.absent("storm.created_ns", early)
		run.absent("storm.streams_per_s", early)
	}
	if m.began > 0 && took > 0 {
		events := s.rec.total(func(l *lane) int64 { return l.events[classAffected][phaseDuring] })
		bytes := s.rec.total(func(l *lane) int64 { return l.eventBytes[classAffected][phaseDuring] })
		run.set("storm.events", float64(events))
		run.set("storm.events_per_s", float64(events)/took.Seconds())
		run.set("storm.bytes_per_s", float64(bytes)/took.Seconds())
	}
	run.wayFigures(s.inside)
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.measured()))
}
