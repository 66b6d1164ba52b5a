package main

import "github.com/spf13/cobra"

// addCompletion adds the command that prints what a shell needs, and tells
// every command what its flags take.
func addCompletion(root *cobra.Command, args []string) {
	root.InitDefaultCompletionCmd(args...)
	for _, cmd := range root.Commands() {
		completeFlags(cmd)
		t := topicOf(cmd.Name())
		cmd.Short = t.brief
		if t.files {
			cmd.ValidArgsFunction = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
			}
		} else if cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		if cmd.Name() == "completion" {
			cmd.Args = func(_ *cobra.Command, given []string) error {
				if len(given) == 0 {
					return misused("completion needs a shell: bash, zsh, fish or powershell")
				}
				return misused("completion for %q: unknown shell; one of bash, zsh, fish, powershell", given[0])
			}
			cmd.RunE = func(*cobra.Command, []string) error { return nil }
		}
	}
}
