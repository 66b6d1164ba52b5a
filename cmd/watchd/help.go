package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	helpWidth  = 100
	textColumn = 41 // where a line of help has its text, and then what holds without it
)

const helpAbout = `watchd serves the etcd v3 API on the engine you choose.
  watchd --backend pebble --data-dir DIR     on http://localhost:2379, for every client of etcd
`

const helpNotes = `Flags are --flag VALUE or --flag=VALUE; -flag is taken too. Each has a variable: --data-dir is
ETCD_DATA_DIR; those that etcd does not have (marked +) are WATCHD_... instead. Sizes are bytes, or
1MiB. What holds without a flag stands in brackets.
Read on: docs/watchd.md
`

// helpOf is the help of a command.
func helpOf(cmd *cobra.Command) string {
	if cmd.HasParent() {
		return helpCommand(cmd)
	}
	var b strings.Builder
	b.WriteString(helpAbout + "Commands\n")
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			fmt.Fprintf(&b, "  %-12s %s\n", c.Name(), c.Short)
		}
	}
	byGroup := map[string][]setting{}
	for _, s := range settings() {
		byGroup[s.group] = append(byGroup[s.group], s)
	}
	for _, group := range groupOrder {
		b.WriteString(group + "\n")
		for _, s := range byGroup[group] {
			writeSetting(&b, s)
		}
	}
	var names []string
	for _, s := range byGroup[groupIgnored] {
		if s.word != fileOnly {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	b.WriteString("Taken from etcd's command line and ignored, with a line in the log\n")
	b.WriteString(wrap(strings.Join(names, " "), helpWidth-2, "  "))
	b.WriteString(helpNotes)
	return b.String()
}

func writeSetting(b *strings.Builder, s setting) {
	mark := " "
	if s.origin == ofOurs {
		mark = "+"
	}
	left := strings.TrimRight(" "+mark+"--"+s.name+" "+s.word, " ")
	if utf8.RuneCountInString(left) >= textColumn {
		b.WriteString(left + "\n")
		left = ""
	}
	line := pad(left, textColumn) + s.text
	if s.unset != "" {
		line += " (" + s.unset + ")"
	}
	b.WriteString(line + "\n")
}

// helpCommand is the help of a command below the root, from what it says of
// itself.
func helpCommand(cmd *cobra.Command) string {
	var b strings.Builder
	about := cmd.Long
	if about == "" {
		about = cmd.Short
	}
	b.WriteString(strings.TrimSpace(about) + "\n")
	b.WriteString("usage: " + cmd.UseLine() + "\n")
	if cmd.HasExample() {
		b.WriteString(strings.TrimRight(cmd.Example, "\n") + "\n")
	}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			fmt.Fprintf(&b, "  %-12s %s\n", c.Name(), c.Short)
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		word, text := pflag.UnquoteUsage(f)
		line := pad(strings.TrimRight("  --"+f.Name+" "+word, " "), textColumn) + text
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			line += " (" + f.DefValue + ")"
		}
		b.WriteString(line + "\n")
	})
	return b.String()
}

// pad fills text with blanks, at least one, up to a column.
func pad(text string, column int) string {
	return text + strings.Repeat(" ", max(1, column-utf8.RuneCountInString(text)))
}

// wrap breaks words into lines of at most width columns, each after indent.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			b.WriteString(indent + line + "\n")
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		b.WriteString(indent + line + "\n")
	}
	return b.String()
}
