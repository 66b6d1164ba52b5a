package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/internal/examples"
)

func testRoot() *cobra.Command {
	return newRoot(&terminal{out: io.Discard, err: io.Discard, rawOut: io.Discard}, []string{"watchbench"})
}

func shownCommands(root *cobra.Command) (shown []*cobra.Command) {
	for _, cmd := range root.Commands() {
		if !cmd.Hidden {
			shown = append(shown, cmd)
		}
	}
	return shown
}

// Every command is in the list of commands and has a help; so has every flag,
// there and in the reference page.
func TestHelp_TellsEveryFlag(t *testing.T) {
	root := testRoot()
	list, reference := helpOf(root, "watchbench"), referencePage(root)
	for _, cmd := range shownCommands(root) {
		assert.Regexp(t, `(?m)\b`+cmd.Name()+` +\w`, list, "add it to commandTopics")
		help := helpOf(root, cmd.Name())
		if !assert.NotEmpty(t, help, "add %s to commandTopics", cmd.Name()) {
			continue
		}
		_, section, found := strings.Cut(reference, "\n## "+cmd.Name()+"\n")
		require.True(t, found)
		section, _, _ = strings.Cut(section, "\n## ")
		_, _, bare := optionsOf(cmd)
		assert.Empty(t, bare, "%s: define these by options.text, texts or on, so that they are described", cmd.Name())
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" || f.Name == "version" || f.Hidden {
				return
			}
			assert.Contains(t, help, "--"+f.Name, "help %s", cmd.Name())
			assert.Contains(t, section, "--"+f.Name, "docs/reference.md, %s", cmd.Name())
			if f.Shorthand != "" {
				assert.Contains(t, help, "-"+f.Shorthand+", --"+f.Name)
			}
		})
	}
}

var flagWord = regexp.MustCompile(`(?:^|[\s(|·,])(--?[a-z][a-z-]*)`)

// A flag that a help text names exists: that of an example in its command,
// others somewhere.
func TestHelp_FlagsExist(t *testing.T) {
	root := testRoot()
	for _, topic := range helpTopics(root) {
		for line := range strings.Lines(helpOf(root, topic)) {
			in := root.Commands()
			if typed, ok := strings.CutPrefix(line, "  watchbench "); ok {
				cmd := commandNamed(root, strings.Fields(typed)[0])
				require.NotNil(t, cmd, "help %s: %s", topic, line)
				in = []*cobra.Command{cmd}
			}
			for _, m := range flagWord.FindAllStringSubmatch(line, -1) {
				assert.True(t, anyHas(in, m[1]), "help %s: %s in: %s", topic, m[1], line)
			}
		}
	}
}

func anyHas(commands []*cobra.Command, flag string) bool {
	for _, cmd := range commands {
		name, long := strings.CutPrefix(flag, "--")
		if long && cmd.Flags().Lookup(name) != nil || len(flag) == 2 && cmd.Flags().ShorthandLookup(flag[1:]) != nil {
			return true
		}
	}
	return false
}

func TestHelp_Fits(t *testing.T) {
	root := testRoot()
	for _, topic := range helpTopics(root) {
		text := helpOf(root, topic)
		assert.NotEmpty(t, text, topic)
		for line := range strings.Lines(text) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), helpWidth, "help %s: %s", topic, line)
			assert.Equal(t, strings.TrimRight(line, " \n"), strings.TrimSuffix(line, "\n"), "help %s: blanks at the end", topic)
		}
	}
}

// docs/reference.md is what the program would write.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference.md")
	require.NoError(t, err)
	want, got := strings.Split(referencePage(testRoot()), "\n"), strings.Split(string(page), "\n")
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i], "line %d; run go generate ./cmd/watchbench", i+1)
	}
	require.Len(t, got, len(want), "run go generate ./cmd/watchbench")
	assert.NotEmpty(t, examples.Find("docs/reference.md", string(page)))
}
