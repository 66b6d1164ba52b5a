package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
)

// beside lists the durable records of the lease space as key=value.
func beside(t *testing.T, s *Store) []string {
	t.Helper()
	out := []string{}
	require.NoError(t, s.ScanBeside(backend.SpaceLease, func(key, value []byte) bool {
		out = append(out, fmt.Sprintf("%s=%s", key, value))
		return true
	}))
	return out
}

// putBeside writes records beside history only.
func putBeside(s *Store, ctx context.Context, keys ...string) (int64, error) {
	return s.Update(ctx, func(tx *WriteTx) error {
		for _, key := range keys {
			if err := tx.PutBeside(backend.SpaceLease, []byte(key), []byte("1")); err != nil {
				return err
			}
		}
		return nil
	})
}

// What is written beside history makes no revision, is durable when Update
// returns, and is not there after an error or a panic.
func TestBeside_Update(t *testing.T) {
	s := openMem(t, Config{})
	rev, err := putBeside(s, ctx, "a", "b")
	require.NoError(t, err)
	require.EqualValues(t, 1, rev)
	require.Equal(t, []string{"a=1", "b=1"}, beside(t, s))
	require.EqualValues(t, 2, put(t, s, "k", "v"))

	key := []byte("c")
	rev, err = s.Update(ctx, func(tx *WriteTx) error {
		defer func() { key[0] = 'x' }() // the caller's again
		return errors.Join(tx.DeleteBeside(backend.SpaceLease, []byte("a")), tx.PutBeside(backend.SpaceLease, key, []byte("2")), tx.Put([]byte("k"), nil, 0))
	})
	require.NoError(t, err)
	require.EqualValues(t, 3, rev)
	require.Equal(t, []string{"b=1", "c=2"}, beside(t, s))

	_, err = s.Update(ctx, func(tx *WriteTx) error {
		require.NoError(t, tx.PutBeside(backend.SpaceLease, []byte("d"), nil))
		return errDisk
	})
	require.ErrorIs(t, err, errDisk)
	require.Panics(t, func() {
		_, _ = s.Update(ctx, func(tx *WriteTx) error {
			require.NoError(t, tx.PutBeside(backend.SpaceLease, []byte("d"), nil))
			panic("no")
		})
	})
	put(t, s, "k", "again")
	require.Equal(t, []string{"b=1", "c=2"}, beside(t, s))
}

func TestBeside_Refused(t *testing.T) {
	s := openMem(t, Config{MaxRecordBytes: 100})
	var over *WriteTx
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		over = tx
		require.ErrorContains(t, tx.PutBeside(backend.SpaceKey, []byte("k"), nil), "store's own")
		require.ErrorContains(t, tx.DeleteBeside(backend.SpaceMeta, metaEnd), "store's own")
		require.ErrorIs(t, tx.PutBeside(backend.SpaceLease, nil, nil), ErrEmptyKey)
		require.ErrorIs(t, tx.PutBeside(backend.SpaceLease, make([]byte, backend.MaxKeyBytes+1), nil), ErrTooLarge)
		require.ErrorIs(t, tx.PutBeside(backend.SpaceLease, []byte("k"), make([]byte, 100)), ErrTooLarge)
		require.ErrorIs(t, tx.PutBeside(99, []byte("k"), nil), backend.ErrUnknownSpace)
		return tx.PutBeside(backend.SpaceMeta, []byte("watchkv_server_id"), []byte("7"))
	})
	require.NoError(t, err)
	require.ErrorIs(t, over.PutBeside(backend.SpaceLease, []byte("k"), nil), ErrTxDone)
	require.ErrorIs(t, over.DeleteBeside(backend.SpaceLease, []byte("k")), ErrTxDone)
	_, err = over.Txn(Txn{})
	require.ErrorIs(t, err, ErrTxDone)
	require.Nil(t, over.LeaseKeys(1))
	require.NoError(t, s.ScanBeside(99, func(_, _ []byte) bool { return true }))
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.ScanBeside(backend.SpaceLease, func(_, _ []byte) bool { return true }), ErrClosed)
}

// Sync: a transaction that writes beside history only waits for its own
// batch, shares it with others, and one whose context ends does not know.
func TestBeside_WaitsForItsBatch(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	engine.takeBatches()
	release := engine.hold()
	answers := make(chan string, 3)
	go func() {
		rev, err := s.Put(ctx, []byte("k"), nil)
		answers <- fmt.Sprint("put ", rev, " ", err)
	}()
	engine.awaitApply(2)
	for _, key := range []string{"a", "b"} {
		go func() {
			rev, err := putBeside(s, ctx, key)
			answers <- fmt.Sprint("beside ", rev, " ", err)
		}()
	}
	ended, cancel := context.WithCancel(ctx)
	await(func() bool { return s.gathering.joined.Load() == 2 })
	left := make(chan error)
	go func() {
		_, err := putBeside(s, ended, "c")
		left <- err
	}()
	await(func() bool { return s.gathering.joined.Load() == 3 })
	cancel()
	require.ErrorIs(t, <-left, ErrUncertain)
	require.Empty(t, answers)
	release()
	require.ElementsMatch(t, []string{"put 2 <nil>", "beside 2 <nil>", "beside 2 <nil>"}, []string{<-answers, <-answers, <-answers})
	require.Equal(t, []string{"a=1", "b=1", "c=1"}, beside(t, s))
	require.Equal(t, []int{1, 3}, engine.takeBatches())
}

// A batch that fails takes what is beside it with it.
func TestBeside_FailedBatch(t *testing.T) {
	faulty := backendtest.NewFaulty(memEngine(t))
	s := openOn(t, faulty, Config{})
	_, err := putBeside(s, ctx, "a")
	require.NoError(t, err)
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errDisk})
	_, err = putBeside(s, ctx, "b")
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, errDisk)
	_, err = putBeside(s, ctx, "c")
	require.ErrorIs(t, err, ErrFailed)
	require.Equal(t, []string{"a=1"}, beside(t, s))
}

// Above the engine's largest batch: transactions beside one revision go into
// several batches, each whole; a revision written in parts has what is beside
// it in the last.
func TestBeside_LargerThanABatch(t *testing.T) {
	for _, cfg := range []Config{{Durability: Relaxed(hour)}, {}} {
		t.Run(cfg.Durability.String(), func(t *testing.T) {
			engine := &slowEngine{Engine: memEngine(t), maxOps: 12 + metaOps}
			s := openOn(t, engine, cfg)
			engine.takeBatches()
			want := []string{}
			for i := range 20 {
				_, err := putBeside(s, ctx, fmt.Sprintf("%02d-a", i), fmt.Sprintf("%02d-b", i))
				require.NoError(t, err)
				want = append(want, fmt.Sprintf("%02d-a=1", i), fmt.Sprintf("%02d-b=1", i))
			}
			rev, err := s.Update(ctx, func(tx *WriteTx) error {
				for i := range 30 {
					if err := tx.Put(fmt.Appendf(nil, "k%02d", i), nil, 7); err != nil {
						return err
					}
				}
				for i := range 12 {
					if err := tx.PutBeside(backend.SpaceLease, fmt.Appendf(nil, "x%02d", i), []byte("1")); err != nil {
						return err
					}
					want = append(want, fmt.Sprintf("x%02d=1", i))
				}
				require.ErrorIs(t, tx.PutBeside(backend.SpaceLease, []byte("y"), nil), ErrTooLarge)
				return nil
			})
			require.NoError(t, err)
			require.EqualValues(t, 2, rev)
			require.NoError(t, s.Close())
			batches := engine.takeBatches()
			if cfg.Durability == Sync() {
				require.Equal(t, []int{2, 2, 2}, batches[:3])
				batches = batches[20:]
			} else {
				require.Equal(t, []int{12, 12, 12, 4}, batches[:4])
				batches = batches[4:]
			}
			require.Equal(t, []int{13, 12, 6, 13, 2}, batches, "parts, what is beside them, the end")
			s = openOn(t, engine, cfg)
			require.Equal(t, want, beside(t, s))
			require.Len(t, s.LeaseKeys(7), 30)
		})
	}
}

// Records beside history that come while a batch is written wait for the next
// leader: those who wait for this one are not held up for them.
func TestBeside_LaterOnesWait(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	engine.takeBatches()
	first, second := make(chan error, 1), make(chan error, 1)
	engine.hold()
	go func() {
		_, err := putBeside(s, ctx, "a")
		first <- err
	}()
	engine.awaitApply(2)
	go func() {
		_, err := putBeside(s, ctx, "b")
		second <- err
	}()
	await(func() bool { return s.gathering.joined.Load() == 1 })
	engine.mu.Lock()
	engine.from = 3 // "a" goes on, "b" does not yet
	close(engine.gate)
	gate := make(chan struct{})
	engine.gate = gate
	engine.mu.Unlock()
	require.NoError(t, <-first)
	engine.awaitApply(3)
	require.Empty(t, second)
	close(gate)
	require.NoError(t, <-second)
	require.Equal(t, []int{1, 1}, engine.takeBatches())
}

// Relaxed: what is beside history becomes durable within the interval, also
// when nothing else is written, and at Close.
func TestBeside_Relaxed(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{Durability: Relaxed(time.Millisecond)})
	_, err := putBeside(s, ctx, "a")
	require.NoError(t, err)
	await(func() bool { return len(beside(t, s)) == 1 })
	require.NoError(t, s.Close())
	s = openOn(t, engine, Config{Durability: Relaxed(hour)})
	require.Zero(t, s.Stats().PendingBytes)
	_, err = putBeside(s, ctx, "b")
	require.NoError(t, err)
	require.Positive(t, s.Stats().PendingBytes)
	require.Equal(t, []string{"a=1"}, beside(t, s))
	require.NoError(t, s.Close())
	require.Equal(t, []string{"a=1", "b=1"}, beside(t, openOn(t, engine, Config{})))
}

// In Relaxed what waits beside history counts against the same bound, and a
// writer at it waits for the flush.
func TestBeside_PendingIsBounded(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{Durability: Relaxed(time.Millisecond), PendingBytes: 1000})
	for i := range 100 {
		_, err := putBeside(s, ctx, fmt.Sprintf("%03d", i))
		require.NoError(t, err)
		require.Less(t, s.beside.waiting.Load(), int64(1000+100))
	}
	require.NoError(t, s.Close())
	require.Len(t, beside(t, openOn(t, engine, Config{})), 100)
}

// R1: whatever write fails, the next open finds the records beside history as
// they were after one of the transactions, together with that one's revision,
// on every engine too.
func TestBeside_PrefixAfterACrash(t *testing.T) {
	for _, d := range []Durability{Sync(), Relaxed(hour)} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v after=%v", d, after), func(t *testing.T) {
				for n := 1; besideFaultAt(t, d, n, after); n++ {
					require.Less(t, n, 100)
				}
			})
		}
	}
}

func besideFaultAt(t *testing.T, d Durability, n int, after bool) (failed bool) {
	engine := &slowEngine{Engine: memEngine(t), maxOps: 4 + metaOps}
	faulty := backendtest.NewFaulty(engine)
	s := openTuned(t, faulty, Config{Durability: d}, smallSteps)
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk, After: after})
	// After transaction i the space holds i, and keys i and below have lease 1.
	acked := 0
	for i := 1; i <= 9 && !failed; i++ {
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			for j := range i % 3 * 3 { // none, 3, or 6: in parts
				if err := tx.Put(fmt.Appendf(nil, "k%d-%d", i, j), nil, 1); err != nil {
					return err
				}
			}
			return tx.PutBeside(backend.SpaceLease, []byte("last"), fmt.Append(nil, i))
		})
		if failed = err != nil; !failed {
			acked = i
		}
	}
	if err := s.Close(); err != nil {
		failed = true
	}
	s = openTuned(t, engine, Config{Durability: d}, smallSteps)
	last := 0
	if got := beside(t, s); len(got) > 0 {
		_, err := fmt.Sscanf(got[0], "last=%d", &last)
		require.NoError(t, err)
	}
	if d == Sync() {
		require.GreaterOrEqual(t, last, acked)
	}
	want := []string{}
	for i := 1; i <= last; i++ {
		for j := range i % 3 * 3 {
			want = append(want, fmt.Sprintf("k%d-%d", i, j))
		}
	}
	require.Equal(t, want, texts(s.LeaseKeys(1)))
	return failed
}

// The same is there after a restart of every engine.
func TestBeside_OnEveryEngine(t *testing.T) {
	for _, d := range engines.All() {
		eachDurability(t, func(t *testing.T, cfg Config) {
			t.Run(d.Name, func(t *testing.T) {
				dir := t.TempDir()
				engine := openEngine(t, d, dir)
				s := openOn(t, engine, cfg)
				_, err := s.Update(ctx, func(tx *WriteTx) error {
					return errors.Join(tx.Put([]byte("k"), nil, 5), tx.PutBeside(backend.SpaceLease, []byte("a"), []byte("1")))
				})
				require.NoError(t, err)
				_, err = putBeside(s, ctx, "b")
				require.NoError(t, err)
				require.NoError(t, s.Close())
				if !d.Volatile {
					require.NoError(t, engine.Close())
					engine = openEngine(t, d, dir)
				}
				s = openOn(t, engine, cfg)
				require.Equal(t, []string{"a=1", "b=1"}, beside(t, s))
				require.Equal(t, []string{"k"}, texts(s.LeaseKeys(5)))
				require.EqualValues(t, 2, s.Rev())
			})
		})
	}
}
