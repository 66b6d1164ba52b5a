package bolt

import (
	"fmt"
	"path/filepath"

	"github.com/watchkv/watchkv/backend"
)

// floor: bbolt writes nothing by itself and answers a full disk with an error.
// But an Apply that meets that error ends writing, so this much is kept for
// the one that comes next: a batch of 4 MiB, or the pages of 1,000 deletes all
// over the file, with the branches above them.
const floor = 32 << 20

// FreeSpace counts the pages of the free list as room: their blocks are the
// file's already. What the file was lengthened by beyond its last page is a
// hole and is not counted.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("bolt: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(filepath.Dir(e.file))
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("bolt: %w", err)
	}
	if free >= 0 {
		free += e.reusable.Load()
	}
	return backend.FreeSpace{Bytes: free, Floor: floor}, nil
}
