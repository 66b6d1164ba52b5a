package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// execute runs one command line, the program's name first, and returns the
// exit code. A mistake is one line on stderr.
func execute(t *terminal, args []string) int {
	root := newRoot(t, args)
	root.SetArgs(args[1:])
	err := root.Execute()
	if err == nil {
		return exitMeasured
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitUse, err.Error()}
	}
	if exit.text != "" {
		fmt.Fprintf(t.err, "watchbench: %s\n", exit.text)
	}
	return exit.code
}

func newRoot(t *terminal, args []string) *cobra.Command {
	root := &cobra.Command{
		Use: "watchbench", SilenceErrors: true, SilenceUsage: true, Version: versionLine(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(t.out, helpRoot(cmd))
			return err
		},
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			return misused("unknown command %q%s", given[0], didYouMeanOr(given[0], commandNames(cmd), "; all: watchbench help"))
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(flagMistake)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(t.out, helpOf(root, topCommand(cmd).Name())) })
	root.SetHelpCommand(newHelp(t))
	root.AddCommand(newRun(t, args), newCompare(t, args), newDiff(t), newMax(t, args), newVerify(t, args), newTop(t), newReport(t), newScenarios(t), newEnv(t), newVersion(t), newReference(t))
	root.InitDefaultHelpCmd()
	addCompletion(root, args[1:])
	return root
}

// topCommand is the command below the root that cmd belongs to.
func topCommand(cmd *cobra.Command) *cobra.Command {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd
}

func commandNames(root *cobra.Command) (names []string) {
	for _, cmd := range root.Commands() {
		if !cmd.Hidden {
			names = append(names, cmd.Name())
		}
	}
	return names
}

func didYouMeanOr(given string, known []string, otherwise string) string {
	if s := didYouMean(given, known); s != "" {
		return s
	}
	return otherwise
}

// flagMistake turns what the flag parser says into one line of ours.
func flagMistake(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var unknown *pflag.NotExistError
	var needs *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if len(name) == 1 {
			return misused("unknown flag -%s; all: watchbench help %s", name, cmd.Name())
		}
		if word := nearest(name, flagNames(cmd)); word != "" {
			return misused("unknown flag --%s; did you mean --%s?", name, word)
		}
		return misused("unknown flag --%s; all: watchbench help %s", name, cmd.Name())
	case errors.As(err, &needs):
		return misused("--%s needs a value; see watchbench help %s", needs.GetFlag().Name, cmd.Name())
	}
	return misused("%s", strings.ReplaceAll(err.Error(), "\n", " "))
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// noArguments refuses arguments of a command that takes none.
func noArguments(cmd *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	if cmd.Name() == "run" && slices.Contains(bench.ScenarioNames(), given[0]) {
		return misused("run takes no argument %q; a scenario is named by --scenario %s", given[0], given[0])
	}
	return misused("%s takes no argument %q", cmd.Name(), withoutLogin(given[0]))
}

func newHelp(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "help",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return helpTopics(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			topic := "watchbench"
			if len(args) > 0 {
				topic = args[0]
			}
			text := helpOf(cmd.Root(), topic)
			if text == "" {
				return misused("no help on %q%s", topic, didYouMeanOr(topic, helpTopics(cmd.Root()), "; all: watchbench help"))
			}
			_, err := fmt.Fprint(t.out, text)
			return err
		},
	}
}

func newVersion(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "version", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(t.out, versionLine())
			return err
		},
	}
}

// positive reads a count of at least 1.
func positive(text string) (int64, error) {
	n, err := figure.ParseCount(text)
	if err == nil && n < 1 {
		err = errors.New("at least 1 is needed")
	}
	return n, err
}
