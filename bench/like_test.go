package bench_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

// Every plan that settings make can be repeated from a file.
func TestPlansCanBeRepeated(t *testing.T) {
	for _, s := range []bench.Settings{{Seed: 1}, {Scenarios: bench.ScenarioNames()}, {Scenarios: bench.ScenarioNames(), FullSpeed: true, Watchers: 3, Streams: 2}} {
		plan, err := s.Plan()
		require.NoError(t, err)
		assert.NoError(t, plan.Check())
	}
}

func TestPlanCheck(t *testing.T) {
	good, err := bench.Settings{Scenarios: []string{bench.Slow}}.Plan()
	require.NoError(t, err)
	for _, c := range []struct {
		change func(*bench.Plan)
		want   string
	}{
		{func(p *bench.Plan) { p.Scenarios = nil }, "its plan has no scenario"},
		{func(p *bench.Plan) { p.Count = 0 }, "its plan has count 0; from 1 to 1000 is possible"},
		{func(p *bench.Plan) { p.Scenarios[0].Name = "rest" }, `its plan cannot be measured: scenario 1, "rest": unknown here`},
		{func(p *bench.Plan) { p.Scenarios[0].Stall = -1 }, "its plan cannot be measured: scenario 1, slow: stall_ns is below 0"},
		{func(p *bench.Plan) { p.Scenarios[0].Stall = time.Hour }, "its plan cannot be measured: scenario 1, slow: a part is larger than the whole"},
		{func(p *bench.Plan) { p.Scenarios[0].Watchers = 1 << 40 }, "its plan cannot be measured: scenario 1, slow: watchers 1100G: from 1 to 10.0M is possible"},
		{func(p *bench.Plan) { p.Scenarios[0].Watchers = 1 }, "its plan cannot be measured: scenario 1, slow: streams 20: more than the 1 watchers of slow"},
		{func(p *bench.Plan) { p.Scenarios[0].Keys = 0 }, "its plan cannot be measured: scenario 1, slow: watchers, streams and keys must be at least 1"},
		{func(p *bench.Plan) { p.Scenarios[0].Shape = bench.All }, "its plan cannot be measured: scenario 1, slow: shape all is no shape of one scenario"},
	} {
		plan := good
		plan.Scenarios = []bench.Scenario{good.Scenarios[0]}
		c.change(&plan)
		err := plan.Check()
		var unreadable *bench.Unreadable
		require.ErrorAs(t, err, &unreadable, c.want)
		assert.Equal(t, c.want, unreadable.Problem)
	}
}

func TestUnlike(t *testing.T) {
	here, there := fixed(t), fixed(t)
	assert.Empty(t, bench.Unlike(here, there))
	there.MadeBy.Go = "go1.25.1"
	there.Machine.Cores = 1
	there.Machine.MemoryBytes = 64 << 30
	there.Machine.Fsync = &bench.Fsync{P50: 290_000}
	there.Target.Durability = "relaxed:100ms"
	assert.Equal(t, []string{
		"pebble/sync here, pebble/relaxed:100ms there", "go1.26.8 here, go1.25.1 there", "16 cores here, 1 core there",
		"unknown here, 64 GiB of memory there",
	}, bench.Unlike(here, there))
	there.Machine.Fsync.P50 = time.Millisecond
	assert.Contains(t, bench.Unlike(here, there), "fsync p50 310 µs here, fsync p50 1.00 ms there")
}
