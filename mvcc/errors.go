package mvcc

import (
	"errors"
	"fmt"
)

// Sentinels that callers branch on. Where one has a number worth knowing it
// is wrapped with it.
var (
	// ErrCompacted: the revision asked for is below the compact revision, or
	// inside a gap that a crash in Relaxed lost. It is always wrapped by a
	// *CompactedError. The text is etcd's.
	ErrCompacted = errors.New("mvcc: required revision has been compacted")
	// ErrFutureRevision: the revision asked for is not reached yet. The text
	// is etcd's.
	ErrFutureRevision = errors.New("mvcc: required revision is a future revision")
	// ErrDuplicateKey: one transaction writes a key twice.
	ErrDuplicateKey = errors.New("mvcc: duplicate key given in txn request")
	// ErrEmptyKey: a key of 0 bytes was given where a key is needed.
	ErrEmptyKey = errors.New("mvcc: key is not provided")
	// ErrTooLarge: a key, value or transaction is above Config's limits.
	ErrTooLarge = errors.New("mvcc: request is too large")
	// ErrReadOnly: the store takes no writes; the wrapping text says why.
	ErrReadOnly = errors.New("mvcc: store is read-only")
	// ErrUncertain: the context ended after the transaction was staged; it
	// may or may not become visible.
	ErrUncertain = errors.New("mvcc: outcome unknown, the transaction may still be committed")
	// ErrFailed: a write to the engine failed and writing has ended. It wraps
	// the cause. Reads of what is visible go on.
	ErrFailed = errors.New("mvcc: store failed, writing has ended")
	// ErrNoSpace: the volume has too little room left for the write, or the
	// data have reached Config.QuotaBytes. Nothing of the transaction
	// happened. The wrapping text has the numbers and what to do; it ends by
	// itself once there is room. The text is etcd's.
	ErrNoSpace = errors.New("mvcc: database space exceeded")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("mvcc: store is closed")
	// ErrDamaged: stored bytes are not what a store writes.
	ErrDamaged = errors.New("mvcc: stored data is damaged")
	// ErrExhausted: revisions have reached the last one a store assigns, about
	// four billion below the largest int64. Reads, watches and compaction go on.
	ErrExhausted = errors.New("mvcc: no revision is left")
	// ErrTxDone: a WriteTx was used after its closure had returned.
	ErrTxDone = errors.New("mvcc: transaction is over")
	// ErrKeyMissing: a put was told to keep the value or lease of a key that
	// does not exist. The text is etcd's.
	ErrKeyMissing = errors.New("mvcc: key not found")
	// ErrFormat: the data was written by a newer format of this program.
	ErrFormat = errors.New("mvcc: format is newer than this program")
	// ErrUnfinished: the data was being copied from another store when that
	// was interrupted, and is not whole.
	ErrUnfinished = errors.New("mvcc: the data is an unfinished copy; begin the copy again")
	// ErrNotEmpty: a copy was to be written where data is.
	ErrNotEmpty = errors.New("mvcc: there is data already")
)

// CompactedError is the answer to a revision that history no longer holds.
// errors.Is(err, ErrCompacted) is true for it.
type CompactedError struct {
	Requested int64 // the revision asked for
	Compact   int64 // the first revision from which history is complete
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("%v (asked for %d, complete from %d on)", ErrCompacted, e.Requested, e.Compact)
}

// Is makes errors.Is(err, ErrCompacted) true.
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }
