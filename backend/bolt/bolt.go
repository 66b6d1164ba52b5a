// Package bolt keeps the data in one bbolt file: a B+tree read through a
// memory map. It reads and catches up fastest as long as the data fit the page
// cache, opens etcd's files as they are, and survives a full disk. A small
// durable put costs two flushes and about 25 KiB of writes; group commit
// divides both.
//
// A [backend.Space] is the bucket of its name. Buckets this program does not
// know stay untouched.
//
// What to know:
//   - Open takes a directory, and keeps the file "db" in it, or an existing
//     file, such as etcd's member/snap/db.
//   - The data pages carry no checksums. Open for writing and Verify see what
//     breaks the structure of a page or the order of keys; a flipped bit in a
//     value goes unseen.
//   - NoSync is treated as Sync: bbolt without its flushes may not open again
//     after power loss.
//   - A view pins the pages it sees: while it is open, the file grows by what
//     is rewritten, and keeps that size. Backup holds one view.
//   - The file never shrinks by itself; Reclaim copies the live data into a
//     new file and puts it in place. Writers wait meanwhile, readers do not.
//     The copy needs room beside the file. Not on windows.
//   - Verify also keeps writers waiting.
//   - A file that somebody truncates while it is open is met by reads as a
//     memory fault. Those become errors that wrap ErrDamaged and name the
//     file; an Apply looks at the file's length first. Left over are the
//     moments between that look, or Verify's, and bbolt's own goroutines,
//     which a truncation must hit exactly to end the process. If the fault
//     strikes inside a commit, bbolt is given up: nothing calls it any more,
//     and its map stays until the process ends.
package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/watchkv/watchkv/backend"
)

// fileName is the file in the directory; etcd's name.
const fileName = "db"

// minMap is how much address space the file gets at least on 64-bit systems.
// A file that outgrows its map makes the writer wait for every open view, so
// the map is larger than the file will be.
const minMap int64 = 16 << 30

// lockWait is how long open waits for the lock of another: not at all. bbolt
// takes zero for "for ever".
const lockWait = time.Nanosecond

// appendFill is how full pages get that are filled from the right and never
// split in the middle; etcd's value.
const appendFill = 0.9

// maxBatchBytes bounds the memory of one transaction; bbolt itself takes any.
const maxBatchBytes = 1 << 30

// Driver names the engine for the table of engines.
func Driver() backend.Driver {
	return backend.Driver{Name: "bolt", Open: Open, Restore: restore, Holds: holds}
}

func ownName(name string) bool { return name == fileName }

func holds(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if info.Mode().IsRegular() {
		_, err := readMeta(path)
		return err == nil
	}
	return backend.DirHolds(path, ownName)
}

// Open opens the file at path, or the file "db" in the directory at path,
// which it makes if need be. A second open is refused with ErrLocked; any
// number of read-only opens go together.
func Open(path string, o backend.Options) (backend.Engine, error) {
	spaces, set, err := o.RegisteredSpaces()
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	file, err := locate(path, o.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	h, err := openFile(file, o.ReadOnly)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", file, err)
	}
	e := &engine{
		file:     file,
		readOnly: o.ReadOnly,
		spaces:   set,
		version:  backend.LibraryVersion("bbolt", "go.etcd.io/bbolt", "v1"),
	}
	for _, info := range spaces {
		e.buckets[info.Space] = []byte(info.Name)
	}
	e.current.Store(h)
	if err := e.prepare(); err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", file, errors.Join(err, h.close()))
	}
	return e, nil
}

// locate turns the caller's path into the path of the file.
func locate(path string, readOnly bool) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular():
		return filepath.EvalSymlinks(path) // Reclaim would replace the link
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("neither a file nor a directory but %s", info.Mode().Type())
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	if _, err := backend.PrepareDir(path, readOnly, ownName); err != nil {
		return "", err
	}
	return filepath.Join(path, fileName), nil
}

// openFile opens one bbolt file after looking at it: bbolt walks all pages as
// it opens for writing, and damage would end the process there.
func openFile(path string, readOnly bool) (h *handle, err error) {
	var mapped int
	if strconv.IntSize == 64 && runtime.GOOS != "windows" && !readOnly {
		mapped = int(minMap) // windows would grow the file to that size
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !readOnly {
		if err := create(path); err != nil {
			return nil, err
		}
		info, err = os.Stat(path)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("the file is empty (restore it from a backup; if nothing was ever stored in it, remove it): %w", backend.ErrDamaged)
	}
	m, err := readMeta(path)
	if err != nil {
		return nil, err
	}
	if mapped > 0 {
		mapped = max(mapped, int(2*info.Size()))
	}
	if !readOnly {
		if m.broken {
			return nil, fmt.Errorf("one of the two meta pages is broken, so the newest commit may be lost (restore a backup; to go on without it, open the file read-only, back that up and restore it): %w", backend.ErrDamaged)
		}
		if err := walk(path); err != nil {
			return nil, err
		}
	}
	return openHandle(path, &bbolt.Options{
		Timeout:         lockWait,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		ReadOnly:        readOnly,
		MmapFlags:       mapFlags,
		InitialMmapSize: mapped,
	})
}

// create makes an empty database, whole from the moment it has its name: an
// empty file is always damage then.
func create(path string) (err error) {
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.Remove(part.Name()); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}()
	if err := part.Close(); err != nil {
		return err
	}
	h, err := openHandle(part.Name(), &bbolt.Options{Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := h.close(); err != nil {
		return err
	}
	// A link does not replace what another opener made meanwhile.
	if err := os.Link(part.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(part.Name(), path); err != nil {
			return err
		}
	}
	return backend.SyncDir(filepath.Dir(path))
}

// openHandle is bbolt's Open with our sentinels.
func openHandle(path string, options *bbolt.Options) (h *handle, err error) {
	var opened *os.File
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		var err error
		opened, err = os.OpenFile(name, flag, mode)
		return opened, err
	}
	defer func() {
		if err != nil && h == nil && opened != nil {
			opened.Close() // after a panic; and with it the lock. The map is lost
		}
	}()
	defer watch(&err, "open", path)()
	db, err := bbolt.Open(path, 0o600, options)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, backend.ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %w", err, backend.ErrDamaged)
	case err != nil:
		return nil, err
	}
	if err := samePlace(opened, path); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return newHandle(db, opened)
}

// samePlace catches the opener that came between a Reclaim's two files: it
// holds the lock of the one that is no longer there.
func samePlace(opened *os.File, path string) error {
	mine, err := opened.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(mine, there) {
		return fmt.Errorf("the file was replaced meanwhile: %w", backend.ErrLocked)
	}
	return nil
}

type engine struct {
	file     string // all set by Open, never changed
	readOnly bool
	spaces   backend.SpaceSet
	buckets  [256][]byte // name of the bucket by space
	version  string

	gate  backend.Gate
	views atomic.Int64
	inUse atomic.Int64 // bytes in pages that hold data, -1 unknown
	size  atomic.Int64 // bytes the file has at least
	// taken is the bytes in pages that the next commit may not write to.
	taken atomic.Int64

	// current is replaced by Reclaim alone, under mu.
	current atomic.Pointer[handle]
	// lost is why bbolt is not called any more; see shrunk.go. Set once.
	lost atomic.Pointer[error]

	copying sync.Mutex // one Backup or Reclaim at a time; before mu
	mu      sync.Mutex // one Apply, Reclaim or Verify at a time; guards below
	stopped error      // why no Apply is taken any more; for ever
}

// prepare makes missing buckets and reads the first figures. An etcd file has
// all buckets, so opening it writes nothing.
func (e *engine) prepare() error {
	e.inUse.Store(-1)
	if err := e.recognize(); err != nil {
		return err
	}
	if e.readOnly {
		return nil
	}
	// We hold the lock: nobody else is at work on a copy.
	if err := os.Remove(e.file + reclaimSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	missing := 0
	db := e.current.Load().db
	if err := countPages(db); err != nil {
		return err
	}
	err := db.View(func(tx *bbolt.Tx) error {
		for s, name := range e.buckets {
			if e.spaces[s] && tx.Bucket(name) == nil {
				missing++
			}
		}
		e.noteInUse(tx)
		return nil
	})
	if err != nil || missing == 0 {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for s, name := range e.buckets {
			if !e.spaces[s] {
				continue
			}
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("bucket %q: %w", name, err)
			}
		}
		return nil
	})
}

// countPages makes bbolt count the free pages of a file it has just opened: it
// does that at the end of a transaction that may write. Nothing is written.
func countPages(db *bbolt.DB) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	return tx.Rollback()
}

// recognize answers ErrDamaged for a database that has buckets and not that
// of the first space: it belongs to another program, or the name is damaged.
func (e *engine) recognize() (err error) {
	defer watch(&err, "open", e.file)() // a read-only open has not looked at the pages
	var first []byte
	for s := range e.buckets {
		if e.spaces[s] {
			first = e.buckets[s]
			break
		}
	}
	var others []string
	err = e.current.Load().db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(first) != nil {
			return nil
		}
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			if len(others) < mostFaults {
				others = append(others, strconv.Quote(string(name)))
			}
			return nil
		})
	})
	if err == nil && len(others) > 0 {
		err = fmt.Errorf("no bucket %q beside %s, so it is another program's or damaged: %w", first, strings.Join(others, ", "), backend.ErrDamaged)
	}
	return err
}

// noteInUse reads the figures as of the commit before tx.
func (e *engine) noteInUse(tx *bbolt.Tx) {
	stats := tx.DB().Stats()
	page := int64(tx.DB().Info().PageSize)
	e.size.Store(tx.Size())
	e.inUse.Store(tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*page)
	e.taken.Store(tx.Size() - int64(stats.FreePageN)*page)
}

// Apply runs one transaction. Values are handed to bbolt as they are: they
// live until it has committed.
func (e *engine) Apply(b *backend.Batch, s backend.Syncing) (err error) {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("bolt: apply: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("bolt: apply: %w", backend.ErrReadOnly)
	}
	if err := b.Check(&e.spaces, maxBatchBytes, 0); err != nil {
		return fmt.Errorf("bolt: apply: %w", err)
	}
	if b.Len() == 0 {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.unusable(); err != nil {
		return fmt.Errorf("bolt: apply: %w", err)
	}
	err = e.update(func(tx *bbolt.Tx) error {
		e.noteInUse(tx)
		return e.write(tx, b.Ops())
	})
	if err != nil {
		return fmt.Errorf("bolt: apply %d operations of %d bytes to %s: %w", b.Len(), b.Size(), e.file, err)
	}
	return nil
}

// yieldOps is after how many operations of a batch the processor is offered
// to others: a batch of Relaxed has tens of thousands, and takes their time
// from whoever waits for an event behind it. 64 are some 25 µs.
const yieldOps = 64

func (e *engine) write(tx *bbolt.Tx, ops []backend.Op) error {
	var space backend.Space
	var bucket *bbolt.Bucket
	for i := range ops {
		if i%yieldOps == yieldOps-1 {
			runtime.Gosched()
		}
		op := &ops[i]
		if op.Space != space {
			space = op.Space
			if bucket = tx.Bucket(e.buckets[space]); bucket == nil {
				return fmt.Errorf("bucket %q is gone: %w", e.buckets[space], backend.ErrDamaged)
			}
		}
		var err error
		switch op.Kind {
		case backend.OpAppend:
			bucket.FillPercent = appendFill
			err = bucket.Put(op.Key, op.Value)
		case backend.OpPut:
			err = bucket.Put(op.Key, op.Value)
		case backend.OpDelete:
			err = bucket.Delete(op.Key)
		}
		if err != nil {
			return fmt.Errorf("operation %d, key %x: %w", i, op.Key, err)
		}
	}
	return nil
}

func (e *engine) Stats() backend.Stats {
	stats := backend.Stats{
		DiskBytes:     -1,
		InUseBytes:    e.inUse.Load(),
		OpenViews:     int(e.views.Load()),
		MaxBatchBytes: maxBatchBytes,
		Path:          e.file,
		Version:       e.version,
	}
	if info, err := os.Stat(e.file); err == nil {
		stats.DiskBytes = info.Size()
	}
	return stats
}

func (e *engine) Close() error {
	if err := e.gate.Close(); err != nil {
		return fmt.Errorf("bolt: close: %w", err)
	}
	h := e.current.Load()
	closing := h.close
	if e.lost.Load() != nil {
		closing = h.abandon
	}
	if err := closing(); err != nil {
		return fmt.Errorf("bolt: close %s: %w", e.file, err)
	}
	return nil
}
