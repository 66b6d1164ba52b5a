package watch

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// R1, C11: after a crash in Relaxed a watch that begins among the revisions
// that were lost is created and told from where history is whole again; one
// that had everything up to the last durable revision goes on.
func TestWatch_BeginsInTheLostGap(t *testing.T) {
	inner, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	engine := backendtest.NewFaulty(inner)
	defer func() { require.NoError(t, engine.Close()) }()
	relaxed := mvcc.Config{Durability: mvcc.Relaxed(time.Hour)}
	store, err := mvcc.Open(engine, relaxed)
	require.NoError(t, err)
	put := func() int64 {
		rev, err := store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
		return rev
	}
	put()
	_, err = store.HashKV(context.Background(), 0) // makes it durable
	require.NoError(t, err)
	const durable = 2
	require.EqualValues(t, durable, store.Rev())
	lost := put()
	put()
	engine.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errors.New("the power is gone")})
	require.Error(t, store.Close())

	store, err = mvcc.Open(engine, relaxed)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	require.Greater(t, store.Rev(), lost+1)
	h := &stoppedHub{t: t, store: store, hub: newHub(store, Config{Shards: 1}), reader: &reader{}}
	h.shard = h.hub.shards[0]
	defer func() { require.NoError(t, h.hub.Close()) }()
	first := store.Rev() + 1
	for _, policy := range []Policy{Wait, Latest} {
		s := h.stream()
		told := h.watch(s, Request{Key: []byte("a"), StartRevision: lost + 1, Policy: policy})
		goesOn := h.watch(s, Request{Key: []byte("a"), StartRevision: durable + 1, Policy: policy})
		require.Equal(t, store.Rev()+1, put())
		for _, r := range h.settle(s) {
			switch {
			case r.Canceled:
				assert.Equal(t, told, r.WatchID)
				assert.Equal(t, first, r.CompactRevision)
				require.ErrorIs(t, r.Err, mvcc.ErrCompacted)
			case len(r.Events) > 0:
				assert.Equal(t, goesOn, r.WatchID)
				assert.GreaterOrEqual(t, r.Events[0].KV.ModRevision, first)
				goesOn = -2
			}
		}
		assert.EqualValues(t, -2, goesOn, "events came")
		assert.Len(t, h.hub.Watches(), 1)
		require.NoError(t, s.Close())
	}
}
