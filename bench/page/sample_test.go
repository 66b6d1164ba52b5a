package page_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

// sample makes results as a run would have them, without running anything.
type sample struct {
	t      *testing.T
	engine string
	factor float64 // of all latencies; rates are divided by it
	count  int     // repetitions
	rep    int     // of the run being made; the first two have histograms
	rng    *rand.Rand
}

// sampled is the result of an engine whose latencies are factor times those of
// the first.
func sampled(t *testing.T, engine string, count int, factor float64) *bench.Result {
	t.Helper()
	s := &sample{t: t, engine: engine, factor: factor, count: count, rng: rand.New(rand.NewPCG(7, uint64(len(engine))))}
	return s.result()
}

func (s *sample) result() *bench.Result {
	second := time.Second
	res := &bench.Result{
		Schema: bench.Schema, Complete: true,
		MadeBy:  bench.MadeBy{Watchbench: "0.4.0", Commit: "0123456789abcdef", Go: "go1.26.8"},
		Command: []string{"watchbench", "run", "--backend", s.engine, "--count", "6", "--seed", "7"},
		Started: time.Date(2026, 11, 22, 14, 5, 7, 0, time.UTC),
		Target: bench.TargetFacts{
			Kind: "embedded", Engine: s.engine, Version: "v2.1.7", Durability: "sync",
			OutboxResponses: 128, OutboxBytes: 1 << 20, RecentBytes: 32 << 20, CacheBytes: 64 << 20,
		},
		Machine: bench.Machine{
			CPU: "EPYC", Cores: 16, MemoryBytes: 64 << 30, OS: "linux 6.18", Filesystem: "ext4",
			Fsync: &bench.Fsync{P50: 310 * time.Microsecond, P99: 702 * time.Microsecond, Samples: 200},
		},
		Plan: bench.Plan{Seed: 7, Count: s.count, Scenarios: []bench.Scenario{
			{Name: bench.Notify, Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, Writers: 64, Keys: 5000, ValueBytes: 256, Warmup: 2 * second, Duration: 20 * second},
			{Name: bench.Notify, Shape: bench.Prefix, Watchers: 5000, Streams: 50, RatePerS: 200, Writers: 64, Keys: 10_000, ValueBytes: 256, Warmup: 2 * second, Duration: 20 * second},
			{Name: bench.CatchUp, Shape: bench.Prefix, Watchers: 1000, Streams: 50, Keys: 10_000, ValueBytes: 256, History: 100_000},
			{Name: bench.Slow, Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, Writers: 64, Keys: 5000, ValueBytes: 256, Warmup: 2 * second, Duration: 30 * second, StalledStreams: 5, Stall: 10 * second},
			{Name: bench.Notify, Shape: bench.OneKey, Watchers: 500, Streams: 50, FullSpeed: true, Writers: 64, Keys: 500, ValueBytes: 256, Warmup: 2 * second, Duration: 20 * second},
		}},
	}
	for rep := range s.count {
		s.rep = rep
		for i, sc := range res.Plan.Scenarios {
			run := bench.Run{Scenario: sc.Title(), Repetition: rep + 1, Planned: i, Promises: promises()}
			run.Metrics, run.NotMeasured, run.Histograms = map[string]float64{}, map[string]string{}, map[string]bench.Histogram{}
			if sc.Name == bench.CatchUp {
				s.catchUp(&run)
			} else {
				s.load(&run, sc)
			}
			res.Runs = append(res.Runs, run)
		}
	}
	return res
}

func promises() []bench.Promise {
	return []bench.Promise{
		{Rule: "G1", Name: "ordered", Class: "etcd", Verdict: "kept", Checked: 6_400_000},
		{Rule: "G2", Name: "unique", Class: "etcd", Verdict: "kept", Checked: 6_400_000},
		{Rule: "G8", Name: "ordered", Class: "etcd", Verdict: "kept", Checked: 6_400_000},
		{Rule: "C12", Name: "compaction", Class: "etcd", Verdict: "not checked"},
		{Rule: "N7", Name: "resumable", Class: "ours", Verdict: "kept", Checked: 1204},
	}
}

// about is a value a little off.
func (s *sample) about(v float64) float64 { return v * (1 + 0.04*s.rng.NormFloat64()) }

func (s *sample) encoded(h *hdrhistogram.Histogram) string {
	s.t.Helper()
	raw, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	require.NoError(s.t, err)
	return string(raw)
}

func (s *sample) latency(run *bench.Run, name string, median float64) {
	h := hdrhistogram.New(1, int64(time.Hour), 2)
	for range 400 {
		_ = h.RecordValue(int64(s.about(median) * math.Exp(0.5*s.rng.NormFloat64())))
	}
	for metric, q := range map[string]float64{"p50": 50, "p90": 90, "p99": 99, "p999": 99.9} {
		run.Metrics[name+"."+metric+"_ns"] = float64(h.ValueAtQuantile(q))
	}
	run.Metrics[name+".max_ns"] = float64(h.Max())
	if s.rep < 2 {
		run.Histograms[name+"_ns"] = bench.Histogram{HDR: s.encoded(h)}
	}
}

func (s *sample) load(run *bench.Run, sc bench.Scenario) {
	s.latency(run, "notify", 310e3*s.factor)
	s.latency(run, "put", 290e3*s.factor)
	run.Metrics["put.rate_per_s"] = sc.RatePerS
	if sc.FullSpeed {
		run.Metrics["put.rate_per_s"] = s.about(68_400 / s.factor)
	}
	run.Metrics["notify.events_per_s"] = 2000
	run.Metrics["generator.late_p99_ns"] = 38e3
	run.Metrics["cpu.cores"] = 6.3
	run.Metrics["victims"] = 0
	s.answers(run)
	seconds := int((sc.Warmup + sc.Duration) / time.Second)
	run.Series = s.series(seconds, sc)
	if sc.StalledStreams == 0 {
		return
	}
	s.latency(run, "before.notify", 300e3*s.factor)
	run.Metrics["victims"], run.Metrics["victims_per_s"], run.Metrics["victims_ratio"] = 514, 51.4, 0.021
	run.Metrics["slow.recovery_ns"] = s.about(212e6)
	run.Metrics["pinned_bytes"] = 1.9 * (1 << 20)
}

// answers adds the signed time from a put's answer to its event.
func (s *sample) answers(run *bench.Run) {
	if s.rep >= 2 {
		return
	}
	before, after := hdrhistogram.New(1, int64(time.Hour), 2), hdrhistogram.New(1, int64(time.Hour), 3)
	for range 40 {
		_ = before.RecordValue(int64(s.about(10e3)))
	}
	for range 360 {
		_ = after.RecordValue(int64(s.about(36e3*s.factor) * math.Exp(s.rng.NormFloat64())))
	}
	run.Histograms["ack_to_event_ns"] = bench.Histogram{Signed: true, Negative: s.encoded(before), Positive: s.encoded(after)}
}

func (s *sample) series(seconds int, sc bench.Scenario) *bench.Series {
	series := &bench.Series{Interval: time.Second, Parts: []bench.Part{{Name: "measured", From: sc.Warmup, To: sc.Warmup + sc.Duration}}}
	from, to := seconds, seconds
	if sc.StalledStreams > 0 {
		from, to = int(sc.Warmup/time.Second)+10, int(sc.Warmup/time.Second)+20
		series.Parts = []bench.Part{
			{Name: "before", From: sc.Warmup, To: time.Duration(from) * time.Second},
			{Name: "stalled", From: time.Duration(from) * time.Second, To: time.Duration(to) * time.Second},
			{Name: "after", From: time.Duration(to) * time.Second, To: sc.Warmup + sc.Duration},
		}
	}
	for i := range seconds {
		stalled := i >= from && i < to
		p99, victims := int64(s.about(1.84e6*s.factor)), 0
		if stalled {
			p99, victims = 3*p99, 500
		}
		rate := 0.0
		if i == from {
			rate = 500
		}
		series.PutsPerS, series.EventsPerS = append(series.PutsPerS, sc.RatePerS), append(series.EventsPerS, sc.RatePerS)
		series.NotifyP50, series.NotifyP99, series.NotifyMax = append(series.NotifyP50, p99/6), append(series.NotifyP99, p99), append(series.NotifyMax, 3*p99)
		series.LateP99, series.HeapBytes = append(series.LateP99, 38e3), append(series.HeapBytes, 100<<20)
		series.VictimWatchers, series.UnsyncedWatcher = append(series.VictimWatchers, victims), append(series.UnsyncedWatcher, 0)
		series.VictimsPerS = append(series.VictimsPerS, rate)
	}
	return series
}

func (s *sample) catchUp(run *bench.Run) {
	took := s.about(8.9e9 * s.factor)
	run.Metrics["catchup.synced_ns"], run.Metrics["catchup.events"] = took, 100e6
	run.Metrics["catchup.events_per_s"], run.Metrics["done_ratio"] = 100e6/(took/1e9), 1
	run.Metrics["catchup.bytes_per_s"] = 4e9 / s.factor
	run.Metrics["catchup.memory_ratio"], run.Metrics["catchup.index_ratio"], run.Metrics["catchup.scan_ratio"] = 0.08, 0.22, 0.70
	curve := &bench.Curve{}
	for i := range 101 {
		curve.At = append(curve.At, time.Duration(took*float64(i)/100))
		curve.Events = append(curve.Events, int64(i)*1e6)
		curve.Synced = append(curve.Synced, i*10)
	}
	run.CatchUp = curve
}

// served is a result of a server: its inside is not seen.
func served(t *testing.T, count int) *bench.Result {
	t.Helper()
	res := sampled(t, "etcd", count, 3.3)
	res.Target = bench.TargetFacts{Kind: "etcd", Version: "3.7.3", EtcdRules: true, Shared: true, Endpoints: []string{"etcd://10.0.0.4:2379"}, Connections: 20, Prefix: "watchbench/7f3a/"}
	res.Machine.Fsync = nil
	for i := range res.Runs {
		run := &res.Runs[i]
		for _, name := range []string{"victims", "victims_per_s", "victims_ratio", "pinned_bytes", "catchup.memory_ratio", "catchup.index_ratio", "catchup.scan_ratio"} {
			delete(run.Metrics, name)
			run.NotMeasured[name] = "not visible from outside"
		}
		if run.Series != nil {
			run.Series.VictimWatchers, run.Series.UnsyncedWatcher, run.Series.VictimsPerS = nil, nil, nil
		}
		for j := range run.Promises {
			if run.Promises[j].Class == "ours" {
				run.Promises[j].Verdict, run.Promises[j].Checked = "not promised", 0
			}
		}
	}
	return res
}

// brokenResult is a result whose promises did not hold.
func brokenResult(t *testing.T) *bench.Result {
	t.Helper()
	res := sampled(t, "bolt", 1, 1)
	res.Complete = false
	res.Broken = &bench.Broken{
		Rule: "G6", Name: "bookmarkable", Detail: "progress at revision 4218 ran ahead of an event",
		Watch: `watch 17, prefix "registry/pods/", started at revision 1`, Stream: "stream 3", Scenario: "notify/one-key",
		Record: []string{
			`+0.000 s   event     4215  PUT registry/pods/a-0031`,
			`+0.001 s   progress  4218                          "all <= 4218 delivered"`,
			`+0.003 s   event     4217  PUT registry/pods/a-0007   came after it`,
		},
	}
	for i := range res.Runs {
		run := &res.Runs[i]
		run.Metrics, run.NotMeasured, run.Histograms, run.Series, run.CatchUp = nil, nil, nil, nil, nil
	}
	return res
}
