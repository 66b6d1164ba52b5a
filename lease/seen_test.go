package lease

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// A lease whose time is over and whose end takes long is not renewed: that
// waits, and is told that it is no more.
func TestRenew_WaitsForTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &heldEngine{Engine: memEngine(t)}
		w := start(t, engine, mvcc.Config{}, Config{})
		defer w.stop()
		w.grant(1, 5)
		require.NoError(t, w.put("k", 1))
		release := engine.hold()
		pass(6 * time.Second)
		answers := make(chan error, 2)
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		for _, c := range []context.Context{ctx, impatient} {
			go func() {
				_, err := w.Renew(c, 1)
				answers <- err
			}()
		}
		synctest.Wait()
		require.Empty(t, answers)
		// Not durable: the keys and the lease are still to be seen, but no
		// transaction behind it takes the lease.
		require.Equal(t, []string{"k"}, w.keys())
		require.Equal(t, -time.Second, w.left(1))
		require.Len(t, w.Leases(), 1)
		require.False(t, w.Exists(1))
		require.ErrorIs(t, <-answers, context.DeadlineExceeded)
		release()
		require.ErrorIs(t, <-answers, ErrNotFound)
		require.Empty(t, w.keys())
	})
}

// Who sees the keys of a lease go does not see the lease any more, while who
// revoked it is still to be told.
func TestRevoke_GoneWithItsKeys(t *testing.T) {
	w := start(t, memEngine(t), mvcc.Config{}, Config{})
	defer w.stop()
	w.grant(1, 100)
	require.NoError(t, w.put("k", 1))
	var ending *record
	_, err := w.store.Update(ctx, func(tx *mvcc.WriteTx) (err error) {
		ending, err = w.revokeIn(tx, 1)
		require.Len(t, w.Leases(), 1, "before anybody sees it")
		return err
	})
	require.NoError(t, err)
	require.Empty(t, w.keys())
	require.Empty(t, w.Leases())
	_, err = w.TimeToLive(1)
	require.ErrorIs(t, err, ErrNotFound)
	_, err = w.Renew(ctx, 1)
	require.ErrorIs(t, err, ErrNotFound)
	w.revokeEnds(ending, nil)
	require.Empty(t, w.ending)
}

// Who sees a key of a lease, or was told that it exists, sees the lease, while
// who granted it is still to be told.
func TestGrant_ThereWithItsKeys(t *testing.T) {
	w := start(t, memEngine(t), mvcc.Config{}, Config{})
	defer w.stop()
	for id, see := range []func(id int64) error{
		func(id int64) error { _, err := w.TimeToLive(id); return err },
		func(id int64) error { _, err := w.Renew(ctx, id); return err },
		func(id int64) error { require.Len(t, w.Leases(), 3); return nil },
		func(id int64) error {
			_, err := w.Grant(ctx, id, 100)
			require.ErrorIs(t, err, ErrExists)
			_, err = w.TimeToLive(id)
			return err
		},
	} {
		le := &record{stored: stored{id: int64(id + 1), ttl: 100}, place: -1}
		_, err := w.store.Update(ctx, func(tx *mvcc.WriteTx) error {
			_, err := w.stageGrant(le)
			require.NoError(t, err)
			if id < 3 {
				require.NoError(t, tx.Put([]byte("k"), nil, le.id))
			}
			return tx.PutBeside(backend.SpaceLease, recordKey(le.id), le.encode())
		})
		require.NoError(t, err)
		require.NoError(t, see(le.id))
		w.grantDone(le)
		require.Empty(t, w.granting)
	}
	require.EqualValues(t, 4, w.Stats().Granted)
	require.Len(t, w.queue, 4)
}

// A grant whose caller leaves comes to be all the same; until it is durable
// nobody is shown it.
func TestGrant_CallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &heldEngine{Engine: memEngine(t)}
		w := start(t, engine, mvcc.Config{}, Config{})
		defer w.stop()
		release := engine.hold()
		impatient, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := w.Grant(impatient, 1, 10)
		require.ErrorIs(t, err, mvcc.ErrUncertain)
		require.Empty(t, w.Leases())
		_, err = w.Renew(ctx, 1)
		require.ErrorIs(t, err, ErrNotFound)
		require.True(t, w.Exists(1), "a put behind it may name it")
		release()
		synctest.Wait()
		require.Equal(t, 10*time.Second, w.left(1))

		release = engine.hold()
		again, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err = w.Revoke(again, 1)
		require.ErrorIs(t, err, mvcc.ErrUncertain)
		require.Len(t, w.Leases(), 1)
		release()
		synctest.Wait()
		require.Empty(t, w.Leases())
	})
}

// heldEngine holds Apply back while it is told to.
type heldEngine struct {
	backend.Engine
	gate atomic.Pointer[chan struct{}]
}

func (e *heldEngine) hold() (release func()) {
	gate := make(chan struct{})
	e.gate.Store(&gate)
	return func() { e.gate.Store(nil); close(gate) }
}

func (e *heldEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	if gate := e.gate.Load(); gate != nil {
		<-*gate
	}
	return e.Engine.Apply(b, s)
}
