package page

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/bench"
)

// subject is one target on the page, with all of its results.
type subject struct {
	name    string // unique on the page
	short   string // for sentences: the engine alone where that is unique
	class   string // of its colour
	results []*bench.Result
}

// facts of the target, the same in all of its results.
func (s *subject) facts() bench.TargetFacts { return s.results[0].Target }

// served says that the target is a server, not a store of this process.
func (s *subject) served() bool { return s.facts().Kind != "embedded" || s.facts().Server() }

func (s *subject) broken() *bench.Broken {
	for _, res := range s.results {
		if res.Broken != nil {
			return res.Broken
		}
	}
	return nil
}

// scene is one scenario, as it was planned, with the runs of each subject.
type scene struct {
	sc   bench.Scenario
	name string        // unique on the page
	runs [][]bench.Run // by subject; those that have figures
}

// values of a metric in all runs of a subject that have it.
func (s *scene) values(subject int, metric string) (all []float64) {
	for _, run := range s.runs[subject] {
		if v, ok := run.Metrics[metric]; ok {
			all = append(all, v)
		}
	}
	return all
}

// absent says why a subject lacks a metric.
func (s *scene) absent(subject int, metric string) string {
	if len(s.runs[subject]) == 0 {
		return s.name + " was not run"
	}
	for _, run := range s.runs[subject] {
		if why := run.NotMeasured[metric]; why != "" {
			return why
		}
	}
	return "not measured"
}

// mid is the run whose value of a metric is in the middle: the one shown where
// a picture can show only one.
func (s *scene) mid(subject int, metric string, has func(*bench.Run) bool) *bench.Run {
	var runs []*bench.Run
	for i := range s.runs[subject] {
		if run := &s.runs[subject][i]; has(run) {
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	for _, run := range runs {
		below := 0
		for _, other := range runs {
			if other.Metrics[metric] < run.Metrics[metric] {
				below++
			}
		}
		equal := 0
		for _, other := range runs {
			if other.Metrics[metric] == run.Metrics[metric] {
				equal++
			}
		}
		if below <= (len(runs)-1)/2 && below+equal > (len(runs)-1)/2 {
			return run
		}
	}
	return runs[0]
}

// identity is what makes two results one target: name, settings, program and
// machine.
type identity struct {
	name, version, buffers, program, machine string
}

func identityOf(res *bench.Result) identity {
	m, buffers := res.Machine, res.Target.Buffers()
	if res.Target.Server() { // its prefix may differ from run to run
		buffers = strings.Join(res.Target.Endpoints, " ")
	}
	return identity{
		name: res.Target.Name(), version: res.Target.Version, buffers: buffers,
		program: programOf(res.MadeBy), machine: fmt.Sprintf("%s, %d cores, %s", m.CPU, m.Cores, m.OS),
	}
}

func programOf(by bench.MadeBy) string {
	text := "watchbench " + by.Watchbench
	if by.Commit != "" {
		text += " " + by.Commit[:min(len(by.Commit), 8)]
	}
	return text + " " + by.Go
}

// subjectsOf groups results by target, in the order they come.
func subjectsOf(results []*bench.Result) []*subject {
	var order []identity
	byID := map[identity]*subject{}
	for _, res := range results {
		id := identityOf(res)
		if byID[id] == nil {
			byID[id] = &subject{}
			order = append(order, id)
		}
		byID[id].results = append(byID[id].results, res)
	}
	names, engines := map[string]int{}, map[string]int{}
	for _, id := range order {
		names[id.name]++
		engines[engineOf(byID[id].facts())]++
	}
	classes := map[string]int{}
	var all []*subject
	for _, id := range order {
		s := byID[id]
		s.name = id.name
		if names[id.name] > 1 {
			s.name += " (" + difference(id, order) + ")"
		}
		s.short = s.name
		if engine := engineOf(s.facts()); engines[engine] == 1 {
			s.short = engine
		}
		class := colourOf(s.facts())
		s.class = "c-" + class
		if n := classes[class]; n > 0 {
			s.class += fmt.Sprintf(" v%d", (n-1)%3+1)
		}
		classes[class]++
		all = append(all, s)
	}
	unique(len(all), func(i int) *string { return &all[i].name })
	return all
}

// engineOf is the shortest name of a target.
func engineOf(f bench.TargetFacts) string {
	if f.Engine != "" {
		return f.Engine
	}
	return f.Kind
}

// colourOf is the class of a target's colour.
func colourOf(f bench.TargetFacts) string {
	switch f.Engine {
	case "pebble", "bolt", "badger", "mem":
		return f.Engine
	}
	return "other"
}

// difference says what tells a target from the others of its name.
func difference(id identity, all []identity) string {
	for _, part := range []func(identity) string{
		func(i identity) string { return i.version },
		func(i identity) string { return i.program },
		func(i identity) string { return i.machine },
		func(i identity) string { return i.buffers },
	} {
		for _, other := range all {
			if other.name == id.name && part(other) != part(id) && part(id) != "" {
				return part(id)
			}
		}
	}
	return "1"
}

// unique numbers names that stand more than once.
func unique(n int, name func(i int) *string) {
	seen := map[string]int{}
	for i := range n {
		p := name(i)
		seen[*p]++
		if k := seen[*p]; k > 1 {
			*p += fmt.Sprintf(" (%d)", k)
		}
	}
}

// scenesOf collects the scenarios of all plans. Runs are compared only where
// their scenarios are equal in every setting.
func scenesOf(subjects []*subject) []*scene {
	var order []*scene
	byPlan := map[string]*scene{}
	for i, s := range subjects {
		for _, res := range s.results {
			for _, sc := range res.Plan.Scenarios {
				key := keyOf(sc)
				if byPlan[key] == nil {
					byPlan[key] = &scene{sc: sc, name: sc.Title(), runs: make([][]bench.Run, len(subjects))}
					order = append(order, byPlan[key])
				}
			}
			for _, run := range res.Runs {
				if run.Planned < 0 || run.Planned >= len(res.Plan.Scenarios) || run.Metrics == nil {
					continue
				}
				of := byPlan[keyOf(res.Plan.Scenarios[run.Planned])]
				of.runs[i] = append(of.runs[i], run)
			}
		}
	}
	unique(len(order), func(i int) *string { return &order[i].name })
	return order
}

// keyOf is equal for equal scenarios.
func keyOf(sc bench.Scenario) string {
	text, err := json.Marshal(sc)
	if err != nil {
		return sc.Title()
	}
	return string(text)
}

// listed joins names as a sentence does.
func listed(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
