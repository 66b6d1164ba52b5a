package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/scenariofile"
)

func newScenarios(t *terminal) *cobra.Command {
	var asYAML bool
	cmd := &cobra.Command{
		Use: "scenarios", Args: cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return bench.ScenarioNames(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	options{cmd.Flags(), groupViews}.on(&asYAML, option{name: "yaml", text: "print a scenario file with all defaults, explained"})
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var names []string
		for _, arg := range args {
			list, err := scenarioNames("scenarios", arg)
			if err != nil {
				return err
			}
			names = append(names, list...)
		}
		switch {
		case asYAML:
			return printScenarioFile(t, names)
		case len(names) > 0:
			return explainScenarios(t, names)
		}
		return listScenarios(t)
	}
	return cmd
}

func listScenarios(t *terminal) error {
	for _, name := range bench.ScenarioNames() {
		brief, length := bench.DescribeScenario(name)
		fmt.Fprintf(t.out, "%-13s %-61s %s\n", name, brief, length)
	}
	fmt.Fprintln(t.out, "watchbench scenarios slow                         what it models, at length")
	_, err := fmt.Fprintln(t.out, "watchbench scenarios slow --yaml > slow.yaml      then   watchbench run -f slow.yaml")
	return err
}

func explainScenarios(t *terminal, names []string) error {
	for i, name := range names {
		if i > 0 {
			fmt.Fprintln(t.out)
		}
		brief, length := bench.DescribeScenario(name)
		fmt.Fprintf(t.out, "%s: %s   %s\n", name, brief, length)
		column := 0
		for _, word := range strings.Fields(bench.ExplainScenario(name)) {
			if column > 0 && column+1+len(word) > 80 {
				fmt.Fprintln(t.out)
				column = 0
			}
			if column > 0 {
				fmt.Fprint(t.out, " ")
				column++
			}
			fmt.Fprint(t.out, word)
			column += len(word)
		}
		fmt.Fprintln(t.out)
	}
	_, err := fmt.Fprintf(t.out, "all settings with their defaults: watchbench scenarios %s --yaml\n", strings.Join(names, " "))
	return err
}

// printScenarioFile prints a file of these scenarios, or of all.
func printScenarioFile(t *terminal, names []string) error {
	if len(names) == 0 {
		names = bench.ScenarioNames()
	}
	plan, err := bench.Settings{Scenarios: names}.Plan()
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(t.out, scenariofile.Write(plan))
	return err
}

// planOfFile is the plan of a scenario file, its settings overridden by the
// flags that were given.
func (f *loadFlags) planOfFile(flags bench.Settings) (plan bench.Plan, err error) {
	data, err := readScenarioFile(f.file)
	if err != nil {
		return plan, err
	}
	file, err := scenariofile.Parse(f.file, data)
	if err == nil && flags.Scenarios != nil {
		err = file.Only(flags.Scenarios)
	}
	if err != nil {
		return plan, misused("%v", err)
	}
	if file.Seed != nil && !f.set.Changed("seed") {
		flags.Seed = *file.Seed
	}
	if flags.Count == 0 {
		flags.Count = file.Count
	}
	plan, err = bench.PlanAll(file.Scenarios, func(s *bench.Settings) { override(s, flags) })
	var wrong *bench.SettingError
	if errors.As(err, &wrong) && !f.set.Changed(wrong.Setting) {
		err = misused("%s with these flags: %v", f.file, wrong)
	}
	return plan, err
}

// override sets what flags say.
func override(s *bench.Settings, flags bench.Settings) {
	s.Seed, s.Count = flags.Seed, flags.Count
	set(&s.Shape, flags.Shape)
	set(&s.Watchers, flags.Watchers)
	set(&s.Streams, flags.Streams)
	set(&s.Writers, flags.Writers)
	set(&s.Keys, flags.Keys)
	set(&s.ValueBytes, flags.ValueBytes)
	set(&s.History, flags.History)
	set(&s.Duration, flags.Duration)
	set(&s.Warmup, flags.Warmup)
	if flags.FullSpeed || flags.Rate != 0 {
		s.FullSpeed, s.Rate = flags.FullSpeed, flags.Rate
	}
}

func set[T comparable](to *T, flag T) {
	var none T
	if flag != none {
		*to = flag
	}
}
