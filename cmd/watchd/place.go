package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

// place is where an engine's data are, and which engine's they are.
type place struct {
	dir    string // the data directory
	path   string // what the engine is given
	driver backend.Driver
	fresh  bool // nothing is there yet
}

// dataName is the folder of the engine's data in a data directory; beside it
// there is room for what belongs to the daemon.
const dataName = "data"

// findPlace looks for data in a data directory and changes nothing. backend is
// what was asked for, "" takes what is there, or pebble. Data that stand in
// the directory itself, as watchkv's library leaves them, are found too.
func findPlace(dir, backendName string) (place, error) {
	p := place{dir: dir, path: filepath.Join(dir, dataName)}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.fresh = true
	case err != nil:
		return p, failed("--data-dir %q: %v", dir, bare(err))
	case !info.IsDir():
		return p, failed("--data-dir %q: not a directory", dir)
	}
	if member := filepath.Join(dir, "member", "snap", "db"); exists(member) {
		return p, failed("--data-dir %q: the data of an etcd member; leave them, and start on a directory of its own with --data-dir NEW --from-etcd %s, while that member is stopped", dir, member)
	}
	holding, any := engines.Holding(p.path)
	if !any {
		if holding, any = engines.Holding(dir); any {
			p.path = dir
		}
	}
	name := backendName
	if name == "" {
		name = "pebble"
		if any {
			name = holding.Name
		}
	}
	driver, ok := engines.Lookup(name)
	if !ok {
		return p, misused("--backend %q: unknown%s", name, didYouMean(name, engineNames()))
	}
	if any && holding.Name != driver.Name {
		return p, failed("--data-dir %q: holds the data of %s, not of %s; leave --backend out, give another directory, or copy them by watchd migrate",
			dir, holding.Name, driver.Name)
	}
	p.driver, p.fresh = driver, !any
	return p, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// prepare makes the directory, as private as etcd's.
func (p place) prepare(log *slog.Logger) error {
	if p.driver.Volatile {
		return nil
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return failed("--data-dir %q: %v", p.dir, bare(err))
	}
	info, err := os.Stat(p.dir)
	if err != nil {
		return failed("--data-dir %q: %v", p.dir, bare(err))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		log.Warn("the data directory is open to other users of this machine", "data-dir", p.dir, "mode", fmt.Sprintf("%#o", mode), "recommended", "0700")
	}
	return nil
}

// open opens the engine. An error says whose data they are and what to do.
func (p place) open(log *slog.Logger) (backend.Engine, error) {
	engine, err := p.driver.Open(p.path, backend.Options{Logger: log})
	if errors.Is(err, backend.ErrLocked) {
		return nil, failed("--data-dir %q: in use by another process (%s); stop it, or give another directory", p.dir, p.driver.Name)
	}
	if err != nil {
		return nil, failed("--data-dir %q: %v", p.dir, err)
	}
	return engine, nil
}
