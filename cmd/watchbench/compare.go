package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

// compareCommand is one call of watchbench compare.
type compareCommand struct {
	measuring
	load    loadFlags
	server  serverFlags
	longest string

	plan  bench.Plan
	limit time.Duration // what --longest says
	sides []*side
}

// side is one of the targets.
type side struct {
	subject subject
	bed     bed
	dir     string // for its data, in the place
}

const defaultLongest = "20s"

// comparedByDefault are the scenarios that most choices depend on.
var comparedByDefault = []string{bench.Notify, bench.CatchUp}

func newCompare(t *terminal, args []string) *cobra.Command {
	c := &compareCommand{measuring: measuring{term: t, args: args}, longest: defaultLongest}
	cmd := &cobra.Command{Use: "compare", ValidArgsFunction: completeTargets}
	set := cmd.Flags()
	c.load.define(set)
	options{set, groupHow}.text(&c.longest, option{
		name: "longest", word: "T", text: "for catching up, at most", unset: defaultLongest,
		more: "A target that is not done by then is cut: its figures are of what it did, and marked.",
	})
	c.output.define(set)
	c.server.define(set)
	setUnset(set, "scenario", strings.Join(comparedByDefault, ","))
	setUnset(set, "count", strconv.Itoa(stat.MinRuns))
	setUnset(set, "duration", "4s (3)")
	setUnset(set, "warmup", "1s")
	setUnset(set, "history", "15000 revisions")
	cmd.RunE = func(_ *cobra.Command, targets []string) error { return c.run(targets) }
	return cmd
}

func (c *compareCommand) run(targets []string) (err error) {
	if err := c.output.check(); err != nil {
		return err
	}
	defer func() {
		for _, s := range c.sides { // if they were not measured
			err = errors.Join(err, s.subject.release())
		}
	}()
	if err := c.choose(targets); err != nil {
		return err
	}
	if c.limit, err = figure.ParseDuration(c.longest); err != nil || c.limit <= 0 {
		return misused("--longest %q: not a time above 0; write 20s or 2m", c.longest)
	}
	if c.plan, err = c.load.plan(compared); err != nil {
		return err
	}
	if c.load.file != "" && c.plan.Count == 1 && !c.load.set.Changed("count") {
		c.plan.Count = stat.MinRuns // compared does it where no file is given
	}
	if c.output.planOnly {
		return c.printPlan()
	}
	for _, s := range c.sides {
		if err := s.subject.check(c.plan); err != nil {
			return err
		}
	}
	if c.place, err = openPlace(c.output.dir, c.plan); err != nil {
		return err
	}
	ctx, stop := c.stoppable()
	defer stop()
	all, err := c.measured(ctx)
	if removeErr := c.place.remove(); removeErr != nil && err == nil {
		err = unmeasured("temporary files stay in %s: %v", c.place.dir, removeErr)
	}
	return c.conclude(all, err)
}

// comparedHistory is a little less than that of the short form: with it six
// repetitions on an etcd server stay below a tenth of its default quota.
const comparedHistory = 15_000

func readsShortHistory(scenario string) bool {
	return scenario == bench.CatchUp || scenario == bench.Interference
}

// compared fills in the defaults of a comparison: repetitions enough to tell a
// difference, in the short form's time.
func compared(s bench.Settings) (bench.Plan, error) {
	if s.Count == 0 {
		s.Count = stat.MinRuns
	}
	if len(s.Scenarios) == 0 {
		s.Scenarios = comparedByDefault
	}
	s.Short = true
	if s.History == 0 && s.Duration == 0 && slices.ContainsFunc(s.Scenarios, readsShortHistory) {
		s.History = comparedHistory
	}
	return s.Plan()
}

// choose reads the targets.
func (c *compareCommand) choose(targets []string) error {
	switch len(targets) {
	case 0:
		return misused("compare needs targets, such as: watchbench compare pebble bolt etcd://127.0.0.1:2379")
	case 1:
		return misused("compare needs two targets or more, and has only %q; one alone: watchbench run", withoutLogin(targets[0]))
	}
	var err error
	if c.allowed, err = c.server.allowedRules(); err != nil {
		return err
	}
	if err := c.server.needed(slices.ContainsFunc(targets, isServer)); err != nil {
		return err
	}
	for _, text := range targets {
		s, err := targetSubject(context.Background(), text, &c.server, c.term)
		if err != nil {
			return err
		}
		c.sides = append(c.sides, &side{subject: s})
	}
	return nil
}

// measured prepares every target, then takes the turns. Targets that cannot be
// prepared are a mistake of the command line: nothing is measured then.
func (c *compareCommand) measured(ctx context.Context) (all *bench.Comparison, err error) {
	defer func() {
		for _, s := range c.sides {
			err = c.letGo(s.subject, err)
		}
	}()
	for i, s := range c.sides {
		name := strconv.Itoa(i+1) + "-" + unnameable.ReplaceAllString(s.subject.facts().Name(), "-")
		if s.dir, err = c.place.sub(name, c.plan); err != nil {
			return nil, err
		}
		if s.bed, err = c.open(s.subject); err != nil {
			return nil, c.cause(s.subject, err)
		}
	}
	if !c.output.quiet {
		c.printStart(c.term.err)
	}
	defer c.progress.End() // before the tables
	var targets []compare.Target
	for _, s := range c.sides {
		targets = append(targets, c.target(s))
	}
	return compare.Run(ctx, c.plan, targets, func(turn compare.Turn) {
		c.title = fmt.Sprintf("%d of %d, repetition %d of %d", turn.Target+1, len(c.sides), turn.Repetition, c.plan.Count)
	}), nil
}

func (c *compareCommand) target(s *side) compare.Target {
	return compare.Target{
		Head: &bench.Result{
			Schema: bench.Schema, Plan: c.plan, Target: s.bed.kind.Facts(), Machine: s.bed.machine,
			MadeBy: madeBy(s.bed.kind.Facts().Engine), Command: recorded(c.args),
		},
		Measure: func(ctx context.Context, plan bench.Plan, folder string) (*bench.Result, error) {
			sc := plan.Scenarios[0]
			c.progress.Start(live.Run{Title: c.title, Label: s.bed.kind.Facts().Name(), Target: s.bed.kind.Facts(), Plan: plan, Cores: s.bed.machine.Cores})
			res, err := bench.Measure(ctx, plan, bench.Options{
				Kind: s.bed.kind, Dir: s.dir, Folder: folder, Keep: !c.place.temp, Observe: c.progress.Tick, Allowed: c.allowed,
				Longest: sc.Warmup + sc.Duration + c.limit,
			})
			c.tellBroken(res)
			return res, err
		},
	}
}

// conclude writes the results and chooses the exit code.
func (c *compareCommand) conclude(all *bench.Comparison, err error) error {
	if all == nil {
		return err
	}
	out, tty, width := c.term.out, c.term.outTTY, c.term.outWidth
	if c.output.json == "-" {
		out, tty, width = c.term.err, c.term.errTTY, c.term.errWidth
	}
	textErr := compare.Text(out, all.Results, compare.TextOptions{
		Color: c.term.colors(c.output.color, tty), Width: width(), Verbose: c.output.verbose,
		Again: func(i int) string { return again(all.Results[i]) },
	})
	if textErr != nil && err == nil {
		err = unmeasured("the results cannot be written: %v", textErr)
	}
	if writeErr := c.output.writeJSON(c.term, all); writeErr != nil && err == nil {
		err = writeErr
	}
	c.keepAll(all)
	cut := false
	var failed []string
	for _, res := range all.Results {
		cut = cut || res.CutShort != nil && len(res.CutShort.NotRun) > 0
		if res.Broken != nil {
			text := ""
			if err != nil {
				text = err.Error()
			}
			return &exitError{code: exitBroken, text: text}
		}
		if res.Failed != "" {
			failed = append(failed, res.Target.Name()+": "+strings.ReplaceAll(res.Failed, "\n", "; "))
		}
	}
	switch {
	case len(failed) > 0:
		if err != nil {
			failed = append(failed, err.Error())
		}
		return unmeasured("%s", strings.Join(failed, "; "))
	case err != nil:
		return err
	case cut:
		return &exitError{code: exitInterrupted}
	}
	return nil
}

// keepAll remembers the comparison if anything was measured.
func (c *compareCommand) keepAll(all *bench.Comparison) {
	for _, res := range all.Results {
		if len(res.Runs) > 0 {
			c.keep(all)
			return
		}
	}
}

func (c *compareCommand) printPlan() error {
	dir := c.output.dir
	if fileKind(dir) != "directory" {
		dir = os.TempDir()
	}
	for _, s := range c.sides {
		s.bed = bed{subject: s.subject, kind: planned{s.subject}, machine: bench.InspectMachine(dir)}
	}
	c.printStart(c.term.out)
	done := "nothing was done: --plan"
	if slices.ContainsFunc(c.sides, func(s *side) bool { return s.subject.facts().Server() }) {
		done = "nothing was written: --plan; only the servers' status was asked for"
	}
	if _, err := fmt.Fprintln(c.term.out, done); err != nil {
		return err
	}
	for _, s := range c.sides {
		if err := s.subject.check(c.plan); err != nil {
			return err
		}
	}
	return nil
}

// printStart says what will be done before a single put.
func (c *compareCommand) printStart(w io.Writer) {
	fmt.Fprintf(w, "watchbench %s   compare %d targets   seed %d\n", version, len(c.sides), c.plan.Seed)
	said := map[string]bool{}
	for _, s := range c.sides {
		facts := s.bed.kind.Facts()
		fmt.Fprintf(w, "target   %s   %s\n", facts.Name(), inside(facts))
	}
	fmt.Fprintf(w, "plan     %s   %s\n", planNames(c.plan), compareTime(c.plan, len(c.sides)))
	fmt.Fprintf(w, "load     %s\n", load(c.plan))
	fmt.Fprintf(w, "machine  %s\n", machineLine(c.sides[0].bed.machine))
	for _, s := range c.sides {
		if s.bed.machine.Fsync != nil && !said["disk"] {
			said["disk"] = true
			fmt.Fprintf(w, "disk     %s\n", diskLine(s.bed.machine.Fsync, s.bed.kind.Facts().Durability))
		}
		for _, n := range s.subject.where(c.plan, c.output.dir) {
			line := fmt.Sprintf("%-8s %s", n.heading, n.text)
			if !said[line] {
				said[line] = true
				fmt.Fprintln(w, line)
			}
		}
	}
}

// compareTime is how long a plan takes on a number of targets.
func compareTime(plan bench.Plan, targets int) string {
	plan.Count *= targets
	return planTime(plan)
}

// unnameable is what file systems may not take in a name.
var unnameable = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// sub makes a folder of the place for one of several targets. In a directory
// that was given it must not hold data.
func (p place) sub(name string, plan bench.Plan) (string, error) {
	dir := filepath.Join(p.dir, name)
	if p.temp {
		return dir, nil
	}
	_, err := openPlace(dir, plan)
	return dir, err
}
