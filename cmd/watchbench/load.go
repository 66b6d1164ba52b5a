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
	scenario, file, shape                  string
	watchers, streams, rate, writers, keys string
	valueSize, history, duration, warmup   string
	seed, count                            string
	set                                    *pflag.FlagSet
}

func (f *loadFlags) define(set *pflag.FlagSet) {
	f.set = set
	what := options{set, groupWhat}
	what.text(&f.scenario, option{
		name: "scenario", short: "s", word: "NAME[,NAME]", text: "see 'watchbench scenarios'", unset: "the short form",
		values: bench.ScenarioNames(), list: true,
	})
	what.text(&f.file, option{
		name: "file", short: "f", word: "FILE.yaml", text: "scenario file; flags override it", files: []string{"yaml", "yml"},
		more: "'watchbench scenarios NAME --yaml' prints one. With --scenario only those of its scenarios are taken; - is standard input.",
	})
	how := options{set, groupHow}
	how.text(&f.watchers, option{
		name: "watchers", short: "w", word: "N", unset: "5000 (1)",
		more: "Watches, all scenarios alike but for the defaults.",
	})
	how.text(&f.rate, option{
		name: "rate", short: "r", word: "N|max", text: "intended puts/s", unset: "2000 (2)", values: []string{"max"},
		more: "Puts are due by the clock, whether or not earlier ones were answered. With max every writer puts again as soon as it was answered.",
	})
	how.text(&f.streams, option{
		name: "streams", word: "N", unset: "50",
		more: "Consumers that the watches are dealt out to.",
	})
	how.text(&f.writers, option{
		name: "writers", word: "N", unset: "64",
		more: "Puts that may wait for their answer at the same time.",
	})
	how.text(&f.keys, option{name: "keys", word: "N", unset: "10000", more: "Distinct keys that are put."})
	how.text(&f.valueSize, option{name: "value-size", word: "SIZE", unset: "256", more: "Bytes of each value, up to 1MiB."})
	how.text(&f.history, option{
		name: "history", word: "N", unset: "100000 revisions",
		more: "Written before the measurement, for scenarios in which watchers read it.",
	})
	how.text(&f.duration, option{
		name: "duration", short: "d", word: "T", text: "per scenario", unset: "10s (3)",
		more: "Without the warm-up.",
	})
	how.text(&f.warmup, option{name: "warmup", word: "T", unset: "2s", more: "Comes before the duration and is not measured."})
	how.text(&f.seed, option{
		name: "seed", word: "N", unset: "random, printed",
		more: "Keys, values and what goes where follow from it: the same seed is the same load.",
	})
	how.text(&f.shape, option{
		name: "shape", word: strings.Join(shapes(), "|"), unset: "", values: shapes(),
		more: "What a watch is of: a key of its own, a prefix that all share, a range of its own, or all of these one after another. Without it each scenario has its own.",
	})
	how.text(&f.count, option{
		name: "count", short: "c", word: "N", text: "repetitions", unset: "1",
		more: "Six or more tell a difference from chance.",
	})
}

// loadFlagNames are the names of them all.
func loadFlagNames() (names []string) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	(&loadFlags{}).define(set)
	set.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
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
	if f.set.Changed("file") {
		plan, err = f.planOfFile(settings)
	} else {
		plan, err = fill(settings)
	}
	return plan, settingMistake(err)
}

// settingMistake says which flag a setting that cannot be is of.
func settingMistake(err error) error {
	var wrong *bench.SettingError
	if errors.As(err, &wrong) {
		return misused("--%s %s: %s", wrong.Setting, wrong.Given, wrong.Problem)
	}
	return err
}

func scenarioList(text string) (names []string, err error) {
	return scenarioNames("--scenario", text)
}

// scenarioNames reads names by comma; what is how they were given.
func scenarioNames(what, text string) (names []string, err error) {
	for name := range strings.SplitSeq(text, ",") {
		if brief, _ := bench.DescribeScenario(name); brief == "" {
			return nil, misused("%s %q: unknown%s all: watchbench scenarios", what, name, orSemicolon(didYouMean(name, bench.ScenarioNames())))
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
	known := shapes()
	for _, shape := range known {
		if text == shape {
			return bench.Shape(text), nil
		}
	}
	return "", misused("--shape %q: unknown%s one of %s", text, orSemicolon(didYouMean(text, known)), strings.Join(known, ", "))
}

func shapes() []string {
	return []string{string(bench.OneKey), string(bench.Prefix), string(bench.Ranges), string(bench.All)}
}
