package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watchkv/watchkv/backend"
)

// floor is what pebble may write by itself: the memtables that wait for their
// flush, all at once. Behind a flush that finds no room writers stall, and a
// write to the log that finds none fails the engine; a compaction that finds
// none is tried again. The logs themselves are lengthened ahead, up to five of
// 35 MiB, and used again: that room counts as free.
const floor = stopWritesAt * memTableBytes

// FreeSpace adds what the logs have taken of the volume and do not use yet.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: %w", err)
	}
	if free >= 0 {
		taken, err := logBytes(e.dir)
		if err != nil {
			return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
		}
		var m *pebble.Metrics
		if err := e.call(func() error { m = e.db.Metrics(); return nil }); err != nil {
			return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
		}
		free += max(taken-int64(m.WAL.Size), 0)
	}
	return backend.FreeSpace{Bytes: free, Floor: floor}, nil
}

// logBytes is what the logs take on the volume.
func logBytes(dir string) (n int64, err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	names, err := folder.Readdirnames(-1)
	if err := errors.Join(err, folder.Close()); err != nil {
		return 0, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // used again under another name
		}
		if err != nil {
			return 0, err
		}
		n += backend.DiskBytes(info)
	}
	return n, nil
}
