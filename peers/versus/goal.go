package versus

import (
	"fmt"
	"math"
	"slices"
)

// goal is what a figure must be, or should reach, said in one of four ways.
// The zero value is no goal.
type goal struct {
	ratio float64 // at least so many times better than etcd's in the same run
	at    float64 // this figure or better
	zero  bool    // none at all
	share float64 // at least this part of the limit
}

func (g goal) none() bool { return g == goal{} }

func (g goal) text(show func(float64) string) string {
	switch {
	case g.none():
		return ""
	case g.ratio > 0:
		return fmt.Sprintf("%gx", g.ratio)
	case g.share > 0:
		return fmt.Sprintf("%.0f%% limit", 100*g.share)
	}
	return show(g.at)
}

// outcome of a goal.
type outcome string

const (
	met     outcome = "met"
	missed  outcome = "missed"
	unknown outcome = "unknown"
)

// judge compares a figure with the goal; ratio and limit are NaN where there
// is none. Without a goal the answer is empty.
func (g goal) judge(less bool, own, ratio, limit float64) outcome {
	known, ok := !math.IsNaN(own), false
	switch {
	case g.none():
		return ""
	case g.ratio > 0:
		known, ok = known && !math.IsNaN(ratio), ratio >= g.ratio
	case g.share > 0:
		known, ok = known && !math.IsNaN(limit), own >= g.share*limit
	case less:
		ok = own <= g.at
	default:
		ok = own >= g.at
	}
	switch {
	case !known:
		return unknown
	case ok:
		return met
	}
	return missed
}

// median of values, NaN of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// better is how many times better own is than peer; NaN if one is 0.
func better(own, peer float64, less bool) float64 {
	if less {
		own, peer = peer, own
	}
	if peer <= 0 {
		return math.NaN()
	}
	return own / peer
}
