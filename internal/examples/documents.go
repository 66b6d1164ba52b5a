package examples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Document is what has examples: a file or a help text.
type Document struct {
	Name     string
	Examples []Example
}

// Documents reads every document of the repository, and the help texts that
// the built programs print.
func Documents(repo string, programs Programs) (all []Document, err error) {
	files, err := filepath.Glob(filepath.Join(repo, "docs", "*.md"))
	if err != nil {
		return nil, err
	}
	files = slices.Concat([]string{filepath.Join(repo, "README.md")}, files, []string{filepath.Join(repo, "peers", "README.md")})
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name, err := filepath.Rel(repo, file)
		if err != nil {
			return nil, err
		}
		all = append(all, Document{name, Find(filepath.ToSlash(name), string(text))})
	}
	for _, program := range []string{programs.Watchbench, programs.Watchd} {
		help, err := helpDocument(program)
		if err != nil {
			return nil, err
		}
		all = append(all, help)
	}
	return all, nil
}

// helpDocument is all the help of a program.
func helpDocument(program string) (Document, error) {
	name := filepath.Base(program)
	help := Document{Name: name + " help"}
	topics, err := HelpTopics(program)
	if err != nil {
		return help, err
	}
	for _, topic := range append(topics, "") {
		args := append([]string{"help"}, strings.Fields(topic)...)
		text, err := exec.Command(program, args...).Output()
		if err != nil {
			return help, fmt.Errorf("%s help %s: %w", name, topic, err)
		}
		help.Examples = append(help.Examples, FindInHelp(name, topic, string(text))...)
	}
	return help, nil
}

// HelpTopics asks a program for what it has help on.
func HelpTopics(program string) (topics []string, err error) {
	out, err := exec.Command(program, "__complete", "help", "").Output()
	if err != nil {
		return nil, fmt.Errorf("%s __complete help: %w", filepath.Base(program), err)
	}
	for line := range strings.Lines(string(out)) {
		if topic, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); topic != "" && !strings.HasPrefix(topic, ":") {
			topics = append(topics, topic)
		}
	}
	return topics, nil
}

var allSteps = regexp.MustCompile(`(?m)^all_steps=\(([^)]*)\)`)

// CheckNowhere checks what can be checked of a command that is not run: that
// it exists.
func CheckNowhere(e Example, r Rule, repo string, programs Programs) error {
	switch r.Where {
	case Mention:
		program, words := programs.Watchbench, strings.Fields(e.Text)
		if words[0] == "watchd" {
			program = programs.Watchd
		}
		if out, err := exec.Command(program, append([]string{"help"}, words[1:]...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: no such command: %s", e, out)
		}
	case Steps:
		script, err := os.ReadFile(filepath.Join(repo, ".ci", "run"))
		if err != nil {
			return err
		}
		m := allSteps.FindSubmatch(script)
		if m == nil {
			return fmt.Errorf(".ci/run has no line all_steps")
		}
		command, _, _ := strings.Cut(e.Text, "#")
		for _, word := range strings.Fields(command)[1:] {
			if word != "full" && !slices.Contains(strings.Fields(string(m[1])), word) {
				return fmt.Errorf("%s: no step %q", e, word)
			}
		}
	default:
		if r.Why == "" {
			return fmt.Errorf("%s: the rule that it is not run has no reason", e)
		}
	}
	return nil
}
