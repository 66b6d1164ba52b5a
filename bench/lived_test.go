package bench_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

func onBolt() bench.Kind {
	return bench.Embedded{Driver: bolt.Driver(), Durability: mvcc.Relaxed(20 * time.Millisecond)}
}

// lived takes one scenario of a small plan on an engine and gives its run,
// after what holds for every one of them was looked at.
func lived(t *testing.T, kind bench.Kind, sc bench.Scenario) bench.Run {
	t.Helper()
	res, err := bench.Measure(t.Context(), one(sc), bench.Options{Kind: kind, Dir: t.TempDir()})
	require.NoError(t, err)
	require.Nil(t, res.Broken)
	require.True(t, res.Complete)
	run := res.Runs[0]
	for name := range run.Metrics {
		assert.Contains(t, bench.MetricNames(), name, "every metric is explained")
	}
	for name := range run.NotMeasured {
		assert.Contains(t, bench.MetricNames(), name, "every metric is explained")
	}
	var text bytes.Buffer
	require.NoError(t, bench.Report(&text, res, bench.ReportOptions{}))
	for line := range strings.SplitSeq(text.String(), "\n") {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, line)
	}
	return run
}

// verdict is how often a rule was looked at; it must have been kept.
func verdict(t *testing.T, run bench.Run, rule string) int64 {
	t.Helper()
	for _, p := range run.Promises {
		if p.Rule == rule {
			assert.Equal(t, "kept", p.Verdict, rule)
			return p.Checked
		}
	}
	t.Fatalf("no rule %s", rule)
	return 0
}

func TestStorm(t *testing.T) {
	sc := small(t, bench.Storm).Scenarios[0]
	sc.Duration = 400 * time.Millisecond
	for name, kind := range map[string]bench.Kind{"mem": inMemory(), "bolt": onBolt()} {
		for _, shape := range []bench.Shape{bench.Ranges, bench.OneKey, bench.Prefix} {
			t.Run(name+"/"+string(shape), func(t *testing.T) {
				sc := sc
				sc.Shape = shape
				run := lived(t, kind, sc)
				assert.Greater(t, run.Metrics["storm.synced_ns"], 0.0)
				assert.LessOrEqual(t, run.Metrics["storm.half_synced_ns"], run.Metrics["storm.synced_ns"])
				assert.Greater(t, run.Metrics["storm.streams_per_s"], 0.0)
				want := map[bench.Shape]float64{bench.OneKey: 1, bench.Ranges: float64(sc.History), bench.Prefix: float64(sc.History) * float64(sc.Watchers)}[shape]
				assert.GreaterOrEqual(t, run.Metrics["storm.events"], want, "what they missed")
				for _, part := range []string{"before.", "after."} {
					assert.Greater(t, run.Metrics[part+"notify.p50_ns"], 0.0)
					assert.Greater(t, run.Metrics[part+"put.rate_per_s"], 0.0)
				}
				assert.Greater(t, verdict(t, run, "C9"), int64(0), "history from exactly the start")
			})
		}
	}
}

func TestChurn(t *testing.T) {
	sc := small(t, bench.Churn).Scenarios[0]
	sc.Duration, sc.ChurnPerS, sc.Visitors = 400*time.Millisecond, 500, 20
	for name, kind := range map[string]bench.Kind{"mem": inMemory(), "bolt": onBolt()} {
		t.Run(name, func(t *testing.T) {
			run := lived(t, kind, sc)
			assert.Greater(t, run.Metrics["churn.creates_per_s"], 0.0)
			assert.Greater(t, run.Metrics["churn.ended"], 0.0)
			assert.Greater(t, run.Metrics["created.p50_ns"], 0.0)
			assert.Greater(t, run.Metrics["canceled.p50_ns"], 0.0)
			assert.Greater(t, run.Metrics["quiet.notify.p50_ns"], 0.0)
			assert.Equal(t, int64(run.Metrics["churn.ended"]), verdict(t, run, "X1"), "every cancelled watch was looked at")
		})
	}
}

func TestCompaction(t *testing.T) {
	sc := small(t, bench.Compaction).Scenarios[0]
	// More than the outbox of a stream takes.
	sc.History, sc.ValueBytes, sc.Behind, sc.Cuts = 3000, 2048, 12, 3
	for name, kind := range map[string]bench.Kind{"mem": inMemory(), "bolt": onBolt()} {
		t.Run(name, func(t *testing.T) {
			run := lived(t, kind, sc)
			assert.Equal(t, 12.0, run.Metrics["compaction.told"])
			assert.Zero(t, run.Metrics["compaction.others_told"])
			assert.Greater(t, run.Metrics["compaction.cuts"], 0.0)
			assert.Greater(t, run.Metrics["told.p50_ns"], 0.0)
			assert.Equal(t, int64(12+run.Metrics["compaction.told_again"]), verdict(t, run, "V3"))
			assert.Greater(t, run.Metrics["before.notify.p50_ns"], 0.0)
		})
	}
}

// What is wrong with watches that end is found out where they are made to.
func TestBrokenEnds(t *testing.T) {
	// afterFirst puts a response behind the first that matches.
	afterFirst := func(matches func(*watch.Response) bool, more func(watch.Response) watch.Response) func([]watch.Response) []watch.Response {
		var done atomic.Bool
		return func(rs []watch.Response) []watch.Response {
			for i := range rs {
				if matches(&rs[i]) && done.CompareAndSwap(false, true) {
					return append(rs, more(rs[i]))
				}
			}
			return rs
		}
	}
	cancelled := func(r *watch.Response) bool { return r.Canceled && r.CompactRevision == 0 }
	compacted := func(r *watch.Response) bool { return r.CompactRevision != 0 }
	event := mvcc.Event{KV: mvcc.KeyValue{Key: []byte("k"), ModRevision: 1 << 40, CreateRevision: 1 << 40, Version: 1}}
	for _, c := range []struct {
		name, scenario string
		kind           *fakeKind
		rules          []string
	}{
		{"event after Canceled", bench.Churn, &fakeKind{spoil: afterFirst(cancelled, func(r watch.Response) watch.Response {
			return watch.Response{WatchID: r.WatchID, Events: []mvcc.Event{event}, Revision: 1 << 40}
		})}, []string{"X1"}},
		{"Canceled twice", bench.Churn, &fakeKind{spoil: afterFirst(cancelled, func(r watch.Response) watch.Response { return r })}, []string{"X1"}},
		{"compaction told twice", bench.Compaction, &fakeKind{spoil: afterFirst(compacted, func(r watch.Response) watch.Response { return r })}, []string{"C12"}},
		{"jumped over what is gone", bench.Compaction, &fakeKind{jumps: true}, []string{"V3", "G3"}},
		{"compact revision too high", bench.Compaction, &fakeKind{spoil: func(rs []watch.Response) []watch.Response {
			for i := range rs {
				if compacted(&rs[i]) {
					rs[i].CompactRevision += 1 << 20
					rs[i].Revision += 1 << 20
				}
			}
			return rs
		}}, []string{"C11"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := bench.Measure(t.Context(), small(t, c.scenario), bench.Options{Kind: c.kind, Dir: t.TempDir()})
			require.NoError(t, err)
			require.NotNil(t, res.Broken)
			assert.Contains(t, c.rules, res.Broken.Rule, res.Broken.Detail)
			assert.NotEmpty(t, res.Broken.Stream)
			assert.NotEmpty(t, res.Broken.Record)
		})
	}
}

// A scenario is refused before anything is written where the target lacks what
// it needs, also when another comes first.
func TestRefused(t *testing.T) {
	for name, reason := range map[string]string{
		bench.Storm: "cannot be filled", bench.Churn: "be cancelled", bench.Compaction: "cannot be filled", bench.Mixed: "cannot be filled",
	} {
		plan := small(t, bench.Notify, name)
		res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: &fakeKind{poor: true}, Dir: t.TempDir()})
		var refused *bench.RefusedError
		require.ErrorAs(t, err, &refused)
		assert.Equal(t, name, refused.Scenario)
		assert.Contains(t, refused.Reason, reason)
		assert.Empty(t, res.Runs)
	}
}

func TestMixed(t *testing.T) {
	sc := small(t, bench.Mixed).Scenarios[0]
	sc.Keys, sc.Duration = 200, 600*time.Millisecond
	for name, kind := range map[string]bench.Kind{"mem": inMemory(), "bolt": onBolt()} {
		t.Run(name, func(t *testing.T) {
			run := lived(t, kind, sc)
			for _, metric := range []string{"put.p50_ns", "get.p50_ns", "notify.p50_ns", "mixed.gets_per_s", "mixed.deletes_per_s", "mixed.read_bytes_per_s", "mixed.written_bytes_per_s"} {
				assert.Greater(t, run.Metrics[metric], 0.0, metric)
			}
			assert.Equal(t, 200.0, run.Metrics["mixed.objects"])
			assert.Greater(t, verdict(t, run, "E5"), int64(0), "deletes were delivered")
			assert.Greater(t, verdict(t, run, "C2"), int64(0))
		})
	}
}
