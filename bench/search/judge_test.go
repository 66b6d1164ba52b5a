package search_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/gate"
	"github.com/watchkv/watchkv/bench/search"
)

func objective(t *testing.T, text string) gate.Gate {
	t.Helper()
	g, err := gate.ParseObjective(text)
	require.NoError(t, err)
	return g
}

func TestJudge(t *testing.T) {
	sc := bench.Scenario{Name: bench.Notify, Shape: bench.OneKey, RatePerS: 1000, Warmup: time.Second}
	fine := map[string]float64{"notify.p99_ns": 10e6, "put.rate_per_s": 998, "generator.late_p99_ns": 50_000, "generator.backlog_ratio": 0}
	with := func(changes map[string]float64) bench.Run {
		run := bench.Run{Scenario: "notify/one-key", Metrics: map[string]float64{}, NotMeasured: map[string]string{"victims": "not visible from outside"}}
		for _, m := range []map[string]float64{fine, changes} {
			for name, v := range m {
				run.Metrics[name] = v
			}
		}
		return run
	}
	slo := []gate.Gate{objective(t, "notify.p99<20ms")}
	for name, c := range map[string]struct {
		change map[string]float64
		p50s   []int64
		want   search.Verdict
	}{
		"held":                   {nil, nil, search.Verdict{Outcome: search.Held}},
		"objective missed":       {map[string]float64{"notify.p99_ns": 20e6}, nil, search.Verdict{Outcome: search.Missed}},
		"rate missed":            {map[string]float64{"put.rate_per_s": 680}, nil, search.Verdict{Outcome: search.Missed, Achieved: 680, Reason: "only 680 puts/s were achieved"}},
		"backlog":                {nil, []int64{9e6, 9e6, 1e6, 2e6, 3e6, 4e6}, search.Verdict{Outcome: search.Missed, Reason: "backlog grew all the time"}},
		"up and down":            {nil, []int64{9e6, 9e6, 1e6, 4e6, 3e6, 4e6}, search.Verdict{Outcome: search.Held}},
		"grows by little":        {nil, []int64{9e6, 9e6, 1e5, 2e5, 3e5, 4e5}, search.Verdict{Outcome: search.Held}},
		"too short to tell":      {nil, []int64{9e6, 9e6, 1e6, 4e6}, search.Verdict{Outcome: search.Held}},
		"late, and held":         {map[string]float64{"generator.late_p99_ns": 5e6}, nil, search.Verdict{Outcome: search.Held}},
		"client":                 {map[string]float64{"generator.late_p99_ns": 5e6, "put.rate_per_s": 680}, nil, search.Verdict{Outcome: search.Client, Achieved: 680, Reason: "the client is the limit, late by 5.00 ms"}},
		"late, but writers wait": {map[string]float64{"generator.late_p99_ns": 5e6, "put.rate_per_s": 680, "generator.backlog_ratio": .9}, nil, search.Verdict{Outcome: search.Missed, Achieved: 680, Reason: "only 680 puts/s were achieved"}},
	} {
		run := with(c.change)
		if c.p50s != nil {
			run.Series = &bench.Series{Interval: time.Second, NotifyP50: c.p50s}
		}
		got, err := search.Judge(sc, run, slo)
		require.NoError(t, err, name)
		c.want.Figures = []float64{run.Metrics["notify.p99_ns"]}
		assert.Equal(t, c.want, got, name)
	}

	// Several objectives: each of them.
	both := append(slo, objective(t, "put.rate>2k"))
	got, err := search.Judge(sc, with(nil), both)
	require.NoError(t, err)
	assert.Equal(t, search.Missed, got.Outcome)

	_, err = search.Judge(sc, with(nil), []gate.Gate{objective(t, "victims<1")})
	require.EqualError(t, err, "victims: not visible from outside")
	_, err = search.Judge(sc, with(nil), []gate.Gate{objective(t, "catchup.synced<1s")})
	require.EqualError(t, err, "catchup.synced: notify/one-key does not measure it")
}
