package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/bench"
)

// keptResults is how many results of runs without --json are remembered.
const keptResults = 10

// writable is a result or a comparison.
type writable interface {
	jsonDocument
	FileName() string
}

// jsonDocument is what --json writes.
type jsonDocument interface {
	WriteJSON(w io.Writer) error
	WriteFile(path string) error
}

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

// keep remembers a document among the last ten, under the name it has itself.
func keep(document writable) error {
	dir, err := keptDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	name := document.FileName()
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

// evidence is the file that holds the responses which show a broken promise:
// that of --json, else one that it writes here. Empty is none.
func (m *measuring) evidence(res *bench.Result) string {
	if res.Broken == nil {
		return ""
	}
	if m.output.json != "" && m.output.json != "-" {
		return m.output.json
	}
	name := res.Started.UTC().Format("broken-20060102T150405Z.json")
	if err := res.WriteFile(name); err != nil {
		fmt.Fprintf(m.term.err, "no evidence is written: %s: %v\n", name, err)
		return ""
	}
	return name
}

// keep remembers a result where no --json asks for it. That it could not be
// is a line and no more: the figures stand in the terminal. done is false where
// nothing was kept.
func (m *measuring) keep(document writable) (done bool) {
	if m.output.json != "" || m.output.noKeep {
		return false
	}
	if err := keep(document); err != nil {
		fmt.Fprintf(m.term.err, "not kept for 'watchbench report': %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		return false
	}
	return true
}
