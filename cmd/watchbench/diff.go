package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/gate"
	"github.com/watchkv/watchkv/bench/layout"
)

// diffCommand is one call of watchbench diff.
type diffCommand struct {
	term           *terminal
	texts          []string // of --gate
	allowDifferent bool
	color          string
	verbose        bool
}

func newDiff(t *terminal) *cobra.Command {
	d := &diffCommand{term: t, color: "auto"}
	cmd := &cobra.Command{Use: "diff"}
	set := cmd.Flags()
	d.define(set)
	cmd.RunE = func(_ *cobra.Command, files []string) error { return d.run(files) }
	return cmd
}

func (d *diffCommand) define(set *pflag.FlagSet) {
	gates := options{set, groupGates}
	gates.texts(&d.texts, option{
		name: "gate", word: "GATE", text: "what must hold; may be given again", values: metricNames(), begins: true,
		more: "'METRIC +N%' may grow, 'METRIC -N%' may fall, 'METRIC<VALUE' and 'METRIC>VALUE' are limits.",
	})
	gates.on(&d.allowDifferent, option{
		name: "allow-different", text: "another machine, durability or load is no error",
		more: "Results that differ in what was measured are not held against each other without it.",
	})
	views := options{set, groupViews}
	views.on(&d.verbose, option{name: "verbose", short: "v", text: "every metric, where no gate is given"})
	views.text(&d.color, colorOption)
}

func (d *diffCommand) run(files []string) error {
	if err := checkColor(d.color); err != nil {
		return err
	}
	gates, err := d.gates()
	if err != nil {
		return err
	}
	if len(files) != 2 {
		return misused("diff needs two results, the old one first: watchbench diff main.json pr.json")
	}
	old, err := oneResult(files[0])
	if err != nil {
		return err
	}
	new, err := oneResult(files[1])
	if err != nil {
		return err
	}
	if err := d.usable(files, old, new); err != nil {
		return err
	}
	o := gate.TextOptions{Color: d.term.colors(d.color, d.term.outTTY), Width: d.term.outWidth()}
	if len(gates) == 0 {
		d.notes(files, old, new)
		return d.written(gate.Changes(d.term.out, old, new, d.verbose, o))
	}
	outcomes, err := gate.Judge(old, new, gates)
	var absent *gate.AbsentError
	switch {
	case errors.As(err, &absent):
		file := files[0]
		if absent.New {
			file = files[1]
		}
		return unmeasured("%s: %v; a gate without a figure is no pass", file, absent)
	case err != nil:
		return misused("--gate %v", err)
	}
	d.notes(files, old, new)
	if err := d.written(gate.Text(d.term.out, outcomes, o)); err != nil {
		return err
	}
	for _, o := range outcomes {
		if o.Failed {
			return &exitError{code: exitBroken}
		}
	}
	return nil
}

func (d *diffCommand) written(err error) error {
	if err != nil {
		return unmeasured("the difference cannot be written: %v", err)
	}
	return nil
}

// gates reads the texts of --gate.
func (d *diffCommand) gates() (gates []gate.Gate, err error) {
	for _, text := range d.texts {
		g, err := gate.Parse(text)
		if err != nil {
			return nil, notAGate("--gate", text, err)
		}
		gates = append(gates, g)
	}
	return gates, nil
}

// notAGate says what is wrong with the text of a gate or an objective.
func notAGate(flag, text string, err error) error {
	var unknown *bench.SelectorError
	if !errors.As(err, &unknown) {
		return misused("%s %q: %v", flag, text, err)
	}
	var names, others []string // of those equally near, the most used is meant
	for _, metric := range bench.MetricNames() {
		if name := bench.ShortName(metric); strings.HasSuffix(name, ".p99") {
			names = append(names, name)
		} else {
			others = append(others, name)
		}
	}
	names = append(names, others...)
	if word := nearest(unknown.Name, names); word != "" {
		return misused("%s %q: no such metric; nearest %s; all: watchbench help metrics", flag, text, word)
	}
	return misused("%s %q: no such metric; all: watchbench help metrics", flag, text)
}

// oneResult reads a file that holds the result of one target.
func oneResult(file string) (*bench.Result, error) {
	results, err := bench.ReadFile(file)
	switch {
	case err != nil:
		return nil, misused("%v", err)
	case len(results) > 1:
		return nil, misused("%s: compares %d targets; diff takes the result of one: watchbench run --json", file, len(results))
	}
	return results[0], nil
}

// usable refuses results without figures, and those that are too unlike.
func (d *diffCommand) usable(files []string, old, new *bench.Result) error {
	if b := old.Broken; b != nil {
		return unmeasured("%s: broke %s %s and has no figures to compare with", files[0], b.Rule, b.Name)
	}
	if b := new.Broken; b != nil {
		if err := bench.Report(d.term.out, new, bench.ReportOptions{Color: d.term.colors(d.color, d.term.outTTY), Again: again(new)}); err != nil {
			return unmeasured("the difference cannot be written: %v", err)
		}
		return &exitError{exitBroken, fmt.Sprintf("%s: broke %s %s; its figures are no figures", files[1], b.Rule, b.Name)}
	}
	if unlike := gate.Differences(old, new); len(unlike) > 0 && !d.allowDifferent {
		more := ""
		const told = 3
		if len(unlike) > told {
			more = fmt.Sprintf(" and %d more", len(unlike)-told)
			unlike = unlike[:told]
		}
		return misused("%s and %s differ in %s%s; --allow-different holds them against each other all the same", files[0], files[1], strings.Join(unlike, ", "), more)
	}
	return nil
}

// notes say, before the figures, what makes them less than they seem.
func (d *diffCommand) notes(files []string, old, new *bench.Result) {
	paint := layout.Paint{On: d.term.colors(d.color, d.term.outTTY)}
	say := func(text string) {
		for _, line := range layout.Wrap("!", 2, strings.Fields(text)) {
			fmt.Fprintln(d.term.out, paint.Yellow(line))
		}
	}
	if unlike := gate.Differences(old, new); len(unlike) > 0 {
		say("unlike results: they differ in " + strings.Join(unlike, ", "))
	}
	for i, res := range []*bench.Result{old, new} {
		if !res.Complete {
			say(files[i] + ": incomplete; repetitions that were cut short do not count")
		}
		for _, text := range compare.Doubts(res) {
			say(files[i] + ": " + text)
		}
	}
}
