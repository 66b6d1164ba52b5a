package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/backendtest"
)

// awaitClosing returns once Close turns newcomers away.
func awaitClosing(s *Store) { await(s.closed.Load) }

// R2 R4: Close waits for a bump that has begun to write: nothing is written
// after it, and the next open stands where the bump led to, or where it never
// began.
func TestInterleave_CloseDuringABump(t *testing.T) {
	for _, d := range []Durability{Sync(), Relaxed(hour)} {
		t.Run(d.String(), func(t *testing.T) {
			engine := &slowEngine{Engine: memEngine(t)}
			cfg := Config{Durability: d}
			s := openOn(t, engine, cfg)
			put(t, s, "a", "1")
			require.NoError(t, s.Close())
			s = openOn(t, engine, cfg)
			engine.takeBatches()
			s.applyMu.Lock() // the bump stands before the engine
			bumped, closed := make(chan error, 1), make(chan error, 1)
			go func() { bumped <- s.Bump(ctx, 100) }()
			await(func() bool { return len(s.compacting) == 0 })
			go func() {
				err := s.Close()
				engine.takeBatches()
				closed <- err
			}()
			awaitClosing(s)
			s.applyMu.Unlock()
			require.NoError(t, <-closed)
			err := <-bumped
			require.Empty(t, engine.takeBatches(), "written after Close")
			if err != nil {
				require.ErrorIs(t, err, ErrClosed)
			}
			rev := s.Rev()
			s = openOn(t, engine, cfg)
			require.Equal(t, rev, s.Rev())
			require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
			require.NoError(t, s.CheckStart(s.Rev()+1))
		})
	}
}

// R2 R3: a bump held in the engine while Close begins is finished, and its
// revision is the end that is recorded.
func TestInterleave_CloseWhileABumpWrites(t *testing.T) {
	for _, d := range []Durability{Sync(), Relaxed(hour)} {
		t.Run(d.String(), func(t *testing.T) {
			engine := &slowEngine{Engine: memEngine(t)}
			cfg := Config{Durability: d}
			s := openOn(t, engine, cfg)
			put(t, s, "a", "1")
			if s.relaxed() {
				flushed(t, s)
			}
			applies := engine.applies()
			release := engine.hold()
			bumped, closed := make(chan error, 1), make(chan error, 1)
			go func() { bumped <- s.Bump(ctx, 100) }()
			engine.awaitApply(applies + 1)
			go func() { closed <- s.Close() }()
			awaitClosing(s)
			release()
			require.NoError(t, <-closed)
			if err := <-bumped; err != nil {
				require.ErrorIs(t, err, ErrClosed)
			}
			require.EqualValues(t, 102, s.Rev())
			engine.takeBatches()
			require.Contains(t, metaKeys(t, engine), string(metaEnd))
			s = openOn(t, engine, cfg)
			require.EqualValues(t, 102, s.Rev())
			require.EqualValues(t, 102, s.CompactRev())
			require.EqualValues(t, 103, put(t, s, "a", "2"))
		})
	}
}

// R6: Close while a group fails waits for it and tells the cause; those who
// wait for a revision that never comes are told too.
func TestInterleave_CloseDuringAFailure(t *testing.T) {
	s, engine, release := failing(t, Config{})
	answers := make(chan error, 4)
	go func() { _, err := s.Put(ctx, []byte("b"), nil); answers <- err }()
	engine.awaitApply(3)
	go func() { _, err := s.Put(ctx, []byte("c"), nil); answers <- err }()
	awaitStaged(s, 4)
	go func() { answers <- s.Wait(ctx, 3) }()
	go func() { answers <- s.Close() }()
	awaitClosing(s)
	require.Empty(t, answers)
	_, err := s.Put(ctx, []byte("late"), nil)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Close(), ErrClosed)
	release()
	for range 4 {
		err := <-answers
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, errDisk)
	}
}

// G7: Close while a group is being written lets it become visible, and the
// group behind it; who waits for more is told that nothing follows.
func TestInterleave_CloseDuringACommit(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	release := engine.hold()
	answers := make(chan error, 4)
	go func() { _, err := s.Put(ctx, []byte("a"), nil); answers <- err }()
	engine.awaitApply(2)
	go func() { _, err := s.Put(ctx, []byte("b"), nil); answers <- err }()
	awaitStaged(s, 3)
	go func() { answers <- s.Wait(ctx, 3) }()
	go func() { answers <- s.Close() }()
	beyond := make(chan error, 1)
	go func() { beyond <- s.Wait(ctx, 4) }()
	awaitClosing(s)
	require.Empty(t, answers)
	release()
	for range 4 {
		require.NoError(t, <-answers)
	}
	require.ErrorIs(t, <-beyond, ErrClosed)
	s = openOn(t, engine, Config{})
	require.Equal(t, []string{"a=@2", "b=@3"}, all(t, s, 0))
}

// R3: Close while a compaction is being scheduled or deletes: it ends between
// two batches, the caller is told, and the next open finishes it.
func TestInterleave_CloseDuringACompaction(t *testing.T) {
	for batches := 1; batches <= 3; batches++ {
		t.Run(fmt.Sprint("in batch ", batches), func(t *testing.T) {
			engine := &slowEngine{Engine: memEngine(t)}
			tune := defaultTuning
			tune.deleteBatch, tune.compactChunk = 2, 3
			s := openTuned(t, engine, Config{}, tune)
			for range 10 {
				put(t, s, "a", "x")
			}
			applies := engine.applies()
			held := holdFrom(engine, applies+batches)
			done, closed := make(chan error, 1), make(chan error, 1)
			go func() { done <- s.Compact(ctx, 9) }()
			engine.awaitApply(applies + batches)
			go func() { closed <- s.Close() }()
			awaitClosing(s)
			held()
			require.NoError(t, <-closed)
			require.ErrorIs(t, <-done, ErrClosed)
			s = openTuned(t, engine, Config{}, tune)
			require.EqualValues(t, 9, s.CompactRev())
			s.background.wg.Wait() // the compaction goes on at once
			require.Len(t, keySpace(t, engine), 3)
			require.Equal(t, []string{"put a=x@9", "put a=x@10", "put a=x@11"}, history(t, s, 9))
		})
	}
}

// R6 in Relaxed: a writer that waits for room while the flush fails is told
// the failure; one whose context ends meanwhile knows that nothing happened;
// what was acknowledged is still read.
func TestInterleave_RelaxedFailsWithPendingAtItsBound(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	engine := &slowEngine{Engine: faulty}
	s := openOn(t, engine, Config{Durability: Relaxed(hour), PendingBytes: 300})
	applies := engine.applies()
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	release := engine.hold()
	put(t, s, "a", "1")
	put(t, s, "b", "1") // above half of the bound: the flusher begins
	engine.awaitApply(applies + 1)
	var err error
	for i := 0; s.tail.pending() < 300; i++ {
		put(t, s, "c", fmt.Sprint(i))
	}
	visible := s.Rev()
	leaving, leave := context.WithCancel(ctx)
	waits, left, waiter := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.Put(ctx, []byte("d"), nil); waits <- err }()
	go func() { _, err := s.Put(leaving, []byte("e"), nil); left <- err }()
	go func() { waiter <- s.Wait(ctx, visible+1) }()
	await(func() bool { return s.room.parked.Load() == 2 && s.shown.parked.Load() == 1 })
	leave()
	err = <-left
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUncertain)
	compacts := make(chan error, 1)
	go func() { compacts <- s.Compact(ctx, visible) }()
	await(func() bool { return len(s.compacting) == 0 })
	release()
	for _, ch := range []chan error{waits, waiter, compacts} {
		err := <-ch
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorContains(t, err, "revision 2 is not durable")
	}
	require.Equal(t, visible, s.Rev())
	require.Len(t, all(t, s, 0), 3)
	require.Zero(t, s.CompactRev())
	require.ErrorIs(t, s.Close(), ErrFailed)
}

// A writer that waits for room, or for a bump, when the store is closed is
// told so.
func TestInterleave_CloseWhileWritersWaitForRoom(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{Durability: Relaxed(hour), PendingBytes: 1})
	applies := engine.applies()
	release := engine.hold()
	put(t, s, "a", "1")
	engine.awaitApply(applies + 1)
	waits := make(chan error, 1)
	go func() { _, err := s.Put(ctx, []byte("b"), nil); waits <- err }()
	await(func() bool { return s.room.parked.Load() == 1 })
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	require.ErrorIs(t, <-waits, ErrClosed, "before the flush ends")
	release()
	require.NoError(t, <-closed)

	s = openOn(t, engine, Config{})
	release = engine.hold()
	applies = engine.applies()
	bumped := make(chan error, 1)
	go func() { bumped <- s.Bump(ctx, 10) }()
	engine.awaitApply(applies + 1)
	go func() { _, err := s.Put(ctx, []byte("b"), nil); waits <- err }()
	await(func() bool { return s.room.parked.Load() == 1 })
	go func() { closed <- s.Close() }()
	require.ErrorIs(t, <-waits, ErrClosed)
	release()
	require.NoError(t, <-closed)
	if err := <-bumped; !errors.Is(err, ErrClosed) {
		require.NoError(t, err)
	}
}

// applies is the number of calls of Apply so far.
func (e *slowEngine) applies() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.entered
}

// holdFrom holds the n-th Apply since the engine was made, and those after it.
func holdFrom(e *slowEngine, n int) (release func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	gate := make(chan struct{})
	e.gate, e.from = gate, n
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		close(gate)
		e.gate, e.from = nil, 0
	}
}
