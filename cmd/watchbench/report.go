package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
)

// reportCommand is one call of watchbench report.
type reportCommand struct {
	term    *terminal
	color   string
	verbose bool
	set     *pflag.FlagSet
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
	views.text(&r.color, colorOption)
	views.on(&r.verbose, verboseOption)
	cmd.RunE = func(_ *cobra.Command, files []string) error { return r.run(files) }
	return cmd
}

func (r *reportCommand) run(files []string) error {
	if err := checkColor(r.color); err != nil {
		return err
	}
	documents, err := r.read(files)
	if err != nil {
		return err
	}
	return r.text(documents)
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
		fmt.Fprintf(r.term.err, "%s   the newest of %d kept in %s\n", filepath.Base(latest), count, filepath.Dir(latest))
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

// text prints what run printed.
func (r *reportCommand) text(documents []document) error {
	for i, d := range documents {
		if len(documents) > 1 {
			if i > 0 {
				fmt.Fprintln(r.term.out)
			}
			fmt.Fprintf(r.term.out, "%s\n", d.name)
		}
		for n, res := range d.results {
			if n > 0 {
				fmt.Fprintln(r.term.out)
			}
			err := bench.Report(r.term.out, res, bench.ReportOptions{
				Color: r.term.colors(r.color, r.term.outTTY), Blank: r.term.outTTY, Verbose: r.verbose,
				Again: again(res),
			})
			if err != nil {
				return unmeasured("the report cannot be written: %v", err)
			}
		}
	}
	return nil
}

// again is the command that shows a result's runs once more.
func again(res *bench.Result) string {
	words := []string{"watchbench", "run"}
	seeded := false
	for i, arg := range res.Command {
		if i == 0 || arg == "run" && !seeded && len(words) == 2 {
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
