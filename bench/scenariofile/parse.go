package scenariofile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
	"go.yaml.in/yaml/v3"

	"github.com/watchkv/watchkv/bench"
)

// MaxBytes is the largest file that is read.
const MaxBytes = 1 << 20

// MaxScenarios is how many scenarios a file may have.
const MaxScenarios = 1000

// File is a scenario file.
type File struct {
	Name string
	// Seed and Count are nil and 0 where the file does not say.
	Seed  *uint64
	Count int
	// Scenarios has an entry for each of the file's, with one name.
	Scenarios []bench.Settings

	lines []map[string]int // by scenario: the line of each setting, and of "name"
}

// Error says what is wrong with a file, and where.
type Error struct {
	File string
	Line int // 0 if it is no single line
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Parse reads a file; name is for messages. Every error is an *Error.
func Parse(name string, data []byte) (*File, error) {
	if len(data) > MaxBytes {
		return nil, &Error{name, 0, fmt.Sprintf("%d bytes are no scenario file; at most %d are read", len(data), MaxBytes)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Error{name, 0, "is empty; watchbench scenarios NAME --yaml prints a whole one"}
	case err != nil:
		return nil, syntax(name, err)
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, &Error{name, more.Line, "a second document; several scenarios are entries of one list"}
	case !errors.Is(err, io.EOF):
		return nil, syntax(name, err)
	}
	p := &parser{file: &File{Name: name}}
	if err := p.document(&doc); err != nil {
		return nil, err
	}
	if err := p.file.check(); err != nil {
		return nil, err
	}
	return p.file, nil
}

var lineOf = regexp.MustCompile(`line (\d+): `)

// syntax is what the YAML reader says, with the line in front.
func syntax(name string, err error) error {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", " "), "yaml: ")
	line := 0
	if at := lineOf.FindStringSubmatch(text); at != nil {
		line, _ = strconv.Atoi(at[1])
		text = strings.Replace(text, at[0], "", 1)
	}
	return &Error{name, line, "not YAML: " + text}
}

type parser struct{ file *File }

func (p *parser) wrong(n *yaml.Node, format string, args ...any) error {
	for i, arg := range args {
		if text, ok := arg.(string); ok && len(text) > longest {
			args[i] = text[:longest] + "..."
		}
	}
	return &Error{p.file.Name, n.Line, fmt.Sprintf(format, args...)}
}

// longest is how much of a text a message repeats.
const longest = 400

// document is the file's own settings and its list of scenarios.
func (p *parser) document(doc *yaml.Node) error {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return &Error{p.file.Name, 0, "is empty; watchbench scenarios NAME --yaml prints a whole one"}
	}
	found := false
	err := p.mapping(doc.Content[0], "the file", []string{"seed", "count", "scenarios"}, func(key string, value *yaml.Node) (err error) {
		switch key {
		case "seed":
			var seed uint64
			if seed, err = strconv.ParseUint(value.Value, 10, 64); err != nil || value.Kind != yaml.ScalarNode {
				return p.wrong(value, "seed: %q: not a whole number from 0 to 18446744073709551615", value.Value)
			}
			p.file.Seed = &seed
		case "count":
			n, err := positive(value.Value)
			if err != nil || value.Kind != yaml.ScalarNode {
				return p.wrong(value, "count: %q: not a count; write 6", value.Value)
			}
			p.file.Count = int(n)
		case "scenarios":
			found = true
			return p.scenarios(value)
		}
		return nil
	})
	if err == nil && !found {
		err = p.wrong(doc.Content[0], "scenarios is missing: a list, each with a name")
	}
	return err
}

func (p *parser) scenarios(list *yaml.Node) error {
	switch {
	case list.Kind != yaml.SequenceNode:
		return p.wrong(list, "scenarios: %s; a list is needed, each entry begins with - name:", kindOf(list))
	case len(list.Content) == 0:
		return p.wrong(list, "scenarios: the list is empty")
	case len(list.Content) > MaxScenarios:
		return p.wrong(list, "scenarios: %d are too many; at most %d", len(list.Content), MaxScenarios)
	}
	for _, entry := range list.Content {
		if err := p.scenario(entry); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) scenario(entry *yaml.Node) error {
	known := []string{"name"}
	for _, f := range fields {
		known = append(known, f.name)
	}
	var s bench.Settings
	lines := map[string]int{}
	err := p.mapping(entry, "a scenario", known, func(key string, value *yaml.Node) error {
		lines[key] = value.Line
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return p.wrong(value, "%s: %s; one value is needed", key, kindOf(value))
		}
		if key == "name" {
			if !slices.Contains(bench.ScenarioNames(), value.Value) {
				return p.wrong(value, "name: %q: unknown%s", value.Value, suggest(value.Value, bench.ScenarioNames(), "watchbench scenarios lists all"))
			}
			s.Scenarios = []string{value.Value}
			return nil
		}
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == key })
		if err := fields[i].set(&s, value.Value); err != nil {
			return p.wrong(value, "%s: %q: %v", key, value.Value, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case s.Scenarios == nil:
		return p.wrong(entry, "name is missing: which scenario is it?")
	}
	lines[""] = entry.Line
	p.file.Scenarios, p.file.lines = append(p.file.Scenarios, s), append(p.file.lines, lines)
	return nil
}

// mapping calls each for every entry of a mapping, all of known names and none
// twice.
func (p *parser) mapping(n *yaml.Node, what string, known []string, each func(key string, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return p.wrong(n, "%s is %s; NAME: VALUE is needed", what, kindOf(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
			return p.wrong(key, "%q: unknown field%s", key.Value, suggest(key.Value, known, "known are "+strings.Join(known, ", ")))
		case seen[key.Value]:
			return p.wrong(key, "%s comes twice", key.Value)
		}
		seen[key.Value] = true
		if err := each(key.Value, value); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null":
		return "nothing"
	}
	if text := []rune(n.Value); len(text) > 40 {
		return fmt.Sprintf("%q...", string(text[:40]))
	}
	return fmt.Sprintf("%q", n.Value)
}

// suggest ends a sentence with the nearest right word, or with otherwise.
func suggest(given string, known []string, otherwise string) string {
	best, distance := "", 3
	for _, word := range known {
		if len(given) > 2*len(word) {
			continue
		}
		if d := levenshtein.Distance(given, word, nil); d < distance {
			best, distance = word, d
		}
	}
	if best == "" {
		return "; " + otherwise
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// check refuses what only shows when defaults are filled in, with its line.
func (f *File) check() error {
	for i, s := range f.Scenarios {
		if _, err := s.Plan(); err != nil {
			return f.located(i, err)
		}
	}
	return nil
}

// located is an error of scenario i with the line of the setting it is about.
func (f *File) located(i int, err error) error {
	var wrong *bench.SettingError
	if !errors.As(err, &wrong) {
		return &Error{f.Name, f.lines[i][""], err.Error()}
	}
	line, ok := f.lines[i][wrong.Setting]
	if !ok {
		line = f.lines[i][""]
	}
	return &Error{f.Name, line, wrong.Error()}
}

// Only keeps the scenarios of these names; an error says which is not there.
func (f *File) Only(names []string) error {
	var scenarios []bench.Settings
	var lines []map[string]int
	for i, s := range f.Scenarios {
		if slices.Contains(names, s.Scenarios[0]) {
			scenarios, lines = append(scenarios, s), append(lines, f.lines[i])
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(scenarios, func(s bench.Settings) bool { return s.Scenarios[0] == name }) {
			return &Error{f.Name, 0, "has no scenario " + name}
		}
	}
	f.Scenarios, f.lines = scenarios, lines
	return nil
}
