package watchtest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/watch/watchtest"
)

var (
	guaranteeRow = regexp.MustCompile(`(?m)^\| ([A-Z]\d+) \| (.*) \| (etcd|ours) \| (.*) \|$`)
	testName     = regexp.MustCompile("`([a-z/_]+_test\\.go):(Test\\w+)`")
)

// The list of guarantees names every rule, with its class, and only tests
// that are there.
func TestRules_AreInTheGuarantees(t *testing.T) {
	root := filepath.Join("..", "..")
	doc, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)

	class, heldBy := map[string]string{}, map[string]string{}
	for _, row := range guaranteeRow.FindAllStringSubmatch(string(doc), -1) {
		assert.NotContains(t, class, row[1], "listed twice")
		class[row[1]], heldBy[row[1]] = row[3], row[4]
	}
	assert.Len(t, class, 74, "lines of the list")
	for _, rule := range watchtest.Rules() {
		assert.Contains(t, heldBy[rule.ID], "watchtest", rule.ID)
		assert.Equal(t, string(rule.Class), class[rule.ID], rule.ID)
	}
	for _, name := range testName.FindAllStringSubmatch(string(doc), -1) {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name[1])))
		if assert.NoError(t, err) {
			assert.Contains(t, string(source), "\nfunc "+name[2]+"(", name[1])
		}
	}
	for _, row := range guaranteeRow.FindAllStringSubmatch(string(doc), -1) {
		for _, script := range scripts(row[4]) {
			_, err := os.Stat(filepath.Join(root, "watch", "testdata", "script", script))
			assert.NoError(t, err, row[1])
		}
	}
}

// scripts are the step scripts that a cell names.
func scripts(cell string) []string {
	var out []string
	for _, part := range strings.Split(cell, ";") {
		if names, found := strings.CutPrefix(strings.TrimSpace(part), "script"); found {
			for _, name := range strings.Split(strings.TrimPrefix(names, "s"), ",") {
				out = append(out, strings.TrimSpace(name))
			}
		}
	}
	return out
}
