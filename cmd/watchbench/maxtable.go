package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/gate"
	"github.com/watchkv/watchkv/bench/layout"
	"github.com/watchkv/watchkv/bench/search"
)

// stepTable prints the steps of a search as they are taken.
type stepTable struct {
	to         io.Writer
	objectives []gate.Gate
	widths     []int // of the figures' columns
	load       string
	headed     bool
	last       search.Outcome
}

func newStepTable(to io.Writer, objectives []gate.Gate, vary string) *stepTable {
	t := &stepTable{to: to, objectives: objectives, load: "puts/s"}
	if vary == varyWatchers {
		t.load = "watchers"
	}
	for _, g := range objectives {
		t.widths = append(t.widths, max(len("1.84 ms"), len(t.name(g)))+2)
	}
	return t
}

// name heads the column of an objective; one alone about events is short.
func (t *stepTable) name(g gate.Gate) string {
	name := bench.ShortName(g.Metric)
	if len(t.objectives) == 1 {
		name = strings.TrimPrefix(name, "notify.")
	}
	return name
}

func (t *stepTable) add(number int, load int64, again bool, v search.Verdict) error {
	if !t.headed {
		t.headed = true
		line := fmt.Sprintf("%5s %9s", "step", t.load)
		for i, g := range t.objectives {
			line += fmt.Sprintf(" %*s", t.widths[i], t.name(g))
		}
		if _, err := fmt.Fprintln(t.to, line+"   held"); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%5d %9s", number, figure.Count(load))
	for i, g := range t.objectives {
		text := "-" // of another load than was asked for, or of none
		if i < len(v.Figures) && v.Achieved == 0 {
			text = bench.UnitOf(g.Metric).Format(v.Figures[i])
		}
		line += strings.Repeat(" ", max(1, t.widths[i]+1-layout.Columns(text))) + text
	}
	held, reason := "no ", v.Reason
	if v.Outcome == search.Refused && t.last == search.Refused {
		reason = "not allowed either"
	}
	t.last = v.Outcome
	if v.Outcome == search.Held {
		held = "yes"
		if again {
			reason = "again"
		}
	}
	line += "   " + held
	if reason == "" {
		_, err := fmt.Fprintln(t.to, strings.TrimRight(line, " "))
		return err
	}
	for _, part := range layout.Wrap(line+" ", layout.Columns(line)+2, strings.Fields(reason)) {
		if _, err := fmt.Fprintln(t.to, part); err != nil {
			return err
		}
	}
	return nil
}

// unbroken stands for a space at which no line may end.
const unbroken = "\u2423"

// answer says what the search found. stopped: it did not come to its end.
func (m *maxCommand) answer(stopped, color bool) string {
	a, paint := m.doc.Answer, layout.Paint{On: color}
	var demands []string
	for _, g := range m.objectives {
		sign := map[gate.Demand]string{gate.Below: "<", gate.Above: ">"}[g.Demand]
		demands = append(demands, strings.Join([]string{g.Selector.String(), sign, strings.ReplaceAll(g.Value(), " ", unbroken)}, unbroken))
	}
	objective := strings.Join(demands, " and ")
	what, fixed := " puts/s", figure.Count(int64(m.doc.Plan.Scenarios[0].Watchers))+" watchers"
	if m.vary == varyWatchers {
		what, fixed = " watchers", figure.Rate(m.doc.Plan.Scenarios[0].RatePerS)+" puts/s"
		if m.doc.Plan.Scenarios[0].RatePerS == 0 {
			fixed = m.doc.Plan.Scenarios[0].Title()
		}
	}
	var words string
	switch name := m.doc.Target.Name(); {
	case a.Holds == 0 && a.Fails == 0:
		words = "nothing was found: no step was measured to its end"
	case a.Holds == 0 && a.Limit == search.Client:
		words = fmt.Sprintf("nothing is known of %s: the client is the limit even at %s%s, %s", name, figure.Count(a.Fails), what, fixed)
	case a.Holds == 0:
		words = fmt.Sprintf("%s does not hold %s at %s%s, the least that was tried, %s", name, objective, figure.Count(a.Fails), what, fixed)
	case a.Fails == 0:
		words = fmt.Sprintf("%s holds at least %s%s with %s, %s: nothing larger was tried", name, figure.Count(a.Holds), what, objective, fixed)
	case a.Limit == search.Client:
		words = fmt.Sprintf("%s holds at least %s%s with %s, %s: the client is the limit", name, figure.Count(a.Holds), what, objective, fixed)
	case a.Limit == search.Refused:
		words = fmt.Sprintf("%s holds at least %s%s with %s, %s: more was not allowed", name, figure.Count(a.Holds), what, objective, fixed)
	default:
		words = fmt.Sprintf("%s holds %s%s with %s (%s does not), %s", name, figure.Count(a.Holds), what, objective, figure.Count(a.Fails), fixed)
	}
	var b strings.Builder
	if stopped || a.Unfinished {
		b.WriteString(paint.Yellow("CUT SHORT") + ": the search did not come to its end; this is what was known by then\n")
	}
	for _, line := range layout.Wrap("", 0, strings.Fields(words)) {
		b.WriteString(strings.ReplaceAll(line, unbroken, " ") + "\n")
	}
	return b.String()
}
