package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/backendtest"
)

// failing is a store whose next batch is held and then fails, and the release
// of it.
func failing(t *testing.T, cfg Config) (s *Store, engine *slowEngine, release func()) {
	t.Helper()
	faulty := backendtest.NewFaulty(memEngine(t))
	engine = &slowEngine{Engine: faulty}
	s = openOn(t, engine, cfg)
	put(t, s, "a", "old")
	if s.relaxed() {
		flushed(t, s)
	}
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	return s, engine, engine.hold()
}

// answer is what came of a call on another goroutine.
type answer struct {
	who string
	err error
}

// R6 G7 G9: everybody who stands on a group that fails, fails with it: who
// wrote in it, who wrote on top of it in the next, who only read it, whose
// condition it decided, whose closure refused what it saw. Nothing of it shows,
// reads go on, and a caller that left before is told that it cannot know.
func TestInterleave_FailedGroupTakesItsReaders(t *testing.T) {
	s, engine, release := failing(t, Config{})
	answers := make(chan answer, 16)
	run := func(who string, call func() error) {
		go func() { answers <- answer{who, call()} }()
	}
	run("first group", func() error { _, err := s.Put(ctx, []byte("a"), []byte("staged")); return err })
	engine.awaitApply(3)
	for _, key := range []string{"b", "c"} { // join the second group
		run("second group", func() error {
			_, err := s.Update(ctx, func(tx *WriteTx) error {
				kv, _, err := tx.Get([]byte("a"))
				return errors.Join(err, tx.Put([]byte(key), kv.Value, 0))
			})
			return err
		})
	}
	awaitStaged(s, 5)
	leaving, leave := context.WithCancel(ctx)
	left := make(chan error, 2)
	go func() { _, err := s.Put(leaving, []byte("d"), nil); left <- err }()
	awaitStaged(s, 6)
	read := make(chan struct{}, 4)
	run("reader", func() error {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			defer func() { read <- struct{}{} }()
			kv, ok, err := tx.Get([]byte("b"))
			if string(kv.Value) != "staged" || !ok {
				return fmt.Errorf("staged effects are not seen: %q", kv.Value)
			}
			return err
		})
		return err
	})
	run("refused by its closure", func() error {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			defer func() { read <- struct{}{} }()
			_, _, _ = tx.Get([]byte("a"))
			_ = tx.Put([]byte("e"), nil, 0)
			return errors.New("I have seen a")
		})
		return err
	})
	run("deletes nothing", func() error {
		defer func() { read <- struct{}{} }()
		_, err := s.DeleteRange(leaving, []byte("none"), nil)
		if errors.Is(err, context.Canceled) && !errors.Is(err, ErrUncertain) {
			return nil
		}
		return fmt.Errorf("a reader that leaves knows that it wrote nothing: %w", err)
	})
	run("failed compare", func() error {
		_, err := s.Txn(ctx, Txn{
			If:   []Compare{{Target: TargetMod, Relation: Equal, Key: []byte("a"), Int: 2}},
			Then: []Op{{Type: OpPut, Key: []byte("a")}},
		})
		return err
	})
	run("wait", func() error { return s.Wait(ctx, 4) })
	<-read
	<-read
	leave()
	err := <-left
	require.ErrorIs(t, err, ErrUncertain)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "revision 6")
	got := <-answers
	require.Equal(t, "deletes nothing", got.who)
	require.NoError(t, got.err)
	// Compaction and bump need the engine too, and wait behind the group.
	run("compact", func() error { return s.Compact(ctx, 2) })
	run("bump", func() error { return s.Bump(ctx, 10) })
	await(func() bool { return len(s.compacting) == 0 })
	require.Empty(t, answers)
	require.EqualValues(t, 2, s.Rev())
	release()
	for range 9 {
		got = <-answers
		require.ErrorIs(t, got.err, ErrFailed, got.who)
		require.ErrorIs(t, got.err, errDisk, got.who)
		require.ErrorContains(t, got.err, "revision 3 is not durable", got.who)
	}
	require.EqualValues(t, 2, s.Rev())
	require.EqualValues(t, 0, s.CompactRev())
	require.Equal(t, []string{"a=old@2"}, all(t, s, 0))
	chunk, err := s.History(ctx, HistoryQuery{From: 1, To: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"put a=old@2"}, showEvents(chunk.Events))
	commits, _, ok := s.Recent(nil, 2, 100)
	require.True(t, ok)
	require.Len(t, commits, 1, "of what failed nothing is handed to watchers")
	_, err = s.Range([]byte("a"), nil, RangeOptions{Rev: 3})
	require.ErrorIs(t, err, ErrFutureRevision)
	hash, err := s.HashKV(ctx, 0)
	require.NoError(t, err)
	require.EqualValues(t, 2, hash.Rev)
	require.ErrorIs(t, s.Close(), ErrFailed)
}

// R6 G9: of a group that is split over batches, those whose part is durable
// and visible are told so, and the others that they failed.
func TestInterleave_FailureBetweenTheBatchesOfAGroup(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	engine := &slowEngine{Engine: faulty, maxOps: metaOps + 3}
	s := openOn(t, engine, Config{})
	release := engine.hold()
	answers := make([]chan error, 8)
	for i := range answers { // revision 2 leads, 3 to 9 share the next group
		answers[i] = make(chan error, 1)
		go func() { _, err := s.Put(ctx, fmt.Append(nil, i), nil); answers[i] <- err }()
		awaitStaged(s, int64(i+2))
		if i == 0 {
			engine.awaitApply(2)
		}
	}
	reader, read := make(chan error, 1), make(chan struct{})
	go func() {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			defer close(read)
			_, _, err := tx.Get([]byte("0"))
			return err
		})
		reader <- err
	}()
	<-read
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 3, Err: errDisk}) // 2, 3 to 5, 6 to 8
	release()
	for i, rev := range []int64{2, 3, 4, 5, 6, 7, 8, 9} {
		err := <-answers[i]
		if rev <= 5 {
			require.NoError(t, err, "revision %d is visible", rev)
		} else {
			require.ErrorIs(t, err, ErrFailed, "revision %d", rev)
		}
	}
	require.ErrorIs(t, <-reader, ErrFailed, "it read what failed")
	require.EqualValues(t, 5, s.Rev())
	require.Len(t, all(t, s, 0), 4)
}

// R4 R6 G9: a bump that makes the open group durable and fails at its own mark
// fails alone: who is in the group is told that it is committed. So it is too
// if the group's leader comes to the engine before the bump does.
func TestInterleave_BumpFailsBesideAGroup(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	engine := &slowEngine{Engine: faulty}
	s := openOn(t, engine, Config{})
	release := engine.hold()
	first, second, bumped := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.Put(ctx, []byte("a"), nil); first <- err }()
	engine.awaitApply(2)
	go func() { bumped <- s.Bump(ctx, 10) }()
	await(func() bool { return len(s.compacting) == 0 })
	go func() { _, err := s.Put(ctx, []byte("b"), nil); second <- err }()
	awaitStaged(s, 3)
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 3, Err: errDisk}) // a, b, the mark
	release()
	require.NoError(t, <-first)
	require.NoError(t, <-second)
	require.ErrorIs(t, <-bumped, ErrFailed)
	require.Equal(t, []string{"a=@2", "b=@3"}, all(t, s, 0))
	_, err := s.Put(ctx, []byte("c"), nil)
	require.ErrorIs(t, err, ErrFailed)
}
