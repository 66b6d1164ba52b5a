package main

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// loadFlags say what load to measure under: the texts as given. Every command
// that measures has them.
type loadFlags struct {
	scenario, shape                        string
	watchers, streams, rate, writers, keys string
	valueSize, history, duration, warmup   string
	seed, count                            string
	set                                    *pflag.FlagSet
}

func (f *loadFlags) define(set *pflag.FlagSet) {
	f.set = set
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
}

// settings reads the flags that make the plan.
func (f *loadFlags) settings() (s bench.Settings, err error) {
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

// plan makes the plan, or says which flag cannot be. fill fills in the
// defaults: Settings.Plan, or that of a recording.
func (f *loadFlags) plan(fill func(bench.Settings) (bench.Plan, error)) (plan bench.Plan, err error) {
	settings, err := f.settings()
	if err != nil {
		return plan, err
	}
	plan, err = fill(settings)
	var wrong *bench.SettingError
	if errors.As(err, &wrong) {
		err = misused("--%s %s: %s", wrong.Setting, wrong.Given, wrong.Problem)
	}
	return plan, err
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
