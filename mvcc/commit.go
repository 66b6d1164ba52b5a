package mvcc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// group is what one engine batch makes durable in Sync: all transactions that
// were staged while the batch before it was being written.
type group struct {
	end  int64         // last revision in it; guarded by writer until it is taken
	done chan struct{} // closed by its leader
	err  error         // set before done is closed
}

// staged is what a transaction left behind when it released the writer lock.
type staged struct {
	rev   int64  // its own revision, or the one it ran at if it changed nothing
	wrote bool   // it made a revision, or wrote beside history
	apart bool   // it wrote beside history only
	group *group // Sync: what must be visible before the caller hears; nil: nothing
	leads bool   // the caller began the group and commits it
	woke  bool   // somebody was waiting for the revision
}

// write runs fn as one transaction and returns when its outcome is certain:
// the revision it made, or if it changed nothing the one it ran at.
func (s *Store) write(ctx context.Context, fn func(t *txn) error) (rev int64, err error) {
	st, err := s.stage(ctx, fn, false)
	for err == errNoRoom || err == errMeasure {
		if err == errMeasure {
			s.measure(freshAge)
			st, err = s.stage(ctx, fn, true)
		} else if err = s.room.wait(ctx, s.hasRoom); err == nil {
			st, err = s.stage(ctx, fn, false)
		}
	}
	if err != nil {
		s.refused(err)
	}
	if st.leads {
		if ctx.Done() == nil {
			s.lead(st.group)
		} else {
			// The caller may leave, the group may not.
			go s.lead(st.group)
		}
	}
	if st.group != nil {
		if groupErr := s.await(ctx, &st); groupErr != nil {
			return 0, groupErr
		}
	}
	if st.woke {
		s.yielding.yield()
	}
	if err != nil {
		return 0, err
	}
	return st.rev, nil
}

// await waits until what the transaction made or read is visible or has
// failed.
func (s *Store) await(ctx context.Context, st *staged) error {
	if ctx.Done() == nil { // a plain wait costs less than a choice
		<-st.group.done
		return s.outcome(st)
	}
	select {
	case <-st.group.done:
		return s.outcome(st)
	default:
	}
	select {
	case <-st.group.done:
		return s.outcome(st)
	case <-ctx.Done():
	}
	if st.wrote {
		return fmt.Errorf("revision %d: %w: %w", st.rev, ErrUncertain, ctx.Err())
	}
	return fmt.Errorf("waiting for revision %d, which the transaction read: %w", st.rev, ctx.Err())
}

// outcome is the answer to a transaction whose group is done. Of a group that
// failed an earlier part may be durable and visible.
func (s *Store) outcome(st *staged) error {
	if s.visible.Load() >= st.rev && !st.apart {
		return nil
	}
	return st.group.err
}

// errMeasure sends a writer to measure the headroom; it never leaves the
// package.
var errMeasure = errors.New("mvcc: headroom to be measured")

// stage runs fn under the writer lock and hands what it did to the committer.
// measured: the caller has just measured the headroom.
func (s *Store) stage(ctx context.Context, fn func(t *txn) error, measured bool) (staged, error) {
	s.writer.Lock()
	defer s.writer.Unlock()
	if err := ctx.Err(); err != nil {
		return staged{}, err
	}
	if err := s.refusal(); err != nil {
		return staged{}, err
	}
	if !s.roomLocked() {
		return staged{}, errNoRoom
	}
	if s.next > maxRevision {
		return staged{}, fmt.Errorf("revision %d: %w", maxRevision, ErrExhausted)
	}
	if !measured && s.mustMeasureLocked() {
		return staged{}, errMeasure
	}
	t := &s.staging
	defer t.end()
	if err := t.run(fn); err != nil || !t.wrote() {
		st := staged{rev: s.next - 1}
		if t.read {
			st.group = s.newest
		}
		return st, err
	}
	t.queueBeside() // before the revision can be taken into a batch
	if len(t.events) == 0 {
		st := staged{rev: s.next - 1, wrote: true, apart: true}
		if s.relaxed() {
			s.background.pendingGrew(0, s.beside.waiting.Load(), s.cfg.PendingBytes)
		} else {
			s.joinLocked(&st)
		}
		return st, nil
	}
	st := staged{rev: s.next, wrote: true}
	s.next++
	s.counters.txns.Add(1)
	s.counters.puts.Add(int64(len(t.events)))
	before, after := s.tail.add(t.events)
	if s.relaxed() {
		s.visible.Store(st.rev)
		st.woke = s.shown.wake()
		s.background.pendingGrew(before, after, s.cfg.PendingBytes)
		return st, nil
	}
	s.joinLocked(&st)
	return st, nil
}

// joinLocked makes st part of the open group; whoever begins one leads it.
// Needs writer.
func (s *Store) joinLocked(st *staged) {
	if s.open == nil {
		s.open = &group{done: make(chan struct{})}
		s.newest = s.open
		st.leads = true
		s.leaders.Add(1)
	}
	s.open.end = st.rev
	s.gathering.join()
	st.group = s.open
}

// refusal is why no write is taken; nil if it is.
func (s *Store) refusal() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if f := s.failure.Load(); f != nil {
		return f.err()
	}
	if s.readOnly != "" {
		return fmt.Errorf("%w: %s", ErrReadOnly, s.readOnly)
	}
	return nil
}

// lead commits g: the caller's duty who began it.
func (s *Store) lead(g *group) {
	defer s.leaders.Done()
	woke := s.commit(g)
	if woke {
		s.yielding.yield()
	}
}

// commit waits for the batch before, takes the group and writes it.
func (s *Store) commit(g *group) (woke bool) {
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	s.gathering.wait()
	end, size := s.take(g)
	s.counters.groups.Add(1)
	woke, g.err = s.applyThroughLocked(end, nil)
	s.gathering.expected = size + s.gathering.joined.Load()
	close(g.done) // before the next leader may go on
	return woke
}

// take closes the group to joiners.
func (s *Store) take(g *group) (end, size int64) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.open = nil
	return g.end, s.gathering.joined.Swap(0)
}

// applyThroughLocked writes every revision up to end that is not applied yet,
// and what was staged beside history until then, whole transactions to a
// batch, and in Sync shows each batch as soon as it is durable. meta is added
// to the first batch. Needs applyMu.
func (s *Store) applyThroughLocked(end int64, meta []backend.Op) (woke bool, err error) {
	if f := s.failure.Load(); f != nil {
		return false, f.err()
	}
	due := s.beside.due(end)
	for from := s.applied.Load() + 1; from <= end || len(meta) > 0 || s.beside.owes(due); from = s.applied.Load() + 1 {
		last := s.fillLocked(from, due, meta)
		meta = nil
		if s.batch.Len() == 0 {
			last = from
			err = s.applyPartsLocked(from)
		} else {
			err = s.applyLocked(&s.batch, backend.Sync)
		}
		if err != nil {
			return woke, s.fail(batchError(from, last, err))
		}
		s.settle(last)
		woke = s.publish(last) || woke
	}
	return woke, nil
}

// batchError says of which batch err is the end.
func batchError(from, last int64, err error) error {
	if last < from {
		return fmt.Errorf("records beside revision %d: %w", last, err)
	}
	return fmt.Errorf("revisions %d to %d: %w", from, last, err)
}

// settle notes that everything up to rev is durable.
func (s *Store) settle(rev int64) {
	s.applied.Store(rev)
	s.tail.setApplied(rev)
	if s.relaxed() {
		s.room.wake()
	}
}

// publish shows everything up to rev; in Relaxed it was shown before.
func (s *Store) publish(rev int64) (woke bool) {
	if s.relaxed() {
		return false
	}
	s.visible.Store(rev)
	return s.shown.wake()
}

// fillLocked puts meta and as many whole transactions from from on into the
// store's batch as fit, and returns the last revision of them, from-1 if none.
// An empty batch means that the first revision is too large for any.
func (s *Store) fillLocked(from int64, due besideDue, meta []backend.Op) (last int64) {
	end := due.rev
	s.batch.Reset()
	s.keys = s.keys[:0]
	addOps(&s.batch, meta)
	if s.fillBesideLocked(besideDue{min(from-1, end), due.seq}) {
		return from - 1
	}
	for rev := from; rev <= end; rev++ {
		events := s.tail.events(rev)
		bytes, ops := batchWeight(events)
		ownBytes, ownOps := s.beside.weight(rev)
		bytes += s.batch.Size() + ownBytes
		ops += s.batch.Len() + ownOps
		if s.limits.exceeded(bytes, ops) || rev > from && bytes > s.tuning.partBytes {
			return rev - 1
		}
		s.addRecords(events, rev, 0)
		addOps(&s.batch, s.beside.takeOwn(rev))
		if s.fillBesideLocked(besideDue{rev, due.seq}) {
			return rev
		}
	}
	return max(end, from-1)
}

// addRecords adds the records of events, which are those of rev from sub on,
// to the store's batch.
func (s *Store) addRecords(events []Event, rev int64, sub int) {
	for i := range events {
		start := len(s.keys)
		s.keys = appendRevKey(s.keys, KeyRev{Main: rev, Sub: int64(sub + i), Tombstone: events[i].Type == EventDelete})
		s.batch.Append(backend.SpaceKey, s.keys[start:len(s.keys):len(s.keys)], events[i].record)
	}
}

// recordOverhead is at least what a record's key and the engine's framing
// count in Batch.Size.
const recordOverhead = tombstoneKeyLen + 32

func batchWeight(events []Event) (bytes int64, ops int) {
	for i := range events {
		bytes += int64(len(events[i].record)) + recordOverhead
	}
	return bytes, len(events)
}

// applyLocked is the only place that writes to the engine. Needs applyMu.
func (s *Store) applyLocked(b *backend.Batch, syncing backend.Syncing) error {
	s.counters.applyBegins()
	defer s.counters.applyEnds()
	if err := s.awaitRoomLocked(b.Size()); err != nil {
		return err
	}
	start := time.Now()
	err := s.engine.Apply(b, syncing)
	s.gathering.took = time.Since(start)
	s.counters.applied(s.gathering.took)
	b.Reset() // lets go of the records
	return err
}
