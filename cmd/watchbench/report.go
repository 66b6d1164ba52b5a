package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/view"
)

// reportCommand is one call of watchbench report.
type reportCommand struct {
	term           *terminal
	color, hdr     string
	html, extract  string
	bench, csv     bool
	quiet, verbose bool
	set            *pflag.FlagSet
}

// document is a file that was read: a result, or those of a comparison.
type document struct {
	name    string // of the file
	results []*bench.Result
}

func newReport(t *terminal) *cobra.Command {
	r := &reportCommand{term: t}
	cmd := &cobra.Command{Use: "report"}
	r.set = cmd.Flags()
	r.color = "auto"
	views := options{r.set, groupViews}
	views.on(&r.bench, option{
		name: "bench", text: "Go's benchmark format, for benchstat",
		more: "Scenario, shape, engine and durability are in the name; benchstat -col /engine puts engines side by side.",
	})
	views.on(&r.csv, option{name: "csv", text: "a row for each metric of each run, or why it is missing"})
	views.text(&r.hdr, option{
		name: "hdr", word: "DIR", text: "logs and percentiles for the tools of HdrHistogram", dir: true,
		more: "A .hlog file for each result, a .hgrm file for each histogram. DIR is made if it is not there.",
	})
	views.text(&r.html, option{
		name: "html", word: "FILE", text: "one page for people who were not there; loads nothing", files: []string{"html"},
		more: "Several files are set side by side, the first target as the reference; files of one target count as its repetitions.",
	})
	views.text(&r.extract, option{
		name: "extract", word: "PAGE", text: "the result files inside a page, written here", files: []string{"html"},
		more: "Their names are printed. A file that stands here already is left as it is.",
	})
	views.text(&r.color, colorOption)
	views.on(&r.verbose, verboseOption)
	views.on(&r.quiet, option{name: "quiet", short: "q", text: "nothing but the view"})
	cmd.RunE = func(_ *cobra.Command, files []string) error { return r.run(files) }
	return cmd
}

// forms are the flags that choose what report makes; at most one is given.
var forms = []string{"bench", "csv", "hdr", "html", "extract"}

func (r *reportCommand) run(files []string) error {
	if err := checkColor(r.color); err != nil {
		return err
	}
	var asked []string
	for _, name := range forms {
		if r.set.Changed(name) {
			asked = append(asked, "--"+name)
		}
	}
	if len(asked) > 1 {
		return misused("%s with %s: one view at a time", asked[0], asked[1])
	}
	switch {
	case r.hdr == "" && r.set.Changed("hdr"):
		return misused("--hdr \"\": a directory is missing")
	case r.html == "" && r.set.Changed("html"):
		return misused("--html \"\": a file name is missing; write --html report.html")
	case r.set.Changed("extract") && len(files) > 0:
		return misused("--extract %q: takes a page alone, not %q as well", r.extract, files[0])
	case r.set.Changed("extract"):
		return r.takeOut()
	}
	documents, err := r.read(files)
	if err != nil {
		return err
	}
	switch {
	case r.html != "":
		return r.writePage(documents)
	case r.bench:
		err = view.Bench(r.term.rawOut, inputs(documents))
	case r.csv:
		err = view.CSV(r.term.rawOut, inputs(documents))
	case r.hdr != "":
		err = r.histograms(documents)
	default:
		err = r.text(documents)
	}
	if err != nil {
		return unmeasured("the report cannot be written: %v", err)
	}
	return nil
}

// read reads the files, or the newest of those that were kept.
func (r *reportCommand) read(files []string) ([]document, error) {
	if len(files) == 0 {
		latest, count, err := latestKept()
		if err != nil {
			return nil, unmeasured("kept results: %v", err)
		}
		if latest == "" {
			return nil, misused("no result is kept yet; run watchbench run first, or name a file")
		}
		r.say("%s   the newest of %d kept in %s", filepath.Base(latest), count, filepath.Dir(latest))
		files = []string{latest}
	}
	documents := make([]document, 0, len(files))
	for _, file := range files {
		d, err := readDocument(file)
		if err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	return documents, nil
}

// say tells on stderr what was done.
func (r *reportCommand) say(format string, args ...any) {
	if !r.quiet {
		fmt.Fprintf(r.term.err, format+"\n", args...)
	}
}

func readDocument(file string) (d document, err error) {
	d.name = filepath.Base(file)
	if file == "-" {
		d.name = "standard input"
	}
	if d.results, err = bench.ReadFile(file); err != nil {
		err = misused("%v", err)
	}
	return d, err
}

func inputs(documents []document) (all []view.Input) {
	for _, d := range documents {
		for _, res := range d.results {
			all = append(all, view.Input{File: d.name, Result: res})
		}
	}
	return all
}

// histograms writes the files of --hdr.
func (r *reportCommand) histograms(documents []document) error {
	if err := os.MkdirAll(r.hdr, 0o755); err != nil {
		return err
	}
	files, err := view.HDR(r.hdr, inputs(documents))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no histogram is in it")
	}
	r.say("%s: %d files; a log (.hlog) for each result, percentiles (.hgrm) for each histogram", r.hdr, len(files))
	return nil
}

// text prints what run printed.
func (r *reportCommand) text(documents []document) error {
	for i, d := range documents {
		if len(documents) > 1 {
			if i > 0 {
				fmt.Fprintln(r.term.out)
			}
			fmt.Fprintf(r.term.out, "%s\n", d.name)
		}
		if len(d.results) > 1 {
			err := compare.Text(r.term.out, d.results, compare.TextOptions{
				Color: r.term.colors(r.color, r.term.outTTY), Width: r.term.outWidth(), Verbose: r.verbose,
				Again: func(n int) string { return again(d.results[n]) },
			})
			if err != nil {
				return err
			}
			continue
		}
		for n, res := range d.results {
			if n > 0 {
				fmt.Fprintln(r.term.out)
			}
			err := bench.Report(r.term.out, res, bench.ReportOptions{
				Color: r.term.colors(r.color, r.term.outTTY), Blank: r.term.outTTY, Verbose: r.verbose,
				Again: again(res), Evidence: d.name,
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// again is the command that shows a result's runs once more.
func again(res *bench.Result) string {
	words := []string{"watchbench"}
	if len(res.Command) < 2 {
		words = append(words, "run")
	} else {
		words = append(words, res.Command[1:]...)
	}
	seeded := slices.ContainsFunc(words, func(arg string) bool { return strings.HasPrefix(arg, "--seed") })
	if !seeded {
		words = append(words, "--seed", fmt.Sprint(res.Plan.Seed))
	}
	return bench.CommandLine(words)
}
