package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

//go:generate go run . reference ../../docs/watchd.md

// Between these lines docs/watchd.md is made from the table of settings.
const (
	referenceBegins = "<!-- made by go generate ./cmd/watchd -->\n"
	referenceEnds   = "<!-- end -->\n"
)

// newReference is how the reference of settings is made; for those who change
// the program.
func newReference(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "reference [FILE]", Hidden: true, Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, file []string) error {
			if len(file) == 0 {
				_, err := fmt.Fprint(out, reference())
				return err
			}
			page, err := os.ReadFile(file[0])
			if err != nil {
				return err
			}
			text, err := withReference(string(page))
			if err != nil {
				return err
			}
			return os.WriteFile(file[0], []byte(text), 0o644)
		},
	}
}

// withReference is a page with the reference in its place.
func withReference(page string) (string, error) {
	before, rest, ok := strings.Cut(page, referenceBegins)
	_, after, ended := strings.Cut(rest, referenceEnds)
	if !ok || !ended {
		return "", fmt.Errorf("the page lacks the lines %q and %q", referenceBegins, referenceEnds)
	}
	return before + referenceBegins + reference() + referenceEnds + after, nil
}

// reference is the table of settings for readers.
func reference() string {
	var b strings.Builder
	for _, group := range groupOrder {
		fmt.Fprintf(&b, "\n| %s | default | |\n|---|---|---|\n", group)
		for _, s := range settings() {
			if s.group == group {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", referenceName(s), tableCell(s.unset), tableCell(sentences(s)))
			}
		}
	}
	b.WriteString("\nOf etcd, accepted and ignored:\n\n| | why |\n|---|---|\n")
	for _, group := range why {
		var names []string
		for _, name := range strings.Fields(group.names) {
			if bare := strings.TrimRight(name, "!="); strings.HasSuffix(name, fileOnly) {
				names = append(names, "`"+bare+":`")
			} else {
				names = append(names, "`--"+bare+"`")
			}
		}
		fmt.Fprintf(&b, "| %s | %s |\n", strings.Join(names, " "), group.reason)
	}
	return b.String()
}

func referenceName(s setting) string {
	name := "`--" + strings.TrimSpace(s.name+" "+strings.ReplaceAll(s.word, "|", `\|`)) + "`"
	if s.origin == ofOurs {
		name += " +"
	}
	if s.key != "" {
		name += ", in a file `" + s.key + "`"
	}
	return name
}

func sentences(s setting) string {
	if s.more == "" {
		return s.text
	}
	return s.text + ". " + s.more
}

func tableCell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
