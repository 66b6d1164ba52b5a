package bench

import (
	"time"

	"github.com/watchkv/watchkv/watch"
)

// sampler reads figures once a second, for an observer twice, and memory ten
// times, until it is stopped. Its fields belong to its goroutine until then.
type sampler struct {
	session *session
	stage   string         // what goes on where the scenario does not say it
	filling bool           // the store cannot be looked into
	length  time.Duration  // planned, warm-up included; 0: until all is done
	part    func() float64 // that is done; -1: unknown
	// intended is the planned rate, 0 without one.
	intended float64

	meter  *meter
	began  mark
	spare  secondFigures    // changes places with a lane's while those are read
	halves [2]secondFigures // of the second under way, the newer one last
	second secondFigures    // both of them
	marks  [3]mark          // counters half seconds ago, the newest last

	pinned  int64 // most bytes seen in outboxes
	pending int64 // most bytes seen in one
	series  Series

	stop chan struct{} // closed by the scenario
	done chan struct{} // closed by the goroutine
}

// mark is what counters that only grow said at one moment.
type mark struct {
	at      time.Time
	stats   watch.Stats
	known   bool
	cpu     time.Duration
	written int64 // -1: unknown
}

const (
	seriesInterval = time.Second
	looksPerSecond = 10
	looksPerHalf   = looksPerSecond / 2
)

func (s *sampler) start() {
	s.series.Interval = seriesInterval
	s.spare, s.second = newSecond(), newSecond()
	s.halves = [2]secondFigures{newSecond(), newSecond()}
	s.session.rec.takeSecond(&s.halves[1], &s.spare)
	s.halves[1].reset() // what came before is not of the first second
	s.meter = newMeter()
	s.began = s.count(s.look())
	s.marks = [3]mark{s.began, s.began, s.began}
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go s.run()
}

// end stops the goroutine and returns what the scenario used.
func (s *sampler) end() usage {
	close(s.stop)
	<-s.done
	return s.meter.read()
}

func (s *sampler) run() {
	defer close(s.done)
	ticker := time.NewTicker(seriesInterval / looksPerSecond)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		s.meter.look()
		m := s.look()
		if n%looksPerHalf == 0 {
			s.half(m, n%looksPerSecond == 0)
		}
	}
}

// look reads the counters, and remembers what outboxes held at most.
func (s *sampler) look() mark {
	m := mark{at: time.Now()}
	if s.filling {
		return m
	}
	if m.stats, m.known = s.session.hubStats(); m.known {
		s.pinned = max(s.pinned, m.stats.PendingBytes)
		s.pending = max(s.pending, m.stats.PendingBytesMax)
	}
	return m
}

// count completes a mark with what is not read as often.
func (s *sampler) count(m mark) mark {
	m.cpu, m.written = cpuTime(), writtenBytes()
	return m
}

// half ends half a second, and with every other one a second.
func (s *sampler) half(now mark, whole bool) {
	now = s.count(now)
	s.marks[0], s.marks[1], s.marks[2] = s.marks[1], s.marks[2], now
	s.halves[0], s.halves[1] = s.halves[1], s.halves[0]
	s.session.rec.takeSecond(&s.halves[1], &s.spare)
	if s.session.observe == nil && !whole {
		return
	}
	s.second.sum(&s.halves[0], &s.halves[1])
	t := s.tick(now, whole)
	if whole {
		s.append(t)
	}
	if s.session.observe != nil {
		s.session.observe(t)
	}
}

// append adds a whole second to the series.
func (s *sampler) append(t Tick) {
	if t.Victims >= 0 {
		s.series.VictimWatchers = append(s.series.VictimWatchers, t.Victims)
		s.series.UnsyncedWatcher = append(s.series.UnsyncedWatcher, t.Unsynced)
		before, now := s.marks[0], s.marks[2]
		victims := now.stats.VictimsEver - before.stats.VictimsEver
		s.series.VictimsPerS = append(s.series.VictimsPerS, float64(victims)/now.at.Sub(before.at).Seconds())
	}
	s.series.PutsPerS = append(s.series.PutsPerS, t.Puts)
	s.series.EventsPerS = append(s.series.EventsPerS, t.Events)
	s.series.NotifyP50 = append(s.series.NotifyP50, int64(t.P50))
	s.series.NotifyP99 = append(s.series.NotifyP99, int64(t.P99))
	s.series.NotifyMax = append(s.series.NotifyMax, int64(t.Max))
	s.series.LateP99 = append(s.series.LateP99, int64(t.Late))
	s.series.HeapBytes = append(s.series.HeapBytes, int64(s.meter.sample[0].Value.Uint64()))
}
