package compare_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
)

func planOf(count int, seed uint64, titles ...string) bench.Plan {
	p := bench.Plan{Seed: seed, Count: count}
	for _, name := range titles {
		p.Scenarios = append(p.Scenarios, bench.Scenario{Name: name})
	}
	return p
}

func TestTurnsAreFair(t *testing.T) {
	for seed := range uint64(20) {
		const targets, count = 3, 6
		turns := compare.Turns(planOf(count, seed, "a", "b"), targets)
		require.Len(t, turns, targets*count*2)
		assert.Equal(t, turns, compare.Turns(planOf(count, seed, "a", "b"), targets), "the seed decides")
		var first [targets]int
		for i := 0; i < len(turns); i += targets {
			seen := map[int]bool{}
			for _, turn := range turns[i : i+targets] {
				assert.Equal(t, turns[i].Repetition, turn.Repetition)
				assert.Equal(t, turns[i].Scenario, turn.Scenario)
				seen[turn.Target] = true
			}
			assert.Len(t, seen, targets, "each once before the next scenario")
			first[turns[i].Target]++
		}
		assert.Equal(t, [targets]int{4, 4, 4}, first)
	}
}

// fake is a target whose figure is 100 and more in every run.
func fake(plan bench.Plan, name string, change func(n int, part *bench.Result) error) compare.Target {
	n := 0
	return compare.Target{
		Head: &bench.Result{Schema: bench.Schema, Plan: plan, Target: bench.TargetFacts{Engine: name}},
		Measure: func(_ context.Context, plan bench.Plan, folder string) (*bench.Result, error) {
			part := &bench.Result{
				Schema: bench.Schema, Plan: plan, Started: time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC), Target: bench.TargetFacts{Engine: name, Version: folder},
				Runs: []bench.Run{{Scenario: plan.Scenarios[0].Title(), Repetition: 1, Metrics: map[string]float64{"notify.p99_ns": float64(100 + n)}}},
			}
			n++
			return part, change(n, part)
		},
	}
}

func fine(int, *bench.Result) error { return nil }

func TestRunMerges(t *testing.T) {
	plan := planOf(2, 7, bench.CatchUp, bench.Slow)
	var began []compare.Turn
	c := compare.Run(t.Context(), plan, []compare.Target{fake(plan, "a", fine), fake(plan, "b", fine)}, func(turn compare.Turn) { began = append(began, turn) })
	assert.Equal(t, compare.Turns(plan, 2), began)
	require.Len(t, c.Results, 2)
	assert.True(t, c.Complete())
	for _, res := range c.Results {
		assert.Equal(t, plan, res.Plan)
		assert.Equal(t, "1-catchup", res.Target.Version, "folders of repetitions differ")
		assert.Zero(t, res.Started.Second())
		require.Len(t, res.Runs, 4)
		for i, run := range res.Runs {
			assert.Equal(t, i/2+1, run.Repetition)
			assert.Equal(t, i%2, run.Planned)
			assert.Equal(t, plan.Scenarios[i%2].Name, run.Scenario)
		}
	}
}

func TestRunLeavesOutWhoFails(t *testing.T) {
	plan := planOf(3, 7, bench.Slow)
	breaks := func(n int, part *bench.Result) error {
		if n == 2 {
			part.Broken = &bench.Broken{Rule: "G6"}
		}
		return nil
	}
	dies := func(n int, part *bench.Result) error {
		if n == 2 {
			part.Runs = nil
			return errors.New("EOF")
		}
		return nil
	}
	hangs := func(n int, part *bench.Result) error {
		if n == 2 {
			part.Runs[0].CutShort = true
			part.CutShort = &bench.CutShort{Scenario: "slow", GivenUp: true}
		}
		return nil
	}
	c := compare.Run(t.Context(), plan, []compare.Target{fake(plan, "a", fine), fake(plan, "b", breaks), fake(plan, "c", dies), fake(plan, "d", hangs)}, nil)
	assert.False(t, c.Complete())
	assert.True(t, c.Results[0].Complete)
	assert.Len(t, c.Results[0].Runs, 3, "the others go on")

	broken := c.Results[1]
	assert.Equal(t, "G6", broken.Broken.Rule)
	require.Len(t, broken.Runs, 2, "and no more turns")
	for _, run := range broken.Runs {
		assert.Nil(t, run.Metrics, "no figures")
	}
	assert.False(t, broken.Complete)

	died := c.Results[2]
	assert.Equal(t, "EOF", died.Failed)
	require.Len(t, died.Runs, 1)
	assert.NotEmpty(t, died.Runs[0].Metrics, "what was measured is kept")

	hung := c.Results[3]
	assert.Equal(t, "did not answer when slow was cut", hung.Failed)
	assert.Len(t, hung.Runs, 2)
}

func TestRunStops(t *testing.T) {
	plan := planOf(2, 7, bench.Slow)
	ctx, cancel := context.WithCancel(t.Context())
	stops := func(n int, part *bench.Result) error {
		if n == 1 {
			cancel()
			part.Runs[0].CutShort = true
			part.CutShort = &bench.CutShort{Scenario: "slow", After: time.Second}
		}
		return nil
	}
	c := compare.Run(ctx, plan, []compare.Target{fake(plan, "a", stops), fake(plan, "b", stops)}, nil)
	runs, missing := 0, 0
	for _, res := range c.Results {
		assert.False(t, res.Complete)
		require.NotNil(t, res.CutShort)
		runs, missing = runs+len(res.Runs), missing+len(res.CutShort.NotRun)
	}
	assert.Equal(t, 1, runs)
	assert.Equal(t, 3, missing)
}
