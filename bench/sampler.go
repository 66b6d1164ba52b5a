package bench

import (
	"time"

	"github.com/watchkv/watchkv/watch"
)

// Tick is what the last second of a run looked like, for whoever watches it.
type Tick struct {
	Elapsed  time.Duration // since the run began
	Scenario string        // with its shape; "catchup: writing history" before the measurement
	Puts     float64       // per second
	Events   float64       // per second
	// Notify latency and the generator's own delay; -1 when nothing came.
	P50, P99, Max, Late time.Duration
	// Intended puts per second; 0 when there is no schedule.
	Intended float64
	// Watchers by state; -1 when the target does not show it.
	Unsynced, Victims int
}

// sampler reads figures once a second, and memory ten times as often, until
// it is stopped. Its fields belong to its goroutine until then.
type sampler struct {
	rec      *recorder
	inspect  func() (watch.Stats, bool)
	observe  func(Tick)
	began    time.Time // of the run
	title    string
	intended float64

	meter   *meter
	pinned  int64 // most bytes seen in outboxes
	pending int64 // most bytes seen in one
	series  Series

	stop chan struct{} // closed by the scenario
	done chan struct{} // closed by the goroutine
}

const (
	seriesInterval = time.Second
	looksPerSecond = 10
)

func (s *sampler) start() {
	s.meter = newMeter()
	s.series.Interval = seriesInterval
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
	last := time.Now()
	for n := 1; ; n++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}
		s.meter.look()
		stats, known := s.inspect()
		if known {
			s.pinned = max(s.pinned, stats.PendingBytes)
			s.pending = max(s.pending, stats.PendingBytesMax)
		}
		if n%looksPerSecond == 0 {
			now := time.Now()
			s.second(now.Sub(last), stats, known)
			last = now
		}
	}
}

func (s *sampler) second(took time.Duration, stats watch.Stats, known bool) {
	got := s.rec.takeSecond()
	t := Tick{
		Elapsed: time.Since(s.began), Scenario: s.title, Intended: s.intended,
		Puts: float64(got.puts) / took.Seconds(), Events: float64(got.events) / took.Seconds(),
		P50: -1, P99: -1, Max: -1, Late: -1, Unsynced: -1, Victims: -1,
	}
	if got.notify.TotalCount() > 0 {
		t.P50 = time.Duration(got.notify.ValueAtQuantile(50))
		t.P99 = time.Duration(got.notify.ValueAtQuantile(99))
		t.Max = time.Duration(got.notify.Max())
	}
	if got.late.TotalCount() > 0 {
		t.Late = time.Duration(got.late.ValueAtQuantile(99))
	}
	if known {
		t.Unsynced, t.Victims = stats.Unsynced, stats.Victims
		s.series.VictimWatchers = append(s.series.VictimWatchers, stats.Victims)
		s.series.UnsyncedWatcher = append(s.series.UnsyncedWatcher, stats.Unsynced)
	}
	s.series.PutsPerS = append(s.series.PutsPerS, t.Puts)
	s.series.EventsPerS = append(s.series.EventsPerS, t.Events)
	s.series.NotifyP50 = append(s.series.NotifyP50, int64(t.P50))
	s.series.NotifyP99 = append(s.series.NotifyP99, int64(t.P99))
	s.series.NotifyMax = append(s.series.NotifyMax, int64(t.Max))
	s.series.LateP99 = append(s.series.LateP99, int64(t.Late))
	s.series.HeapBytes = append(s.series.HeapBytes, int64(s.meter.sample[0].Value.Uint64()))
	if s.observe != nil {
		s.observe(t)
	}
}
