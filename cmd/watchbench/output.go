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

func (f *outputFlags) define(set *pflag.FlagSet) {
	f.set = set
	set.StringVar(&f.dir, "dir", "", "")
	set.StringVar(&f.json, "json", "", "")
	set.StringVar(&f.color, "color", "auto", "")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "")
	set.BoolVar(&f.planOnly, "plan", false, "")
	set.BoolVar(&f.noKeep, "no-keep", false, "")
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
func (f *outputFlags) writeJSON(t *terminal, res *bench.Result) error {
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
