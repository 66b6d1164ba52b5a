package stat_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

func times(n int, v float64) (all []float64) {
	for range n {
		all = append(all, v)
	}
	return all
}

func TestSummarize(t *testing.T) {
	values := []float64{6, 1, 4, 2, 5, 3}
	s := stat.Summarize(values)
	assert.Equal(t, []float64{6, 1, 4, 2, 5, 3}, values, "the caller's values stay as they are")
	assert.Equal(t, stat.Summary{N: 6, Median: 3.5, Lo: 1, Hi: 6}, s, "6 runs: the interval is their range")
	spread, ok := s.Spread()
	assert.True(t, ok)
	assert.InDelta(t, 2.5/3.5, spread, 1e-9)

	few := stat.Summarize([]float64{3, 1, 2, 5, 4})
	assert.Equal(t, 3., few.Median)
	assert.False(t, few.Bounded(), "5 runs have no interval at 95%%")
	_, ok = few.Spread()
	assert.False(t, ok)

	none := stat.Summarize(nil)
	assert.True(t, math.IsNaN(none.Median))
	assert.False(t, none.Bounded())

	same, ok := stat.Summarize(times(6, 0)).Spread()
	assert.True(t, ok)
	assert.Zero(t, same)
	_, ok = stat.Summarize([]float64{-1, 0, 1, 2, 3, 4}).Spread()
	assert.False(t, ok, "a share of what may be zero says nothing")
}

func TestCompare(t *testing.T) {
	low, high := []float64{10, 11, 12, 13, 14, 15}, []float64{20, 21, 22, 23, 24, 25}
	c := stat.Compare(low, high)
	assert.Equal(t, stat.Different, c.Verdict)
	assert.InDelta(t, 0.00216, c.P, 1e-4)
	assert.InDelta(t, 22.5/12.5-1, c.Ratio, 1e-9)
	assert.False(t, c.Few())

	c = stat.Compare(low, []float64{9, 11.5, 12.5, 13.5, 14.5, 15.5})
	assert.Equal(t, stat.NoDifference, c.Verdict)
	assert.Greater(t, c.P, stat.Alpha)

	c = stat.Compare(times(6, 0), times(6, 0))
	assert.Equal(t, stat.Equal, c.Verdict)
	assert.Equal(t, stat.Equal, stat.Compare(times(2, 3), times(1, 3)).Verdict)
	assert.True(t, math.IsNaN(c.Ratio))

	c = stat.Compare(times(6, 0), times(6, 5))
	assert.Equal(t, stat.Different, c.Verdict, "there is no share of 0, but they differ")

	assert.Equal(t, stat.Unknown, stat.Compare(nil, low).Verdict)
	assert.Equal(t, stat.Unknown, stat.Compare(low, nil).Verdict)
}

func TestFewRunsTellLargeDifferencesOnly(t *testing.T) {
	c := stat.Compare([]float64{100, 105, 95}, []float64{104, 99, 108})
	assert.True(t, c.Few())
	assert.True(t, math.IsNaN(c.P))
	assert.Equal(t, stat.TooFew, c.Verdict)
	assert.InDelta(t, .15, c.Floor, 1e-9)

	c = stat.Compare([]float64{100, 105, 95}, []float64{204, 199, 208})
	assert.Equal(t, stat.Different, c.Verdict, "twice as much stands out")
	c = stat.Compare([]float64{204, 199, 208}, []float64{100, 105, 95})
	assert.Equal(t, stat.Different, c.Verdict, "and half")

	c = stat.Compare([]float64{100}, []float64{1000})
	assert.Equal(t, stat.TooFew, c.Verdict, "one run a side shows no spread")
	assert.True(t, math.IsInf(c.Floor, 1))
	assert.InDelta(t, 9, c.Ratio, 1e-9)

	c = stat.Compare([]float64{1, 100, 10000}, []float64{2, 200, 20000})
	assert.Equal(t, stat.TooFew, c.Verdict)
	assert.True(t, math.IsInf(c.Floor, 1), "spread too wide for any figure")

	c = stat.Compare([]float64{0, 1, 2}, []float64{5, 6, 7})
	assert.Equal(t, stat.TooFew, c.Verdict, "zero has no logarithm")
}

// Equal sides must be called different about as often as is said, and sides
// that differ by more than the floor nearly always.
func TestFloorIsHonest(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	draw := func(n int, scale float64) (values []float64) {
		for range n {
			values = append(values, scale*math.Exp(.05*rng.NormFloat64()))
		}
		return values
	}
	const rounds = 500
	for _, n := range []int{2, 3, 4, 5, 6, 10} {
		wrong, seen := 0, 0
		for range rounds {
			if stat.Compare(draw(n, 1), draw(n, 1)).Verdict == stat.Different {
				wrong++
			}
			if stat.Compare(draw(n, 1), draw(n, 3)).Verdict == stat.Different {
				seen++
			}
		}
		assert.LessOrEqual(t, wrong, rounds*7/100, "n=%d", n)
		assert.Greater(t, seen, rounds*80/100, "n=%d", n)
	}
}

func TestOf(t *testing.T) {
	run := func(title string, metrics map[string]float64, cut bool) bench.Run {
		return bench.Run{Scenario: title, Metrics: metrics, CutShort: cut, NotMeasured: map[string]string{"victims": "cannot be seen"}}
	}
	res := &bench.Result{Runs: []bench.Run{
		run("catchup/whole", map[string]float64{"catchup.events_per_s": 3, "done_ratio": 1}, false),
		run("catchup/one-key", map[string]float64{"catchup.events_per_s": 9}, false),
		run("catchup/whole", map[string]float64{"catchup.events_per_s": 1, "done_ratio": .026, "measured_ns": 20e9}, true),
	}}
	assert.Equal(t, stat.Sample{Values: []float64{3, 1}, Cut: 1, Done: .026, After: 20 * time.Second}, stat.Of(res, "catchup/whole", "catchup.events_per_s"))
	assert.Equal(t, "cannot be seen", stat.Of(res, "catchup/whole", "victims").Absent)
	assert.Equal(t, "it was not measured", stat.Of(res, "catchup/whole", "notify.p99_ns").Absent)
	assert.Equal(t, "it did not run", stat.Of(res, "slow", "victims").Absent)
	res.Failed = "stopped 3 s into slow: EOF"
	assert.Equal(t, "stopped 3 s into slow: EOF", stat.Of(res, "slow", "victims").Absent)
	res.Broken = &bench.Broken{Rule: "G6", Name: "bookmarkable"}
	require.Equal(t, "it broke G6 bookmarkable", stat.Of(res, "slow", "victims").Absent)
}
