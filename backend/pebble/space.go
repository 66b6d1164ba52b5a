package pebble

import (
	"fmt"

	"github.com/watchkv/watchkv/backend"
)

// floor is what pebble may write by itself: the memtables that wait for their
// flush, all in one, and a compaction beside it. Whoever writes to the log on
// a full disk meets a fatal error, and behind a flush that finds no room
// writers stall for ever; a compaction that finds none is tried again.
const floor = (stopWritesAt + 2) * memTableBytes

// FreeSpace is the room on the volume.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("pebble: %w", err)
	}
	return backend.FreeSpace{Bytes: free, Floor: floor}, nil
}
