package search

import (
	"fmt"
	"slices"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/gate"
)

// Verdict is what came of a measured step.
type Verdict struct {
	Outcome
	Reason string // why it was not held, for people; empty where the figures say it
	// Achieved are the puts a second, 0 where the intended ones were reached.
	Achieved float64
	// Figures are what the objectives are about, in their order.
	Figures []float64
}

const (
	// reached is the share of the intended rate that counts as reached.
	reached = .99
	// busy is the share of puts that found no writer free from which on it is
	// the target that held them up, however late the generator was.
	busy = .5
)

// Judge tells whether a run held objectives: each of them, the intended rate
// within 1%, and no growing backlog. An objective whose metric the run lacks
// is an error that says why.
func Judge(sc bench.Scenario, run bench.Run, objectives []gate.Gate) (v Verdict, err error) {
	v.Outcome = Held
	for _, g := range objectives {
		figure, ok := run.Metrics[g.Metric]
		if !ok {
			why := run.NotMeasured[g.Metric]
			if why == "" {
				why = run.Scenario + " does not measure it"
			}
			return v, fmt.Errorf("%s: %s", g.Selector, why)
		}
		v.Figures = append(v.Figures, figure)
		if !g.Limited(figure) {
			v.Outcome = Missed
		}
	}
	rate, puts := run.Metrics["put.rate_per_s"]
	switch {
	case puts && sc.RatePerS > 0 && rate < reached*sc.RatePerS:
		v.Outcome, v.Achieved = Missed, rate
		v.Reason = fmt.Sprintf("only %s puts/s were achieved", figure.Plain(rate))
	case grows(sc, run):
		v.Outcome, v.Reason = Missed, "backlog grew all the time"
	}
	if v.Outcome == Missed && run.Metrics["generator.backlog_ratio"] < busy {
		doubts := bench.Doubts(sc, run)
		if slices.ContainsFunc(doubts, func(d bench.Doubt) bool { return d.Kind == "late" }) {
			late := time.Duration(run.Metrics["generator.late_p99_ns"])
			v.Outcome, v.Reason = Client, "the client is the limit, late by "+figure.Duration(late)
		}
	}
	return v, nil
}

const (
	// fewest seconds that show a direction.
	fewest = 3
	// grown is how many times the first second's latency the last one's must
	// be, and leastGrown what it must be above it.
	grown      = 2
	leastGrown = time.Millisecond
)

// grows tells whether events came later and later, second by second, in the
// measured part: what was due piled up.
func grows(sc bench.Scenario, run bench.Run) bool {
	if run.Series == nil || run.Series.Interval <= 0 || sc.Name != bench.Notify {
		return false
	}
	var seen []int64
	skip := int(sc.Warmup/run.Series.Interval) + 1
	for i, p50 := range run.Series.NotifyP50 {
		if i >= skip && p50 >= 0 {
			seen = append(seen, p50)
		}
	}
	if len(seen) < fewest {
		return false
	}
	first, last := seen[0], seen[len(seen)-1]
	return slices.IsSorted(seen) && last >= grown*first && last-first >= int64(leastGrown)
}
