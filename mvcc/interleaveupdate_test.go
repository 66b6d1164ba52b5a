package mvcc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// ends are the ways in which a closure that has written fails to commit.
var ends = map[string]func(s *Store, fn func(tx *WriteTx)){
	"error": func(s *Store, fn func(tx *WriteTx)) {
		_, err := s.Update(ctx, func(tx *WriteTx) error { fn(tx); return errDisk })
		if err != errDisk {
			panic(fmt.Sprint("the closure's own error is not passed on: ", err))
		}
	},
	"panic": func(s *Store, fn func(tx *WriteTx)) {
		defer func() {
			if r := recover(); r != errDisk {
				panic(fmt.Sprint("the panic is not passed on: ", r))
			}
		}()
		_, _ = s.Update(ctx, func(tx *WriteTx) error { fn(tx); panic(errDisk) })
	},
	"goexit": func(s *Store, fn func(tx *WriteTx)) {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, _ = s.Update(ctx, func(tx *WriteTx) error { fn(tx); runtime.Goexit(); return nil })
		}()
		<-gone
	},
	"nil dereference": func(s *Store, fn func(tx *WriteTx)) {
		defer func() {
			if _, ok := recover().(runtime.Error); !ok {
				panic("the panic is not passed on")
			}
		}()
		_, _ = s.Update(ctx, func(tx *WriteTx) error { fn(tx); var none *WriteTx; return none.Put(nil, nil, 0) })
	},
}

// G9 E1: a closure that ends with an error, a panic or Goexit after it wrote,
// while the group before it is being written, leaves nothing behind: those
// before and after it commit, its revision goes to the next, its keys are what
// they were, its handle is dead.
func TestInterleave_ClosureFailsInsideAGroup(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			engine := &slowEngine{Engine: memEngine(t)}
			s := openOn(t, engine, Config{})
			put(t, s, "a", "1")
			put(t, s, "b", "1") // revision 3
			release := engine.hold()
			answers := make(chan error, 3)
			write := func(key, value string) {
				go func() { _, err := s.Put(ctx, []byte(key), []byte(value)); answers <- err }()
			}
			write("a", "2")
			engine.awaitApply(4)
			write("b", "2")
			awaitStaged(s, 5)
			var kept *WriteTx
			failed := make(chan struct{})
			// One that has read answers when what it read is visible.
			go func() {
				defer close(failed)
				end(s, func(tx *WriteTx) {
					kept = tx
					if tx.Rev() != 6 {
						panic("revision")
					}
					_ = tx.Put([]byte("c"), []byte("no"), 0)
					_ = tx.Put([]byte("a"), []byte("no"), 0)
					if n, err := tx.DeleteRange([]byte("b"), nil); n != 1 || err != nil {
						panic("delete")
					}
				})
			}()
			await(func() bool {
				s.writer.Lock()
				defer s.writer.Unlock()
				return kept != nil
			})
			write("c", "3") // gets revision 6
			awaitStaged(s, 6)
			release()
			<-failed
			for range 3 {
				require.NoError(t, <-answers)
			}
			require.Equal(t, []string{"a=2@4", "b=2@5", "c=3@6"}, all(t, s, 0))
			require.Equal(t, []string{"put a=1@2", "put b=1@3", "put a=2@4", "put b=2@5", "put c=3@6"}, history(t, s, 1))
			require.ErrorIs(t, kept.Put([]byte("late"), nil, 0), ErrTxDone)
			for key, version := range map[string]int64{"a": 2, "b": 2, "c": 1} {
				kv, _, err := s.Get([]byte(key), 0)
				require.NoError(t, err)
				require.Equal(t, version, kv.Version, key)
			}
		})
	}
}

// The same in both durabilities with nothing beside it, and twice in a row.
func TestInterleave_ClosureFailsAlone(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachDurability(t, func(t *testing.T, cfg Config) {
				s := openMem(t, cfg)
				put(t, s, "a", "1")
				for range 2 {
					end(s, func(tx *WriteTx) {
						_ = tx.Put([]byte("b"), nil, 0)
						_, _ = tx.DeleteRange(everyKey, everyKey) // a duplicate: b
						_, _ = tx.DeleteRange([]byte("a"), nil)
					})
				}
				require.EqualValues(t, 3, put(t, s, "a", "2"))
				require.Equal(t, []string{"a=2@3"}, all(t, s, 0))
				keys, revisions := s.indexSize()
				require.Equal(t, 1, keys)
				require.EqualValues(t, 2, revisions)
			})
		})
	}
}

// A context that ends before staging, while the closure runs, or after it: in
// the first case nothing happens, in the others the transaction is staged and
// its outcome is not known to the caller; the group commits all the same.
func TestInterleave_ContextEndsAroundAClosure(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		engine := &slowEngine{Engine: memEngine(t)}
		s := openOn(t, engine, Config{})
		inside, proceed := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			_, err := s.Update(ctx, func(*WriteTx) error { close(inside); <-proceed; return nil })
			first <- err
		}()
		<-inside
		leaving, leave := context.WithCancel(ctx)
		second := make(chan error, 1)
		ran := false
		go func() { // waits for the writer lock, or will
			_, err := s.Update(leaving, func(*WriteTx) error { ran = true; return nil })
			second <- err
		}()
		leave()
		close(proceed)
		require.NoError(t, <-first)
		err := <-second
		require.Equal(t, context.Canceled, err)
		require.False(t, ran)
	})
	t.Run("inside", func(t *testing.T) {
		engine := &slowEngine{Engine: memEngine(t)}
		s := openOn(t, engine, Config{})
		release := engine.hold()
		leaving, leave := context.WithCancel(ctx)
		_, err := s.Update(leaving, func(tx *WriteTx) error {
			leave()
			return tx.Put([]byte("a"), []byte("1"), 0)
		})
		require.ErrorIs(t, err, ErrUncertain)
		require.ErrorIs(t, err, context.Canceled)
		release()
		require.NoError(t, s.Wait(ctx, 2))
		require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
	})
	t.Run("inside, with an error", func(t *testing.T) {
		s := openMem(t, Config{})
		leaving, leave := context.WithCancel(ctx)
		_, err := s.Update(leaving, func(tx *WriteTx) error {
			leave()
			return errors.Join(tx.Put([]byte("a"), nil, 0), errDisk)
		})
		require.ErrorIs(t, err, errDisk)
		require.NotErrorIs(t, err, ErrUncertain)
		require.EqualValues(t, 1, s.Rev())
	})
	t.Run("inside, relaxed", func(t *testing.T) {
		s := openMem(t, Config{Durability: Relaxed(hour)})
		leaving, leave := context.WithCancel(ctx)
		rev, err := s.Update(leaving, func(tx *WriteTx) error {
			leave()
			return tx.Put([]byte("a"), []byte("1"), 0)
		})
		require.NoError(t, err, "it is acknowledged as soon as it is staged")
		require.EqualValues(t, 2, rev)
	})
}

// A handle kept beyond its closure answers ErrTxDone for good, also while
// other transactions run, which it cannot reach.
func TestInterleave_HandleOutlivesItsClosure(t *testing.T) {
	s := openMem(t, Config{})
	kept := make(chan *WriteTx, 1)
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		kept <- tx
		return tx.Put([]byte("a"), []byte("1"), 0)
	})
	require.NoError(t, err)
	old := <-kept
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 200 {
				n, err := old.DeleteRange(everyKey, everyKey)
				_, ok, getErr := old.Get([]byte("a"))
				res, rangeErr := old.Range(everyKey, everyKey, RangeOptions{})
				for _, err := range []error{err, getErr, rangeErr, old.Put([]byte("a"), []byte("late"), 0)} {
					if !errors.Is(err, ErrTxDone) {
						t.Errorf("a handle that is over answered %v", err)
					}
				}
				if n != 0 || ok || res.Count != 0 || old.Rev() != 0 {
					t.Errorf("a handle that is over answered %d %v %+v", n, ok, res)
				}
			}
		})
	}
	for range 200 {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			if err := old.Put([]byte("z"), nil, 0); !errors.Is(err, ErrTxDone) {
				t.Errorf("the handle of another transaction answered %v", err)
			}
			return tx.Put([]byte("b"), nil, 0)
		})
		require.NoError(t, err)
	}
	wg.Wait()
	require.Equal(t, []string{"a=1@2", "b=@202"}, all(t, s, 0))
}

// A closure may read the store, which shows what is visible and nothing of
// the transaction; only calls that write must not come from inside.
func TestInterleave_ClosureReadsTheStore(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{RecentBytes: 1})
	put(t, s, "a", "1")
	put(t, s, "b", "1")
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		require.NoError(t, tx.Put([]byte("a"), []byte("2"), 0))
		require.Equal(t, []string{"a=1@2", "b=1@3"}, all(t, s, 0))
		require.EqualValues(t, 3, s.Rev())
		require.NoError(t, s.Wait(ctx, 3))
		require.Equal(t, []string{"put a=1@2", "put b=1@3"}, history(t, s, 1))
		prev, missing, err := s.Previous(ctx, nil, []*Event{{Type: EventDelete, KV: KeyValue{Key: []byte("a"), ModRevision: 3}}})
		require.NoError(t, err)
		require.Zero(t, missing)
		require.Equal(t, "1", string(prev[0].Value))
		require.Positive(t, s.Stats().Keys)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a=2@4", "b=1@3"}, all(t, s, 0))
}

// A closure of many writes is taken back as whole as a small one, lets go of
// the memory of its undo log, and commits whole when it is tried again.
func TestInterleave_HugeClosure(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "k00007", "before")
	const keys = 3 * undoKeep / 2
	fill := func(tx *WriteTx) error {
		for i := range keys {
			if err := tx.Put(fmt.Appendf(nil, "k%05d", i), []byte("v"), 0); err != nil {
				return err
			}
		}
		return nil
	}
	for _, how := range []string{"error", "panic", "goexit"} {
		ends[how](s, func(tx *WriteTx) {
			if err := fill(tx); err != nil {
				panic(err)
			}
			_, _ = tx.DeleteRange(everyKey, everyKey)
		})
		gotKeys, revisions := s.indexSize()
		require.Equal(t, 1, gotKeys, how)
		require.EqualValues(t, 1, revisions, how)
		require.Equal(t, []string{"k00007=before@2"}, all(t, s, 0))
		require.LessOrEqual(t, cap(s.staging.undo), undoKeep)
	}
	rev, err := s.Update(ctx, fill)
	require.NoError(t, err)
	require.EqualValues(t, 3, rev)
	res, err := s.Range(everyKey, everyKey, RangeOptions{CountOnly: true})
	require.NoError(t, err)
	require.EqualValues(t, keys, res.Count)
	kv, _, err := s.Get([]byte("k00007"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 2, kv.Version)
}
