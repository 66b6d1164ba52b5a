package page

import (
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// allowedBreak is a rule that a target broke, and that was allowed to break.
type allowedBreak struct {
	rule, name, detail string
	watches            int64
	scenes             []string
}

// allowedBreaks are those of all runs of a target, those without figures too.
func (s *subject) allowedBreaks() (all []allowedBreak) {
	of := func(rule, name string) *allowedBreak {
		i := slices.IndexFunc(all, func(a allowedBreak) bool { return a.rule == rule })
		if i < 0 {
			i, all = len(all), append(all, allowedBreak{rule: rule, name: name})
		}
		return &all[i]
	}
	for _, res := range s.results {
		for _, run := range res.Runs {
			for _, broke := range run.Allowed {
				a := of(broke.Rule, broke.Name)
				a.watches += broke.Watches
				if a.detail == "" {
					a.detail = broke.Detail
				}
				if !slices.Contains(a.scenes, run.Scenario) {
					a.scenes = append(a.scenes, run.Scenario)
				}
			}
			for _, p := range run.Promises {
				ended := res.Broken != nil && res.Broken.Rule == p.Rule
				if p.Verdict == broken && !ended {
					of(p.Rule, p.Name)
				}
			}
		}
	}
	return all
}

// allowedRules are the rules that broke and were allowed to, and on which
// targets.
func (b *builder) allowedRules() (rules, names []string) {
	var order []bench.Promise
	for _, s := range b.subjects {
		all := s.allowedBreaks()
		if len(all) > 0 {
			names = append(names, s.name)
		}
		for _, a := range all {
			if !slices.ContainsFunc(order, func(p bench.Promise) bool { return p.Rule == a.rule }) {
				order = append(order, bench.Promise{Rule: a.rule})
			}
		}
	}
	sortRules(order)
	for _, p := range order {
		rules = append(rules, p.Rule)
	}
	return rules, names
}

// excused tells of promises that broke and were allowed to.
func (b *builder) excused() (notes []note) {
	for _, s := range b.subjects {
		for _, a := range s.allowedBreaks() {
			n := note{Point: fmt.Sprintf("%s broke %s %s, which was allowed.", upper(s.name), a.rule, a.name)}
			if a.detail != "" {
				n.Text = upper(oneLine(a.detail)) + ". "
			}
			if len(a.scenes) > 0 {
				were := "they were"
				if a.watches == 1 {
					were = "it was"
				}
				n.Text += fmt.Sprintf("It was broken on %s (%s); %s checked no further.", countedWatches(a.watches), listed(a.scenes), were)
			}
			notes = append(notes, n)
		}
	}
	return notes
}

func countedWatches(n int64) string {
	if n == 1 {
		return "1 watch"
	}
	return figure.Count(n) + " watches"
}
