package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
)

// runCommand is one call of watchbench run.
type runCommand struct {
	measuring
	store    storeFlags
	load     loadFlags
	etcdFile string
	likeFile string
	like     *like // of --like, else nil

	plan    bench.Plan
	subject subject
}

func newRun(t *terminal, args []string) *cobra.Command {
	r := &runCommand{measuring: measuring{term: t, args: args}}
	cmd := &cobra.Command{Use: "run", Args: noArguments}
	set := cmd.Flags()
	r.store.define(set)
	options{set, groupWhat}.text(&r.etcdFile, option{
		name: "etcd-file", word: "FILE", text: "replay a real etcd file or snapshot; never changed", files: []string{""},
	})
	options{set, groupWhat}.text(&r.likeFile, option{
		name: "like", word: "FILE", text: "plan, seed and engine of an earlier result", files: []string{"json"},
		more: "What else differs is named before it is measured. --backend, --durability and --target overrule the result.",
	})
	r.load.define(set)
	r.output.define(set)
	cmd.RunE = func(*cobra.Command, []string) error { return r.run() }
	return cmd
}

func (r *runCommand) run() (err error) {
	if err := r.output.check(); err != nil {
		return err
	}
	if err := r.readLike(); err != nil {
		return err
	}
	if r.allowed, err = r.store.server.allowedRules(); err != nil {
		return err
	}
	chosen, err := r.store.subject(context.Background(), r.term)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chosen.release()) }() // if it was not measured
	r.subject = chosen
	fill := bench.Settings.Plan
	if r.output.set.Changed("etcd-file") {
		if r.output.set.Changed("file") {
			return misused("--file with --etcd-file: a replayed history has a scenario of its own; leave one out")
		}
		file, err := openEtcdFile(r.etcdFile, r.subject, r.output.set)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.source.engine.Close()) }()
		r.subject, fill = file, file.source.recording.Plan
	}
	if r.like != nil {
		r.plan = r.like.result.Plan
	} else if r.plan, err = r.load.plan(fill); err != nil {
		return err
	}
	if r.output.planOnly {
		return r.printPlan(r.subject, r.plan)
	}
	if err = r.subject.check(r.plan); err != nil {
		return err
	}
	if r.place, err = openPlace(r.output.dir, r.plan); err != nil {
		return err
	}
	ctx, stop := r.stoppable()
	defer stop()
	res, measureErr := r.measured(ctx)
	if err := r.place.remove(); err != nil && measureErr == nil {
		measureErr = unmeasured("temporary files stay in %s: %v", r.place.dir, err)
	}
	return r.conclude(res, measureErr)
}

func (r *runCommand) measured(ctx context.Context) (res *bench.Result, err error) {
	bed, err := r.open(r.subject)
	defer func() { err = errors.Join(err, r.subject.release()) }()
	if err != nil {
		return nil, err
	}
	if !r.output.quiet {
		r.printStart(r.term.err, bed, r.plan)
	}
	if r.like != nil {
		here := &bench.Result{MadeBy: madeBy(bed.kind.Facts().Engine), Target: bed.kind.Facts(), Machine: bed.machine}
		if file, ok := r.subject.(*fileSubject); ok {
			here.Source = &file.source.recording.Facts
		}
		fmt.Fprintf(r.term.err, "like     %s\n", r.like.line(here))
	}
	defer r.progress.End() // before the tables
	var options bench.Options
	if file, ok := r.subject.(*fileSubject); ok {
		options.Recording = file.source.recording
	}
	return r.measure(ctx, bed, r.plan, options)
}

// conclude writes the result and chooses the exit code.
func (r *runCommand) conclude(res *bench.Result, measureErr error) error {
	if res == nil {
		return r.cause(r.subject, measureErr)
	}
	tables := r.term.out
	tty := r.term.outTTY
	if r.output.json == "-" {
		tables, tty = r.term.err, r.term.errTTY
	}
	var reportErr error
	if measureErr == nil || len(res.Runs) > 0 {
		reportErr = bench.Report(tables, res, bench.ReportOptions{
			Color: r.term.colors(r.output.color, tty), Blank: tty, Verbose: r.output.verbose,
			Again: again(res), Evidence: r.evidence(res), Next: r.next(res),
		})
	}
	err := r.output.writeJSON(r.term, res)
	kept := len(res.Runs) > 0 && r.keep(res)
	switch {
	case reportErr != nil:
		return r.also(unmeasured("the result cannot be written: %v", reportErr), measureErr)
	case res.Broken != nil:
		end := &exitError{code: exitBroken}
		if err != nil {
			end.text = err.Error()
		}
		return r.also(end, measureErr)
	case err != nil:
		return r.also(err, measureErr)
	case measureErr != nil && len(res.Runs) > 0 && r.output.json != "":
		return unmeasured("%v; %s keeps %d of %d scenarios, marked incomplete", r.cause(r.subject, measureErr), r.output.json, len(res.Runs), len(r.plan.Scenarios)*r.plan.Count)
	case measureErr != nil && kept:
		return unmeasured("%v; 'watchbench report' keeps %d of %d scenarios, marked incomplete", r.cause(r.subject, measureErr), len(res.Runs), len(r.plan.Scenarios)*r.plan.Count)
	case measureErr != nil:
		return r.cause(r.subject, measureErr)
	case res.CutShort != nil:
		return &exitError{code: exitInterrupted}
	}
	return nil
}

// also adds to the text of an end what became of the measurement, such as what
// it left behind.
func (r *runCommand) also(end, measureErr error) error {
	var exit *exitError
	if measureErr == nil || !errors.As(end, &exit) {
		return end
	}
	text := r.cause(r.subject, measureErr).Error()
	if exit.text != "" {
		text = exit.text + "; " + text
	}
	return &exitError{exit.code, text}
}

// next is what to try after the short form.
func (r *runCommand) next(res *bench.Result) []string {
	if !res.Plan.Short || !res.Complete {
		return nil
	}
	program := "watchbench"
	if strings.Contains(filepath.ToSlash(r.args[0]), "/go-build") {
		program = "go run ./cmd/watchbench"
	}
	return []string{program + " compare pebble bolt badger", program + " report --html r.html"}
}
