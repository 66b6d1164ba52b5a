package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot makes the commands; what they answer goes to out.
func newRoot(out io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use: "watchd", SilenceErrors: true, SilenceUsage: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return misused("unknown command %q%s", args[0], didYouMeanOr(args[0], commandNames(cmd), "; all: watchd help"))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if show, err := cmd.Flags().GetBool("version"); show || err != nil {
				return writeVersion(out)
			}
			return start(cmd.Context(), cmd.Flags(), os.Environ())
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	addFlags(root.Flags())
	root.Flags().Bool("version", false, "print the versions")
	root.SetOut(out)
	root.SetErr(os.Stderr)
	root.SetFlagErrorFunc(flagMistake)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(out, helpOf(cmd)) })
	root.SetHelpCommand(newHelp(out))
	root.AddCommand(newMigrate(out), newSnapshot(out), newVerify(out), newVersion(out), newReference(out))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "what a shell needs to complete what is typed"
		completion.Long = "Print what a shell needs to complete what is typed: source <(watchd completion bash)."
		completion.Args = func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misused("completion needs a shell: bash, zsh, fish or powershell")
			}
			return misused("completion for %q: unknown shell; one of bash, zsh, fish, powershell", args[0])
		}
		completion.RunE = func(*cobra.Command, []string) error { return nil }
		for _, shell := range completion.Commands() {
			shell.Short = "for " + shell.Name()
		}
	}
	completeFlags(root)
	return root
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
	var unknown *pflag.NotExistError
	var needs *pflag.ValueRequiredError
	help := strings.Replace("watchd help "+strings.TrimPrefix(cmd.CommandPath(), "watchd"), "  ", " ", 1)
	help = strings.TrimSpace(help)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if len(name) == 1 {
			return misused("unknown flag -%s; all: %s", name, help)
		}
		if stable, ok := strings.CutPrefix(name, "experimental-"); ok && cmd.Flags().Lookup(stable) != nil {
			return misused("unknown flag --%s; etcd 3.7 has it as --%s", name, stable)
		}
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if word := nearest(name, known); word != "" {
			return misused("unknown flag --%s; did you mean --%s?", name, word)
		}
		return misused("unknown flag --%s; all: %s", name, help)
	case errors.As(err, &needs):
		return misused("--%s needs a value; see %s", needs.GetFlag().Name, help)
	}
	return misused("%s", strings.ReplaceAll(err.Error(), "\n", " "))
}

func newHelp(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND...]", Short: "what a command does and takes",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 || about.Hidden {
				return misused("no help on %q%s", strings.Join(args, " "), didYouMeanOr(strings.Join(args, " "), commandNames(cmd.Root()), "; all: watchd help"))
			}
			_, err = fmt.Fprint(out, helpOf(about))
			return err
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return commandNames(cmd.Root()), cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// completeFlags tells the shell what the values of the flags may be.
func completeFlags(root *cobra.Command) {
	root.Flags().VisitAll(func(f *pflag.Flag) {
		v, ok := f.Value.(*flagValue)
		if !ok {
			return
		}
		// Fails only for a flag that the command does not have.
		_ = root.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			switch s := v.setting; {
			case s.word == "DIR":
				return nil, cobra.ShellCompDirectiveFilterDirs
			case s.word == "FILE":
				return nil, cobra.ShellCompDirectiveDefault
			default:
				return s.values, cobra.ShellCompDirectiveNoFileComp
			}
		})
	})
}
