package metamorphic_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// stand is a store and a hub over it; every stream made by it is checked.
type stand struct {
	t       *testing.T
	store   *mvcc.Store
	hub     *watch.Hub
	history *watchtest.History
}

// source lets a test count what the hub asks of the store.
func newStand(t *testing.T, sc mvcc.Config, hc watch.Config, source func(*mvcc.Store) watch.Source) *stand {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, sc)
	require.NoError(t, err)
	hub, err := watch.NewHub(source(store), hc)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, hub.Close())
		assert.NoError(t, store.Close())
		assert.NoError(t, engine.Close())
	})
	return &stand{t, store, hub, watchtest.NewHistory(watchtest.HistoryConfig{})}
}

func plain(s *mvcc.Store) watch.Source { return s }

func (s *stand) put(key string, value []byte) int64 {
	rev, err := s.store.Put(context.Background(), []byte(key), value)
	require.NoError(s.t, err)
	require.NoError(s.t, s.history.Put(rev, []byte(key), value))
	return rev
}

// listener is a stream with its check. got counts responses by kind.
type listener struct {
	s      *stand
	stream *watch.Stream
	check  *watchtest.Stream
}

func (s *stand) listen() *listener {
	stream, err := s.hub.NewStream("test")
	require.NoError(s.t, err)
	return &listener{s, stream, watchtest.NewStream(s.history, 0)}
}

func (l *listener) watch(r watch.Request) int64 {
	id, err := l.stream.Watch(r)
	require.NoError(l.s.t, err)
	_, err = l.check.Expect(id, r, nil)
	require.NoError(l.s.t, err)
	return id
}

// readUntil receives until done says so, and gives every response to it.
func (l *listener) readUntil(done func(r *watch.Response) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		responses, err := l.stream.Recv(ctx)
		require.NoError(l.s.t, err)
		require.NoError(l.s.t, l.check.Deliver(responses))
		ended := false
		for i := range responses {
			ended = done(&responses[i]) || ended
		}
		if ended {
			return
		}
	}
}

// settle asks for progress and reads until it comes: all is delivered then.
func (l *listener) settle() {
	l.check.ProgressAsked(l.s.store.Rev())
	require.NoError(l.s.t, l.stream.RequestProgress())
	l.readUntil(func(r *watch.Response) bool { return r.WatchID == watch.NoWatch && r.Progress() })
	require.NoError(l.s.t, l.check.Finish(l.s.store.Rev()))
}

// everything is a watch of all keys.
func everything(start int64) watch.Request {
	return watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: start}
}

// C12: thousands of watches below the compact revision are each told once.
func TestCompaction_ToldOnceToThousands(t *testing.T) {
	const watches = 5000
	s := newStand(t, mvcc.Config{RecentBytes: 1}, watch.Config{OutboxResponses: 2, OutboxBytes: 100}, plain)
	for i := range 50 {
		s.put(fmt.Sprint("k", i%5), []byte("value"))
	}
	l := s.listen()
	for i := range watches { // half of them unsynced or victims when it happens, half too late
		if i == watches/2 {
			s.history.Compacting(40)
			require.NoError(t, s.store.Compact(context.Background(), 40))
		}
		l.watch(watch.Request{Key: fmt.Append(nil, "k", i%5), StartRevision: 2})
	}
	told := map[int64]int{}
	l.watch(everything(0))
	l.check.ProgressAsked(s.store.Rev())
	require.NoError(t, l.stream.RequestProgress())
	l.readUntil(func(r *watch.Response) bool {
		if r.CompactRevision != 0 {
			told[r.WatchID]++
		}
		return r.WatchID == watch.NoWatch && r.Progress()
	})
	assert.GreaterOrEqual(t, len(told), watches/2)
	for id, n := range told {
		assert.Equal(t, 1, n, "watch %d", id)
	}
	require.NoError(t, l.check.Finish(s.store.Rev()))
}

// counting counts the previous values asked of a store.
type counting struct {
	*mvcc.Store
	asked atomic.Int64
}

func (c *counting) Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) ([]*mvcc.KeyValue, int, error) {
	c.asked.Add(int64(len(evs)))
	return c.Store.Previous(ctx, dst, evs)
}

// P3: a previous value is looked for once for an event, however many watches
// want it, and not at all when none does.
func TestPrevious_FoundOnce(t *testing.T) {
	const puts = 200
	for _, c := range []struct {
		name            string
		with, without   int // watches with and without previous values, in distinct groups too
		afterwards      bool
		atMost, atLeast int64
	}{
		{"nobody asks", 0, 20, false, 0, 0},
		{"many ask, live", 20, 20, false, puts, puts},
		{"many ask, over history", 20, 0, true, puts, puts},
	} {
		t.Run(c.name, func(t *testing.T) {
			var counted *counting
			s := newStand(t, mvcc.Config{}, watch.Config{Shards: 1}, func(st *mvcc.Store) watch.Source {
				counted = &counting{Store: st}
				return counted
			})
			first := s.put("k", []byte("0"))
			l := s.listen()
			write := func() {
				for i := range puts {
					s.put("k", fmt.Append(nil, i))
				}
			}
			if c.afterwards {
				write()
			}
			for i := range c.with + c.without {
				r := watch.Request{Key: []byte("k"), StartRevision: first + 1, PrevKV: i < c.with}
				switch i % 3 {
				case 1:
					r = watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: first + 1, PrevKV: r.PrevKV}
				case 2:
					r.NoDelete = true
				}
				l.watch(r)
			}
			if !c.afterwards {
				write()
			}
			l.settle()
			if c.afterwards { // a watch that was a chunk ahead of the others asks for itself
				assert.LessOrEqual(t, counted.asked.Load(), int64(c.with)*puts/2)
			} else {
				assert.LessOrEqual(t, counted.asked.Load(), c.atMost)
			}
			assert.GreaterOrEqual(t, counted.asked.Load(), c.atLeast)
		})
	}
}

// S5: responses are bounded in bytes, live and over history, but for a single
// revision that is larger.
func TestResponses_AreBounded(t *testing.T) {
	const bound = 2000
	for name, recent := range map[string]int64{"from memory": 0, "from the engine": 1} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, mvcc.Config{RecentBytes: recent}, watch.Config{MaxResponseBytes: bound}, plain)
			for i := range 300 {
				s.put(fmt.Sprint("k", i%7), make([]byte, 1+i%400))
			}
			large := s.put("large", make([]byte, 3*bound))
			l := s.listen()
			for i := range 4 {
				l.watch(everything(int64(2 + i*70)))
			}
			l.watch(watch.Request{Key: []byte("k3"), StartRevision: 2})
			l.check.ProgressAsked(s.store.Rev())
			require.NoError(t, l.stream.RequestProgress())
			l.readUntil(func(r *watch.Response) bool {
				size := 0
				for i := range r.Events {
					size += r.Events[i].Size()
				}
				if n := len(r.Events); n > 0 && r.Events[0].KV.ModRevision != r.Events[n-1].KV.ModRevision {
					assert.LessOrEqual(t, size, bound)
				}
				if size > bound {
					assert.Equal(t, large, r.Events[0].KV.ModRevision)
				}
				return r.WatchID == watch.NoWatch && r.Progress()
			})
			require.NoError(t, l.check.Finish(s.store.Rev()))
		})
	}
}

// N6: a watch that matches nothing, far behind, becomes synced and is
// answered.
func TestProgress_WithoutMatches(t *testing.T) {
	s := newStand(t, mvcc.Config{RecentBytes: 1}, watch.Config{}, plain)
	for i := range 5000 {
		s.put(fmt.Sprint("k", i%100), []byte("v"))
	}
	l := s.listen()
	l.watch(watch.Request{Key: []byte("nobody writes this"), StartRevision: 2})
	l.watch(watch.Request{Key: []byte("x"), End: []byte("y"), StartRevision: 2, NoPut: true, NoDelete: true})
	l.settle()
	assert.Zero(t, l.check.Counts().Events)
	assert.Equal(t, 2, s.hub.Stats().Synced)
}

// V2: what waits for a consumer that does not read is bounded by the outbox,
// whatever is written; V4: the others stay synced and get everything; V1:
// afterwards the slow one gets everything too.
func TestSlowConsumer_PinsBoundedMemory(t *testing.T) {
	const outbox = 64 << 10
	s := newStand(t, mvcc.Config{}, watch.Config{OutboxBytes: outbox, Shards: 1}, plain)
	slow := s.listen()
	for i := range 100 {
		slow.watch(everything(int64(i % 2)))
	}
	for i := range 1000 {
		s.put(fmt.Sprint("k", i%10), make([]byte, 4<<10)) // 4 MB, to 100 watches
	}
	l := s.listen()
	l.watch(everything(0))
	l.settle()
	stats := s.hub.Stats()
	assert.LessOrEqual(t, stats.PendingBytesMax, int64(outbox))
	assert.Positive(t, stats.VictimsEver)
	slow.settle()
	assert.Equal(t, int64(100*1000), slow.check.Counts().Matched)
	assert.Zero(t, s.hub.Stats().PendingBytes)
}

// V4: while one stream does not read, the watches of another are never
// victims and miss nothing.
func TestSlowConsumer_LeavesOthersSynced(t *testing.T) {
	s := newStand(t, mvcc.Config{}, watch.Config{OutboxResponses: 4, OutboxBytes: 4 << 10, Shards: 1}, plain)
	slow, healthy := s.listen(), s.listen()
	slow.watch(everything(0))
	id := healthy.watch(everything(0))
	for i := range 1000 {
		rev := s.put(fmt.Sprint("k", i%10), make([]byte, 1<<10))
		healthy.readUntil(func(r *watch.Response) bool { return r.WatchID == id && r.Revision >= rev && len(r.Events) > 0 })
	}
	healthy.settle()
	assert.Equal(t, int64(1000), healthy.check.Counts().Matched)
	assert.Equal(t, int64(1), s.hub.Stats().VictimsEver, "the slow one, once")
}

// V7: Created, Canceled, compaction and requested progress come, however full
// the outbox is.
func TestControl_IsNeverDropped(t *testing.T) {
	s := newStand(t, mvcc.Config{RecentBytes: 1}, watch.Config{OutboxResponses: 1, OutboxBytes: 1}, plain)
	l := s.listen()
	l.watch(everything(0))
	for i := range 20 {
		s.put("k", fmt.Append(nil, i))
	}
	s.history.Compacting(10)
	require.NoError(t, s.store.Compact(context.Background(), 10))
	const watches = 1000
	for range watches {
		id := l.watch(watch.Request{Key: []byte("k")})
		l.check.CancelAsked(id)
		require.NoError(t, l.stream.Cancel(id))
		l.watch(watch.Request{Key: []byte("k"), StartRevision: 2}) // compacted
	}
	refused := watch.Request{Key: []byte("b"), End: []byte("a")}
	_, err := l.stream.Watch(refused)
	require.ErrorIs(t, err, watch.ErrEmptyRange)
	require.NoError(t, l.check.Refused(refused, err))

	l.watch(watch.Request{Key: []byte("k")})
	l.check.ProgressAsked(s.store.Rev())
	require.NoError(t, l.stream.RequestProgress())
	created, canceled, compacted, refusals := 0, 0, 0, 0
	l.readUntil(func(r *watch.Response) bool {
		switch {
		case r.WatchID == watch.NoWatch && r.Created:
			refusals++
		case r.Created:
			created++
		case r.CompactRevision > 0:
			compacted++
		case r.Canceled:
			canceled++
		}
		return r.WatchID == watch.NoWatch && r.Progress()
	})
	assert.Equal(t, 2*watches+2, created)
	assert.Equal(t, watches, canceled)
	assert.GreaterOrEqual(t, compacted, watches) // the first watch may be told as well
	assert.Equal(t, 1, refusals)
	require.NoError(t, l.check.Finish(s.store.Rev()))
}
