package backend

import (
	"context"
	"io"
	"log/slog"
)

// Syncing says what an Apply waits for.
type Syncing int

const (
	// Sync returns once the batch survives power loss.
	Sync Syncing = iota
	// NoSync is a hint: the batch may be lost in a crash, whole, together
	// with every NoSync batch behind it, but never a batch applied with Sync
	// before it, and a later Sync makes it durable too. For work that can be
	// done again, such as the deletes of a compaction. Engines that cannot do
	// this safely treat it as Sync.
	NoSync
)

// Driver names an engine and opens it.
type Driver struct {
	Name string
	// Open opens the data at path, creating it unless Options.ReadOnly. An
	// engine that keeps nothing on disk ignores path.
	Open func(path string, o Options) (Engine, error)
	// Restore writes what Backuper.Backup of the same engine wrote to path,
	// where nothing may be yet, and opens it. Nil if the engine has no backup.
	Restore func(ctx context.Context, path string, r io.Reader, o Options) (Engine, error)
	// Holds tells from the names of files alone whether path holds data of
	// this engine. Nil if the engine keeps nothing on disk.
	Holds func(path string) bool
	// Volatile engines keep nothing: Close loses the data.
	Volatile bool
}

// Options configures an engine. The zero value works.
type Options struct {
	// Spaces to register; nil means DefaultSpaces.
	Spaces []SpaceInfo
	// ReadOnly opens existing data without changing a byte of it; Apply then
	// answers ErrReadOnly. Missing data is an error.
	ReadOnly bool
	// CacheBytes is the engine's own block cache in bytes; 0 means 64 MiB.
	// Engines that read memory maps or the heap have none and ignore it;
	// Stats.CacheBytes tells.
	CacheBytes int64
	// Logger receives the engine's own messages; nil means silence.
	Logger *slog.Logger
}

// Engine is an open store.
type Engine interface {
	// Apply writes the batch, all or nothing, in the order of its operations.
	// One caller at a time. The batch is the caller's again when Apply
	// returns. After ErrBatchTooLarge, ErrKeySize, ErrUnknownSpace,
	// ErrReadOnly and ErrClosed nothing happened; any other error leaves the
	// outcome unknown.
	Apply(b *Batch, s Syncing) error
	// View opens a frozen read that sees every Apply that returned before.
	View() (View, error)
	// Stats reads figures the engine keeps; cheap enough for once a second.
	Stats() Stats
	// Close waits for open views, ends the engine's goroutines and releases
	// its files. A second Close answers ErrClosed.
	Close() error
}

// View is a frozen read of an Engine. It must be closed. Not safe for use by
// several goroutines at once.
type View interface {
	// Get appends the value of key to dst and returns the result, which the
	// caller owns; ok tells an empty value from a missing key.
	Get(s Space, dst, key []byte) (value []byte, ok bool, err error)
	// Scan visits the keys of [lo, hi) in ascending order until visit returns
	// false; nil hi is the end of the space. The slices die when visit
	// returns. visit must not use the view.
	Scan(s Space, lo, hi []byte, visit func(key, value []byte) bool) error
	// Close releases the view. Slices and results handed out stay as said
	// above. A second Close is an error.
	Close() error
}

// Stats are figures of an open engine. A figure an engine cannot know is -1.
type Stats struct {
	// DiskBytes is the size of the engine's files, or of its memory for mem.
	DiskBytes int64
	// InUseBytes is the part of DiskBytes that holds live data.
	InUseBytes int64
	// OpenViews is the number of views not closed yet.
	OpenViews int
	// MaxBatchBytes is the largest Batch.Size that Apply takes; 0: no bound.
	MaxBatchBytes int64
	// MaxBatchOps is the largest Batch.Len that Apply takes; 0: no bound.
	MaxBatchOps int
	// CacheBytes is the block cache in force; 0: none of its own.
	CacheBytes int64
	// Checksums tells whether the engine can see flipped bits in its data.
	Checksums bool
	// Path is where the data stand, as Open found them; for messages. Empty
	// if they stand nowhere.
	Path string
	// Version names the engine's library and its version, for results and
	// reports, for example "pebble v2.1.7".
	Version string
}

// Backuper is the ability to write a copy of the whole store, as of one
// moment, to w in the engine's own form, without stopping writers.
type Backuper interface {
	Backup(ctx context.Context, w io.Writer) error
}

// Reclaimer is the ability to give space back to the operating system. It
// may stop writers meanwhile; the engine's documentation says so.
type Reclaimer interface {
	Reclaim(ctx context.Context) error
}

// Verifier is the ability to check the engine's own structures and checksums.
// A report says what was checked; damage is an error wrapping ErrDamaged that
// names the place.
type Verifier interface {
	Verify(ctx context.Context) (VerifyReport, error)
}

// VerifyReport says what a Verify looked at.
type VerifyReport struct {
	Checked   []string // in words, for people: "page structure", "block checksums"
	Unchecked []string // what this engine has no means to see
}
