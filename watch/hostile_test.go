package watch_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
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

// counted counts what the hub reads of a store beyond its memory.
type counted struct {
	*mvcc.Store
	revisions, chunks, previous atomic.Int64
}

func (c *counted) ReadRevisions(ctx context.Context, dst []mvcc.Event, revs []mvcc.KeyRev) ([]mvcc.Event, error) {
	before := len(dst)
	dst, err := c.Store.ReadRevisions(ctx, dst, revs)
	c.revisions.Add(int64(len(dst) - before))
	return dst, err
}

func (c *counted) History(ctx context.Context, q mvcc.HistoryQuery) (mvcc.Chunk, error) {
	c.chunks.Add(1)
	return c.Store.History(ctx, q)
}

func (c *counted) Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) ([]*mvcc.KeyValue, int, error) {
	c.previous.Add(int64(len(evs)))
	return c.Store.Previous(ctx, dst, evs)
}

// Stats makes point reads look cheap, so that catch-up by index is chosen.
func (c *counted) Stats() mvcc.Stats {
	st := c.Store.Stats()
	st.ScanNanosPerEntry, st.GetNanosPerRead = 1e6, 1
	return st
}

// V4: thousands of watches that read history on one stream with a small
// outbox cost reads in proportion to what is delivered, not to that times the
// number of watches that wait for room.
func TestCatchUp_ReadsInProportion(t *testing.T) {
	const watches = 3000
	for _, policy := range []watch.Policy{watch.Wait, watch.Latest} {
		t.Run(policy.String(), func(t *testing.T) {
			var c *counted
			s := newStand(t, mvcc.Config{RecentBytes: 1}, watch.Config{Shards: 1, OutboxResponses: 16}, func(store *mvcc.Store) watch.Source {
				c = &counted{Store: store}
				return c
			})
			for i := range watches {
				s.put(fmt.Sprint("k", i), []byte("v"))
			}
			st := s.stream()
			for i := range watches {
				s.watch(st, watch.Request{Key: fmt.Append(nil, "k", i), StartRevision: 1, Policy: policy})
			}
			events := 0
			require.NoError(t, st.RequestProgress())
			s.recvUntil(st, func(r *watch.Response) bool {
				events += len(r.Events)
				return r.WatchID == watch.NoWatch
			})
			assert.Equal(t, watches, events)
			assert.LessOrEqual(t, c.revisions.Load(), int64(2*watches))
		})
	}
}

// Starts, ids and bounds at the ends of int64 are accepted or refused like
// any other, C6 C8 C13 C14.
func TestWatch_NumbersAtTheEnds(t *testing.T) {
	s := newStand(t, mvcc.Config{}, watch.Config{}, nil)
	st := s.stream()
	for _, c := range []struct {
		req watch.Request
		err error
	}{
		{watch.Request{StartRevision: math.MinInt64}, mvcc.ErrCompacted},
		{watch.Request{ID: math.MinInt64}, watch.ErrNegativeID},
		{watch.Request{ID: math.MaxInt64, StartRevision: math.MaxInt64}, nil},
		{watch.Request{ID: math.MaxInt64}, watch.ErrDuplicateID},
		{watch.Request{ID: math.MaxInt64 - 1, Policy: watch.Cancel, MaxLagRevisions: math.MinInt64, MaxLagBytes: math.MaxInt64}, nil},
		{watch.Request{StartRevision: math.MaxInt64 - 1, Policy: watch.Latest}, nil},
	} {
		c.req.Key = []byte("k")
		_, err := st.Watch(c.req)
		assert.ErrorIs(t, err, c.err, "%+v", c.req)
	}
	rev := s.put("k", nil)
	got := 0
	s.recvUntil(st, func(r *watch.Response) bool {
		got += len(r.Events)
		return got > 0
	})
	assert.Equal(t, 1, got, "those far in the future wait")
	for _, w := range s.hub.Watches() {
		assert.Equal(t, watch.Synced, w.State)
		assert.GreaterOrEqual(t, w.Next, rev)
		assert.Zero(t, w.Lag)
	}
	for _, id := range []int64{math.MinInt64, -1, math.MaxInt64 - 2} {
		assert.ErrorIs(t, st.Cancel(id), watch.ErrNoWatch)
	}
	require.NoError(t, st.Cancel(math.MaxInt64))

	// Close to the last revision of all, everything goes on.
	require.NoError(t, s.store.Bump(context.Background(), math.MaxInt64-1<<32-10-s.store.Rev()))
	from := s.store.Rev()
	again := s.stream()
	s.watch(again, watch.Request{Key: []byte("k"), StartRevision: from, PrevKV: true})
	last := int64(0)
	for range 10 {
		last = s.put("k", nil)
	}
	_, err := s.store.Put(context.Background(), []byte("k"), nil)
	require.ErrorIs(t, err, mvcc.ErrExhausted)
	require.NoError(t, again.RequestProgress())
	got = 0
	s.recvUntil(again, func(r *watch.Response) bool {
		got += len(r.Events)
		return r.WatchID == watch.NoWatch && r.Revision == last
	})
	assert.Equal(t, 10, got)
}

// V4: a watch of everything beside ten thousand narrow ones, that nobody
// reads: each event is offered to whom it concerns and to nobody else, the
// engine is read for none of it, and the narrow ones get all of theirs.
func TestWatch_EverythingBesideNarrow(t *testing.T) {
	const narrow, puts = 10_000, 2000
	var c *counted
	s := newStand(t, mvcc.Config{}, watch.Config{Shards: 1}, func(store *mvcc.Store) watch.Source {
		c = &counted{Store: store}
		return c
	})
	wide, st := s.stream(), s.stream()
	s.watch(wide, watch.Request{Key: []byte{0}, End: []byte{0}})
	for i := range narrow {
		s.watch(st, watch.Request{Key: fmt.Appendf(nil, "k%05d", i)})
	}
	events, last := 0, int64(0)
	take := func(r *watch.Response) bool {
		events += len(r.Events)
		return len(r.Events) > 0 && r.Revision >= last
	}
	for i := range puts {
		last = s.put(fmt.Sprintf("k%05d", i*7%narrow), make([]byte, 1000))
		s.recvUntil(st, take)
	}
	stats := s.hub.Stats()
	assert.Equal(t, puts, events)
	assert.Equal(t, int64(1), stats.VictimsEver, "the wide one, once")
	// The wide one was offered what it took and once what it did not.
	wideOffers := stats.Offers - puts
	assert.LessOrEqual(t, wideOffers, stats.EventsDispatched-puts+1)
	assert.Less(t, wideOffers, int64(puts))
	assert.Zero(t, c.revisions.Load()+c.chunks.Load()+c.previous.Load())
}

// The bound on watches is an error that says which it is and how many there
// are, to the program and on the stream.
func TestWatch_BoundIsNamed(t *testing.T) {
	s := newStand(t, mvcc.Config{}, watch.Config{MaxWatches: 3, MaxWatchesPerStream: 2}, nil)
	st, other := s.stream(), s.stream()
	for range 2 {
		s.watch(st, watch.Request{Key: []byte("k")})
	}
	_, err := st.Watch(watch.Request{Key: []byte("k")})
	require.EqualError(t, err, "watch: too many watches: 2 on this stream, the bound")
	s.recvUntil(st, func(r *watch.Response) bool {
		if r.WatchID == watch.NoWatch {
			assert.True(t, r.Created && r.Canceled)
			assert.Equal(t, err, r.Err)
		}
		return r.WatchID == watch.NoWatch
	})
	s.watch(other, watch.Request{Key: []byte("k")})
	_, err = other.Watch(watch.Request{Key: []byte("k")})
	require.EqualError(t, err, "watch: too many watches: 3 in all, the bound")
}
