package arch

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unseen are promises that no client can see kept or broken, and why.
var unseen = map[string]string{
	"P3": "how often the store is read for a previous value does not show in an answer",
}

// Every promise of docs/guarantees.md is named in a comment of a test that asks
// a server over the wire: of package server, or of the daemon from outside.
func TestGuarantees_EachOverTheWire(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	var numbers []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \|`).FindAllStringSubmatch(string(page), -1) {
		numbers = append(numbers, row[1])
	}
	require.Greater(t, len(numbers), 70)

	named := map[string]bool{}
	number := regexp.MustCompile(`\b[A-Z]\d+\b`)
	for _, pattern := range []string{"server/*_test.go", "peers/*/*_test.go"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			f, err := os.Open(file)
			require.NoError(t, err)
			for lines := bufio.NewScanner(f); lines.Scan(); {
				if _, comment, ok := strings.Cut(lines.Text(), "//"); ok {
					for _, n := range number.FindAllString(comment, -1) {
						named[n] = true
					}
				}
			}
			require.NoError(t, f.Close())
		}
	}
	for _, n := range numbers {
		if unseen[n] == "" && !named[n] {
			t.Errorf("no test over the wire names %s of docs/guarantees.md", n)
		}
	}
	for n := range unseen {
		require.Contains(t, numbers, n)
	}
}
