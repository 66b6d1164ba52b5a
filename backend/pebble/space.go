package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/watchkv/watchkv/backend"
)

// floor is what pebble may write by itself: the memtables that wait for their
// flush, all at once. Behind a flush that finds no room writers stall, and a
// write to the log that finds none fails the engine; a compaction that finds
// none is tried again.
const floor = stopWritesAt * memTableBytes

// logsAhead is what the logs take in the end: pebble lengthens each by a
// memtable and a tenth before it writes there, and uses so many again.
const logsAhead = (stopWritesAt + 1) * (memTableBytes + memTableBytes/10)

// FreeSpace is the room on the volume. The floor has what the logs have still
// to take of it added, so it falls as they do.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: %w", err)
	}
	taken, err := logBytes(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
	}
	return backend.FreeSpace{Bytes: free, Floor: floor + max(logsAhead-taken, 0)}, nil
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
