// Package stat says what repetitions of a measurement tell, and what they do
// not: medians with their 95% intervals, and whether two targets differ or
// chance explains what is seen. It knows figures, not reports.
//
// From [MinRuns] repetitions a side it makes no assumption about how figures
// are distributed: the interval of a median is that of its order statistics,
// and two sides are compared by the Mann-Whitney test, both as benchstat does
// (golang.org/x/perf/benchmath).
//
// With fewer there is no such interval, and with three a side no difference
// whatsoever would pass that test. What can be said then is how large a
// difference must be to stand out: [Change.Floor] is what a t test at 5% on
// the logarithms of the figures could tell, given how much these runs spread.
// A change beyond it is told, one below it is not called anything.
package stat

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
)

const (
	// Confidence of every interval.
	Confidence = 0.95
	// Alpha is the share of comparisons of equals that are called different.
	Alpha = 1 - Confidence
	// MinRuns a side are needed for an interval of the median, and so for a p.
	MinRuns = 6
)

// Summary is what one side's repetitions say.
type Summary struct {
	N      int
	Median float64 // NaN without figures
	// Lo and Hi bound the median's 95% interval; -Inf and +Inf with fewer than
	// MinRuns figures.
	Lo, Hi float64
}

// Bounded: there were figures enough for an interval.
func (s Summary) Bounded() bool { return !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0) && s.N > 0 }

// Spread is the larger arm of the interval as a share of the median. ok is
// false where there is no interval, or no median to take a share of.
func (s Summary) Spread() (ratio float64, ok bool) {
	switch {
	case !s.Bounded():
		return 0, false
	case s.Lo == s.Median && s.Hi == s.Median:
		return 0, true
	case s.Median <= 0 || s.Lo < 0:
		return 0, false
	}
	return max(s.Hi/s.Median-1, 1-s.Lo/s.Median), true
}

// Summarize looks at one side. The values stay the caller's and as they are.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{Median: math.NaN(), Lo: math.Inf(-1), Hi: math.Inf(1)}
	}
	s := benchmath.AssumeNothing.Summary(sample(values), Confidence)
	return Summary{N: len(values), Median: s.Center, Lo: s.Lo, Hi: s.Hi}
}

func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.Thresholds{CompareAlpha: Alpha})
}

// Verdict is what may be said about two sides.
type Verdict int

// The verdicts.
const (
	// Unknown: a side has no figures.
	Unknown Verdict = iota
	// Equal: all figures of both sides are the same one.
	Equal
	// NoDifference: chance explains what is seen. It does not mean equal.
	NoDifference
	// Different: chance does not.
	Different
	// TooFew runs to tell anything below Change.Floor, and nothing above it
	// was seen.
	TooFew
)

// Change is what two sides say together.
type Change struct {
	Old, New Summary
	// Ratio is by how much the new median is above the old, as a share of it;
	// NaN where the old is no larger than 0.
	Ratio float64
	Verdict
	// P is the probability that chance alone makes two equal sides differ as
	// these do; NaN with fewer than MinRuns runs on a side.
	P float64
	// Floor is, with fewer than MinRuns runs on a side, the least change that
	// they could tell; +Inf if none. Else it is 0.
	Floor float64
}

// Few: the runs are too few for a p.
func (c Change) Few() bool { return min(c.Old.N, c.New.N) < MinRuns }

// Compare looks at two sides.
func Compare(old, new []float64) Change {
	c := Change{Old: Summarize(old), New: Summarize(new), Ratio: math.NaN(), P: math.NaN()}
	if len(old) == 0 || len(new) == 0 {
		return c
	}
	if c.Old.Median > 0 {
		c.Ratio = c.New.Median/c.Old.Median - 1
	}
	if slices.Min(old) == slices.Max(new) && slices.Max(old) == slices.Min(new) {
		c.Verdict = Equal
		return c
	}
	if c.Few() {
		c.Floor = floor(old, new)
		c.Verdict = TooFew
		if apart(c.Old.Median, c.New.Median) > c.Floor {
			c.Verdict = Different
		}
		return c
	}
	c.P = benchmath.AssumeNothing.Compare(sample(old), sample(new)).P
	c.Verdict = NoDifference
	if c.P < Alpha && c.Old.Median != c.New.Median {
		c.Verdict = Different
	}
	return c
}

// apart is how far the larger of two is above the smaller, as a share of it.
func apart(a, b float64) float64 {
	low, high := min(a, b), max(a, b)
	if low <= 0 {
		return 0
	}
	return high/low - 1
}

// floor is the least change that a few runs a side could tell, rounded up to a
// figure that is easily said.
func floor(old, new []float64) float64 {
	freedom := len(old) + len(new) - 2
	var squares float64
	for _, side := range [][]float64{old, new} {
		if len(side) < 2 || slices.Min(side) <= 0 {
			return math.Inf(1)
		}
		logs := stats.Sample{}
		for _, v := range side {
			logs.Xs = append(logs.Xs, math.Log(v))
		}
		squares += logs.Variance() * float64(len(side)-1)
	}
	t := stats.InvCDF(stats.TDist{V: float64(freedom)})(1 - Alpha/2)
	half := t * math.Sqrt(squares/float64(freedom)*(1/float64(len(old))+1/float64(len(new))))
	return roundUp(math.Expm1(half))
}

// said are the floors in use; what is above the last tells nothing.
var said = []float64{.01, .02, .05, .10, .15, .20, .30, .50, .75, 1, 1.5, 2, 3, 5, 10}

func roundUp(share float64) float64 {
	for _, step := range said {
		if share <= step {
			return step
		}
	}
	return math.Inf(1)
}
