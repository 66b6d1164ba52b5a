package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// keptResults is how many results of runs without --json are remembered.
const keptResults = 10

// writable is a result or a comparison.
type writable interface{ WriteFile(path string) error }

// keptName is the form of the names of kept results; nothing else in their
// directory is touched. Names sort by their time.
var keptName = regexp.MustCompile(`^\d{8}T\d{6}Z-[a-z0-9.+-]+\.json$`)

// keptDir is where they are: the user's cache directory.
func keptDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "watchbench"), nil
}

// keep remembers a document among the last ten. about are the words of its
// name after the time.
func keep(started time.Time, about []string, document writable) error {
	dir, err := keptDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := documentName(started, about...)
	base := strings.TrimSuffix(name, ".json")
	for n := 2; fileKind(filepath.Join(dir, name)) != ""; n++ { // of the same second
		name = base + "+" + strconv.Itoa(n) + ".json"
	}
	if err := document.WriteFile(filepath.Join(dir, name)); err != nil {
		return err
	}
	names, err := kept(dir)
	for ; err == nil && len(names) > keptResults; names = names[1:] {
		if err = os.Remove(filepath.Join(dir, names[0])); errors.Is(err, fs.ErrNotExist) {
			err = nil // another run was faster
		}
	}
	return err
}

// kept lists the names of kept results, the oldest first.
func kept(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if keptName.MatchString(entry.Name()) && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		// "...Z-x.json" came before "...Z-x+2.json".
		return cmp.Or(cmp.Compare(a[:16], b[:16]), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return names, err
}

// latestKept is the newest kept result and how many there are; an empty path
// is none.
func latestKept() (path string, count int, err error) {
	dir, err := keptDir()
	if err != nil {
		return "", 0, err
	}
	names, err := kept(dir)
	if err != nil || len(names) == 0 {
		return "", 0, err
	}
	return filepath.Join(dir, names[len(names)-1]), len(names), nil
}

var unnameable = regexp.MustCompile(`[^a-z0-9.]+`)

// documentName is the name we choose for a file: its time, then words.
func documentName(started time.Time, about ...string) string {
	words := []string{started.UTC().Format("20060102T150405Z")}
	for _, word := range about {
		if word = strings.Trim(unnameable.ReplaceAllString(strings.ToLower(word), "-"), "-"); word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, "-") + ".json"
}

// aboutResult are the words of a result's name: target, scenarios, seed.
func aboutResult(res *bench.Result) []string {
	scenarios := "multi"
	if names := scenariosOf(res.Plan); len(names) == 1 {
		scenarios = names[0]
	}
	return []string{res.Target.Name(), scenarios, fmt.Sprint(res.Plan.Seed)}
}

// scenariosOf lists the names of a plan's scenarios, each once.
func scenariosOf(plan bench.Plan) (names []string) {
	for _, sc := range plan.Scenarios {
		if !slices.Contains(names, sc.Name) {
			names = append(names, sc.Name)
		}
	}
	return names
}

// keep remembers a result where no --json asks for it. That it could not be
// is a line and no more: the figures stand in the terminal.
func (m *measuring) keep(started time.Time, about []string, document writable) {
	if m.output.json != "" || m.output.noKeep {
		return
	}
	if err := keep(started, about, document); err != nil {
		fmt.Fprintf(m.term.err, "not kept for 'watchbench report': %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
