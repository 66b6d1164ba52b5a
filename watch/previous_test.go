package watch

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// brokenPrevious is a store whose previous values cannot be read.
type brokenPrevious struct {
	*mvcc.Store
	err error
}

func (s *brokenPrevious) Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) ([]*mvcc.KeyValue, int, error) {
	if s.err != nil {
		return dst, 0, s.err
	}
	return s.Store.Previous(ctx, dst, evs)
}

// P2: a previous value that cannot be read is told as an error to the watches
// that asked for it, live and over history, and is never absent instead; the
// others get their events.
func TestPrevious_ErrorIsTold(t *testing.T) {
	broken := errors.New("a page is gone")
	store := memStore(t, mvcc.Config{RecentBytes: 1})
	source := &brokenPrevious{Store: store}
	h := &stoppedHub{t: t, store: store, hub: newHub(source, Config{Shards: 1}), reader: &reader{}}
	h.shard = h.hub.shards[0]
	t.Cleanup(func() { require.NoError(t, h.hub.Close()) })
	s := h.stream()
	h.put("a")
	h.dispatch()
	live := h.watch(s, Request{Key: []byte("a"), PrevKV: true})
	other := h.watch(s, Request{Key: []byte("a")})
	h.put("a")
	h.dispatch()
	assert.Len(t, brief(h.recv(s)), 2)
	assert.Empty(t, h.shard.prevs, "a batch leaves none behind")

	source.err = broken
	past := h.watch(s, Request{Key: []byte("a"), PrevKV: true, StartRevision: 2})
	h.put("a")
	h.dispatch()
	h.catchUp()
	ended := map[int64]error{}
	for _, r := range h.recv(s) {
		if r.Canceled {
			ended[r.WatchID] = r.Err
			continue
		}
		for _, e := range r.Events {
			assert.Equal(t, other, r.WatchID)
			assert.Equal(t, store.Rev(), e.KV.ModRevision)
		}
	}
	assert.Equal(t, map[int64]error{live: broken, past: broken}, ended)
	assert.Equal(t, 1, h.hub.Stats().Synced)
}
