package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/watchkv/watchkv/backend"
)

// place is a file system that holds directories of the engine.
type place struct {
	fs vfs.FS
	// spell gives a path the one spelling by which the file system knows
	// the locks of this process.
	spell func(path string) (string, error)
}

// disk is the operating system's file system.
var disk = place{fs: vfs.Default, spell: func(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}}

// DriverFS is the engine on a file system of the caller's, such as one in
// memory that can lose power: everything goes through fsys, the lock, copies
// for Backup and what Restore writes included. Paths are taken as they are
// spelled; one directory must always be spelled the same way.
func DriverFS(fsys vfs.FS) backend.Driver {
	return place{fs: fsys, spell: func(path string) (string, error) { return path, nil }}.driver()
}

func (p place) driver() backend.Driver {
	return backend.Driver{Name: "pebble", Open: p.Open, Restore: p.restore, Holds: p.holds}
}

// Open opens the directory at path, which it makes if need be.
func (p place) Open(path string, o backend.Options) (backend.Engine, error) {
	e, err := p.open(path, o)
	if err != nil {
		return nil, fmt.Errorf("pebble: open %s: %w", path, damage(err))
	}
	return e, nil
}

func (p place) holds(path string) bool {
	names, err := p.fs.List(path)
	if err != nil {
		return false
	}
	for _, name := range names {
		if ownName(name) {
			return true
		}
	}
	return false
}

// prepare is backend.PrepareDir on this file system.
func (p place) prepare(path string, readOnly bool) (fresh bool, err error) {
	names, err := p.fs.List(path)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		if err := p.fs.MkdirAll(path, 0o700); err != nil {
			return false, err
		}
		return true, p.syncDir(p.fs.PathDir(path))
	}
	if err != nil {
		return false, err
	}
	return backend.JudgeDir(path, names, readOnly, ownName)
}

// syncDir is backend.SyncDir on this file system.
func (p place) syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	dir, err := p.fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
