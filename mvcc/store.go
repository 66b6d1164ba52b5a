package mvcc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/backend"
)

// Store is a multi-version key-value store over one engine: one writer at a
// time, any number of readers. All methods may be called from any goroutine.
type Store struct {
	engine   backend.Engine
	cfg      Config
	tuning   tuning
	limits   limits
	readOnly string // why writes are refused; empty: they are not
	partial  int64  // a revision of which parts are on disk, which a read-only open cannot remove; 0: none

	visible    atomic.Int64 // last revision readers see
	compactRev atomic.Int64
	applied    atomic.Int64 // last revision in the engine, durably
	failure    atomic.Pointer[failure]
	gaps       atomic.Pointer[[]gap] // revisions that crashes in Relaxed lost
	closed     atomic.Bool
	ended      atomic.Bool // closed, and nothing becomes visible any more

	writer  sync.Mutex // first in lock order; one transaction at a time stages
	next    int64      // revision the next transaction gets
	open    *group     // Sync: the group that takes joiners; nil: the next one begins it
	newest  *group     // Sync: the last group that anything was staged into
	paused  bool       // Bump waits for what is staged; nothing new is
	ceiling int64      // Relaxed: durable; revisions from here on are not assigned
	staging txn

	besideSpaces backend.SpaceSet // those that the engine was found to have
	attached     attachments

	mu    sync.Mutex // after writer; look-ups and inserts only, never across an engine call
	index *index

	applyMu   sync.Mutex // before writer; holders alone call engine.Apply
	batch     backend.Batch
	keys      []byte // memory of the batch's record keys
	gathering gathering

	tail     tail
	beside   besideQueue
	shown    signal // visible moved, or never will again
	room     signal // a writer that waited for room may look again
	yielding yielding

	compacting chan struct{} // holds one token; its taker compacts, bumps or hashes
	leaders    sync.WaitGroup
	background background
	headroom   headroom
	costs      costs
	counters   counters

	lastEngineStats atomic.Pointer[engineStats]
}

// tuning holds the constants that tests make small.
type tuning struct {
	ceilingStep  int64 // revisions reserved at a time
	partBytes    int64 // batch the flusher aims at
	deleteBatch  int   // records a compaction deletes in one batch
	compactChunk int   // records a compaction looks at in one view
	loading      bool  // a Loader looks at what it has loaded
}

var defaultTuning = tuning{
	ceilingStep:  1 << 20,
	partBytes:    4 << 20,
	deleteBatch:  1000,
	compactChunk: 10_000,
}

// limits of one engine batch, 0 for none, and of one record.
type limits struct {
	batchBytes int64
	batchOps   int
	record     int
}

// metaBytes and metaOps are left free in every batch of records for what goes
// to the meta space with it.
const (
	metaBytes = 1024
	metaOps   = 8
)

func limitsOf(st backend.Stats, cfg Config) limits {
	l := limits{record: cfg.MaxRecordBytes}
	if st.MaxBatchBytes > 0 {
		l.batchBytes = max(st.MaxBatchBytes-metaBytes, 1)
		// One record must fit a batch of its own, its framing included.
		l.record = min(l.record, int(max(l.batchBytes-metaBytes, 1)))
	}
	if st.MaxBatchOps > 0 {
		l.batchOps = max(st.MaxBatchOps-metaOps, 1)
	}
	return l
}

// exceeded reports whether one batch cannot hold so much.
func (l *limits) exceeded(bytes int64, ops int) bool {
	return l.batchBytes > 0 && bytes > l.batchBytes || l.batchOps > 0 && ops > l.batchOps
}

// failure is what ended writing. It never changes once set.
type failure struct {
	first int64 // first revision that is not durable
	cause error
}

func (f *failure) err() error {
	return fmt.Errorf("%w; revision %d is not durable: %w", ErrFailed, f.first, f.cause)
}

// fail ends writing for good. The first cause is kept.
func (s *Store) fail(cause error) error {
	f := &failure{first: s.applied.Load() + 1, cause: cause}
	s.failure.CompareAndSwap(nil, f)
	s.shown.wake()
	s.room.wake()
	return s.failure.Load().err()
}

// Rev is the visible revision: the last committed one. An empty store starts
// at 1.
func (s *Store) Rev() int64 { return s.visible.Load() }

// CompactRev is the revision below which history is gone; 0 if it never was
// compacted. It may still be being deleted from the engine.
func (s *Store) CompactRev() int64 { return s.compactRev.Load() }

// Config is the configuration in force, defaults filled in.
func (s *Store) Config() Config { return s.cfg }

// ReadOnly reports whether writes are refused, and why.
func (s *Store) ReadOnly() (reason string, readOnly bool) { return s.readOnly, s.readOnly != "" }

func (s *Store) relaxed() bool { return s.cfg.Durability.interval > 0 }

// Wait returns nil as soon as the visible revision is rev or more. It answers
// ErrFailed if writing ended before, ErrClosed, or ctx.Err().
func (s *Store) Wait(ctx context.Context, rev int64) error {
	if s.visible.Load() >= rev {
		s.shown.giveWay()
		return nil
	}
	err := s.shown.wait(ctx, func() bool {
		return s.visible.Load() >= rev || s.failure.Load() != nil || s.ended.Load()
	})
	switch f := s.failure.Load(); {
	case s.visible.Load() >= rev:
		return nil
	case err != nil:
		return err
	case f != nil:
		return f.err()
	}
	return ErrClosed
}

// CheckStart answers nil if history is complete from revision rev on, else a
// *CompactedError: rev is below the compact revision, or in the part of
// history that a crash in Relaxed lost.
func (s *Store) CheckStart(rev int64) error {
	if compact := s.compactRev.Load(); rev < compact {
		return &CompactedError{Requested: rev, Compact: compact}
	}
	for _, g := range *s.gaps.Load() {
		if rev > g.tail+1 && rev <= g.ceiling {
			return &CompactedError{Requested: rev, Compact: g.ceiling + 1}
		}
	}
	return nil
}

// checkRead answers whether a reader may read at rev, which is not 0.
func (s *Store) checkRead(rev int64) error {
	if compact := s.compactRev.Load(); rev < compact {
		return &CompactedError{Requested: rev, Compact: compact}
	}
	for _, g := range *s.gaps.Load() {
		if rev > g.tail && rev < g.ceiling {
			return &CompactedError{Requested: rev, Compact: g.ceiling + 1}
		}
	}
	return nil
}
