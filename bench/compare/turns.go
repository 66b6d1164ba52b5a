package compare

import (
	"context"
	"math/rand/v2"
	"strconv"

	"github.com/watchkv/watchkv/bench"
)

// Target is one of those that are measured in turn.
type Target struct {
	// Head is the target's result without runs; its plan is that of all.
	Head *bench.Result
	// Measure measures a plan of one scenario and one repetition, with data in
	// a folder of that name. The result is not nil.
	Measure func(ctx context.Context, plan bench.Plan, folder string) (*bench.Result, error)
}

// Turn is one scenario of one repetition on one target.
type Turn struct {
	Repetition int // from 1
	Scenario   int // in Plan.Scenarios
	Target     int
}

// Turns is the order in which a plan is taken on a number of targets. All
// targets take a scenario before anybody takes the next. Who begins follows
// from the seed: in as many repetitions as there are targets each is first
// once, second once, and so on.
func Turns(plan bench.Plan, targets int) (turns []Turn) {
	rng := rand.New(rand.NewPCG(plan.Seed, 0))
	var order []int
	for rep := range plan.Count {
		if rep%targets == 0 {
			order = rng.Perm(targets)
		}
		for scenario := range plan.Scenarios {
			for i := range targets {
				turns = append(turns, Turn{rep + 1, scenario, order[(i+rep)%targets]})
			}
		}
	}
	return turns
}

// Run measures. begin, which may be nil, is told each turn before it is taken.
// A target that breaks a promise, cannot be measured, or did not answer when it
// was cut takes no more turns; the others go on. When ctx ends, what was measured until then is kept.
func Run(ctx context.Context, plan bench.Plan, targets []Target, begin func(Turn)) *bench.Comparison {
	var results []*bench.Result
	for _, t := range targets {
		results = append(results, t.Head)
	}
	for _, turn := range Turns(plan, len(targets)) {
		res := results[turn.Target]
		if res.Broken != nil || res.Failed != "" {
			continue
		}
		if ctx.Err() != nil {
			notRun(res, turn)
			continue
		}
		if begin != nil {
			begin(turn)
		}
		one := bench.Plan{Seed: plan.Seed, Count: 1, Short: plan.Short, Scenarios: plan.Scenarios[turn.Scenario : turn.Scenario+1]}
		part, err := targets[turn.Target].Measure(ctx, one, bench.FolderOf(plan, turn.Repetition, turn.Scenario))
		if err != nil && part.Failed == "" {
			part.Failed = err.Error()
		}
		if part.CutShort != nil && part.CutShort.GivenUp && part.Failed == "" {
			part.Failed = "did not answer when " + part.CutShort.Scenario + " was cut"
		}
		if res.Started.IsZero() {
			res.Started, res.Target = part.Started, part.Target
		}
		if part.CutShort != nil && len(part.CutShort.NotRun) > 0 {
			part.CutShort = nil // it had not begun
			notRun(res, turn)
		}
		res.Append(part, turn.Scenario, turn.Repetition)
	}
	return bench.NewComparison(results...)
}

// notRun notes a turn that was never taken.
func notRun(res *bench.Result, turn Turn) {
	res.Complete = false
	if res.CutShort == nil {
		res.CutShort = &bench.CutShort{}
	}
	title := res.Plan.Scenarios[turn.Scenario].Title()
	if res.Plan.Count > 1 {
		title += " " + strconv.Itoa(turn.Repetition)
	}
	res.CutShort.NotRun = append(res.CutShort.NotRun, title)
}
