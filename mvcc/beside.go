package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/backend"
)

// A record beside history belongs to no revision of its own: a lease, an
// alarm, what a server keeps. It is staged with a transaction and becomes
// durable in the engine batch of that transaction's revision or, if that made
// none, in one with or behind the revision it ran at: so what is on disk is
// always a prefix of what was staged.

// besideGroup is what one transaction wrote beside history: all or nothing.
type besideGroup struct {
	rev   int64 // its revision, or the one it ran at
	own   bool  // it made rev, so both go into one batch
	ops   []backend.Op
	bytes int64 // as Batch.Size counts them
	seq   int64 // its number in the order of staging
}

// besideQueue holds what is staged and in no batch yet, in the order of
// staging, so rev never goes down in it. Who holds Store.writer adds, who
// holds applyMu takes.
type besideQueue struct {
	mu     sync.Mutex // leaf
	groups []besideGroup
	seq    int64 // of the last group that was added

	waiting atomic.Int64 // bytes of groups: whoever finds none takes no lock
}

// besideOverhead is what an operation weighs beside its bytes.
const besideOverhead = 64

func (q *besideQueue) add(g besideGroup) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seq++
	g.seq = q.seq
	q.groups = append(q.groups, g)
	q.waiting.Add(g.bytes)
}

// besideDue says what of the queue belongs to a call that writes: groups up to
// rev, and not those that were added after seq, since without a revision there
// may be no end of them.
type besideDue struct{ rev, seq int64 }

// due is what is to be written with the revisions up to rev.
func (q *besideQueue) due(rev int64) besideDue {
	q.mu.Lock()
	defer q.mu.Unlock()
	return besideDue{rev, q.seq}
}

func (q *besideQueue) hasLocked(due besideDue) bool {
	return len(q.groups) > 0 && q.groups[0].rev <= due.rev && q.groups[0].seq <= due.seq
}

// take removes the next group if it is due and fits. left tells that one stays
// because it does not.
func (q *besideQueue) take(due besideDue, fits func(bytes int64, ops int) bool) (ops []backend.Op, left bool) {
	if q.waiting.Load() == 0 {
		return nil, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.hasLocked(due) {
		return nil, false
	}
	if g := &q.groups[0]; !fits(g.bytes, len(g.ops)) {
		return nil, true
	}
	return q.popLocked(), false
}

// takeOwn removes the group that made rev, if there is one.
func (q *besideQueue) takeOwn(rev int64) []backend.Op {
	if q.waiting.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ownLocked(rev) {
		return nil
	}
	return q.popLocked()
}

func (q *besideQueue) ownLocked(rev int64) bool {
	return len(q.groups) > 0 && q.groups[0].own && q.groups[0].rev == rev
}

func (q *besideQueue) popLocked() []backend.Op {
	g := q.groups[0]
	q.groups[0] = besideGroup{}
	if q.groups = q.groups[1:]; len(q.groups) == 0 {
		q.groups = nil
	}
	q.waiting.Add(-g.bytes)
	return g.ops
}

// weight is what the group that made rev, the next one if there is one, adds
// to its batch.
func (q *besideQueue) weight(rev int64) (bytes int64, ops int) {
	if q.waiting.Load() == 0 {
		return 0, 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ownLocked(rev) {
		return 0, 0
	}
	return q.groups[0].bytes, len(q.groups[0].ops)
}

// owes reports whether something that is due waits.
func (q *besideQueue) owes(due besideDue) bool {
	if q.waiting.Load() == 0 {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hasLocked(due)
}

// metaBeside begins the keys of the meta space that are for users of the
// store; all others are its own.
var metaBeside = []byte("watchkv_server_")

func checkBeside(sp backend.Space, key []byte) error {
	switch {
	case sp == backend.SpaceKey, sp == backend.SpaceMeta && !bytes.HasPrefix(key, metaBeside):
		return fmt.Errorf("mvcc: key %q of space %d is the store's own, not one beside history", key, sp)
	case len(key) == 0:
		return ErrEmptyKey
	case len(key) > backend.MaxKeyBytes:
		return fmt.Errorf("key of %d bytes beside history, at most %d: %w", len(key), backend.MaxKeyBytes, ErrTooLarge)
	}
	return nil
}

// knowsSpace answers the engine's ErrUnknownSpace for a space it does not
// have: in a batch that would end writing. Needs writer.
func (s *Store) knowsSpace(sp backend.Space) error {
	if s.besideSpaces[sp] {
		return nil
	}
	view, err := s.engine.View()
	if err != nil {
		return err
	}
	defer view.Close()
	if _, _, err = view.Get(sp, nil, []byte{0}); err == nil {
		s.besideSpaces[sp] = true
	}
	return err
}

// writeBeside stages one operation.
func (t *txn) writeBeside(op backend.Op, e EventType) error {
	if err := checkBeside(op.Space, op.Key); err != nil {
		return err
	}
	if n := len(op.Key) + len(op.Value); n > t.s.limits.record {
		return fmt.Errorf("record of %d bytes beside history, at most %d: %w", n, t.s.limits.record, ErrTooLarge)
	}
	if err := t.s.knowsSpace(op.Space); err != nil {
		return err
	}
	weight := int64(len(op.Key)+len(op.Value)) + besideOverhead
	if total, ops := t.besideBytes+weight, len(t.beside)+1; t.s.limits.exceeded(total, ops) {
		return fmt.Errorf("%d bytes in %d records beside history, more than a batch of the engine: %w", total, ops, ErrTooLarge)
	}
	if err := t.roomFor(e, weight); err != nil {
		return err
	}
	op.Key, op.Value = bytes.Clone(op.Key), bytes.Clone(op.Value)
	t.beside = append(t.beside, op)
	t.besideBytes += weight
	t.weight += weight
	return nil
}

// queueBeside hands what the transaction wrote beside history to the
// committer. Needs writer.
func (t *txn) queueBeside() {
	if len(t.beside) == 0 {
		return
	}
	g := besideGroup{rev: t.rev, own: len(t.events) > 0, ops: slices.Clip(t.beside), bytes: t.besideBytes}
	if !g.own {
		g.rev--
	}
	t.s.beside.add(g)
}

// fillBesideLocked puts what is due beside history, and is no part of a
// revision, into the store's batch; full tells that some did not fit. Needs
// applyMu.
func (s *Store) fillBesideLocked(due besideDue) (full bool) {
	for {
		ops, left := s.beside.take(due, s.takesLocked)
		if ops == nil {
			return left
		}
		addOps(&s.batch, ops)
	}
}

// takesLocked reports whether the store's batch takes so much more. An empty
// one takes what any transaction may write. Needs applyMu.
func (s *Store) takesLocked(bytes int64, ops int) bool {
	if s.batch.Len() == 0 {
		return true
	}
	bytes += s.batch.Size()
	ops += s.batch.Len()
	return !s.limits.exceeded(bytes, ops) && bytes <= s.tuning.partBytes
}

// PutBeside writes a record that is no part of history, into a space of the
// engine that is not the store's own: of the meta space only keys that begin
// with "watchkv_server_" are allowed. It becomes durable in one engine batch
// with the transaction, also if that makes no revision, and by the store's
// Durability; nobody but ScanBeside sees it. The slices are the caller's
// again when it returns. All that a transaction writes beside history has to
// fit one batch of the engine. Alarms find room as deletes do. Errors:
// ErrEmptyKey, ErrTooLarge, ErrNoSpace, ErrTxDone, and backend.ErrUnknownSpace.
func (tx *WriteTx) PutBeside(sp backend.Space, key, value []byte) error {
	if tx.t == nil {
		return ErrTxDone
	}
	e := EventPut
	if sp == backend.SpaceAlarm {
		e = EventDelete // that there is no room has to be kept
	}
	return tx.t.writeBeside(backend.Op{Kind: backend.OpPut, Space: sp, Key: key, Value: value}, e)
}

// DeleteBeside removes a record beside history; a missing one is no error.
// For the rest it is like PutBeside, but goes on with less room left, as
// deletes do.
func (tx *WriteTx) DeleteBeside(sp backend.Space, key []byte) error {
	if tx.t == nil {
		return ErrTxDone
	}
	return tx.t.writeBeside(backend.Op{Kind: backend.OpDelete, Space: sp, Key: key}, EventDelete)
}

// ScanBeside visits the records of a space beside history in ascending order
// until visit answers false, as far as they are durable. The slices die when
// visit returns; visit must not call the store. A space that the engine does
// not have is empty.
func (s *Store) ScanBeside(sp backend.Space, visit func(key, value []byte) bool) error {
	if s.closed.Load() {
		return ErrClosed
	}
	view, err := s.engine.View()
	if err != nil {
		return err
	}
	err = view.Scan(sp, nil, nil, visit)
	if errors.Is(err, backend.ErrUnknownSpace) {
		err = nil
	}
	return errors.Join(err, view.Close())
}
