package main

import (
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
)

// outputFlags say where results go and what is told meanwhile. Every command
// that measures has them.
type outputFlags struct {
	dir, json, color         string
	quiet, verbose, planOnly bool
	noKeep                   bool
	set                      *pflag.FlagSet
}

// Flags that commands share which show results.
var (
	verboseOption = option{name: "verbose", short: "v", text: "rules, settings one by one"}
	colorOption   = option{
		name: "color", word: "auto|always|never", unset: "auto", values: []string{"auto", "always", "never"},
		more: "auto is colour on a terminal, unless NO_COLOR is set or TERM is dumb.",
	}
)

func (f *outputFlags) define(set *pflag.FlagSet) {
	f.defineFiles(set)
	where := options{set, groupWhere}
	where.on(&f.noKeep, option{
		name: "no-keep", text: "do not remember the result",
		more: "The last ten are kept in the user's cache directory, for report.",
	})
	where.text(&f.color, colorOption)
}

// defineBrief is for a command whose results report does not show.
func (f *outputFlags) defineBrief(set *pflag.FlagSet) {
	f.defineFiles(set)
	options{set, groupWhere}.text(&f.color, colorOption)
}

func (f *outputFlags) defineFiles(set *pflag.FlagSet) {
	f.set = set
	f.color = "auto"
	where := options{set, groupWhere}
	where.text(&f.dir, option{
		name: "dir", word: "DIR", text: "data; kept", unset: "temporary, removed", dir: true,
		more: "A folder for each scenario, which must not hold data yet. Choose the disk to measure by it.",
	})
	where.text(&f.json, option{
		name: "json", word: "FILE|-", text: "the result", files: []string{"json"},
		more: "With - the result goes to stdout and the tables to stderr.",
	})
	where.on(&f.quiet, option{name: "quiet", short: "q", text: "no progress"})
	where.on(&f.verbose, verboseOption)
	where.on(&f.planOnly, option{name: "plan", text: "only print what would be done"})
}

// check refuses what could only fail after the measurement.
func (f *outputFlags) check() error {
	if err := checkColor(f.color); err != nil {
		return err
	}
	if f.json == "" && f.set.Changed("json") {
		return misused("--json \"\": a file is missing; write --json result.json, or - for stdout")
	}
	if f.dir == "" && f.set.Changed("dir") {
		return misused("--dir \"\": a directory is missing")
	}
	if f.json != "" && f.json != "-" {
		if kind := fileKind(filepath.Dir(f.json)); kind != "directory" {
			return misused("--json %q: %s is no directory", f.json, filepath.Dir(f.json))
		}
		if fileKind(f.json) == "directory" {
			return misused("--json %q: is a directory; name a file in it", f.json)
		}
		if err := bench.CanWrite(f.json); err != nil {
			return unmeasured("--json %q: cannot be written: %v", f.json, err)
		}
	}
	return nil
}

func checkColor(color string) error {
	switch color {
	case "auto", "always", "never":
		return nil
	}
	return misused("--color %q: unknown; one of auto, always, never", color)
}

// writeJSON writes a result where --json says.
func (f *outputFlags) writeJSON(t *terminal, res jsonDocument) error {
	var err error
	switch f.json {
	case "":
	case "-":
		err = res.WriteJSON(t.rawOut)
	default:
		err = res.WriteFile(f.json)
	}
	if err != nil {
		return unmeasured("%s: %v; the result stands in the terminal only", f.json, err)
	}
	return nil
}
