package bench_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// small is a plan of every scenario that takes about two seconds.
func small(t *testing.T, names ...string) bench.Plan {
	t.Helper()
	warmup := 50 * time.Millisecond
	value := 64
	all, err := bench.Settings{
		Scenarios: bench.ScenarioNames(), Watchers: 20, Streams: 4, Rate: 500, Writers: 8, Keys: 50, ValueBytes: &value,
		History: 300, Duration: 600 * time.Millisecond, Warmup: &warmup, Seed: 7,
	}.Plan()
	require.NoError(t, err)
	plan := bench.Plan{Seed: all.Seed, Count: 1}
	for _, sc := range all.Scenarios {
		if sc.Name == bench.Churn {
			sc.ChurnPerS, sc.Visitors = 200, 10
		}
		if slices.Contains(names, sc.Name) {
			plan.Scenarios = append(plan.Scenarios, sc)
		}
	}
	return plan
}

func TestEveryScenarioMeasures(t *testing.T) {
	for _, name := range bench.ScenarioNames() {
		t.Run(name, func(t *testing.T) {
			plan := small(t, name)
			res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
			require.NoError(t, err)
			assert.True(t, res.Complete)
			assert.Nil(t, res.Broken)
			require.Len(t, res.Runs, len(plan.Scenarios))
			for _, run := range res.Runs {
				kept := 0
				for _, p := range run.Promises {
					assert.NotEqual(t, "broken", p.Verdict, p.Rule)
					if p.Verdict == "kept" {
						kept++
					}
				}
				assert.Greater(t, kept, 10, run.Scenario)
				for name := range run.Metrics {
					assert.Contains(t, bench.MetricNames(), name, "every metric is explained")
				}
				for name := range run.NotMeasured {
					assert.Contains(t, bench.MetricNames(), name, "every metric is explained")
				}
			}
		})
	}
}

func TestFiguresOfNotify(t *testing.T) {
	plan := small(t, bench.Notify)
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
	require.NoError(t, err)
	oneKey := res.Runs[0]
	assert.Equal(t, "notify/one-key", oneKey.Scenario)
	assert.Greater(t, oneKey.Metrics["notify.p50_ns"], 0.0)
	assert.GreaterOrEqual(t, oneKey.Metrics["notify.p99_ns"], oneKey.Metrics["notify.p50_ns"])
	assert.Greater(t, oneKey.Metrics["put.rate_per_s"], 0.0)
	assert.NotEmpty(t, oneKey.Histograms["notify_ns"].HDR)
	assert.Contains(t, oneKey.NotMeasured, "victims")

	prefix := res.Runs[1]
	assert.Equal(t, "notify/prefix", prefix.Scenario)
	puts, events := decode(t, prefix.Histograms["put_ns"]), decode(t, prefix.Histograms["notify_ns"])
	assert.Equal(t, 20*puts.TotalCount(), events.TotalCount(), "each put is an event for each of 20 watchers")
}

func decode(t *testing.T, h bench.Histogram) *hdrhistogram.Histogram {
	t.Helper()
	back, err := hdrhistogram.Decode([]byte(h.HDR))
	require.NoError(t, err)
	return back
}

// Values without room for the time are timed by their revision.
func TestTinyValuesAreTimed(t *testing.T) {
	for _, size := range []int{0, 7, 8} {
		plan := small(t, bench.Notify)
		plan.Scenarios = plan.Scenarios[:1]
		plan.Scenarios[0].ValueBytes = size
		res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
		require.NoError(t, err)
		run := res.Runs[0]
		assert.Greater(t, run.Metrics["notify.p50_ns"], 0.0, "%d bytes", size)
	}
}

// A broken promise replaces the figures, whatever breaks it.
func TestBrokenPromise(t *testing.T) {
	breakOnce := func(change func([]watch.Response, int) []watch.Response) func([]watch.Response) []watch.Response {
		var seen atomic.Int64
		return func(rs []watch.Response) []watch.Response {
			for i := range rs {
				if len(rs[i].Events) > 0 && seen.Add(1) == 20 {
					return change(rs, i)
				}
			}
			return rs
		}
	}
	for _, c := range []struct {
		name, rule string
		change     func(rs []watch.Response, i int) []watch.Response
	}{
		{"dropped", "G3", func(rs []watch.Response, i int) []watch.Response {
			return append(rs[:i:i], rs[i+1:]...)
		}},
		{"doubled", "G2", func(rs []watch.Response, i int) []watch.Response {
			return append(rs[:i+1:i+1], rs[i:]...)
		}},
		{"changed", "G9", func(rs []watch.Response, i int) []watch.Response {
			evs := append([]mvcc.Event(nil), rs[i].Events...)
			evs[0].KV.Value = append([]byte("x"), evs[0].KV.Value...)
			rs[i].Events = evs
			return rs
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := small(t, bench.Notify)
			plan.Scenarios = plan.Scenarios[1:2] // the prefix: many events a watch
			res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{spoil: breakOnce(c.change)}, Dir: t.TempDir()})
			require.NoError(t, err)
			require.NotNil(t, res.Broken)
			assert.Equal(t, c.rule, res.Broken.Rule, res.Broken.Detail)
			b := res.Broken
			assert.NotEmpty(t, b.Record)
			assert.LessOrEqual(t, len(b.Record), 5)
			assert.Len(t, b.RecordAt, len(b.Record))
			assert.Zero(t, b.RecordAt[0])
			assert.True(t, slices.IsSorted(b.RecordAt))
			assert.GreaterOrEqual(t, len(b.Responses), len(b.Record))
			assert.Equal(t, b.Record[len(b.Record)-1], b.Responses[len(b.Responses)-1].Text)
			assert.LessOrEqual(t, int64(len(b.Responses)), b.Seen)
			assert.NotEmpty(t, res.Broken.Stream)
			assert.False(t, res.Complete)
			for _, run := range res.Runs {
				assert.Nil(t, run.Metrics)
			}
			var buf bytes.Buffer
			require.NoError(t, res.WriteJSON(&buf))
			for _, figure := range []string{"notify.p", "put.p", "hdr_v2", "per_s\": ["} {
				assert.False(t, strings.Contains(buf.String(), figure), "%q in the result of a broken run", figure)
			}
		})
	}
}

func TestFailingTarget(t *testing.T) {
	died := errors.New("EOF")
	plan := small(t, bench.Notify)
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{putErr: map[int64]error{50: died}}, Dir: t.TempDir()})
	require.ErrorIs(t, err, died)
	assert.False(t, res.Complete)
	assert.Contains(t, res.Failed, "notify/one-key")
}

func TestCutShort(t *testing.T) {
	plan := small(t, bench.Notify, bench.Slow)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	plan.Scenarios[0].Duration = time.Hour
	ticks := 0
	res, err := bench.Measure(ctx, plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir(), Observe: func(tick bench.Tick) {
		assert.Equal(t, "notify/one-key", tick.Scenario)
		ticks++
		stop()
	}})
	require.NoError(t, err)
	require.NotNil(t, res.CutShort)
	assert.Equal(t, 1, ticks)
	assert.Equal(t, "notify/one-key", res.CutShort.Scenario)
	assert.Equal(t, []string{"notify/prefix", "notify/ranges", "slow"}, res.CutShort.NotRun)
	require.Len(t, res.Runs, 1)
	assert.True(t, res.Runs[0].CutShort)
	assert.Greater(t, res.Runs[0].Metrics["put.rate_per_s"], 0.0)
	assert.False(t, res.Complete)
}

// A part of the keys is a part of the events, and idle watchers change none.
func TestPartsAndIdleWatchers(t *testing.T) {
	plan := small(t, bench.Notify, bench.CatchUp)
	ranges := plan.Scenarios[2]
	require.Equal(t, "notify/ranges", ranges.Title())
	ranges.Watchers, ranges.Streams, ranges.Idle = 20, 4, 30
	part := plan.Scenarios[3]
	part.Shape, part.Watchers, part.Streams, part.Parts = bench.Ranges, 1, 1, 10
	plan.Scenarios = []bench.Scenario{ranges, part}
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
	require.NoError(t, err)
	puts, events := decode(t, res.Runs[0].Histograms["put_ns"]), decode(t, res.Runs[0].Histograms["notify_ns"])
	assert.Equal(t, puts.TotalCount(), events.TotalCount(), "each put is an event for one watcher")
	got := res.Runs[1].Metrics["catchup.events"]
	assert.Greater(t, got, 0.0)
	assert.Less(t, got, 100.0, "a tenth of 300, or thereabouts")
}

// Catching up leaves a curve that begins at nothing and ends with everything.
func TestCatchUpCurve(t *testing.T) {
	res, err := bench.Measure(t.Context(), small(t, bench.CatchUp), bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
	require.NoError(t, err)
	for _, run := range res.Runs {
		require.NotNil(t, run.CatchUp, run.Scenario)
		at, events, synced := run.CatchUp.At, run.CatchUp.Events, run.CatchUp.Synced
		last := len(at) - 1
		require.GreaterOrEqual(t, last, 1)
		assert.LessOrEqual(t, last, 200)
		assert.Len(t, events, len(at))
		assert.Len(t, synced, len(at))
		assert.True(t, slices.IsSorted(at))
		assert.True(t, slices.IsSorted(events))
		assert.True(t, slices.IsSorted(synced))
		assert.Equal(t, []int64{0, 0, 0}, []int64{int64(at[0]), events[0], int64(synced[0])})
		assert.Equal(t, 20, synced[last])
		assert.Equal(t, run.Metrics["catchup.events"], float64(events[last]))
	}
}

// A series says which of its seconds are of which part.
func TestSeriesParts(t *testing.T) {
	plan := small(t, bench.Slow)
	plan.Scenarios[0].Duration, plan.Scenarios[0].Stall = 1500*time.Millisecond, 500*time.Millisecond
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{}, Dir: t.TempDir()})
	require.NoError(t, err)
	series := res.Runs[0].Series
	require.NotNil(t, series)
	var names []string
	for i, part := range series.Parts {
		names = append(names, part.Name)
		if i < 2 { // the last ends with the last event
			assert.Equal(t, 500*time.Millisecond, part.To-part.From)
		}
		if i > 0 {
			assert.Equal(t, series.Parts[i-1].To, part.From)
		}
	}
	assert.Equal(t, []string{"before", "stalled", "after"}, names)
	assert.GreaterOrEqual(t, series.Parts[0].From, plan.Scenarios[0].Warmup)
	assert.Nil(t, series.VictimsPerS, "the target does not show them")
}
