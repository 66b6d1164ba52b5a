package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// stoppedHub is a store and a hub whose goroutines do not run.
type stoppedHub struct {
	t      *testing.T
	store  *mvcc.Store
	hub    *Hub
	shard  *shard
	reader *reader
}

func newStoppedHub(t *testing.T, sc mvcc.Config, hc Config) *stoppedHub {
	t.Helper()
	hc.Shards = 1
	h := &stoppedHub{t: t, store: memStore(t, sc), reader: &reader{}}
	h.hub = newHub(h.store, hc)
	h.shard = h.hub.shards[0]
	t.Cleanup(func() { require.NoError(t, h.hub.Close()) })
	return h
}

func (h *stoppedHub) put(key string, value ...byte) int64 {
	h.t.Helper()
	rev, err := h.store.Put(context.Background(), []byte(key), value)
	require.NoError(h.t, err)
	return rev
}

// fill writes revisions of a key until the store is at rev.
func (h *stoppedHub) fill(key string, rev int64) {
	h.t.Helper()
	for h.store.Rev() < rev {
		h.put(key, 'v')
	}
}

func (h *stoppedHub) compact(rev int64) {
	h.t.Helper()
	require.NoError(h.t, h.store.Compact(context.Background(), rev))
}

func (h *stoppedHub) dispatch() {
	for h.shard.offered < h.store.Rev() {
		h.shard.dispatchOnce(context.Background())
	}
}

func (h *stoppedHub) catchUp() {
	for h.shard.catchUpOnce(context.Background(), h.reader) {
	}
}

func (h *stoppedHub) stream() *Stream {
	h.t.Helper()
	s, err := h.hub.NewStream("")
	require.NoError(h.t, err)
	return s
}

func (h *stoppedHub) watch(s *Stream, r Request) int64 {
	h.t.Helper()
	id, err := s.Watch(r)
	require.NoError(h.t, err)
	return id
}

// recv takes what is in the outbox of a stream now.
func (h *stoppedHub) recv(s *Stream) (all []Response) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		got, err := s.Recv(ctx)
		if errors.Is(err, context.Canceled) {
			return all
		}
		require.NoError(h.t, err)
		all = append(all, got...)
	}
}

// settle lets the hub and a stream's consumer take turns until nothing comes.
func (h *stoppedHub) settle(s *Stream) (all []Response) {
	h.t.Helper()
	for {
		h.dispatch()
		h.catchUp()
		got := h.recv(s)
		if len(got) == 0 {
			return all
		}
		all = append(all, got...)
	}
}

// brief writes responses as the scripts do, leaving out what a watch is told
// of itself only.
func brief(rs []Response) (lines []string) {
	for i := range rs {
		r := &rs[i]
		switch {
		case r.Created || r.CaughtUp:
		case r.Canceled:
			lines = append(lines, fmt.Sprintf("%d canceled, compact %d", r.WatchID, r.CompactRevision))
		case r.Progress():
			lines = append(lines, fmt.Sprintf("%d progress %d", r.WatchID, r.Revision))
		}
		for e := range r.Events {
			lines = append(lines, fmt.Sprintf("%d %s@%d", r.WatchID, r.Events[e].KV.Key, r.Events[e].KV.ModRevision))
		}
	}
	return lines
}

// byWatch is brief with the lines of each watch together.
func byWatch(rs []Response) (lines []string) {
	seen := map[int64][]Response{}
	for _, r := range rs {
		seen[r.WatchID] = append(seen[r.WatchID], r)
	}
	for id := NoWatch; len(seen) > 0; id++ {
		lines = append(lines, brief(seen[id])...)
		delete(seen, id)
	}
	return lines
}
