package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/backendtest"
)

// G7: in Sync nobody sees a revision before the engine has it; a transaction
// that read staged state answers only when that is visible.
func TestCommit_VisibleAfterApply(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	put(t, s, "a", "old")
	release := engine.hold()
	answers := make(chan string, 3)
	go func() {
		rev, err := s.Put(ctx, []byte("a"), []byte("new"))
		answers <- fmt.Sprint("put ", rev, " ", err)
	}()
	awaitStaged(s, 3)
	require.Equal(t, []string{"a=old@2"}, all(t, s, 0))
	require.EqualValues(t, 2, s.Rev())
	_, err := s.Range([]byte("a"), nil, RangeOptions{Rev: 3})
	require.ErrorIs(t, err, ErrFutureRevision)
	commits, _, ok := s.Recent(nil, 3, 10)
	require.True(t, ok)
	require.Empty(t, commits)
	read := make(chan struct{})
	go func() {
		var seen KeyValue
		rev, err := s.Update(ctx, func(tx *WriteTx) (err error) {
			defer close(read)
			seen, _, err = tx.Get([]byte("a"))
			return err
		})
		answers <- fmt.Sprintf("read %s %d %v", seen.Value, rev, err)
	}()
	go func() {
		res, err := s.Txn(ctx, Txn{
			If:   []Compare{{Target: TargetMod, Relation: Equal, Key: []byte("a"), Int: 2}},
			Then: []Op{{Type: OpPut, Key: []byte("b")}},
		})
		answers <- fmt.Sprintf("txn %v %d %v", res.Succeeded, res.Rev, err)
	}()
	<-read
	require.Empty(t, answers, "an answer before the engine has the revision")
	release()
	got := []string{<-answers, <-answers, <-answers}
	require.ElementsMatch(t, []string{"put 3 <nil>", "read new 3 <nil>", "txn false 3 <nil>"}, got)
	require.Equal(t, []string{"a=new@3"}, all(t, s, 0))
}

// Writers that come while a batch is being written share the next one.
func TestCommit_GroupsShareABatch(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	engine.takeBatches()
	release := engine.hold()
	done := make(chan error, 21)
	write := func(i int) {
		_, err := s.Put(ctx, fmt.Appendf(nil, "k%d", i), nil)
		done <- err
	}
	go write(0)
	engine.awaitApply(2)
	for i := range 20 {
		go write(i + 1)
	}
	awaitStaged(s, 22)
	release()
	for range 21 {
		require.NoError(t, <-done)
	}
	require.Equal(t, []int{1, 20}, engine.takeBatches())
	st := s.Stats()
	require.EqualValues(t, 2, st.Groups)
	require.EqualValues(t, 21, st.Puts)
}

func TestCommit_ContextEnds(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Put(ended, []byte("a"), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUncertain)
	release := engine.hold()
	staged, cancel := context.WithCancel(ctx)
	leader, follower, reader := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.Put(staged, []byte("a"), nil); leader <- err }()
	engine.awaitApply(2)
	go func() { _, err := s.Put(staged, []byte("b"), nil); follower <- err }()
	awaitStaged(s, 3)
	read := make(chan struct{})
	go func() {
		_, err := s.Update(staged, func(tx *WriteTx) error {
			defer close(read)
			_, _, err := tx.Get([]byte("a"))
			return err
		})
		reader <- err
	}()
	<-read
	cancel()
	require.ErrorIs(t, <-leader, ErrUncertain)
	err = <-follower
	require.ErrorIs(t, err, ErrUncertain)
	require.ErrorIs(t, err, context.Canceled)
	// It wrote nothing, so nothing is uncertain about it.
	err = <-reader
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, ErrUncertain)
	release()
	// The group whose callers left is committed all the same.
	require.NoError(t, s.Wait(ctx, 3))
	require.Equal(t, []string{"a=@2", "b=@3"}, all(t, s, 0))
}

// R6: a failed write ends writing with the cause kept; that group and all
// staged behind it fail; what is visible stays readable.
func TestCommit_FailureEndsWriting(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	engine := &slowEngine{Engine: faulty}
	s := openOn(t, engine, Config{})
	put(t, s, "a", "1")
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	release := engine.hold()
	errs := make(chan error, 4)
	write := func(key string) { _, err := s.Put(ctx, []byte(key), nil); errs <- err }
	go write("b")
	engine.awaitApply(3)
	go write("c")
	go write("a")
	awaitStaged(s, 5)
	read := make(chan struct{})
	go func() { // read staged state, wrote nothing
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			defer close(read)
			_, _, err := tx.Get([]byte("b"))
			return err
		})
		errs <- err
	}()
	<-read
	release()
	for range 4 {
		err := <-errs
		require.ErrorIs(t, err, ErrFailed)
		require.ErrorIs(t, err, errDisk)
		require.ErrorContains(t, err, "revision 3 is not durable")
	}
	_, err := s.Put(ctx, []byte("d"), nil)
	require.ErrorIs(t, err, errDisk)
	require.ErrorIs(t, s.Compact(ctx, 2), ErrFailed)
	require.EqualValues(t, 2, s.Rev())
	require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
	require.NoError(t, s.Wait(ctx, 2))
	require.ErrorIs(t, s.Wait(ctx, 3), ErrFailed)
	chunk, err := s.History(ctx, HistoryQuery{From: 1, To: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"put a=1@2"}, showEvents(chunk.Events))
	require.NotEmpty(t, s.Stats().Failed)
	require.ErrorIs(t, s.Close(), ErrFailed)
	require.ErrorIs(t, s.Close(), ErrClosed)
	s = openOn(t, engine, Config{})
	require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
	require.EqualValues(t, 3, put(t, s, "b", "1"))
}

// R6 in Relaxed: what was shown stays readable, the error names the first
// revision that is not durable.
func TestCommit_FailureInRelaxed(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	s := openOn(t, faulty, Config{Durability: Relaxed(hour)})
	put(t, s, "a", "1")
	flushed(t, s)
	put(t, s, "a", "2")
	put(t, s, "b", "1")
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	err := s.flush(s.Rev())
	require.ErrorIs(t, err, ErrFailed)
	_, err = s.Put(ctx, []byte("c"), nil)
	require.ErrorIs(t, err, errDisk)
	require.ErrorContains(t, err, "revision 3 is not durable")
	require.Equal(t, []string{"a=2@3", "b=1@4"}, all(t, s, 0))
	commits, _, ok := s.Recent(nil, 3, 10)
	require.True(t, ok)
	require.Len(t, commits, 2)
	require.NoError(t, s.Wait(ctx, 4))
	require.ErrorIs(t, s.Wait(ctx, 5), ErrFailed)
	require.ErrorIs(t, s.Close(), ErrFailed)
}

// A batch above the engine's largest is split between revisions.
func TestCommit_SplitsBetweenRevisions(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t), maxOps: metaOps + 3}
	s := openOn(t, engine, Config{Durability: Relaxed(hour)})
	for i := range 7 {
		put(t, s, fmt.Sprint("k", i), "v")
	}
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		return errors.Join(tx.Put([]byte("x"), nil, 0), tx.Put([]byte("y"), nil, 0))
	})
	require.NoError(t, err)
	engine.takeBatches()
	flushed(t, s)
	require.Equal(t, []int{3, 3, 3}, engine.takeBatches())
	require.Len(t, history(t, s, 1), 9)
}

// A revision above the engine's largest batch is written in parts. Whatever
// part a crash hits, the next open shows the revision whole or not at all.
func TestCommit_LargeRevisionInParts(t *testing.T) {
	const keys = 10
	write := func(s *Store) error {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			for i := range keys {
				if err := tx.Put(fmt.Appendf(nil, "k%d", i), []byte("v"), 0); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}
	open := func(t *testing.T, faulty *backendtest.Faulty) *Store {
		return openOn(t, &slowEngine{Engine: faulty, maxOps: metaOps + 3}, Config{})
	}
	const parts = 4
	for n := 1; n <= parts; n++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("part %d after=%v", n, after), func(t *testing.T) {
				faulty := backendtest.NewFaulty(memEngine(t))
				s := open(t, faulty)
				put(t, s, "a", "1")
				faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk, After: after})
				require.ErrorIs(t, write(s), ErrFailed)
				require.EqualValues(t, 2, s.Rev())
				require.ErrorIs(t, s.Close(), ErrFailed)
				s = open(t, faulty)
				if n == parts && after {
					require.EqualValues(t, 3, s.Rev())
					require.Len(t, history(t, s, 3), keys)
					return
				}
				require.EqualValues(t, 2, s.Rev())
				require.Equal(t, []string{"put a=1@2"}, history(t, s, 1))
				require.NotContains(t, metaKeys(t, faulty), string(metaIntent))
				require.NoError(t, write(s))
				require.NoError(t, s.Close())
				s = open(t, faulty)
				require.EqualValues(t, 3, s.Rev())
				require.Len(t, all(t, s, 0), keys+1)
			})
		}
	}
	t.Run("read-only open", func(t *testing.T) {
		faulty := backendtest.NewFaulty(memEngine(t))
		s := open(t, faulty)
		put(t, s, "a", "1")
		faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 3, Err: errDisk})
		require.ErrorIs(t, write(s), ErrFailed)
		s = openOn(t, faulty, Config{ReadOnly: true})
		require.EqualValues(t, 2, s.Rev())
		require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
	})
	// R1: its number is inside the gap, where a watch from before goes on.
	t.Run("read-only open of Relaxed", func(t *testing.T) {
		faulty := backendtest.NewFaulty(memEngine(t))
		s := openOn(t, &slowEngine{Engine: faulty, maxOps: metaOps + 3}, Config{Durability: Relaxed(hour)})
		put(t, s, "a", "1")
		flushed(t, s)
		faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 3, Err: errDisk})
		require.NoError(t, write(s))
		require.ErrorIs(t, s.flush(s.Rev()), ErrFailed)
		s = openOn(t, faulty, Config{ReadOnly: true})
		require.Greater(t, s.Rev(), int64(3))
		require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
		require.Equal(t, []string{"put a=1@2"}, history(t, s, 1))
		report, err := s.Verify(ctx)
		require.NoError(t, err)
		require.EqualValues(t, 1, report.Records)
	})
}
