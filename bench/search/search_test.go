package search_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench/search"
)

// rates is where a search of puts a second begins.
var rates = search.Config{Start: 2000, Least: 1, Most: 10_000_000, Steps: 60}

// step is one that was taken.
type step struct {
	load int64
	o    search.Outcome
}

// run takes a search to its end on a fake measure.
func run(t *testing.T, c search.Config, measure func(load int64) (search.Outcome, int64)) (search.Answer, []step) {
	t.Helper()
	s, err := search.New(c)
	require.NoError(t, err)
	var steps []step
	for {
		load, again, more := s.Next()
		if !more {
			break
		}
		require.GreaterOrEqual(t, load, c.Least)
		require.LessOrEqual(t, load, c.Most)
		require.Less(t, len(steps), c.Steps, "bounded")
		if again {
			require.Equal(t, s.Answer().Holds, load)
		}
		o, achieved := measure(load)
		steps = append(steps, step{load, o})
		s.Tell(load, o, achieved)
	}
	return s.Answer(), steps
}

// upTo holds loads up to a capacity and achieves no more than it.
func upTo(capacity int64) func(int64) (search.Outcome, int64) {
	return func(load int64) (search.Outcome, int64) {
		if load <= capacity {
			return search.Held, load
		}
		return search.Missed, capacity
	}
}

func TestMonotone(t *testing.T) {
	for _, capacity := range []int64{1, 2, 3, 7, 40, 499, 1999, 2000, 2001, 9_400, 46_000, 68_300, 333_333, 9_999_999} {
		for name, achieved := range map[string]bool{"achieved is known": true, "unknown": false} {
			a, steps := run(t, rates, func(load int64) (search.Outcome, int64) {
				o, reached := upTo(capacity)(load)
				if !achieved {
					reached = 0
				}
				return o, reached
			})
			assert.LessOrEqual(t, a.Holds, capacity, name)
			assert.GreaterOrEqual(t, float64(a.Holds), .9*float64(capacity)-1, "%s: %d of %d by %v", name, a.Holds, capacity, steps)
			assert.Greater(t, a.Fails, capacity, name)
			assert.Equal(t, 2, a.Repeated, name)
			assert.False(t, a.Unfinished, name)
			assert.Less(t, len(steps), 24, name)
		}
	}
}

// The search of the guide, but for its last digits.
func TestStepsAreThoseOneWouldTake(t *testing.T) {
	_, steps := run(t, rates, func(load int64) (search.Outcome, int64) {
		switch {
		case load >= 128_000:
			return search.Missed, 68_300
		case load > 46_000:
			return search.Missed, 0
		}
		return search.Held, 0
	})
	assert.Equal(t, []step{
		{2000, search.Held}, {8000, search.Held}, {32_000, search.Held}, {128_000, search.Missed},
		{50_000, search.Missed}, {41_000, search.Held}, {45_500, search.Held}, {48_000, search.Missed},
		{47_000, search.Missed}, {45_500, search.Held}, {45_500, search.Held},
	}, steps[:min(11, len(steps))])
}

func TestAlwaysHeld(t *testing.T) {
	a, _ := run(t, rates, func(int64) (search.Outcome, int64) { return search.Held, 0 })
	assert.Equal(t, search.Answer{Holds: rates.Most, Repeated: 2}, a)
}

func TestNeverHeld(t *testing.T) {
	a, steps := run(t, rates, func(int64) (search.Outcome, int64) { return search.Missed, 0 })
	assert.Equal(t, search.Answer{Fails: 1, Limit: search.Missed}, a)
	assert.Equal(t, step{1, search.Missed}, steps[len(steps)-1])
}

func TestGeneratorGivesOutFirst(t *testing.T) {
	a, _ := run(t, rates, func(load int64) (search.Outcome, int64) {
		if load > 60_000 {
			return search.Client, 61_000
		}
		return search.Held, 0
	})
	assert.Equal(t, search.Client, a.Limit)
	assert.InDelta(t, 60_000, a.Holds, 3_000)
	assert.False(t, a.Unfinished)
}

func TestRefusedLoadsBoundTheSearch(t *testing.T) {
	a, _ := run(t, rates, func(load int64) (search.Outcome, int64) {
		if load > 20_000 {
			return search.Refused, 0
		}
		return search.Held, 0
	})
	assert.Equal(t, search.Refused, a.Limit)
	assert.InDelta(t, 20_000, a.Holds, 1_000)

	// What is refused when it is repeated still held once.
	n := 0
	a, _ = run(t, rates, func(load int64) (search.Outcome, int64) {
		if n++; n > 6 {
			return search.Refused, 0
		}
		return upTo(46_000)(load)
	})
	assert.Positive(t, a.Holds)
	assert.True(t, a.Unfinished)
}

// Loads near the limit hold or not by chance: the search ends, and what it
// answers held each time but for repetitions that were left over.
func TestNoisy(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		missed := map[int64]bool{}
		a, steps := run(t, rates, func(load int64) (search.Outcome, int64) {
			noise := .8 + .4*rng.Float64()
			if float64(load)*noise <= 30_000 {
				return search.Held, 0
			}
			missed[load] = true
			return search.Missed, 0
		})
		if a.Unfinished {
			assert.Len(t, steps, rates.Steps)
			continue
		}
		assert.Equal(t, 2, a.Repeated)
		assert.False(t, missed[a.Holds], "seed %d: %d did not hold once: %v", seed, a.Holds, steps)
		assert.InDelta(t, 30_000, a.Holds, 15_000, "seed %d", seed)
	}
}

func TestStepsAreBounded(t *testing.T) {
	c := rates
	c.Steps = 3
	a, steps := run(t, c, upTo(1_000_000))
	assert.Len(t, steps, 3)
	assert.Equal(t, int64(32_000), a.Holds)
	assert.True(t, a.Unfinished)
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []search.Config{{}, {Start: 1, Least: 1, Most: 1}, {Start: 5, Least: 1, Most: 4, Steps: 1}, {Start: 1, Least: 2, Most: 4, Steps: 1}, {Start: 1, Most: 4, Steps: 1}} {
		_, err := search.New(c)
		assert.Error(t, err, "%+v", c)
	}
}
