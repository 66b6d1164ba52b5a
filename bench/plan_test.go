package bench_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

func titles(p bench.Plan) (names []string) {
	for _, sc := range p.Scenarios {
		names = append(names, sc.Title())
	}
	return names
}

// Nothing asked for is the short form: all scenarios in under a minute.
func TestPlanShortForm(t *testing.T) {
	plan, err := bench.Settings{}.Plan()
	require.NoError(t, err)
	assert.True(t, plan.Short)
	assert.Equal(t, []string{"notify/one-key", "notify/prefix", "notify/ranges", "catchup/whole", "catchup/one-key", "slow", "interference"}, titles(plan))
	var sum time.Duration
	for _, sc := range plan.Scenarios {
		sum += sc.Warmup + sc.Duration
	}
	assert.Less(t, sum, 45*time.Second)
	assert.Equal(t, int64(20_000), plan.Scenarios[3].History)
	assert.Equal(t, 2, plan.Scenarios[5].StalledStreams)
	assert.Equal(t, 20, plan.Scenarios[5].Streams)
	assert.Equal(t, 4*time.Second, plan.Scenarios[5].Stall)
}

func TestPlanDefaults(t *testing.T) {
	plan, err := bench.Settings{Scenarios: []string{bench.Notify, bench.CatchUp, bench.Slow, bench.Interference}}.Plan()
	require.NoError(t, err)
	assert.False(t, plan.Short)
	notify, prefix, ranges, whole, slow, interference := plan.Scenarios[0], plan.Scenarios[1], plan.Scenarios[2], plan.Scenarios[3], plan.Scenarios[5], plan.Scenarios[6]
	assert.Equal(t, bench.Scenario{Name: "notify", Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, Writers: 64,
		Keys: 5000, ValueBytes: 256, Warmup: 2 * time.Second, Duration: 10 * time.Second}, notify, "puts go to watched keys only")
	assert.Equal(t, 200.0, prefix.RatePerS, "5,000 watchers of one prefix get 1M events/s")
	assert.Equal(t, 10_000, ranges.Keys)
	assert.Equal(t, bench.Scenario{Name: "catchup", Shape: bench.Prefix, Watchers: 1000, Streams: 50, Keys: 10_000, ValueBytes: 256, History: 100_000}, whole)
	assert.Equal(t, 30*time.Second, slow.Duration)
	assert.Equal(t, 30*time.Second, interference.Duration)
	assert.Equal(t, 100, interference.Bystanders)
}

// What is asked for is done, also where a default would be wiser.
func TestPlanAsAsked(t *testing.T) {
	none := time.Duration(0)
	empty := 0
	plan, err := bench.Settings{Scenarios: []string{bench.Notify}, Shape: bench.Prefix, Watchers: 5000, Rate: 2000, Warmup: &none, ValueBytes: &empty, Seed: 3, Count: 6}.Plan()
	require.NoError(t, err)
	require.Len(t, plan.Scenarios, 1)
	assert.Equal(t, 2000.0, plan.Scenarios[0].RatePerS)
	assert.Zero(t, plan.Scenarios[0].Warmup)
	assert.Zero(t, plan.Scenarios[0].ValueBytes)
	assert.Equal(t, 6, plan.Count)

	plan, err = bench.Settings{Scenarios: []string{bench.CatchUp}, Watchers: 1, History: 7}.Plan()
	require.NoError(t, err)
	assert.Equal(t, 1, plan.Scenarios[0].Streams, "no more streams than watchers")

	plan, err = bench.Settings{Scenarios: []string{bench.Notify}, Shape: bench.OneKey, FullSpeed: true, Writers: 3}.Plan()
	require.NoError(t, err)
	assert.Zero(t, plan.Scenarios[0].RatePerS)
	assert.True(t, plan.Scenarios[0].FullSpeed)

	plan, err = bench.Settings{Duration: time.Second}.Plan()
	require.NoError(t, err)
	assert.False(t, plan.Short)
}

func TestPlanRefuses(t *testing.T) {
	tooLong, negative, short, huge := 2*time.Hour, -time.Second, time.Second, 1<<20+1
	for name, s := range map[string]bench.Settings{
		"watchers":   {Watchers: 20_000_000},
		"streams":    {Scenarios: []string{bench.Notify}, Watchers: 5, Streams: 6},
		"writers":    {Writers: -1},
		"keys":       {Scenarios: []string{bench.Notify}, Shape: bench.Ranges, Keys: 10},
		"history":    {History: -1},
		"count":      {Count: 1001},
		"rate":       {Rate: 1e9},
		"value-size": {ValueBytes: &huge},
		"duration":   {Duration: time.Millisecond},
		"warmup":     {Warmup: &tooLong},
		"shape":      {Shape: "round"},
		"scenario":   {Scenarios: []string{"strom"}},
	} {
		_, err := s.Plan()
		var wrong *bench.SettingError
		if assert.ErrorAs(t, err, &wrong, name) {
			assert.Equal(t, name, wrong.Setting)
			assert.NotEmpty(t, wrong.Problem)
		}
	}
	for name, s := range map[string]bench.Settings{
		"duration": {Scenarios: []string{bench.CatchUp}, Duration: time.Second},
		"rate":     {Scenarios: []string{bench.CatchUp}, FullSpeed: true},
		"warmup":   {Scenarios: []string{bench.CatchUp}, Warmup: &short},
		"writers":  {Scenarios: []string{bench.CatchUp}, Writers: 3},
		"history":  {Scenarios: []string{bench.Notify, bench.Slow}, History: 3},
		"shape":    {Scenarios: []string{bench.Mixed}, Shape: bench.OneKey},
	} {
		_, err := s.Plan()
		var useless *bench.SettingError
		if assert.ErrorAs(t, err, &useless, name) {
			assert.Equal(t, name, useless.Setting)
		}
		s.Scenarios = []string{bench.CatchUp, bench.Slow}
		_, err = s.Plan()
		assert.NoError(t, err, "one of the scenarios has a use for %s", name)
	}
	_, err := bench.Settings{Warmup: &negative}.Plan()
	assert.Error(t, err)
	_, err = bench.Settings{Scenarios: []string{bench.Slow}, Duration: 200 * time.Millisecond}.Plan()
	assert.Error(t, err)
}

// The schedule depends on the number of the put alone.
func TestPacer(t *testing.T) {
	p := bench.Pacer{PerS: 2000}
	assert.Equal(t, time.Duration(0), p.Due(0))
	assert.Equal(t, 500*time.Microsecond, p.Due(1))
	assert.Equal(t, time.Second, p.Due(2000))
	assert.Equal(t, int64(2000), p.Between(0, time.Second))
	assert.Equal(t, int64(2000), p.Between(time.Second, 2*time.Second))
	assert.Equal(t, int64(1), p.Between(0, 1))
	assert.Equal(t, int64(0), p.Between(1, 500*time.Microsecond))

	slow := bench.Pacer{PerS: 3}
	for n := range int64(100) {
		assert.Equal(t, n, slow.Between(0, slow.Due(n)), "the puts before put %d", n)
	}
	assert.Zero(t, bench.Pacer{}.Between(0, time.Hour), "full speed has no schedule")
}
