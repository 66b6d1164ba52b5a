package main

import (
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
)

// place is where the data go.
type place struct {
	dir  string
	temp bool
	mu   *sync.Mutex // a second Ctrl-C may remove while the first does
}

// openPlace makes the directory. One that is given must not hold data of an
// earlier run, or anybody's.
func openPlace(given string, plan bench.Plan) (place, error) {
	p := place{dir: given, temp: given == "", mu: &sync.Mutex{}}
	if p.temp {
		dir, err := os.MkdirTemp("", "watchbench-*")
		if err != nil {
			return p, unmeasured("no temporary directory: %v", err)
		}
		p.dir = dir
		return p, nil
	}
	folders := []string{given}
	for rep := 1; rep <= plan.Count; rep++ {
		for i := range plan.Scenarios {
			folders = append(folders, filepath.Join(given, bench.FolderOf(plan, rep, i)))
		}
	}
	for _, folder := range folders {
		driver, held, any := heldBy(folder)
		switch {
		case held:
			return p, unmeasured("--dir %q: held by another process (%s LOCK); choose another directory", given, driver.Name)
		case any:
			return p, misused("--dir %q: %s holds %s data already; choose another directory", given, folder, driver.Name)
		}
	}
	if err := os.MkdirAll(given, 0o755); err != nil {
		return p, misused("--dir %q: %v", given, errors.Unwrap(err))
	}
	return p, nil
}

// remove clears a temporary directory.
func (p place) remove() error {
	if !p.temp {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	err := os.RemoveAll(p.dir)
	// A store that is still being written may make a file meanwhile.
	for range 3 {
		if err == nil {
			break
		}
		err = os.RemoveAll(p.dir)
	}
	return err
}

// heldBy tells whose data stand at path, and whether somebody has them open.
func heldBy(path string) (driver backend.Driver, held, any bool) {
	driver, any = engines.Holding(path)
	if !any {
		return driver, false, false
	}
	engine, err := driver.Open(path, backend.Options{ReadOnly: true})
	if err == nil {
		_ = engine.Close() // only opened to see whether it can be
	}
	return driver, errors.Is(err, backend.ErrLocked), true
}

// fileKind is "directory", "file" or "" for what is at path.
func fileKind(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		return "directory"
	}
	return "file"
}
