package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/bench"
)

// runCommand is one call of watchbench run.
type runCommand struct {
	term  *terminal
	args  []string // the command line, the program's name first
	flags runFlags

	plan   bench.Plan
	kind   bench.Embedded
	source *source // of --etcd-file, else nil
	place  place
}

func newRun(t *terminal, args []string) *cobra.Command {
	r := &runCommand{term: t, args: args}
	cmd := &cobra.Command{Use: "run", Args: noArguments}
	r.flags.define(cmd.Flags())
	cmd.RunE = func(*cobra.Command, []string) error { return r.run() }
	return cmd
}

func (r *runCommand) run() (err error) {
	if err := r.flags.checkOutput(); err != nil {
		return err
	}
	if r.kind, err = r.flags.embedded(); err != nil {
		return err
	}
	if r.flags.set.Changed("etcd-file") {
		if r.source, err = r.flags.openEtcdFile(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.source.engine.Close()) }()
	}
	if r.plan, err = r.makePlan(); err != nil {
		return err
	}
	if r.flags.planOnly {
		return r.printPlan()
	}
	if r.place, err = openPlace(r.flags.dir, r.plan); err != nil {
		return err
	}
	ctx, stop := r.stoppable()
	defer stop()
	res, measureErr := r.measure(ctx)
	if err := r.place.remove(); err != nil && measureErr == nil {
		measureErr = unmeasured("temporary files stay in %s: %v", r.place.dir, err)
	}
	return r.conclude(res, measureErr)
}

// makePlan makes the plan, or says which flag cannot be.
func (r *runCommand) makePlan() (plan bench.Plan, err error) {
	settings, err := r.flags.settings()
	if err != nil {
		return plan, err
	}
	if r.source != nil {
		plan, err = r.source.recording.Plan(settings)
	} else {
		plan, err = settings.Plan()
	}
	var wrong *bench.SettingError
	if errors.As(err, &wrong) {
		err = misused("--%s %s: %s", wrong.Setting, wrong.Given, wrong.Problem)
	}
	return plan, err
}

// stoppable is a context that the first Ctrl-C ends; the second ends the
// program. A reader of the output that went away counts as one: without it
// the program would die and leave its files.
func (r *runCommand) stoppable() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	over := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-over:
			return
		}
		clear := ""
		if r.term.errTTY && !r.term.dumb {
			clear = "\r\x1b[K" // the live line, and the ^C that the terminal echoed
		}
		fmt.Fprintln(r.term.err, clear+"^C  stopping; press again to end at once")
		cancel()
		select {
		case <-signals:
			// Files may still be made meanwhile: what can be removed now is.
			_ = r.place.remove()
			os.Exit(exitInterrupted)
		case <-over:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		cancel()
	}
}

func (r *runCommand) measure(ctx context.Context) (res *bench.Result, err error) {
	options := bench.Options{Dir: r.place.dir, Keep: !r.place.temp}
	if r.source != nil {
		replayed, err := r.replay()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, replayed.Close()) }()
		r.kind, options.Kind, options.Recording = replayed.Embedded, replayed, r.source.recording
	} else {
		probe := filepath.Join(r.place.dir, "probe")
		r.kind, err = r.kind.Probe(probe)
		if err = errors.Join(err, os.RemoveAll(probe)); err != nil {
			return nil, err
		}
		options.Kind = r.kind
	}
	machine := bench.InspectMachine(r.place.dir)
	if !r.kind.Driver.Volatile && r.source == nil {
		if machine.Fsync, err = bench.MeasureFsync(r.place.dir); err != nil {
			return nil, err
		}
	}
	if !r.flags.quiet {
		r.printStart(r.term.err, machine)
	}
	live := newProgress(r.term, r.flags.quiet)
	options.Observe = live.tick
	res, err = bench.Measure(ctx, r.plan, options)
	live.end()
	res.MadeBy, res.Machine, res.Command = madeBy(r.kind.Driver.Name), machine, recorded(r.args)
	return res, err
}

// conclude writes the result and chooses the exit code.
func (r *runCommand) conclude(res *bench.Result, measureErr error) error {
	if res == nil {
		return r.cause(measureErr)
	}
	tables := r.term.out
	tty := r.term.outTTY
	if r.flags.json == "-" {
		tables, tty = r.term.err, r.term.errTTY
	}
	if measureErr == nil || len(res.Runs) > 0 {
		err := bench.Report(tables, res, bench.ReportOptions{
			Color: r.term.colors(r.flags.color, tty), Blank: tty, Verbose: r.flags.verbose,
			Again: r.again(res), Next: r.next(res),
		})
		if err != nil {
			return unmeasured("the result cannot be written: %v", err)
		}
	}
	err := r.writeJSON(res)
	switch {
	case res.Broken != nil:
		if err != nil {
			return &exitError{code: exitBroken, text: err.Error()}
		}
		return &exitError{code: exitBroken}
	case err != nil:
		return err
	case measureErr != nil && len(res.Runs) > 0 && r.flags.json != "":
		return unmeasured("%v; %s keeps %d of %d scenarios, marked incomplete", r.cause(measureErr), r.flags.json, len(res.Runs), len(r.plan.Scenarios)*r.plan.Count)
	case measureErr != nil:
		return r.cause(measureErr)
	case res.CutShort != nil:
		return &exitError{code: exitInterrupted}
	}
	return nil
}

func (r *runCommand) writeJSON(res *bench.Result) error {
	var err error
	switch r.flags.json {
	case "":
	case "-":
		err = res.WriteJSON(r.term.rawOut)
	default:
		err = res.WriteFile(r.flags.json)
	}
	if err != nil {
		return unmeasured("%s: %v; the result stands in the terminal only", r.flags.json, err)
	}
	return nil
}

// cause says why it could not be measured, and what a result file keeps.
func (r *runCommand) cause(err error) error {
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return exit
	case errors.Is(err, backend.ErrLocked):
		return unmeasured("--dir %q: held by another process (%s LOCK); choose another directory", r.place.dir, r.kind.Driver.Name)
	}
	return unmeasured("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// again is the command that shows the same once more.
func (r *runCommand) again(res *bench.Result) string {
	words := []string{"watchbench", "run"}
	seeded := false
	for _, arg := range r.args[1:] {
		if arg == "run" && !seeded && len(words) == 2 {
			continue
		}
		seeded = seeded || strings.HasPrefix(arg, "--seed")
		words = append(words, arg)
	}
	if !seeded {
		words = append(words, "--seed", fmt.Sprint(res.Plan.Seed))
	}
	return strings.Join(words, " ")
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
	return []string{program + " run -b bolt -s catchup -w 1000 --history 1M", program + " help run"}
}

// recorded is the command line as a result keeps it: without the folders of
// the program.
func recorded(args []string) []string {
	return append([]string{"watchbench"}, args[1:]...)
}
