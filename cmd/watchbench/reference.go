package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
)

//go:generate go run . reference ../../docs/reference.md

// newReference is how the reference page is made; for those who change the
// program.
func newReference(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "reference", Hidden: true, Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, file []string) (err error) {
			page := referencePage(cmd.Root())
			if len(file) == 0 {
				_, err = fmt.Fprint(t.rawOut, page)
				return err
			}
			return os.WriteFile(file[0], []byte(page), 0o644)
		},
	}
}

// referencePage is docs/reference.md.
func referencePage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Reference of watchbench

Made by ` + "`go generate ./cmd/watchbench`" + ` from what ` + "`watchbench help`" + ` is made from. How things are measured:
[watchbench.md](watchbench.md). For the first time: [tutorial.md](tutorial.md).

Counts take ` + "`5k` and `1M`, sizes `256`, `4KiB` and `1MiB` (`KB` and `MB` are decimal), times `500ms`, `10s` and `1m30s`" + `.
Lists are separated by commas. The last one counts of a flag that is given twice.

| command | |
|---|---|
`)
	var commands []*cobra.Command
	for _, t := range commandTopics {
		if cmd := commandNamed(root, t.name); cmd != nil {
			commands = append(commands, cmd)
			fmt.Fprintf(&b, "| [%s](#%s) | %s |\n", t.name, t.name, t.brief)
		}
	}
	for _, cmd := range commands {
		referenceCommand(&b, cmd, topicOf(cmd.Name()))
	}
	b.WriteString("\n## Metrics\nNames in results. Gates and objectives leave out `_ns`, `_bytes` and `_ratio` where the name is clear without:\n`notify.p99`, but `catchup.events_per_s`.\n\n| metric | |\n|---|---|\n")
	for _, m := range bench.Metrics() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.Name, tableCell(m.Text))
	}
	b.WriteString("\n## Words\n")
	for _, w := range bench.Words() {
		fmt.Fprintf(&b, "- **%s**: %s\n", w.Name, w.Text)
	}
	return b.String()
}

func referenceCommand(b *strings.Builder, cmd *cobra.Command, t topic) {
	fmt.Fprintf(b, "\n## %s\n%s\n\n```\n", t.name, t.about)
	groups, byGroup, _ := optionsOf(cmd)
	line := "watchbench " + t.name
	if t.use != "" {
		line += " " + t.use
	}
	if len(groups) > 0 {
		line += " [flags]"
	}
	b.WriteString("usage: " + line + "\n")
	for _, e := range t.examples {
		line := e.line
		if e.what != "" {
			line += "   # " + e.what
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("```\n")
	for _, group := range groups {
		fmt.Fprintf(b, "\n| %s | default | |\n|---|---|---|\n", strings.ToLower(group))
		for _, o := range byGroup[group] {
			fmt.Fprintf(b, "| `%s` | %s | %s |\n", referenceName(o), tableCell(o.unset), tableCell(sentences(o.text, o.more)))
		}
	}
	if t.notes != "" {
		b.WriteString("\n")
	}
	for note := range strings.Lines(t.notes) {
		fmt.Fprintf(b, "- %s\n", strings.TrimSpace(note))
	}
}

// referenceName is a flag as it is typed.
func referenceName(o option) string {
	name := "--" + o.name
	if o.short != "" {
		name = "-" + o.short + ", " + name
	}
	return strings.ReplaceAll(strings.TrimSpace(name+" "+o.word), "|", `\|`)
}

func sentences(text, more string) string {
	if text != "" && more != "" {
		text += ". "
	}
	return text + more
}

func tableCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
