package bolt

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/backend"
)

// floor: bbolt writes nothing by itself and answers a full disk with an error.
// But an Apply that meets that error ends writing, so this much is kept for
// the one that comes next: a batch of 4 MiB, or the pages of 1,000 deletes all
// over the file, with the branches above them.
const floor = 32 << 20

// FreeSpace adds what the file has of the volume and can be written anew:
// free pages, and what some systems give a hole once it is mapped.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("bolt: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(filepath.Dir(e.file))
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("bolt: %w", err)
	}
	info, err := os.Stat(e.file)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("bolt: free space: %w", err)
	}
	if free >= 0 && !e.readOnly {
		free += max(backend.DiskBytes(info)-e.taken.Load(), 0)
	}
	return backend.FreeSpace{Bytes: free, Floor: floor}, nil
}
