package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/bench"
)

// helpWidth is how many columns a help text may take.
const helpWidth = 100

// helpOf is the text on a topic, "" if there is none.
func helpOf(root *cobra.Command, name string) string {
	if name == root.Name() {
		return helpRoot(root)
	}
	if matter, ok := matters[name]; ok {
		return matter()
	}
	for _, t := range commandTopics {
		if cmd := commandNamed(root, t.name); cmd != nil && t.name == name {
			return helpCommand(cmd, t)
		}
	}
	return ""
}

// helpTopics are the names that helpOf knows.
func helpTopics(root *cobra.Command) []string {
	topics := []string{root.Name()}
	for name := range matters {
		topics = append(topics, name)
	}
	for _, t := range commandTopics {
		if commandNamed(root, t.name) != nil {
			topics = append(topics, t.name)
		}
	}
	slices.Sort(topics)
	return topics
}

// commandNamed returns a command of the program, nil if there is none.
func commandNamed(root *cobra.Command, name string) *cobra.Command {
	for _, cmd := range root.Commands() {
		if cmd.Name() == name {
			return cmd
		}
	}
	return nil
}

func topicOf(name string) topic {
	for _, t := range commandTopics {
		if t.name == name {
			return t
		}
	}
	return topic{name: name}
}

func helpRoot(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(helpAbout + "\n")
	writeExamples(&b, helpExamples)
	b.WriteString("Commands\n")
	var cells []string
	for _, t := range commandTopics {
		if commandNamed(root, t.name) != nil {
			cells = append(cells, fmt.Sprintf("  %-10s %s", t.name, t.brief))
		}
	}
	half := (len(cells) + 1) / 2
	for i, cell := range cells[:half] {
		if half+i < len(cells) {
			cell = pad(cell, helpWidth/2) + cells[half+i]
		}
		b.WriteString(strings.TrimRight(cell, " ") + "\n")
	}
	b.WriteString(helpReadOn + "\n")
	return b.String()
}

func helpCommand(cmd *cobra.Command, t topic) string {
	var b strings.Builder
	b.WriteString(wrap(t.about, helpWidth, ""))
	writeExamples(&b, t.examples)
	groups, options, _ := optionsOf(cmd)
	for i, group := range groups {
		heading := group
		if i == 0 && slices.ContainsFunc(options[group], func(o option) bool { return o.unset != "" }) && !paired(options[group]) {
			heading = pad(heading, defaultColumn) + "default"
		}
		b.WriteString(heading + "\n")
		writeOptions(&b, options[group])
	}
	for note := range strings.SplitSeq(t.notes, "\n") {
		b.WriteString(wrap(note, helpWidth, ""))
	}
	return b.String()
}

func writeExamples(b *strings.Builder, examples []example) {
	widest := 0
	for _, e := range examples {
		if n := utf8.RuneCountInString(e.line); e.what != "" && n < 60 {
			widest = max(widest, n)
		}
	}
	for _, e := range examples {
		line := "  " + e.line
		if e.what != "" {
			line = pad(line+" ", widest+5) // two blanks part it from a long command
			if utf8.RuneCountInString(line+e.what) > helpWidth {
				line, e.what = line+"\n", strings.Repeat(" ", 6)+e.what
			}
			line += e.what
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

const (
	defaultColumn = 76 // where a line of its own has the default
	textColumn    = 41 // and its text
	cellText      = 23 // the same in a line of two
)

// paired tells whether options are short enough for two in a line.
func paired(list []option) bool {
	short := 0
	for _, o := range list {
		if cell(o) != "" {
			short++
		}
	}
	return short > len(list)*3/4
}

// cell is an option in half a line, "" if it does not fit.
func cell(o option) string {
	line := left(o)
	if right := strings.TrimSpace(o.text + " " + o.unset); right != "" {
		line = pad(line, cellText) + " " + right
	}
	if utf8.RuneCountInString(line) >= helpWidth/2 || utf8.RuneCountInString(left(o)) > cellText && o.text+o.unset != "" {
		return ""
	}
	return line
}

// left is what is typed: both names and the word for the value.
func left(o option) string {
	short := "    "
	if o.short != "" {
		short = "-" + o.short + ", "
	}
	return strings.TrimRight("  "+short+"--"+o.name+" "+o.word, " ")
}

func writeOptions(b *strings.Builder, list []option) {
	if paired(list) {
		for len(list) > 0 {
			line := cell(list[0])
			switch {
			case line == "":
				writeOption(b, list[0])
			case len(list) > 1 && cell(list[1]) != "":
				b.WriteString(strings.TrimRight(pad(line, helpWidth/2)+cell(list[1])[1:], " ") + "\n")
				list = list[1:]
			default:
				b.WriteString(line + "\n")
			}
			list = list[1:]
		}
		return
	}
	for _, o := range list {
		writeOption(b, o)
	}
}

func writeOption(b *strings.Builder, o option) {
	line := pad(left(o), textColumn) + o.text
	if o.unset != "" {
		line = pad(line, defaultColumn) + o.unset
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// pad fills text with blanks, at least one, up to a column.
func pad(text string, column int) string {
	return text + strings.Repeat(" ", max(1, column-utf8.RuneCountInString(text)))
}

// wrap breaks text into lines of at most width columns; the second and later
// begin with indent. No text is no line.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	if line != "" {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// matters are the topics that are no commands.
var matters = map[string]func() string{
	"words":   func() string { return bench.WordsText(helpWidth) },
	"metrics": helpMetrics,
}

func helpMetrics() string {
	var b strings.Builder
	b.WriteString("Metrics of a result. The unit ends the name; --gate and --slo leave out _ns, _bytes and _ratio where\n" +
		"the name is clear without: notify.p99. What was not measured is told in not_measured.\n")
	for _, m := range bench.Metrics() {
		fmt.Fprintf(&b, "  %-30s %s\n", m.Name, m.Text)
	}
	return b.String()
}
