package gate

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

// Outcome is what a gate says of one scenario.
type Outcome struct {
	Gate
	Scenario string // title
	Name     string // of the row: the selector, with the shape if the gate binds several
	Change   stat.Change
	Failed   bool
	// ByFigures: nothing tells the change from chance, and the gate goes by the
	// figures alone: a side has a single run, or few runs that are all 0 while
	// those of the other side are all above.
	ByFigures bool
}

// AbsentError says that a gate has nothing to judge, which is never a pass.
type AbsentError struct {
	Selector bench.Selector
	New      bool // of the newer result, else of the older one
	Why      string
}

func (e *AbsentError) Error() string { return fmt.Sprintf("has no %s: %s", e.Selector, e.Why) }

// Judge applies gates to two results, in the order of the gates and, for each,
// of the scenarios. Repetitions that were cut short do not count. A gate whose
// metric one of the results lacks is an *AbsentError; a relative one of figures
// that are not above 0 is an error too.
func Judge(old, new *bench.Result, gates []Gate) (outcomes []Outcome, err error) {
	old, new = Whole(old), Whole(new)
	for _, g := range gates {
		titles, err := bound(old, new, g)
		if err != nil {
			return nil, err
		}
		for _, title := range titles {
			o := Outcome{Gate: g, Scenario: title, Name: g.Selector.String()}
			if len(titles) > 1 {
				o.Name = bench.SelectorOf(g.Metric, title, having(old, new, g.Metric)).String()
			}
			a, b := stat.Of(old, title, g.Metric).Values, stat.Of(new, title, g.Metric).Values
			o.Change = stat.Compare(a, b)
			o.ByFigures = Alone(o.Change) || o.Change.Few() && (onlyNothing(a) && allAbove(b) || onlyNothing(b) && allAbove(a))
			if o.Failed, err = o.fails(); err != nil {
				return nil, fmt.Errorf("%s: %w", o.Name, err)
			}
			outcomes = append(outcomes, o)
		}
	}
	return outcomes, nil
}

// bound are the scenarios that a gate binds: those that both results were
// planned with and that it selects.
func bound(old, new *bench.Result, g Gate) (titles []string, err error) {
	has := func(res *bench.Result) func(string) bool {
		return func(title string) bool { return len(stat.Of(res, title, g.Metric).Values) > 0 }
	}
	had := having(old, new, g.Metric)
	for _, title := range g.Select(had) {
		planned := slices.Contains(titlesOf(old), title) && slices.Contains(titlesOf(new), title)
		for i, res := range []*bench.Result{old, new} {
			if planned && !has(res)(title) {
				return nil, &AbsentError{bench.SelectorOf(g.Metric, title, had), i == 1, stat.Of(res, title, g.Metric).Absent}
			}
		}
		if planned {
			titles = append(titles, title)
		}
	}
	if len(titles) > 0 {
		return titles, nil
	}
	for i, res := range []*bench.Result{old, new} {
		if chosen := g.Select(titlesOf(res)); !slices.ContainsFunc(chosen, has(res)) {
			why := "no scenario in it does"
			if g.Of == "" {
				why = "it was not measured"
			}
			if len(chosen) > 0 {
				why = stat.Of(res, chosen[0], g.Metric).Absent
			}
			return nil, &AbsentError{g.Selector, i == 1, why}
		}
	}
	return nil, &AbsentError{g.Selector, true, "no scenario that has it is in both"}
}

// having are the scenarios that have a metric in either result.
func having(old, new *bench.Result, metric string) (titles []string) {
	for _, res := range []*bench.Result{old, new} {
		for _, title := range titlesOf(res) {
			if !slices.Contains(titles, title) && len(stat.Of(res, title, metric).Values) > 0 {
				titles = append(titles, title)
			}
		}
	}
	return titles
}

func titlesOf(res *bench.Result) (titles []string) {
	for _, sc := range res.Plan.Scenarios {
		if !slices.Contains(titles, sc.Title()) {
			titles = append(titles, sc.Title())
		}
	}
	return titles
}

// Whole is a result without the figures of runs that were cut short.
func Whole(res *bench.Result) *bench.Result {
	whole := *res
	whole.Runs = nil
	for _, run := range res.Runs {
		if run.CutShort {
			missing := map[string]string{}
			for name := range run.Metrics {
				missing[name] = "it was cut short"
			}
			run.Metrics, run.NotMeasured = nil, missing
		}
		whole.Runs = append(whole.Runs, run)
	}
	return &whole
}

// fails tells whether a gate is broken by its change.
func (o Outcome) fails() (bool, error) {
	g, c := o.Gate, o.Change
	if g.Demand == Below || g.Demand == Above {
		return !g.Limited(c.New.Median), nil
	}
	if c.Old.Median < 0 || c.New.Median < 0 {
		return false, fmt.Errorf("a share of a figure below 0 says nothing; give a limit, such as '%s<1ms'", g.Selector)
	}
	if !o.ByFigures && c.Verdict != stat.Different {
		return false, nil
	}
	change := c.Ratio
	if c.Old.Median == 0 {
		change = 0
		if c.New.Median > 0 {
			change = math.Inf(1)
		}
	}
	if g.Demand == MayGrow {
		return change > g.Limit, nil
	}
	return -change > g.Limit, nil
}

// Alone: one of the sides has a single run, so that nothing tells its figure
// from chance, and a gate goes by the figure alone.
func Alone(c stat.Change) bool { return min(c.Old.N, c.New.N) == 1 }

// A share of nothing has no spread, so that few runs have no floor above which
// they tell growth from it, or a fall to it.
func onlyNothing(values []float64) bool { return slices.Min(values) == 0 && slices.Max(values) == 0 }

func allAbove(values []float64) bool { return slices.Min(values) > 0 }

// Differences lists what makes two results not alike enough to be held against
// each other: what was measured, how durable, on which machine, under which
// load. Each is a few words with both sides.
func Differences(old, new *bench.Result) (all []string) {
	differ := func(what, a, b string) {
		if a != b {
			all = append(all, fmt.Sprintf("%s (%s, %s)", what, orNone(a), orNone(b)))
		}
	}
	differ("target", old.Target.Kind+" "+old.Target.Engine, new.Target.Kind+" "+new.Target.Engine)
	differ("durability", old.Target.Durability, new.Target.Durability)
	differ("processor", old.Machine.CPU, new.Machine.CPU)
	differ("cores", fmt.Sprint(old.Machine.Cores), fmt.Sprint(new.Machine.Cores))
	differ("system", firstWord(old.Machine.OS), firstWord(new.Machine.OS))
	differ("file system", old.Machine.Filesystem, new.Machine.Filesystem)
	differ("checker", checked(old), checked(new))
	return append(all, unlikePlans(old.Plan, new.Plan)...)
}

func checked(res *bench.Result) string {
	switch {
	case res.Unread:
		return "unread"
	case res.Unchecked:
		return "unchecked"
	}
	return "checked"
}

// unlikePlans compares scenarios of the same title, and says so if none is in
// both.
func unlikePlans(old, new bench.Plan) (all []string) {
	shared := 0
	for _, a := range old.Scenarios {
		for _, b := range new.Scenarios {
			if a.Title() != b.Title() {
				continue
			}
			shared++
			if !reflect.DeepEqual(a, b) {
				all = append(all, "load of "+a.Title()+" ("+unlike(a, b)+")")
			}
		}
	}
	if shared == 0 {
		all = append(all, "scenarios (none is in both)")
	}
	return all
}

// unlike names the first setting in which two scenarios differ.
func unlike(a, b bench.Scenario) string {
	for _, f := range []struct {
		what string
		a, b any
	}{
		{"watchers", a.Watchers, b.Watchers}, {"streams", a.Streams, b.Streams}, {"puts/s", a.RatePerS, b.RatePerS},
		{"full speed", a.FullSpeed, b.FullSpeed}, {"writers", a.Writers, b.Writers}, {"keys", a.Keys, b.Keys},
		{"value bytes", a.ValueBytes, b.ValueBytes}, {"revisions of history", a.History, b.History},
		{"warm-up", a.Warmup, b.Warmup}, {"duration", a.Duration, b.Duration},
	} {
		if f.a != f.b {
			return fmt.Sprintf("%s %v, %v", f.what, f.a, f.b)
		}
	}
	return "in detail"
}

func orNone(text string) string {
	if text = strings.TrimSpace(text); text == "" {
		return "unknown"
	}
	return text
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
