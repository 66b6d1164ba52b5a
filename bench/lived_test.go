package bench_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
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
