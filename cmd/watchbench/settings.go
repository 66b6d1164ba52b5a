package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/mvcc"
)

const (
	defaultBackend = "pebble"
	defaultRelaxed = 100 * time.Millisecond
)

// runFlags are the texts of the flags of run, as given.
type runFlags struct {
	backend, durability, etcdFile          string
	scenario, shape                        string
	watchers, streams, rate, writers, keys string
	valueSize, history, duration, warmup   string
	seed, count, dir, json, color          string
	quiet, verbose, planOnly               bool
	set                                    *pflag.FlagSet
}

func (f *runFlags) define(set *pflag.FlagSet) {
	f.set = set
	set.StringVarP(&f.backend, "backend", "b", defaultBackend, "")
	set.StringVar(&f.durability, "durability", "sync", "")
	set.StringVar(&f.etcdFile, "etcd-file", "", "")
	set.StringVarP(&f.scenario, "scenario", "s", "", "")
	set.StringVar(&f.shape, "shape", "", "")
	set.StringVarP(&f.watchers, "watchers", "w", "", "")
	set.StringVar(&f.streams, "streams", "", "")
	set.StringVarP(&f.rate, "rate", "r", "", "")
	set.StringVar(&f.writers, "writers", "", "")
	set.StringVar(&f.keys, "keys", "", "")
	set.StringVar(&f.valueSize, "value-size", "", "")
	set.StringVar(&f.history, "history", "", "")
	set.StringVarP(&f.duration, "duration", "d", "", "")
	set.StringVar(&f.warmup, "warmup", "", "")
	set.StringVar(&f.seed, "seed", "", "")
	set.StringVarP(&f.count, "count", "c", "", "")
	set.StringVar(&f.dir, "dir", "", "")
	set.StringVar(&f.json, "json", "", "")
	set.StringVar(&f.color, "color", "auto", "")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "")
	set.BoolVar(&f.planOnly, "plan", false, "")
}

// settings reads the flags that make the plan.
func (f *runFlags) settings() (s bench.Settings, err error) {
	read := func(flag, text string, parse func(string) error) {
		if err == nil && f.set.Changed(flag) {
			if bad := parse(text); bad != nil {
				err = misused("--%s %q: %v", flag, text, bad)
			}
		}
	}
	number := func(flag, text string, to *int) {
		read(flag, text, func(text string) error {
			n, bad := positive(text)
			*to = int(n)
			return bad
		})
	}
	if f.set.Changed("scenario") {
		if s.Scenarios, err = scenarioList(f.scenario); err != nil {
			return s, err
		}
	}
	read("shape", f.shape, func(text string) error { s.Shape, err = shapeOf(text); return nil })
	number("watchers", f.watchers, &s.Watchers)
	number("streams", f.streams, &s.Streams)
	number("writers", f.writers, &s.Writers)
	number("keys", f.keys, &s.Keys)
	number("count", f.count, &s.Count)
	read("rate", f.rate, func(text string) error {
		if s.FullSpeed = text == "max"; s.FullSpeed {
			return nil
		}
		n, bad := positive(text)
		if errors.Is(bad, figure.ErrCount) {
			bad = errors.New("not a rate; write 500, 5k or max")
		}
		s.Rate = float64(n)
		return bad
	})
	read("history", f.history, func(text string) (bad error) { s.History, bad = positive(text); return bad })
	read("value-size", f.valueSize, func(text string) error {
		n, bad := figure.ParseSize(text)
		size := int(n)
		s.ValueBytes = &size
		return bad
	})
	read("duration", f.duration, func(text string) (bad error) {
		s.Duration, bad = figure.ParseDuration(text)
		if bad == nil && s.Duration <= 0 {
			bad = errors.New("not above 0; write 10s or 10m")
		}
		return bad
	})
	read("warmup", f.warmup, func(text string) error {
		d, bad := figure.ParseDuration(text)
		s.Warmup = &d
		return bad
	})
	s.Seed = uint64(rand.IntN(1_000_000)) // short enough to be typed again
	read("seed", f.seed, func(text string) (bad error) {
		if s.Seed, bad = strconv.ParseUint(text, 10, 64); bad != nil {
			bad = errors.New("not a whole number from 0 to 18446744073709551615")
		}
		return bad
	})
	return s, err
}

func scenarioList(text string) (names []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		if brief, _ := bench.DescribeScenario(name); brief == "" {
			return nil, misused("--scenario %q: unknown%s all: watchbench scenarios", name, orSemicolon(didYouMean(name, bench.ScenarioNames())))
		}
		names = append(names, name)
	}
	return names, nil
}

// orSemicolon keeps a sentence together where there is nothing to suggest.
func orSemicolon(suggestion string) string {
	if suggestion == "" {
		return ";"
	}
	return suggestion
}

func shapeOf(text string) (bench.Shape, error) {
	known := []string{string(bench.OneKey), string(bench.Prefix), string(bench.Ranges), string(bench.All)}
	for _, shape := range known {
		if text == shape {
			return bench.Shape(text), nil
		}
	}
	return "", misused("--shape %q: unknown%s one of %s", text, orSemicolon(didYouMean(text, known)), strings.Join(known, ", "))
}

// embedded reads the flags that choose the store.
func (f *runFlags) embedded() (bench.Embedded, error) {
	driver, ok := engines.Lookup(f.backend)
	if !ok {
		var names []string
		for _, d := range engines.All() {
			names = append(names, d.Name)
		}
		suggestion := "; one of " + strings.Join(names, ", ")
		if word := nearest(f.backend, names); word != "" {
			suggestion = fmt.Sprintf("; did you mean %q? all: %s", word, strings.Join(names, ", "))
		}
		return bench.Embedded{}, misused("--backend %q: not an engine here%s", f.backend, suggestion)
	}
	durability, err := durabilityOf(f.durability)
	return bench.Embedded{Driver: driver, Durability: durability}, err
}

func durabilityOf(text string) (mvcc.Durability, error) {
	mode, interval, given := strings.Cut(text, ":")
	switch {
	case mode == "sync" && !given:
		return mvcc.Sync(), nil
	case mode == "relaxed" && !given:
		return mvcc.Relaxed(defaultRelaxed), nil
	case mode == "relaxed":
		d, err := figure.ParseDuration(interval)
		if err != nil {
			return mvcc.Durability{}, misused("--durability %q: %v", text, err)
		}
		if d < time.Millisecond || d > time.Minute {
			return mvcc.Durability{}, misused("--durability %q: from 1ms to 1m is possible", text)
		}
		return mvcc.Relaxed(d), nil
	}
	return mvcc.Durability{}, misused("--durability %q: unknown; sync, or relaxed:100ms with the most a crash may lose", text)
}

// checkOutput refuses what could only fail after the measurement.
func (f *runFlags) checkOutput() error {
	switch f.color {
	case "auto", "always", "never":
	default:
		return misused("--color %q: unknown; one of auto, always, never", f.color)
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
