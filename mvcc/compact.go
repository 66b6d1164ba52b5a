package mvcc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// Compact forgets history below rev: afterwards reads and watches below rev
// answer *CompactedError, the events of rev itself remain. It returns when the
// records are deleted from the engine. The revision is compacted, durably,
// long before: if ctx ends meanwhile Compact returns its error and the rest
// goes on in the background, and after the next Open if need be.
//
// One compaction runs at a time, a second waits. Errors: *CompactedError if
// rev is compacted already, ErrFutureRevision, and those of Update.
func (s *Store) Compact(ctx context.Context, rev int64) error {
	if err := s.takeToken(ctx); err != nil {
		return err
	}
	if err := s.schedule(rev); err != nil {
		s.giveToken()
		return err
	}
	return s.awaitCompaction(ctx, rev)
}

// StartCompact is Compact that returns as soon as the revision is compacted,
// durably and for every reader; the records are deleted behind it, and after
// the next Open if need be. It waits for a compaction that is deleting now.
func (s *Store) StartCompact(ctx context.Context, rev int64) error {
	if err := s.takeToken(ctx); err != nil {
		return err
	}
	if err := s.schedule(rev); err != nil {
		s.giveToken()
		return err
	}
	if !s.spawn(func(ctx context.Context) { s.compactBehind(ctx, rev) }) {
		s.giveToken()
	}
	return nil
}

// compactBehind is finishCompaction with nobody waiting for its error.
func (s *Store) compactBehind(ctx context.Context, rev int64) {
	if err := s.finishCompaction(ctx, rev); err != nil && !errors.Is(err, ErrClosed) {
		s.cfg.Logger.Error("deleting compacted history", "revision", rev, "error", err)
	}
}

// awaitCompaction runs what is left of a scheduled compaction, for the holder
// of the token, and waits for it as long as ctx allows.
func (s *Store) awaitCompaction(ctx context.Context, rev int64) error {
	done := make(chan error, 1) // one send, so the sender never waits
	if !s.spawn(func(ctx context.Context) { done <- s.finishCompaction(ctx, rev) }) {
		s.giveToken()
		return ErrClosed
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("compaction at revision %d goes on in the background: %w", rev, ctx.Err())
	}
}

// takeToken makes the caller the only one who compacts, bumps or hashes.
func (s *Store) takeToken(ctx context.Context) error {
	if err := s.readable(ctx); err != nil {
		return err
	}
	select {
	case <-s.compacting:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.background.ctx.Done():
		return ErrClosed
	}
}

func (s *Store) giveToken() { s.compacting <- struct{}{} }

// spawn runs fn on a goroutine that Close waits for; false once Close began.
func (s *Store) spawn(fn func(ctx context.Context)) bool {
	s.writer.Lock()
	defer s.writer.Unlock()
	if s.closed.Load() {
		return false
	}
	s.background.run(fn)
	return true
}

// schedule makes the decision to compact durable, and then known to readers.
func (s *Store) schedule(rev int64) error {
	if err := s.refusal(); err != nil {
		return err
	}
	if compact := s.compactRev.Load(); rev <= compact {
		return &CompactedError{Requested: rev, Compact: compact}
	}
	if visible := s.visible.Load(); rev > visible {
		return fmt.Errorf("compaction at revision %d, current is %d: %w", rev, visible, ErrFutureRevision)
	}
	if err := s.roomToCompact(); err != nil {
		return err
	}
	if err := s.flush(rev); err != nil {
		return err
	}
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	if err := s.applyMetaLocked("scheduling a compaction", putMark(metaScheduled, rev)); err != nil {
		return err
	}
	s.compacted(rev)
	return nil
}

// compacted tells readers, before anything is deleted.
func (s *Store) compacted(rev int64) {
	s.compactRev.Store(rev)
	gaps := gapsAbove(*s.gaps.Load(), rev)
	s.gaps.Store(&gaps)
}

// finishCompaction deletes what a scheduled compaction forgets, marks it
// finished and gives the token back. It stops between two batches when ctx
// ends.
func (s *Store) finishCompaction(ctx context.Context, rev int64) error {
	defer s.giveToken()
	began := time.Now()
	s.trimIndex(ctx, rev)
	err := s.sweep(ctx, rev)
	if ctx.Err() != nil {
		return ErrClosed
	}
	if err == nil {
		s.applyMu.Lock()
		defer s.applyMu.Unlock()
		err = s.applyMetaLocked("finishing a compaction", putMark(metaFinished, rev), putGaps(*s.gaps.Load()))
	}
	if err != nil {
		return fmt.Errorf("compaction at revision %d: %w", rev, err)
	}
	s.counters.compactions.Add(1)
	s.counters.compactTook.add(time.Since(began), compactBase)
	s.counters.compactedAt.Store(time.Now().UnixNano())
	return nil
}

// trimIndex forgets in the index, a chunk of keys at a time.
func (s *Store) trimIndex(ctx context.Context, rev int64) {
	for next, more := []byte(nil), true; more && ctx.Err() == nil; {
		next, more = s.trimChunk(next, rev)
		runtime.Gosched()
	}
}

func (s *Store) trimChunk(from []byte, rev int64) (next []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var emptied []keyHistory
	next, more = s.index.walk(Span{}, from, walkChunk, func(h keyHistory) bool {
		s.index.revisions -= int64(h.compact(rev))
		if h.empty() {
			emptied = append(emptied, h)
		}
		return true
	})
	for _, h := range emptied {
		s.index.remove(h)
	}
	return next, more
}

// sweep deletes the records up to rev that the index no longer holds.
func (s *Store) sweep(ctx context.Context, rev int64) error {
	end := firstKeyOf(rev + 1)
	limit := s.deleteLimit()
	for from := []byte(nil); ctx.Err() == nil; {
		records, next, err := s.readForSweep(from, end)
		if err != nil {
			return err
		}
		for len(records) > 0 && ctx.Err() == nil {
			if !s.awaitRoomToCompact(ctx) {
				break
			}
			n := min(limit, len(records))
			if err := s.deleteForgotten(records[:n]); err != nil {
				return err
			}
			records = records[n:]
			runtime.Gosched()
		}
		if next == nil {
			return nil
		}
		from = next
	}
	return ctx.Err()
}

// deleteLimit is how many records one batch of deletes may hold.
func (s *Store) deleteLimit() int {
	n := s.tuning.deleteBatch
	if s.limits.batchOps > 0 {
		n = min(n, s.limits.batchOps)
	}
	if s.limits.batchBytes > 0 {
		n = min(n, int(s.limits.batchBytes/recordOverhead))
	}
	return max(n, 1)
}

// sweepRecord is a record that may have to go.
type sweepRecord struct {
	kr  KeyRev
	key []byte
}

// readForSweep reads the next records of [from, end) in one view. next is
// where to go on, nil at the end.
func (s *Store) readForSweep(from, end []byte) (records []sweepRecord, next []byte, err error) {
	view, err := s.engine.View()
	if err != nil {
		return nil, nil, err
	}
	defer view.Close()
	var keys arena
	var bad error
	err = view.Scan(backend.SpaceKey, from, end, func(key, value []byte) bool {
		if len(records) == s.tuning.compactChunk {
			next = append([]byte(nil), key...)
			return false
		}
		var kr KeyRev
		var name []byte
		if kr, bad = parseRevKey(key); bad == nil {
			name, bad = recordKey(value)
		}
		if bad != nil {
			return false
		}
		records = append(records, sweepRecord{kr, keys.copy(name)})
		return true
	})
	if err == nil {
		err = bad
	}
	return records, next, err
}

// deleteForgotten deletes those of records that the index does not hold.
func (s *Store) deleteForgotten(records []sweepRecord) error {
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	if f := s.failure.Load(); f != nil {
		return f.err()
	}
	s.batch.Reset()
	s.keys = s.keys[:0]
	for _, kr := range s.forgotten(records) {
		start := len(s.keys)
		s.keys = appendRevKey(s.keys, kr)
		s.batch.Delete(backend.SpaceKey, s.keys[start:len(s.keys):len(s.keys)])
	}
	n := s.batch.Len()
	if n == 0 {
		return nil
	}
	if err := s.applyLocked(&s.batch, backend.NoSync); err != nil {
		return s.fail(err)
	}
	s.counters.compacted.Add(int64(n))
	return nil
}

func (s *Store) forgotten(records []sweepRecord) []KeyRev {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gone []KeyRev
	for _, r := range records {
		if h, ok := s.index.find(r.key); !ok || !h.holds(r.kr) {
			gone = append(gone, r.kr)
		}
	}
	return gone
}
