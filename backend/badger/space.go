package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/watchkv/watchkv/backend"
)

// badger writes all but its manifest through memory maps of files that it
// lengthened without writing: on a full disk the kernel ends the process
// (SIGBUS), whoever touches the page.

// floor is what badger may write by itself with nothing in its first level: a
// memtable becomes a table before its log is removed, and a compaction among
// the other levels works beside it.
const floor = memTableBytes + 32<<20

// FreeSpace is the room on the volume. The floor has the bytes of memtables
// and of the first level added, and of the level they go to: one compaction
// may write all of that anew before it removes anything, and Close does.
func (e *engine) FreeSpace() (backend.FreeSpace, error) {
	if err := e.gate.Enter(); err != nil {
		return backend.FreeSpace{}, fmt.Errorf("badger: free space: %w", err)
	}
	defer e.gate.Leave()
	free, err := backend.VolumeFree(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("badger: %w", err)
	}
	_, logs, err := dirBytes(e.dir)
	if err != nil {
		return backend.FreeSpace{}, fmt.Errorf("badger: free space: %w", err)
	}
	need := floor + logs
	for _, level := range e.db.Levels() {
		if level.Level == 0 || level.IsBaseLevel {
			need += level.Size
		}
	}
	return backend.FreeSpace{Bytes: free, Floor: need}, nil
}

// roomToOpen answers ErrNoSpace if the volume cannot take what badger may
// write as it opens: every memtable of the last time becomes a table of the
// first level, and if that has then enough of them it is compacted.
func roomToOpen(opts badger.Options) error {
	if opts.ReadOnly {
		return nil
	}
	logs, err := filepath.Glob(filepath.Join(escape(opts.Dir), "*.mem"))
	if err != nil {
		return err
	}
	const margin = 8 << 20 // first pages of new files
	need := int64(margin)
	for _, name := range logs {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		need += backend.DiskBytes(info)
	}
	tables, bytes, err := firstLevel(opts.Dir)
	if err != nil {
		return err
	}
	if tables+len(logs) >= opts.NumLevelZeroTables {
		need += bytes
	}
	return backend.RoomToOpen(opts.Dir, need)
}

// firstLevel counts the tables of the first level and their bytes. What it
// cannot read is left to badger to complain of.
func firstLevel(path string) (tables int, bytes int64, err error) {
	file, err := os.Open(filepath.Join(path, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.Options{})
	if err != nil || len(manifest.Levels) == 0 {
		return 0, 0, nil
	}
	for id := range manifest.Levels[0].Tables {
		info, err := os.Stat(filepath.Join(path, table.IDToFilename(id)))
		if err == nil {
			tables++
			bytes += info.Size()
		}
	}
	return tables, bytes, nil
}

// roomToReclaim answers ErrNoSpace with less room than the floor.
func (e *engine) roomToReclaim() error {
	space, err := e.FreeSpace()
	if err != nil {
		return err
	}
	if space.Bytes >= 0 && space.Bytes < space.Floor {
		return fmt.Errorf("the volume has %d MiB left, it may take %d MiB: %w", space.Bytes>>20, space.Floor>>20, backend.ErrNoSpace)
	}
	return nil
}
