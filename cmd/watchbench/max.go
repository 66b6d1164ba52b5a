package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/gate"
	"github.com/watchkv/watchkv/bench/search"
)

// maxCommand is one call of watchbench max.
type maxCommand struct {
	measuring
	store storeFlags
	load  loadFlags
	slo   []string
	vary  string
	steps string

	objectives []gate.Gate
	settings   bench.Settings
	subject    subject
	search     *search.Search
	doc        *search.Document
	limit      int // steps at most
}

const (
	varyRate     = "rate"
	varyWatchers = "watchers"

	defaultSteps   = 40
	maxDuration    = 5 * time.Second
	maxWarmup      = time.Second
	stepGrace      = 30 * time.Second // for what should have ended by itself
	largestRate    = 10_000_000
	mostWatchers   = 10_000_000
	watcherBytes   = 8 << 10 // of this process's memory, generously
	watchersMemory = 2       // one part of it in so many
)

func newMax(t *terminal, args []string) *cobra.Command {
	m := &maxCommand{measuring: measuring{term: t, args: args}, vary: varyRate, steps: strconv.Itoa(defaultSteps)}
	cmd := &cobra.Command{Use: "max", Args: noArguments}
	set := cmd.Flags()
	what := options{set, groupWhat}
	what.texts(&m.slo, option{
		name: "slo", word: "OBJECTIVE", text: "what must hold, as notify.p99<20ms; may be given again",
		values: metricNames(), begins: true,
		more: "METRIC<VALUE or METRIC>VALUE, all of those given. Names are those of 'watchbench help metrics'.",
	})
	what.text(&m.vary, option{
		name: "vary", word: "rate|watchers", text: "what to make as large as it goes", unset: varyRate, values: []string{varyRate, varyWatchers},
	})
	m.store.define(set)
	m.load.define(set)
	options{set, groupHow}.text(&m.steps, option{name: "steps", word: "N", text: "measured at most", unset: strconv.Itoa(defaultSteps)})
	m.output.define(set)
	for _, flag := range []string{"count", "verbose", "no-keep"} {
		hide(set, flag) // it repeats the answer, has no more to say, and keeps nothing unasked
	}
	setUnset(set, "watchers", "5000")
	setUnset(set, "rate", "2000")
	setUnset(set, "scenario", bench.Notify)
	setUnset(set, "shape", string(bench.OneKey))
	setUnset(set, "duration", figure.Short(maxDuration))
	setUnset(set, "warmup", figure.Short(maxWarmup))
	cmd.RunE = func(*cobra.Command, []string) error { return m.run() }
	return cmd
}

func (m *maxCommand) run() (err error) {
	if err := m.output.check(); err != nil {
		return err
	}
	if err := m.read(); err != nil {
		return err
	}
	if m.allowed, err = m.store.server.allowedRules(); err != nil {
		return err
	}
	if m.subject, err = m.store.subject(context.Background(), m.term); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.subject.release()) }()
	first, err := m.plan(0)
	if err != nil {
		return err
	}
	if err := m.begin(first); err != nil {
		return err
	}
	if m.output.planOnly {
		return m.printOnly(first)
	}
	if err := m.subject.check(first); err != nil {
		return err
	}
	if m.place, err = openPlace(m.output.dir, first); err != nil {
		return err
	}
	ctx, stop := m.stoppable()
	defer stop()
	broken, err := m.searched(ctx, first)
	if removeErr := m.place.remove(); removeErr != nil && err == nil {
		err = unmeasured("temporary files stay in %s: %v", m.place.dir, removeErr)
	}
	return m.conclude(ctx, broken, err)
}

// read reads the flags that are max's own.
func (m *maxCommand) read() (err error) {
	if len(m.slo) == 0 {
		return misused("max needs an objective, such as: watchbench max --slo 'notify.p99<20ms'")
	}
	for _, text := range m.slo {
		g, err := gate.ParseObjective(text)
		if err != nil {
			return notAGate("--slo", text, err)
		}
		m.objectives = append(m.objectives, g)
	}
	if m.vary != varyRate && m.vary != varyWatchers {
		return misused("--vary %q: unknown; one of rate, watchers", m.vary)
	}
	n, err := positive(m.steps)
	if err != nil || n > 1000 {
		return misused("--steps %q: from 1 to 1000 is possible", m.steps)
	}
	m.limit = int(n)
	if m.settings, err = m.load.settings(); err != nil {
		return err
	}
	s := &m.settings
	switch {
	case s.FullSpeed:
		return misused("--rate max: max looks for the largest rate itself; leave it out, or give the first one to try")
	case s.Count != 0:
		return misused("--count %d: the answer is repeated twice anyway; leave it out", s.Count)
	}
	if len(s.Scenarios) == 0 {
		s.Scenarios = []string{bench.Notify}
	}
	if s.Shape == "" && slices.Equal(s.Scenarios, []string{bench.Notify}) {
		s.Shape = bench.OneKey
	}
	if s.Warmup == nil && s.Duration == 0 {
		warmup := maxWarmup
		s.Warmup = &warmup
	}
	return nil
}

// plan is what a step measures; load 0 is the load that the flags give.
func (m *maxCommand) plan(load int64) (bench.Plan, error) {
	s := m.settings
	if s.Duration == 0 {
		s.Duration = maxDuration
	}
	switch {
	case load > 0 && m.vary == varyRate:
		s.Rate = float64(load)
	case load > 0:
		s.Watchers = int(load)
	}
	plan, err := s.Plan()
	if err != nil && m.settings.Duration == 0 {
		// Scenarios that end by themselves have no use for a duration.
		s.Duration, s.Warmup = 0, m.given()
		if other, otherErr := s.Plan(); otherErr == nil {
			plan, err = other, nil
		}
	}
	if err != nil {
		return plan, settingMistake(err)
	}
	if len(plan.Scenarios) != 1 {
		return plan, misused("max searches under one scenario in one shape; %d are asked for", len(plan.Scenarios))
	}
	return plan, nil
}

// given is the warm-up of the command line, nil if there is none.
func (m *maxCommand) given() *time.Duration {
	if m.load.set.Changed("warmup") {
		return m.settings.Warmup
	}
	return nil
}

// begin makes the search and its document.
func (m *maxCommand) begin(first bench.Plan) (err error) {
	sc := first.Scenarios[0]
	c := search.Config{Start: int64(sc.RatePerS), Least: 1, Most: largestRate, Steps: m.limit}
	if sc.Duration > 0 { // a step without a put says nothing
		c.Least = min(c.Start, max(1, int64(2*time.Second/sc.Duration)))
	}
	if m.vary == varyWatchers {
		c.Start, c.Least, c.Most = int64(sc.Watchers), int64(max(1, m.settings.Streams)), mostWatchers
		if memory := bench.InspectMachine(os.TempDir()).MemoryBytes; memory > 0 {
			c.Most = max(c.Start, min(c.Most, memory/watchersMemory/watcherBytes))
		}
	} else if sc.RatePerS == 0 {
		return misused("--vary rate: nothing is put by the clock in %s; vary watchers, or name another scenario", sc.Name)
	}
	for i, g := range m.objectives {
		if len(g.Select([]string{sc.Title()})) == 0 {
			return misused("--slo %q: is not of %s, which is measured", m.slo[i], sc.Title())
		}
	}
	m.search, err = search.New(c)
	m.doc = &search.Document{
		Schema: search.Schema, Started: time.Now().UTC().Truncate(time.Second), Plan: first, Vary: m.vary,
		Objectives: m.slo, Target: m.subject.facts(), Command: recorded(m.args), MadeBy: madeBy(m.subject.facts().Engine),
	}
	return err
}

// searched takes the steps. broken is the result of one that broke a promise.
func (m *maxCommand) searched(ctx context.Context, first bench.Plan) (broken *bench.Result, err error) {
	defer func() { err = m.letGo(m.subject, err) }()
	bed, err := m.open(m.subject)
	if err != nil {
		return nil, m.cause(m.subject, err)
	}
	m.doc.Target, m.doc.Machine = bed.kind.Facts(), bed.machine
	if !m.output.quiet {
		m.printStart(m.term.err, bed, first)
		fmt.Fprintf(m.term.err, "%s\n", m.about())
	}
	defer m.progress.End() // before the answer
	table := newStepTable(m.progress.Hold(m.tables()), m.objectives, m.doc.Vary)
	for {
		load, again, more := m.search.Next()
		if !more || ctx.Err() != nil {
			return nil, nil
		}
		step := search.Step{Load: load, Again: again}
		m.title = fmt.Sprintf("step %d", len(m.doc.Steps)+1)
		verdict, res, err := m.step(ctx, bed, load)
		switch {
		case ctx.Err() != nil:
			return nil, nil // what was cut short says nothing
		case res != nil && res.Broken != nil:
			return res, nil
		case err != nil:
			return nil, err
		}
		step.Outcome, step.Reason = verdict.Outcome, verdict.Reason
		if res != nil && len(res.Runs) > 0 {
			step.Run = &res.Runs[0]
		}
		m.doc.Steps = append(m.doc.Steps, step)
		achieved := int64(0)
		if m.vary == varyRate {
			achieved = int64(verdict.Achieved)
		}
		m.search.Tell(load, verdict.Outcome, achieved)
		if err := table.add(len(m.doc.Steps), load, again, verdict); err != nil {
			return nil, unmeasured("the steps cannot be written: %v", err)
		}
	}
}

// step measures one load. The result is nil for one that was refused.
func (m *maxCommand) step(ctx context.Context, b bed, load int64) (v search.Verdict, res *bench.Result, err error) {
	plan, err := m.plan(load)
	if err != nil {
		return search.Verdict{Outcome: search.Refused, Reason: err.Error()}, nil, nil
	}
	if s, ok := m.subject.(interface{ room(bench.Plan) error }); ok {
		if err := s.room(plan); err != nil {
			return search.Verdict{Outcome: search.Refused, Reason: err.Error()}, nil, nil
		}
	}
	sc := plan.Scenarios[0]
	longest := sc.Warmup + sc.Duration + stepGrace
	res, err = m.measure(ctx, b, plan, bench.Options{
		Longest: longest, Folder: strconv.Itoa(len(m.doc.Steps)+1) + "-" + strconv.FormatInt(load, 10),
	})
	switch {
	case err != nil:
		return v, res, m.cause(m.subject, err)
	case res.Broken != nil:
		return v, res, nil
	case res.CutShort != nil && res.CutShort.GivenUp: // it would be in the way of the next
		return v, res, unmeasured("the target did not answer when step %d was cut, after %s; the search ends there", len(m.doc.Steps)+1, figure.Short(longest))
	}
	if len(res.Runs) == 0 || res.Runs[0].CutShort {
		return search.Verdict{Outcome: search.Missed, Reason: "not done after " + figure.Short(longest)}, res, nil
	}
	if v, err = search.Judge(sc, res.Runs[0], m.objectives); err != nil {
		return v, res, misused("--slo %v; choose another metric", err)
	}
	return v, res, nil
}

// tables is where the steps go.
func (m *maxCommand) tables() io.Writer {
	if m.output.json == "-" {
		return m.term.err
	}
	return m.term.out
}

// conclude says the answer, writes the document and chooses the exit code.
func (m *maxCommand) conclude(ctx context.Context, broken *bench.Result, err error) error {
	cut := ctx.Err() != nil
	m.doc.Answer = m.search.Answer()
	m.doc.Complete = err == nil && broken == nil && !cut && !m.doc.Answer.Unfinished
	tty := m.term.outTTY
	if m.output.json == "-" {
		tty = m.term.errTTY
	}
	color := m.term.colors(m.output.color, tty)
	switch {
	case broken != nil:
		m.doc.Broken, m.doc.Answer = broken.Broken, search.Answer{}
		for i := range m.doc.Steps {
			m.doc.Steps[i].Run = nil
		}
		if reportErr := bench.Report(m.tables(), broken, bench.ReportOptions{Color: color, Again: again(broken)}); reportErr != nil && err == nil {
			err = unmeasured("the answer cannot be written: %v", reportErr)
		}
	case err == nil || len(m.doc.Steps) > 0:
		if err != nil {
			m.doc.Failed = err.Error()
		}
		if _, writeErr := io.WriteString(m.tables(), m.answer(cut || err != nil, color)); writeErr != nil && err == nil {
			err = unmeasured("the answer cannot be written: %v", writeErr)
		}
	}
	if writeErr := m.output.writeJSON(m.term, m.doc); writeErr != nil && err == nil {
		err = writeErr
	}
	switch {
	case broken != nil:
		text := ""
		if err != nil {
			text = err.Error()
		}
		return &exitError{exitBroken, text}
	case err != nil:
		return err
	case cut:
		return &exitError{code: exitInterrupted}
	}
	return nil
}

// printOnly is all that --plan does.
func (m *maxCommand) printOnly(first bench.Plan) error {
	fmt.Fprintln(m.term.out, m.about())
	return m.printPlan(m.subject, first)
}

// about says how the search goes.
func (m *maxCommand) about() string {
	sc := m.doc.Plan.Scenarios[0]
	from := figure.Rate(sc.RatePerS) + " puts/s"
	if m.vary == varyWatchers {
		from = figure.Count(int64(sc.Watchers)) + " watchers"
	}
	return "search   " + lines([]string{
		strings.Join(m.slo, ", "), "from " + from, "by 4, then half the gap, to 5%", fmt.Sprintf("at most %d steps", m.limit),
	}, 9)
}
