package mvcc

import (
	"context"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/backend"
)

// txn is a transaction while it stages. Its changes go straight into the
// index, at a revision that readers do not reach yet, and are taken back by
// the undo log if it ends with an error or a panic. The store has one, reused;
// guarded by the writer lock.
type txn struct {
	s      *Store
	rev    int64   // revision its writes get
	events []Event // its writes so far; handed to the tail, so never reused
	undo   []undoStep
	weight int64 // of events, in tail's measure
	read   bool  // it looked at state that may be staged only
	// rewrites lets an operation write a key that an earlier one of the same
	// transaction wrote: only where the declarative check let it pass.
	rewrites bool

	attached    bool // it changed to which lease a key is attached
	beside      []backend.Op
	besideBytes int64
	broken      error // of a Txn of which a part is staged: the whole fails
	refusal     error // it only reads, and this is why
}

// wrote reports whether there is something to commit.
func (t *txn) wrote() bool { return len(t.events) > 0 || len(t.beside) > 0 }

type undoStep struct {
	history keyHistory
	before  life
}

// undoKeep is the longest undo log whose memory is kept for the next
// transaction.
const undoKeep = 4096

// run calls fn and takes everything back unless it succeeds.
func (t *txn) run(fn func(t *txn) error) error {
	t.rev = t.s.next
	ok := false
	defer func() {
		if !ok {
			t.takeBack()
		}
	}()
	err := fn(t)
	if err == nil {
		err = t.broken
	}
	ok = err == nil
	return err
}

// end makes the txn ready for the next transaction.
func (t *txn) end() {
	undo := t.undo
	clear(undo)
	if cap(undo) > undoKeep {
		undo = nil
	}
	*t = txn{s: t.s, undo: undo[:0]}
}

func (t *txn) takeBack() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.s.index.undo(t.undo[i].history, t.undo[i].before)
	}
	t.undo = t.undo[:0]
	t.events, t.beside = nil, nil
	if t.attached {
		t.s.attached.takeBack(t.rev)
	}
}

// attach notes the lease of a key that is written.
func (t *txn) attach(key []byte, lease int64) {
	if t.s.attached.attach(key, lease, t.rev, t.s.visible.Load()) {
		t.attached = true
	}
}

// current is the revision the transaction stands at: its own once it wrote.
func (t *txn) current() int64 {
	if len(t.events) > 0 {
		return t.rev
	}
	return t.rev - 1
}

func (t *txn) put(key, value []byte, lease int64) error {
	if len(key) == 0 {
		return ErrEmptyKey
	}
	if n := len(key) + len(value); n > t.s.limits.record {
		return fmt.Errorf("put of %d bytes, at most %d: %w", n, t.s.limits.record, ErrTooLarge)
	}
	if err := t.roomFor(EventPut, int64(len(key)+len(value))+eventOverhead); err != nil {
		return err
	}
	create, version, err := t.indexPut(key)
	if err != nil {
		return err
	}
	t.attach(key, lease)
	kv, record := encodeRecord(KeyValue{
		Key: key, Value: value, Lease: lease,
		CreateRevision: create, ModRevision: t.rev, Version: version,
	})
	t.emit(Event{Type: EventPut, KV: kv, record: record})
	return nil
}

// emit records the event of a change that is in the index. Most transactions
// have one event, so the first gets exactly its room.
func (t *txn) emit(e Event) {
	t.weight += e.weight()
	if t.events == nil {
		t.events = make([]Event, 1)
		t.events[0] = e
		return
	}
	t.events = append(t.events, e)
}

func (t *txn) indexPut(key []byte) (create, version int64, err error) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.index.history(key)
	if h.newest.main == t.rev && !t.rewrites {
		return 0, 0, fmt.Errorf("key %q: %w", key, ErrDuplicateKey)
	}
	t.undo = append(t.undo, undoStep{h, life{h.create, h.count}})
	create, version = h.put(KeyRev{Main: t.rev, Sub: int64(len(t.events))})
	s.index.revisions++
	return create, version, nil
}

// deleteRange deletes the live keys of the range and returns how many those
// were.
func (t *txn) deleteRange(key, end []byte) (int64, error) {
	if len(key) == 0 && len(end) == 0 {
		return 0, ErrEmptyKey
	}
	t.read = true
	var doomed []keyHistory
	var duplicate []byte
	weight := int64(0)
	t.s.walkIndex(SpanOf(key, end), func(h keyHistory) bool {
		if _, live := h.liveAt(t.rev); live {
			doomed = append(doomed, h)
			weight += int64(len(h.key())) + eventOverhead
			if h.newest.main == t.rev && !t.rewrites {
				duplicate = h.key()
			}
		}
		return duplicate == nil
	})
	if duplicate != nil {
		return 0, fmt.Errorf("key %q: %w", duplicate, ErrDuplicateKey)
	}
	if err := t.roomFor(EventDelete, weight); err != nil {
		return 0, err
	}
	t.undo = slices.Grow(t.undo, len(doomed))
	t.events = slices.Grow(t.events, len(doomed))
	for rest := doomed; len(rest) > 0; {
		chunk := rest[:min(len(rest), walkChunk)]
		rest = rest[len(chunk):]
		t.indexDelete(chunk)
	}
	return int64(len(doomed)), nil
}

// indexDelete adds a tombstone to each history. They are live, so no
// compaction took them out of the index since they were found.
func (t *txn) indexDelete(doomed []keyHistory) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, h := range doomed {
		t.undo = append(t.undo, undoStep{h, life{h.create, h.count}})
		h.delete(KeyRev{Main: t.rev, Sub: int64(len(t.events)), Tombstone: true})
		t.s.index.revisions++
		t.attach(h.key(), 0)
		kv, record := encodeRecord(KeyValue{Key: h.key()})
		kv.ModRevision = t.rev
		t.emit(Event{Type: EventDelete, KV: kv, record: record})
	}
}

// Put sets key to value, without a lease, and returns the revision that did
// it. The slices are the caller's again when it returns. The errors are those
// of Update, and ErrEmptyKey, ErrTooLarge.
func (s *Store) Put(ctx context.Context, key, value []byte) (rev int64, err error) {
	return s.write(ctx, func(t *txn) error { return t.put(key, value, 0) })
}

// DeleteRange deletes the keys of a range, written as for SpanOf. Deleting
// nothing makes no revision.
func (s *Store) DeleteRange(ctx context.Context, key, end []byte) (DeleteResult, error) {
	var deleted int64
	rev, err := s.write(ctx, func(t *txn) (err error) {
		deleted, err = t.deleteRange(key, end)
		return err
	})
	if err != nil {
		return DeleteResult{}, err
	}
	return DeleteResult{Deleted: deleted, Rev: rev}, nil
}

// Update runs fn as one transaction, alone among writers, and returns the
// revision it made, or the current one if it changed no key. If fn returns
// an error or panics nothing of it happens, and Update passes that on.
//
// Update returns when the outcome is certain by the store's Durability. A
// transaction that read returns only when what it read can no longer be lost.
// Errors: ctx.Err() when ctx ended before fn ran or before what a
// transaction read became visible; ErrUncertain when it ended later;
// ErrFailed, ErrReadOnly, ErrClosed.
//
// fn must be short: other writers wait for it. It may read the store, which
// shows nothing of the transaction. It must not write, Compact, Bump, HashKV
// or Close: that would wait for fn itself, for ever, whatever the context.
func (s *Store) Update(ctx context.Context, fn func(tx *WriteTx) error) (rev int64, err error) {
	tx := new(WriteTx)
	return s.write(ctx, func(t *txn) error {
		tx.t = t
		defer func() { tx.t = nil }()
		return fn(tx)
	})
}

// WriteTx is the handle of one Update. It belongs to the goroutine that runs
// the closure and is dead when that returns: its calls then answer ErrTxDone.
type WriteTx struct{ t *txn }

// Rev is the revision that the writes of this transaction get; 0 once it is
// over.
func (tx *WriteTx) Rev() int64 {
	if tx.t == nil {
		return 0
	}
	return tx.t.rev
}

// Put sets key to value, attached to lease (0: none). The slices are the
// caller's again when it returns. A second write of one key is
// ErrDuplicateKey.
func (tx *WriteTx) Put(key, value []byte, lease int64) error {
	if tx.t == nil {
		return ErrTxDone
	}
	return tx.t.put(key, value, lease)
}

// LeaseKeys lists the keys that are attached to a lease, sorted, as the
// transaction sees it; nil once it is over. They are the caller's.
func (tx *WriteTx) LeaseKeys(id int64) [][]byte {
	if tx.t == nil {
		return nil
	}
	tx.t.read = true
	return tx.t.s.attached.staged(id)
}

// DeleteRange deletes the keys of a range, written as for SpanOf, and returns
// how many there were. If it would delete a key that this transaction put,
// it deletes nothing and answers ErrDuplicateKey.
func (tx *WriteTx) DeleteRange(key, end []byte) (int64, error) {
	if tx.t == nil {
		return 0, ErrTxDone
	}
	return tx.t.deleteRange(key, end)
}

// Get reads a key as the transaction sees it, its own writes included.
func (tx *WriteTx) Get(key []byte) (kv KeyValue, ok bool, err error) {
	if tx.t == nil {
		return KeyValue{}, false, ErrTxDone
	}
	return first(tx.t.rangeKeys(key, nil, RangeOptions{Limit: 1}))
}

// Range reads a range as the transaction sees it, its own writes included;
// with RangeOptions.Rev as it was at that revision.
func (tx *WriteTx) Range(key, end []byte, o RangeOptions) (RangeResult, error) {
	if tx.t == nil {
		return RangeResult{}, ErrTxDone
	}
	return tx.t.rangeKeys(key, end, o)
}

// first picks the key out of the answer to a range of one key.
func first(res RangeResult, err error) (kv KeyValue, ok bool, _ error) {
	if err != nil || len(res.KVs) == 0 {
		return KeyValue{}, false, err
	}
	return res.KVs[0], true, nil
}
