package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Meter reads what the server uses: see PIDMeter and MetricsMeter.
type Meter interface {
	// Read reads it now.
	Read(ctx context.Context) (Usage, error)
	// Name is how people asked for it.
	Name() string
}

// Usage is what a server says of itself, or its system of it. What is not told
// is zero, and so is its flag.
type Usage struct {
	CPU          time.Duration // processor time since it began
	MemoryBytes  int64         // resident
	SlowWatchers int64         // etcd's own gauge
	Fsyncs       float64       // of its log, since it began
	FsyncTime    time.Duration // all of them together
	DBBytes      int64         // size of its file

	KnowsCPU, KnowsMemory, KnowsSlow, KnowsFsync, KnowsDB bool
}

// meterEvery is how often maxima are looked at; a read of a metrics page costs
// the server a millisecond or so.
const meterEvery = time.Second

// MeterServer implements bench.Metered: it reads the meter until stop, which
// returns the metrics of the time between.
func (t *target) MeterServer() (stop func() (metrics map[string]float64, absent map[string]string)) {
	m := &metering{meter: t.kind.config.Meter, absent: map[string]string{}, now: &t.usage}
	if m.meter == nil {
		return m.unmetered
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.done = make(chan struct{})
	m.first, m.err = m.meter.Read(ctx)
	m.began = time.Now()
	m.note(m.first)
	go m.run(ctx)
	return func() (map[string]float64, map[string]string) {
		cancel()
		<-m.done
		return m.result()
	}
}

// ServerNow implements bench.ServerTeller.
func (t *target) ServerNow() *bench.ServerUsage { return t.usage.Load() }

// metering is one measured part. Its fields belong to its goroutine until done
// is closed.
type metering struct {
	meter Meter
	began time.Time
	first Usage
	last  Usage
	err   error // the first
	at    time.Time

	now          *atomic.Pointer[bench.ServerUsage] // the target's
	memory, slow int64
	absent       map[string]string
	done         chan struct{}
}

// serverMetrics are all that a meter may tell.
var serverMetrics = []string{"server.cpu_cores", "server.memory_max_bytes", "server.slow_watchers_max", "server.fsync_mean_ns", "server.fsyncs_per_s", "server.db_grown_bytes"}

func (m *metering) unmetered() (map[string]float64, map[string]string) {
	for _, name := range serverMetrics {
		m.absent[name] = "no --server-pid and no --server-metrics"
	}
	return nil, m.absent
}

func (m *metering) run(ctx context.Context) {
	defer close(m.done)
	ticker := time.NewTicker(meterEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			m.read(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), meterEvery)
			m.read(last)
			cancel()
			return
		}
	}
}

func (m *metering) read(ctx context.Context) {
	u, err := m.meter.Read(ctx)
	switch {
	case err == nil:
		m.note(u)
	case m.err == nil && ctx.Err() == nil:
		m.err = err
	}
}

func (m *metering) note(u Usage) {
	before, then := m.last, m.at
	m.last, m.at = u, time.Now()
	now := &bench.ServerUsage{CPU: -1, MemoryBytes: -1, SlowWatchers: -1}
	if u.KnowsCPU && before.KnowsCPU && u.CPU >= before.CPU { // less: it was restarted
		now.CPU = (u.CPU - before.CPU).Seconds() / m.at.Sub(then).Seconds()
	}
	if u.KnowsMemory {
		now.MemoryBytes = u.MemoryBytes
	}
	if u.KnowsSlow {
		now.SlowWatchers = u.SlowWatchers
	}
	m.now.Store(now)
	m.memory, m.slow = max(m.memory, u.MemoryBytes), max(m.slow, u.SlowWatchers)
}

func (m *metering) result() (map[string]float64, map[string]string) {
	out := map[string]float64{}
	took := m.at.Sub(m.began)
	set := func(name string, known bool, value float64) {
		switch {
		case m.err != nil:
			m.absent[name] = fmt.Sprintf("%s: %v", m.meter.Name(), m.err)
		case !known:
			m.absent[name] = m.meter.Name() + " does not tell it"
		case took <= 0:
			m.absent[name] = "the part was too short"
		default:
			out[name] = value
		}
	}
	rate := set // of what a server counts since it began
	if m.last.KnowsCPU && m.last.CPU < m.first.CPU || m.last.KnowsFsync && m.last.Fsyncs < m.first.Fsyncs {
		rate = func(name string, _ bool, _ float64) { m.absent[name] = "the server was restarted meanwhile" }
	}
	rate("server.cpu_cores", m.last.KnowsCPU && m.first.KnowsCPU, (m.last.CPU-m.first.CPU).Seconds()/took.Seconds())
	set("server.memory_max_bytes", m.last.KnowsMemory, float64(m.memory))
	set("server.slow_watchers_max", m.last.KnowsSlow, float64(m.slow))
	fsyncs := m.last.Fsyncs - m.first.Fsyncs
	rate("server.fsyncs_per_s", m.last.KnowsFsync, fsyncs/took.Seconds())
	rate("server.fsync_mean_ns", m.last.KnowsFsync && fsyncs > 0, float64(m.last.FsyncTime-m.first.FsyncTime)/fsyncs)
	set("server.db_grown_bytes", m.last.KnowsDB && m.first.KnowsDB, float64(m.last.DBBytes-m.first.DBBytes))
	return out, m.absent
}

// MetricsMeter reads a Prometheus page, such as etcd's own.
type MetricsMeter struct {
	URL    string
	Client *http.Client // nil is http.DefaultClient
}

// Name implements Meter.
func (m MetricsMeter) Name() string { return "--server-metrics" }

// maxPage bounds what is read of a metrics page; etcd's has 100 KiB.
const maxPage = 16 << 20

// Read implements Meter.
func (m MetricsMeter) Read(ctx context.Context) (Usage, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.URL, nil)
	if err != nil {
		return Usage{}, err
	}
	client := m.Client
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return Usage{}, errors.Unwrap(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Usage{}, fmt.Errorf("the answer is %s", response.Status)
	}
	return parseMetrics(http.MaxBytesReader(nil, response.Body, maxPage))
}

var (
	_ bench.Metered      = (*target)(nil)
	_ bench.ServerTeller = (*target)(nil)
)
