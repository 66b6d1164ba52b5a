package watch_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// stand is a store and a hub over it, for hostile consumers.
type stand struct {
	t     *testing.T
	store *mvcc.Store
	hub   *watch.Hub
}

// between is a store that calls a function whenever the hub, with no lock
// held, looks for previous values.
type between struct {
	*mvcc.Store
	hook func()
}

func (b *between) Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) ([]*mvcc.KeyValue, int, error) {
	b.hook()
	return b.Store.Previous(ctx, dst, evs)
}

func newStand(t *testing.T, sc mvcc.Config, hc watch.Config, source func(*mvcc.Store) watch.Source) *stand {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, sc)
	require.NoError(t, err)
	if source == nil {
		source = func(s *mvcc.Store) watch.Source { return s }
	}
	hub, err := watch.NewHub(source(store), hc)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, hub.Close())
		assert.NoError(t, store.Close())
		assert.NoError(t, engine.Close())
	})
	return &stand{t, store, hub}
}

func (s *stand) put(key string, value []byte) int64 {
	rev, err := s.store.Put(context.Background(), []byte(key), value)
	require.NoError(s.t, err)
	return rev
}

func (s *stand) stream() *watch.Stream {
	st, err := s.hub.NewStream("")
	require.NoError(s.t, err)
	return st
}

func (s *stand) watch(st *watch.Stream, r watch.Request) int64 {
	id, err := st.Watch(r)
	require.NoError(s.t, err)
	return id
}

// recvUntil receives until done says so of a response.
func (s *stand) recvUntil(st *watch.Stream, done func(r *watch.Response) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		rs, err := st.Recv(ctx)
		require.NoError(s.t, err, "%+v", s.hub.Stats())
		ended := false
		for i := range rs {
			ended = done(&rs[i]) || ended
		}
		if ended {
			return
		}
	}
}

// C8 N3: progress that is owed while dispatch looks for previous values of the
// very revision at which a watch starts is not told below that.
func TestProgress_NotBeforeStartThatIsBeingDispatched(t *testing.T) {
	var st *watch.Stream
	var once sync.Once
	var other int64
	s := newStand(t, mvcc.Config{}, watch.Config{Shards: 1}, func(store *mvcc.Store) watch.Source {
		return &between{store, func() { once.Do(func() { assert.NoError(t, st.Cancel(other)) }) }}
	})
	st = s.stream()
	start := s.put("a", nil) + 1
	s.watch(st, watch.Request{Key: []byte("a"), PrevKV: true})
	s.watch(st, watch.Request{Key: []byte("b"), StartRevision: start})
	other = s.watch(st, watch.Request{Key: []byte("c")})
	require.NoError(t, st.RequestProgress())
	s.put("a", nil)
	s.recvUntil(st, func(r *watch.Response) bool {
		answer := r.WatchID == watch.NoWatch && r.Progress()
		if answer {
			assert.GreaterOrEqual(t, r.Revision, start)
		}
		return answer
	})
}
