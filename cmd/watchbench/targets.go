package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
)

// targetSubject reads a target as compare takes them: an engine, with its
// durability after a slash, or the address of a server, which is connected to
// and must be released.
func targetSubject(ctx context.Context, text string, server *serverFlags, t *terminal) (subject, error) {
	if isServer(text) {
		return server.connect(ctx, t, "target", text)
	}
	engine, durability, given := strings.Cut(text, "/")
	if !given {
		durability = "sync"
	}
	if _, err := durabilityOf(durability); err != nil {
		return nil, misused("target %q: durability unknown; %s/sync, or %s/relaxed:100ms with the most a crash may lose", text, engine, engine)
	}
	k, err := embeddedOf("target", engine, durability)
	if err != nil {
		return nil, err
	}
	return &engineSubject{kind: k}, nil
}

// isServer reports a target that is no engine: an address, even if its scheme
// was forgotten before a user's name.
func isServer(text string) bool { return strings.Contains(text, "://") || strings.Contains(text, "@") }

// completeTargets tells the shell which targets there are.
func completeTargets(*cobra.Command, []string, string) (all []string, _ cobra.ShellCompDirective) {
	for _, name := range engineNames() {
		all = append(all, name, name+"/relaxed")
	}
	return append(all, "etcd://"), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
