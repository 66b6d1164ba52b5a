package lease

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
)

var errDisk = errors.New("the disk is on fire")

// R1, E7: whatever write fails, before or after it took effect, the next start
// has no key without its lease and no half of an end, and in Sync every lease
// that was granted and no longer than asked for.
func TestEveryWriteFails(t *testing.T) {
	for _, d := range []mvcc.Durability{mvcc.Sync(), mvcc.Relaxed(2 * time.Second)} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v after=%v", d, after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := 1
					for failsAt(t, d, n, after) {
						n++
					}
					require.Greater(t, n, 3, "writes in a run")
				})
			})
		}
	}
}

// failsAt fails the n-th write; false if there were fewer.
func failsAt(t *testing.T, d mvcc.Durability, n int, after bool) bool {
	engine := memEngine(t)
	faulty := backendtest.NewFaulty(engine)
	w := start(t, faulty, mvcc.Config{Durability: d}, Config{})
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk, After: after})
	granted, revoked := map[int64]bool{}, map[int64]bool{}
	for id := int64(1); id <= 4; id++ {
		// Lease 1 ends in the middle of the run, lease 2 is revoked.
		if _, err := w.Grant(ctx, id, 2+10*(id-1)); err == nil {
			granted[id] = true
		}
		for _, key := range []string{"b", "a"} {
			_ = w.put(fmt.Sprintf("%s%d", key, id), id) // fails once the store has
		}
		if id == 3 {
			revoked[1] = true
			pass(3 * time.Second)
			synctest.Wait()
			revoked[2] = true
			_, _ = w.Revoke(ctx, 2) // the same
		}
	}
	failed := w.store.Stats().Failed != ""
	require.NoError(t, w.Lessor.Close())
	if err := w.store.Close(); err != nil {
		require.ErrorIs(t, err, errDisk)
		failed = true
	}

	w = start(t, engine, mvcc.Config{}, Config{})
	there := map[int64]bool{}
	for _, l := range w.Leases() {
		there[l.ID] = true
	}
	if d == mvcc.Sync() {
		for id := range granted {
			require.True(t, there[id] || revoked[id], "lease %d was granted and is lost", id)
		}
	}
	for id := int64(1); id <= 4; id++ {
		if keys := w.Keys(id); !there[id] {
			require.Empty(t, keys, "keys without their lease")
		} else if id <= 2 && (failed || !revoked[id]) && len(keys) == 1 {
			// One key was put before the other; an end takes both.
			require.Equal(t, fmt.Sprintf("b%d", id), string(keys[0]))
		}
	}
	pass(time.Minute)
	synctest.Wait()
	require.Empty(t, w.keys(), "outlived their leases")
	require.Empty(t, records(t, w.store))
	checkEnds(t, w)
	w.stop()
	require.NoError(t, engine.Close())
	return failed
}

// Leases and their keys are there after a restart of every engine, in both
// durabilities, and end.
func TestRestart_OnEveryEngine(t *testing.T) {
	for _, d := range engines.All() {
		for _, durability := range []mvcc.Durability{mvcc.Sync(), mvcc.Relaxed(time.Millisecond)} {
			t.Run(fmt.Sprint(d.Name, " ", durability), func(t *testing.T) {
				t.Parallel() // the clock is the real one
				dir := t.TempDir()
				engine, err := d.Open(dir, backend.Options{})
				require.NoError(t, err)
				cfg := mvcc.Config{Durability: durability}
				w := start(t, engine, cfg, Config{MinTTL: 1})
				w.grant(1, 1000)
				w.grant(2, 1)
				w.grant(3, 1000)
				require.NoError(t, w.put("a", 1))
				require.NoError(t, w.put("b", 2))
				_, err = w.Revoke(ctx, 3)
				require.NoError(t, err)
				w.stop()
				if !d.Volatile {
					require.NoError(t, engine.Close())
					engine, err = d.Open(dir, backend.Options{})
					require.NoError(t, err)
				}
				w = start(t, engine, cfg, Config{MinTTL: 1})
				require.Len(t, w.Leases(), 2)
				require.Equal(t, []string{"a", "b"}, w.keys())
				_, err = w.Renew(ctx, 1)
				require.NoError(t, err)
				require.NoError(t, w.store.Wait(ctx, 4)) // the end of lease 2
				require.Equal(t, []string{"a"}, w.keys())
				w.stop()
				require.NoError(t, engine.Close())
			})
		}
	}
}

// R7: without space no lease is granted, and those there are end: deletes go
// on.
func TestNoSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, &fullEngine{Engine: memEngine(t)}, mvcc.Config{QuotaBytes: 1 << 20}, Config{CheckpointInterval: time.Second})
		defer w.stop()
		w.grant(1, 5)
		w.grant(2, 1000)
		require.NoError(t, w.put("k", 1))
		pass(2 * time.Second)
		w.engine.(*fullEngine).full.Store(true)
		pass(time.Second)
		_, err := w.Grant(ctx, 3, 5)
		require.ErrorIs(t, err, mvcc.ErrNoSpace)
		require.False(t, w.Exists(3))
		require.ErrorIs(t, w.put("k2", 2), mvcc.ErrNoSpace)
		// A renewal goes on, though what a checkpoint wrote cannot be taken back.
		_, err = w.Renew(ctx, 2)
		require.NoError(t, err)
		require.Equal(t, 1000*time.Second, w.left(2))
		pass(5 * time.Second)
		synctest.Wait()
		require.Empty(t, w.keys())
		require.Equal(t, []Lease{{2, 1000}}, w.Leases())
	})
}

// fullEngine says that its quota is used up once it is told to.
type fullEngine struct {
	backend.Engine
	full atomic.Bool
}

func (e *fullEngine) Stats() backend.Stats {
	st := e.Engine.Stats()
	if e.full.Load() {
		st.InUseBytes = 1 << 30
	}
	return st
}
