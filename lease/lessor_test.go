package lease

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

var ctx = context.Background()

// world is a store with its leases.
type world struct {
	t      *testing.T
	engine backend.Engine
	store  *mvcc.Store
	*Lessor
}

// start opens both on engine; the test stops them.
func start(t *testing.T, engine backend.Engine, cfg mvcc.Config, lc Config) *world {
	t.Helper()
	store, err := mvcc.Open(engine, cfg)
	require.NoError(t, err)
	l, err := Open(store, lc)
	require.NoError(t, err)
	return &world{t, engine, store, l}
}

func memEngine(t *testing.T) backend.Engine {
	t.Helper()
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	return engine
}

func (w *world) stop() {
	w.t.Helper()
	require.NoError(w.t, w.Lessor.Close())
	require.NoError(w.t, w.store.Close())
}

func (w *world) grant(id, ttl int64) {
	w.t.Helper()
	got, err := w.Grant(ctx, id, ttl)
	require.NoError(w.t, err)
	require.Equal(w.t, id, got.ID)
}

// put attaches a key to a lease that has to be there.
func (w *world) put(key string, id int64) error {
	_, err := w.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		if id != 0 && !w.Exists(id) {
			return ErrNotFound
		}
		return tx.Put([]byte(key), nil, id)
	})
	return err
}

// keys lists the keys that are there.
func (w *world) keys() []string {
	w.t.Helper()
	res, err := w.store.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	require.NoError(w.t, err)
	out := []string{}
	for _, kv := range res.KVs {
		out = append(out, string(kv.Key))
	}
	return out
}

// events lists history from a revision on.
func (w *world) events(from int64) []string {
	w.t.Helper()
	pass(time.Second) // until Relaxed has written it
	chunk, err := w.store.History(ctx, mvcc.HistoryQuery{From: from, To: w.store.Rev()})
	require.NoError(w.t, err)
	out := []string{}
	for _, e := range chunk.Events {
		out = append(out, fmt.Sprintf("%v %s@%d", e.Type, e.KV.Key, e.KV.ModRevision))
	}
	return out
}

// records lists the lease space.
func records(t *testing.T, s *mvcc.Store) map[int64]stored {
	t.Helper()
	out := map[int64]stored{}
	require.NoError(t, s.ScanBeside(backend.SpaceLease, func(key, value []byte) bool {
		got, err := decode(key, value)
		require.NoError(t, err)
		out[got.id] = got
		return true
	}))
	return out
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func (w *world) left(id int64) time.Duration {
	w.t.Helper()
	info, err := w.TimeToLive(id)
	require.NoError(w.t, err)
	return info.Remaining
}

// inBubble runs a test with a clock of its own, in both durabilities.
func inBubble(t *testing.T, test func(t *testing.T, cfg mvcc.Config)) {
	for _, d := range []mvcc.Durability{mvcc.Sync(), mvcc.Relaxed(10 * time.Millisecond)} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, mvcc.Config{Durability: d}) })
		})
	}
}

// E7: the end of a lease's time deletes its keys in one transaction, sorted,
// one revision, and its record with them.
func TestExpiry_DeletesTheKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		defer w.stop()
		w.grant(7, 10)
		w.grant(8, 20)
		for _, key := range []string{"c", "a", "b"} {
			require.NoError(t, w.put(key, 7)) // 2, 3, 4
		}
		require.NoError(t, w.put("other", 8)) // 5
		require.NoError(t, w.put("free", 0))  // 6
		require.Equal(t, 10*time.Second, w.left(7))
		pass(10*time.Second - 1)
		synctest.Wait()
		require.Len(t, w.keys(), 5)
		pass(1)
		synctest.Wait()
		require.Equal(t, []string{"free", "other"}, w.keys())
		require.Equal(t, []string{"DELETE a@7", "DELETE b@7", "DELETE c@7"}, w.events(7))
		require.ErrorIs(t, w.put("late", 7), ErrNotFound)
		_, err := w.TimeToLive(7)
		require.ErrorIs(t, err, ErrNotFound)
		_, err = w.Renew(ctx, 7)
		require.ErrorIs(t, err, ErrNotFound)
		require.Equal(t, []Lease{{8, 20}}, w.Leases())
		pass(time.Second)
		require.Equal(t, map[int64]stored{8: {id: 8, ttl: 20}}, records(t, w.store))
		require.Equal(t, Stats{Leases: 1, Granted: 2, Revoked: 1, Expired: 1, TTLs: 30}, w.Stats())
	})
}

func TestRenew_BeginsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		defer w.stop()
		w.grant(1, 10)
		require.NoError(t, w.put("k", 1))
		for range 5 {
			pass(9 * time.Second)
			ttl, err := w.Renew(ctx, 1)
			require.NoError(t, err)
			require.EqualValues(t, 10, ttl)
			require.Equal(t, 10*time.Second, w.left(1))
		}
		require.Equal(t, []string{"k"}, w.keys())
		pass(10 * time.Second)
		synctest.Wait()
		require.Empty(t, w.keys())
	})
}

// E7: Revoke is the same at once.
func TestRevoke(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		defer w.stop()
		w.grant(1, 10)
		w.grant(2, 10)
		var deleted []int
		w.Observe(func(keys int) { deleted = append(deleted, keys) })
		require.NoError(t, w.put("b", 1))
		require.NoError(t, w.put("a", 1))
		rev, err := w.Revoke(ctx, 1)
		require.NoError(t, err)
		require.EqualValues(t, 4, rev)
		require.Equal(t, []string{"DELETE a@4", "DELETE b@4"}, w.events(4))
		rev, err = w.Revoke(ctx, 2)
		require.NoError(t, err)
		require.EqualValues(t, 4, rev, "no keys, no revision")
		for _, id := range []int64{1, 2, 3, 0} {
			_, err = w.Revoke(ctx, id)
			require.ErrorIs(t, err, ErrNotFound)
		}
		require.Empty(t, w.Leases())
		require.Equal(t, []int{2, 0}, deleted)
		w.grant(1, 10) // the id is free again
		require.NoError(t, w.put("a", 1))
		require.Len(t, w.Leases(), 1)
	})
}

func TestGrant_Limits(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{MinTTL: 5, MaxTTL: 100})
		defer w.stop()
		for ttl, want := range map[int64]int64{-1: 5, 0: 5, 4: 5, 5: 5, 100: 100} {
			got, err := w.Grant(ctx, 0, ttl)
			require.NoError(t, err)
			require.Equal(t, want, got.TTL)
			require.Positive(t, got.ID)
		}
		_, err := w.Grant(ctx, 0, 101)
		require.ErrorIs(t, err, ErrTTLTooLarge)
		w.grant(-3, 10)
		_, err = w.Grant(ctx, -3, 10)
		require.ErrorIs(t, err, ErrExists)
		require.Len(t, w.Leases(), 6)
	})
	_, err := Open(nil, Config{MinTTL: -1})
	require.ErrorContains(t, err, "MinTTL is -1 s")
	_, err = Open(nil, Config{MaxTTL: mostTTL + 1})
	require.ErrorContains(t, err, "MaxTTL 9000000001")
}

// The longest lease neither ends at once nor overflows.
func TestGrant_Longest(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{CheckpointInterval: -1})
		defer w.stop()
		w.grant(1, mostTTL)
		pass(24 * time.Hour)
		synctest.Wait()
		require.Equal(t, mostTTL*time.Second-24*time.Hour, w.left(1))
	})
}

// After a restart every lease has its time again, and its keys.
func TestOpen_FullTimeAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		w.grant(1, 100)
		w.grant(2, 50)
		require.NoError(t, w.put("a", 1))
		require.NoError(t, w.put("b", 2))
		pass(40 * time.Second)
		w.stop()
		w = start(t, w.engine, cfg, Config{MinTTL: 60})
		require.Equal(t, 100*time.Second, w.left(1))
		require.Equal(t, []Lease{{2, 60}, {1, 100}}, w.Leases(), "raised to the shortest")
		n, err := Verify(w.store)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		pass(60 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"a"}, w.keys())
		w.stop()
		w = start(t, w.engine, cfg, Config{})
		require.Equal(t, []Lease{{1, 100}}, w.Leases())
		w.stop()
	})
}

// What is left of a long lease survives restarts, and a Renew takes it back.
func TestCheckpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		w.grant(1, 3600) // left alone
		w.grant(2, 3600) // renewed
		w.grant(3, 200)  // too short
		for range 16 {
			_, err := w.Renew(ctx, 2)
			require.NoError(t, err)
			_, err = w.Renew(ctx, 3)
			require.NoError(t, err)
			pass(time.Minute)
		}
		synctest.Wait()
		require.EqualValues(t, 3, w.Stats().Checkpoints)
		w.stop()
		w = start(t, w.engine, cfg, Config{})
		require.Equal(t, map[int64]stored{1: {1, 3600, 2700}, 2: {id: 2, ttl: 3600}, 3: {id: 3, ttl: 200}}, records(t, w.store))
		require.Equal(t, 2700*time.Second, w.left(1))
		require.Equal(t, 3600*time.Second, w.left(2))
		ttl, err := w.Renew(ctx, 1)
		require.NoError(t, err)
		require.EqualValues(t, 3600, ttl)
		require.Zero(t, w.leases[1].remaining, "the next Renew writes nothing")
		w.stop()
		w = start(t, w.engine, cfg, Config{})
		require.Equal(t, stored{id: 1, ttl: 3600}, records(t, w.store)[1])
		require.Equal(t, 3600*time.Second, w.left(1))
		w.stop()
	})
}

// R6: a store that failed ends no lease; those that are alive are renewed, and
// who waits for the end of another is told why there is none.
func TestFailedStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := backendtest.NewFaulty(memEngine(t))
		w := start(t, faulty, mvcc.Config{}, Config{})
		w.grant(1, 5)
		w.grant(2, 50)
		require.NoError(t, w.put("k", 1))
		broken := errors.New("disk")
		faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: broken})
		pass(5 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"k"}, w.keys())
		require.Len(t, w.Leases(), 2)
		_, err := w.Renew(ctx, 1)
		require.ErrorIs(t, err, mvcc.ErrFailed)
		require.ErrorIs(t, err, broken)
		_, err = w.Renew(ctx, 2)
		require.NoError(t, err)
		_, err = w.Grant(ctx, 3, 5)
		require.ErrorIs(t, err, mvcc.ErrFailed)
		_, err = w.Revoke(ctx, 2)
		require.ErrorIs(t, err, mvcc.ErrFailed)
		require.Len(t, w.Leases(), 2)
		require.NoError(t, w.Lessor.Close())
		require.ErrorIs(t, w.store.Close(), mvcc.ErrFailed)
		// The next start has them again, and they end.
		w = start(t, w.engine, mvcc.Config{}, Config{})
		defer w.stop()
		require.Len(t, w.Leases(), 2)
		pass(5 * time.Second)
		synctest.Wait()
		require.Empty(t, w.keys())
	})
}

// A read-only store lists its leases, which never end.
func TestReadOnlyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memEngine(t), mvcc.Config{}, Config{})
		w.grant(1, 5)
		require.NoError(t, w.put("k", 1))
		w.stop()
		w = start(t, w.engine, mvcc.Config{ReadOnly: true}, Config{})
		defer w.stop()
		_, err := w.Renew(ctx, 1)
		require.NoError(t, err)
		pass(time.Minute)
		synctest.Wait()
		require.Equal(t, []Lease{{1, 5}}, w.Leases())
		require.Equal(t, []string{"k"}, w.keys())
		_, err = w.Grant(ctx, 2, 5)
		require.ErrorIs(t, err, mvcc.ErrReadOnly)
		_, err = w.Revoke(ctx, 1)
		require.ErrorIs(t, err, mvcc.ErrReadOnly)
		_, err = w.Renew(ctx, 1)
		require.ErrorIs(t, err, mvcc.ErrReadOnly)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, memEngine(t), mvcc.Config{}, Config{})
		w.grant(1, 5)
		w.stop()
		require.ErrorIs(t, w.Lessor.Close(), ErrClosed)
		_, err := w.Renew(ctx, 1)
		require.ErrorIs(t, err, ErrClosed)
		_, err = w.Revoke(ctx, 1)
		require.ErrorIs(t, err, ErrClosed)
		_, err = w.Grant(ctx, 2, 5)
		require.Error(t, err)
	})
}

// Many leases that end at once, with keys and without: each with keys has a
// revision of its own.
func TestExpiry_Many(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{})
		defer w.stop()
		const n = 3 * stepLeases
		for id := int64(1); id <= n; id++ {
			w.grant(id, 100)
		}
		for id := int64(1); id <= n; id += 3 {
			require.NoError(t, w.put(fmt.Sprintf("a%d", id), id))
			require.NoError(t, w.put(fmt.Sprintf("b%d", id), id))
		}
		before := w.store.Rev()
		pass(2 * time.Minute)
		synctest.Wait()
		require.Empty(t, w.Leases())
		require.Empty(t, w.keys())
		require.Empty(t, records(t, w.store))
		require.EqualValues(t, before+n/3, w.store.Rev())
		require.EqualValues(t, n, w.Stats().Expired)
		revs := map[int64][]string{}
		chunk, err := w.store.History(ctx, mvcc.HistoryQuery{From: before + 1, To: w.store.Rev()})
		require.NoError(t, err)
		for _, e := range chunk.Events {
			revs[e.KV.ModRevision] = append(revs[e.KV.ModRevision], string(e.KV.Key))
		}
		for _, keys := range revs {
			require.Len(t, keys, 2)
			require.Equal(t, keys[0][1:], keys[1][1:])
		}
	})
}
