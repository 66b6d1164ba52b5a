// Package badger keeps the data in a badger v4 directory: a log-structured
// merge tree with a value log beside it, which is kept out of use.
//
// A [backend.Space] is the first byte of each key on disk.
//
// What to know:
//   - A batch is one transaction and has a maximum: see Stats.
//   - Values of 1 MiB and more go to the value log: badger's own bound. Its
//     garbage goes in Reclaim only. Nothing else uses that log.
//   - NoSync is treated as Sync: unsynced, badger may not open after power
//     loss.
//   - A directory that was not closed cleanly does not open read-only: open
//     it once for writing.
//   - Open reads every table and log once and refuses damage. Of a log that
//     was not closed, damage in the newest commit looks like a write cut short
//     by a crash, and so does a log that is gone: both are lost unseen.
//   - Checksums are checked as blocks are read, but badger ends a scan at a
//     block that was damaged since Open without telling. Verify tells.
//   - A full disk ends the process, badger writes through memory maps: mind
//     FreeSpace. Open and Reclaim answer ErrNoSpace before it comes to that.
//   - A write, sync or rename that fails makes Apply fail. Where badger only
//     logs the error and goes on (a sync of the value log, a memtable it cannot
//     flush, tables it cannot merge, which it all tries again for ever), the
//     engine fails: Apply answers that error from then on, views go on, and
//     Close gives badger up after 5 seconds, goroutines, memory and lock of the
//     directory with it, until the process ends. What badger writes through
//     its maps, the log of each commit among it, fails by a signal that ends
//     the process if the disk does not take it: only the floor of free space
//     stands before that.
//   - Tables are mapped and not compressed, so the page cache is their cache and
//     Options.CacheBytes does nothing.
//   - Reclaim rewrites tables and the value log. Writers go on. It gives back
//     little: tombstones go only as later compactions happen to meet them.
//   - Backup is a stream of the entries of one view. Writers go on; what they
//     replace meanwhile stays on disk until it ends.
package badger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/watchkv/watchkv/backend"
)

const (
	// memTableBytes bounds the batch: badger takes 15% of it, 9.6 MiB.
	memTableBytes = 64 << 20
	// inTreeBelow is the largest bound badger allows for values in the tree.
	inTreeBelow = 1 << 20
	// valueLogBytes: the file is mapped and synced at twice this size.
	valueLogBytes = 64 << 20
	// compactors: badger takes no fewer, and two cores no more.
	compactors = 2
	// Of what badger takes in a transaction, its own end mark is one entry;
	// an operation counts less there than in Batch.Size.
	reservedBytes, reservedOps = 64, 2
	// rewriteName is a manifest before it is renamed into its place.
	rewriteName = "MANIFEST-REWRITE"
	// restoring marks a directory whose Restore has not ended.
	restoring = ".restoring"
)

// Driver names the engine for the table of engines.
func Driver() backend.Driver {
	return backend.Driver{Name: "badger", Open: Open, Restore: restore, Holds: holds}
}

// ownName knows files that badger alone makes; MANIFEST of pebble has a
// number. The first that it ever makes is a manifest not yet in its place.
func ownName(name string) bool {
	return name == "MANIFEST" || name == rewriteName || name == "KEYREGISTRY" || name == "DISCARD" || strings.HasSuffix(name, ".mem") || strings.HasSuffix(name, ".vlog")
}

func holds(path string) bool { return backend.DirHolds(path, ownName) }

// Open opens the directory at path, which it makes if need be. A second open
// is refused with ErrLocked; any number of read-only opens go together.
func Open(path string, o backend.Options) (backend.Engine, error) {
	e, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("badger: open %s: %w", path, damage(err))
	}
	return e, nil
}

func open(path string, o backend.Options) (*engine, error) {
	if _, err := os.Stat(filepath.Join(path, restoring)); err == nil {
		return nil, fmt.Errorf("a restore into it was cut short: %w", backend.ErrDamaged)
	}
	return openBelow(path, o)
}

// openBelow is open without a look at the mark of a restore.
func openBelow(path string, o backend.Options) (*engine, error) {
	_, spaces, err := o.RegisteredSpaces()
	if err != nil {
		return nil, err
	}
	if spaces['!'] {
		return nil, fmt.Errorf("space %d: badger keeps its own entries under %q", '!', "!badger!")
	}
	if _, err := backend.PrepareDir(path, o.ReadOnly, ownName); err != nil {
		return nil, err
	}
	if err := lockAndClean(path, o.ReadOnly); err != nil {
		return nil, err
	}
	fault := newFault()
	opts := settings(path, o, fault)
	if err := roomToOpen(opts); err != nil {
		return nil, err
	}
	db, err := openDB(opts)
	if err != nil {
		return nil, err
	}
	e := &engine{
		db:       db,
		fault:    fault,
		dir:      path,
		readOnly: o.ReadOnly,
		spaces:   spaces,
		maxBytes: db.MaxBatchSize() - reservedBytes,
		maxOps:   int(db.MaxBatchCount()) - reservedOps,
		version:  backend.LibraryVersion("badger", "github.com/dgraph-io/badger/v4", "v4"),
	}
	e.current = &generation{txn: db.NewTransaction(false), holders: 1}
	return e, nil
}

func openDB(opts badger.Options) (*badger.DB, error) {
	db, err := badger.Open(opts)
	if isLockHeld(err) {
		return nil, fmt.Errorf("%w: %w", backend.ErrLocked, err)
	}
	return db, err
}

// lockAndClean looks at the files before badger does, and removes logs of no
// bytes, as a power loss leaves them; badger would not open beside them. It
// holds the directory's lock for that time, since a live log begins with no
// bytes, too. Read-only any memtable's is refused: a clean close leaves none,
// and badger would cut it.
func lockAndClean(path string, readOnly bool) error {
	return withDirLock(path, !readOnly, func() error {
		if err := check(path); err != nil {
			return err
		}
		names, err := filepath.Glob(filepath.Join(escape(path), "*.mem"))
		if err != nil {
			return err
		}
		if readOnly && len(names) > 0 {
			return fmt.Errorf("%s was left by an unclean end: badger cannot open it read-only, open it for writing once", filepath.Base(names[0]))
		}
		logs, err := filepath.Glob(filepath.Join(escape(path), "*.vlog"))
		if err != nil || readOnly {
			return err
		}
		for _, name := range append(names, logs...) {
			info, err := os.Stat(name)
			if err == nil && info.Size() == 0 {
				err = os.Remove(name)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// escape makes a path a pattern for itself.
func escape(path string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}

func settings(path string, o backend.Options, f *fault) badger.Options {
	return badger.DefaultOptions(path).
		WithReadOnly(o.ReadOnly).
		WithLogger(newLogger(o.Logger, f)).
		WithSyncWrites(true).
		WithDetectConflicts(false). // one writer
		WithNumVersionsToKeep(1).   // revisions are in our keys
		WithMemTableSize(memTableBytes).
		WithValueThreshold(inTreeBelow).
		WithValueLogFileSize(valueLogBytes).
		WithCompression(options.None). // mapped tables need no cache then: gets twice as fast
		WithBlockCacheSize(0).
		WithChecksumVerificationMode(options.OnBlockRead). // by default reads return flipped bits
		WithVerifyValueChecksum(true).                     // those in the value log, too
		WithNumCompactors(compactors).
		WithCompactL0OnClose(false). // a merge of tables is what may lose them, see the package
		WithMetricsEnabled(false)
}

// damage adds ErrDamaged to what badger finds broken. It goes by the text:
// badger's own wrapping drops the chain of errors.
func damage(err error) error {
	if err != nil && strings.Contains(err.Error(), y.ErrChecksumMismatch.Error()) {
		return fmt.Errorf("%w: %w", backend.ErrDamaged, err)
	}
	return err
}

type engine struct {
	db       *badger.DB // all set by open, never changed
	fault    *fault
	dir      string
	readOnly bool
	spaces   backend.SpaceSet
	maxBytes int64
	maxOps   int
	version  string

	gate backend.Gate

	mu      sync.Mutex // guards all below; never held across a call of badger
	current *generation
	views   int
}

// generation is the state between two Applies: one read transaction that all
// views of that time share. To begin a transaction badger waits for commits
// under way; a view must not, so Apply begins it.
type generation struct {
	txn     *badger.Txn
	holders int // views, and one for being current; guarded by engine.mu
}

// hold returns the current generation; the caller owes a release.
func (e *engine) hold() *generation {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.views++
	e.current.holders++
	return e.current
}

func (e *engine) release(g *generation) {
	e.mu.Lock()
	e.views--
	last := g.dropLocked()
	e.mu.Unlock()
	if last {
		g.txn.Discard()
	}
}

func (g *generation) dropLocked() (last bool) {
	g.holders--
	return g.holders == 0
}

// advance shows the newest commit to the views that follow.
func (e *engine) advance() {
	next := &generation{txn: e.db.NewTransaction(false), holders: 1}
	e.mu.Lock()
	old := e.current
	e.current = next
	last := old.dropLocked()
	e.mu.Unlock()
	if last {
		old.txn.Discard()
	}
}

// Apply commits one transaction, with Sync always.
func (e *engine) Apply(b *backend.Batch, s backend.Syncing) error {
	if err := e.gate.Enter(); err != nil {
		return fmt.Errorf("badger: apply: %w", err)
	}
	defer e.gate.Leave()
	if e.readOnly {
		return fmt.Errorf("badger: apply: %w", backend.ErrReadOnly)
	}
	if err := b.Check(&e.spaces, e.maxBytes, e.maxOps); err != nil {
		return fmt.Errorf("badger: apply: %w", err)
	}
	if b.Len() == 0 {
		return nil
	}
	err := e.fault.err()
	if err == nil {
		err = e.commit(b)
	}
	if err != nil {
		return fmt.Errorf("badger: apply %d operations of %d bytes to %s: %w", b.Len(), b.Size(), e.dir, damage(err))
	}
	e.advance()
	return nil
}

func (e *engine) commit(b *backend.Batch) error {
	txn := e.db.NewTransaction(true)
	defer txn.Discard()
	// badger keeps keys until the transaction ends: one arena for them all.
	keyBytes := 0
	for i := range b.Ops() {
		keyBytes += 1 + len(b.Ops()[i].Key)
	}
	arena := make([]byte, 0, keyBytes)
	for i := range b.Ops() {
		op := &b.Ops()[i]
		start := len(arena)
		arena = append(append(arena, byte(op.Space)), op.Key...)
		key := arena[start:len(arena):len(arena)]
		var err error
		if op.Kind == backend.OpDelete {
			err = txn.Delete(key)
		} else {
			err = txn.Set(key, op.Value)
		}
		if errors.Is(err, badger.ErrTxnTooBig) {
			return fmt.Errorf("operation %d: %w: %w", i, backend.ErrBatchTooLarge, err)
		}
		if err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return e.finish(txn)
}

func (e *engine) Stats() backend.Stats {
	e.mu.Lock()
	views := e.views
	e.mu.Unlock()
	stats := backend.Stats{
		DiskBytes: -1, InUseBytes: -1,
		OpenViews:     views,
		MaxBatchBytes: e.maxBytes,
		MaxBatchOps:   e.maxOps,
		Checksums:     true,
		Path:          e.dir,
		Version:       e.version,
	}
	if e.gate.Enter() != nil {
		return stats
	}
	defer e.gate.Leave()
	n, logs, err := dirBytes(e.dir)
	if err == nil {
		stats.DiskBytes = n
	}
	stats.InUseBytes = logs // what is in no table yet
	for _, level := range e.db.Levels() {
		stats.InUseBytes += level.Size - level.StaleDatSize
	}
	return stats
}

// dirBytes adds up what the files take on disk, all and the logs of memtables
// alone; badger lengthens some of them long before it writes there.
func dirBytes(dir string) (n, logs int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // a compaction was done with it
		}
		if err != nil {
			return 0, 0, err
		}
		n += backend.DiskBytes(info)
		if strings.HasSuffix(entry.Name(), ".mem") {
			logs += backend.DiskBytes(info)
		}
	}
	return n, logs, nil
}

func (e *engine) Close() error {
	if err := e.gate.Close(); err != nil {
		return fmt.Errorf("badger: close: %w", err)
	}
	e.mu.Lock()
	last := e.current
	e.mu.Unlock()
	last.txn.Discard()
	if err := e.closeDB(); err != nil {
		return fmt.Errorf("badger: close %s: %w", e.dir, err)
	}
	return nil
}
