// Package pebble keeps the data in a pebble v2 directory: a log-structured
// merge tree. It is the fastest engine for small durable puts (one flush for
// each group of commits), gives space back by itself and sees flipped bits.
//
// A [backend.Space] is the first byte of each key on disk.
//
// What to know:
//   - The directory must be all pebble's own. Read-only opens exclude each
//     other, too.
//   - NoSync is real: such a batch stays in the process until the next batch
//     with Sync, or until a memtable is flushed, and a crash loses it.
//   - A view is a pebble snapshot: while it is open, compactions keep the
//     values it sees. Each Scan opens an iterator of its own.
//   - Reclaim is a manual compaction of everything. Writers go on meanwhile.
//   - Backup is a tar of the files of a checkpoint, which takes hard links in
//     the directory, not room. Writers go on meanwhile.
//
// # When the disk fails
//
// On a write, sync, create or rename that fails, full disks included, pebble
// by itself ends the process, or panics, or stalls its writers and tries again
// for ever. Here it never hears of the error. The first one is kept as the
// cause, no change of the files is begun any more, and the goroutine of
// pebble's that asked for one is parked. From then on
//
//   - a pending Apply returns the cause, later ones do at once, and so do
//     Backup, Reclaim and Verify;
//   - views are opened and read as before, Stats keeps what needs no lock;
//   - Close waits at most 10 seconds, plus as long for views still open, and
//     returns the cause. If what is parked was writing a table or the log it
//     is let go and nothing stays behind. Otherwise (the manifest, a marker,
//     the directory, or a commit that waits for one of these or for a flush)
//     pebble is given up: its goroutines, that one among them, its memory and
//     its descriptors stay until the process ends. The directory is unlocked
//     and can be opened again, unless a call of the file system itself has
//     not returned.
//
// Removing obsolete files, preallocation, and the files of a Backup may fail
// without such consequences. So may a compaction that finds no room, as long
// as no writer waits for it: it is tried again once a second. Where pebble reports a broken invariant it is
// parked the same way; if it holds the lock of its own then, reads answer the
// cause too.
//
// # Goroutines
//
//	committer  each engine; commits for Apply; ends in Close
//	retired    each engine; closes snapshots; ends in Close
//	measure    one at a time, for Stats; ends when pebble has answered
//	calls      one for each Backup, Verify, Reclaim at work, and measure
package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/watchkv/watchkv/backend"
)

const (
	// memTableBytes: with 64 writers a memtable fills in about a second, so
	// flushes stay rare, while four of them still fit a small container.
	memTableBytes = 32 << 20
	// stopWritesAt is how many memtables may wait for a flush before writers do.
	stopWritesAt = 4
	// blockBytes: chunked scans are 2.5 times as fast as with 4 KiB, point
	// reads half as fast; catch-up is what must be fast.
	blockBytes = 32 << 10
	// filterBits for each key: one needless block read in a hundred gets.
	filterBits = 10
	// defaultCache is Options.CacheBytes left at zero.
	defaultCache = 64 << 20
	// maxBatchBytes keeps well below pebble's own bound of 4 GiB.
	maxBatchBytes = 1 << 30
)

// Driver names the engine for the table of engines.
func Driver() backend.Driver { return disk.driver() }

// ownName knows files that pebble alone makes; tables and logs have names
// that others use too.
func ownName(name string) bool {
	if name == "CURRENT" || strings.HasPrefix(name, "marker.") {
		return true
	}
	number, ok := strings.CutPrefix(name, "MANIFEST-")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// Open opens the directory at path, which it makes if need be. A second open,
// in this process or another, is refused with ErrLocked.
func Open(path string, o backend.Options) (backend.Engine, error) { return disk.Open(path, o) }

func (p place) open(path string, o backend.Options) (*engine, error) {
	_, spaces, err := o.RegisteredSpaces()
	if err != nil {
		return nil, err
	}
	if _, err := p.prepare(path, o.ReadOnly); err != nil {
		return nil, err
	}
	dir, err := p.spell(path)
	if err != nil {
		return nil, err
	}
	if o.CacheBytes <= 0 {
		o.CacheBytes = defaultCache
	}
	failure := newFailure()
	e := &engine{
		fs:         &guard{FS: orderedNames{p.fs}, failure: failure},
		failure:    failure,
		retired:    make(chan *pebble.Snapshot, retired),
		retiredAll: make(chan struct{}),
		events:     newEvents(o.Logger, failure),
		dir:        dir,
		readOnly:   o.ReadOnly,
		cacheBytes: o.CacheBytes,
		spaces:     spaces,
		version:    backend.LibraryVersion("pebble", "github.com/cockroachdb/pebble/v2", "v2"),
	}
	if e.lock, err = lockDir(e.fs, dir); err != nil {
		return nil, err
	}
	if err = e.openLocked(o); err != nil {
		return nil, errors.Join(err, e.unlock())
	}
	return e, nil
}

func (e *engine) openLocked(o backend.Options) error {
	if !o.ReadOnly {
		if err := e.fs.RemoveAll(e.fs.PathJoin(e.dir, checkpointName)); err != nil {
			return err // left by a Backup or Verify that a crash cut short
		}
	}
	if err := e.openDB(o); err != nil {
		return err
	}
	e.disk.Store(-1)
	e.inUse.Store(-1)
	e.committer = newCommitter(e.db, e.failure)
	go e.runRetired()
	return nil
}

func (e *engine) options(o backend.Options) *pebble.Options {
	opts := &pebble.Options{
		FS:                          e.fs,
		Lock:                        e.lock,
		ReadOnly:                    o.ReadOnly,
		ErrorIfNotExists:            o.ReadOnly,
		FormatMajorVersion:          pebble.FormatNewest, // the default is the oldest
		CacheSize:                   o.CacheBytes,
		MemTableSize:                memTableBytes,
		MemTableStopWritesThreshold: stopWritesAt,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, 2 },
		Logger:                      e.events,
		EventListener:               e.events.listener(),
	}
	// Deeper levels take over what they leave out.
	opts.Levels[0].BlockSize = blockBytes
	opts.Levels[0].FilterPolicy = bloom.FilterPolicy(filterBits)
	return opts
}

// lockDir tells a lock that is held from a directory that cannot be written:
// the latter fails at a path, the former at the lock itself.
func lockDir(fsys vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, fsys)
	var atPath *fs.PathError
	switch {
	case err == nil:
		return lock, nil
	case errors.As(err, &atPath):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", backend.ErrLocked, err)
	}
}

// damage adds ErrDamaged to what pebble calls corruption, and to what it finds
// at open and does not call so: a table of another size than its manifest
// says, which only the text tells, and files without a marker.
func damage(err error) error {
	if err != nil && (pebble.IsCorruptionError(err) || errors.Is(err, pebble.ErrDBNotPristine) || strings.Contains(err.Error(), "object size mismatch")) {
		return fmt.Errorf("%w: %w", backend.ErrDamaged, err)
	}
	return err
}

type engine struct {
	db         *pebble.DB // all set by open, never changed
	lock       *pebble.Lock
	fs         *guard
	failure    *failure
	events     events
	committer  *committer
	dir        string // in its one spelling
	readOnly   bool
	cacheBytes int64
	spaces     backend.SpaceSet
	version    string

	gate  backend.Gate
	views atomic.Int64

	retired    chan *pebble.Snapshot // views send, Close closes; runRetired receives
	retiredAll chan struct{}         // closed when that has ended

	measuring   atomic.Bool
	disk, inUse atomic.Int64 // as last measured; -1 before

	probe      sync.Once // sets unreadable, once stuck
	unreadable error
	abilities
}

// Apply copies the batch into one of pebble's and commits it.
func (e *engine) Apply(b *backend.Batch, s backend.Syncing) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("pebble: apply: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("pebble: apply: %w", backend.ErrReadOnly)
	}
	if err := b.Check(&e.spaces, maxBatchBytes, 0); err != nil {
		return fmt.Errorf("pebble: apply: %w", err)
	}
	if b.Len() == 0 {
		return nil
	}
	w := commit{batch: e.db.NewBatchWithSize(int(b.Size())), how: pebble.Sync}
	if s == backend.NoSync {
		w.how = pebble.NoSync
	}
	err := fill(w.batch, b.Ops())
	if err == nil {
		err = e.committer.apply(w)
	} else {
		err = errors.Join(err, w.batch.Close())
	}
	if err != nil {
		return fmt.Errorf("pebble: apply %d operations of %d bytes: %w", b.Len(), b.Size(), damage(err))
	}
	return nil
}

func fill(batch *pebble.Batch, ops []backend.Op) error {
	for i := range ops {
		op := &ops[i]
		var slot *pebble.DeferredBatchOp
		if op.Kind == backend.OpDelete {
			slot = batch.DeleteDeferred(1 + len(op.Key))
		} else {
			slot = batch.SetDeferred(1+len(op.Key), len(op.Value))
			copy(slot.Value, op.Value)
		}
		slot.Key[0] = byte(op.Space)
		copy(slot.Key[1:], op.Key)
		if err := slot.Finish(); err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return nil
}

func (e *engine) Stats() backend.Stats {
	stats := backend.Stats{
		OpenViews:     int(e.views.Load()),
		MaxBatchBytes: maxBatchBytes,
		CacheBytes:    e.cacheBytes,
		Checksums:     true,
		Path:          e.dir,
		Version:       e.version,
	}
	e.measure()
	stats.DiskBytes, stats.InUseBytes = e.disk.Load(), e.inUse.Load()
	return stats
}

// measurePatience is how long Stats waits for new figures: pebble gives none
// while it writes to the manifest, and a disk may take its time for that.
const measurePatience = 50 * time.Millisecond

// measure renews the figures, or leaves that to a goroutine that Close waits
// for. One measures at a time.
func (e *engine) measure() {
	if e.gate.Enter() != nil {
		return
	}
	if !e.measuring.CompareAndSwap(false, true) {
		e.gate.Leave()
		return
	}
	done := make(chan struct{})
	go func() {
		defer e.gate.Leave()
		defer e.measuring.Store(false)
		defer close(done)
		_ = e.call(func() error { // fails only with the engine
			m := e.db.Metrics()
			e.disk.Store(int64(m.DiskSpaceUsage()))
			e.inUse.Store(int64(m.WAL.PhysicalSize + m.Table.Local.LiveSize + m.BlobFiles.Local.LiveSize))
			return nil
		})
	}()
	timer := time.NewTimer(measurePatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
