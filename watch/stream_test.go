package watch

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

func startHub(t *testing.T, cfg Config) (*mvcc.Store, *Hub) {
	t.Helper()
	store := memStore(t, mvcc.Config{})
	hub, err := NewHub(store, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = hub.Close() })
	return store, hub
}

// A closed stream, a closed hub and a cancelled watch each have an answer of
// their own.
func TestStream_AnswersOnceEnded(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	_, hub := startHub(t, Config{})
	s, err := hub.NewStream("s")
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() {
		_, err := s.Recv(context.Background())
		waiting <- err
	}()
	require.NoError(t, s.Close())
	assert.ErrorIs(t, <-waiting, ErrStreamClosed)
	require.NoError(t, s.Close(), "a second Close does nothing")
	_, err = s.Watch(Request{Key: []byte("a")})
	assert.ErrorIs(t, err, ErrStreamClosed)
	assert.ErrorIs(t, s.Cancel(0), ErrStreamClosed)
	assert.ErrorIs(t, s.RequestProgress(), ErrStreamClosed)

	other, err := hub.NewStream("other")
	require.NoError(t, err)
	go func() {
		_, err := other.Recv(context.Background())
		waiting <- err
	}()
	require.NoError(t, hub.Close())
	assert.ErrorIs(t, <-waiting, ErrHubClosed)
	assert.ErrorIs(t, hub.Close(), ErrHubClosed)
	_, err = hub.NewStream("late")
	assert.ErrorIs(t, err, ErrHubClosed)
}

func TestRecv_ContextEnds(t *testing.T) {
	_, hub := startHub(t, Config{})
	s, err := hub.NewStream("")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan error, 1)
	go func() {
		_, err := s.Recv(ctx)
		waiting <- err
	}()
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
	_, err = s.Watch(Request{Key: []byte("a")})
	require.NoError(t, err)
	rs, err := s.Recv(ctx)
	require.NoError(t, err, "what is there is handed out all the same")
	assert.True(t, rs[0].Created)
}

// R6: watches of what is visible go on after the store has failed; once all
// of it was delivered Recv tells the store's error.
func TestRecv_StoreFailed(t *testing.T) {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	broken := errors.New("disk on fire")
	faulty := backendtest.NewFaulty(engine)
	store, err := mvcc.Open(faulty, mvcc.Config{})
	require.NoError(t, err)
	hub, err := NewHub(store, Config{})
	require.NoError(t, err)
	defer func() {
		require.NoError(t, hub.Close())
		_ = store.Close()
		require.NoError(t, engine.Close())
	}()
	ctx := context.Background()
	s, err := hub.NewStream("")
	require.NoError(t, err)
	_, err = store.Put(ctx, []byte("a"), []byte("1"))
	require.NoError(t, err)
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: broken})
	_, err = store.Put(ctx, []byte("a"), []byte("2"))
	require.ErrorIs(t, err, mvcc.ErrFailed)

	_, err = s.Watch(Request{Key: []byte("a"), StartRevision: 2})
	require.NoError(t, err)
	var events []mvcc.Event
	for err == nil {
		var rs []Response
		rs, err = s.Recv(ctx)
		for i := range rs {
			events = append(events, rs[i].Events...)
		}
	}
	require.ErrorIs(t, err, mvcc.ErrFailed)
	require.ErrorIs(t, err, broken, "the cause is kept")
	require.Len(t, events, 1, "what became visible, and nothing of what failed")
	assert.Equal(t, "1", string(events[0].KV.Value))
}

func TestWatch_Bounds(t *testing.T) {
	_, hub := startHub(t, Config{MaxWatches: 3, MaxWatchesPerStream: 2})
	one, err := hub.NewStream("one")
	require.NoError(t, err)
	two, err := hub.NewStream("two")
	require.NoError(t, err)
	watch := func(s *Stream) error {
		_, err := s.Watch(Request{Key: []byte("k")})
		return err
	}
	require.NoError(t, watch(one))
	require.NoError(t, watch(one))
	require.ErrorIs(t, watch(one), ErrTooManyWatches, "of the stream")
	require.NoError(t, watch(two))
	require.ErrorIs(t, watch(two), ErrTooManyWatches, "of the hub")
	require.NoError(t, one.Cancel(0))
	require.NoError(t, watch(two), "a cancelled one makes room")
	require.NoError(t, one.Close())
	require.NoError(t, two.Cancel(1))
	require.NoError(t, watch(two), "and so does a closed stream")
}

func TestConfig_NegativeIsRefused(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	for _, c := range []Config{
		{OutboxResponses: -1}, {OutboxBytes: -1}, {MaxResponseBytes: -1}, {MaxWatches: -1},
		{MaxWatchesPerStream: -1}, {ProgressInterval: -1}, {Shards: -1},
	} {
		_, err := NewHub(store, c)
		assert.ErrorContains(t, err, "negative", "%+v", c)
	}
}

// N1: the interval, up to a tenth more, and nothing for a watch that had
// events meanwhile.
func TestProgress_Periodic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, hub := startHub(t, Config{ProgressInterval: 10 * time.Second})
		s, err := hub.NewStream("")
		require.NoError(t, err)
		_, err = s.Watch(Request{Key: []byte("a"), Progress: true})
		require.NoError(t, err)
		recv := func() Response {
			rs, err := s.Recv(context.Background())
			require.NoError(t, err)
			require.Len(t, rs, 1)
			return rs[0]
		}
		require.True(t, recv().Created)
		for range 5 {
			before := time.Now()
			r := recv()
			assert.True(t, r.Progress())
			assert.Equal(t, store.Rev(), r.Revision)
			assert.GreaterOrEqual(t, time.Since(before), 10*time.Second)
			assert.LessOrEqual(t, time.Since(before), 11*time.Second)
		}
		before := time.Now()
		_, err = store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
		require.Len(t, recv().Events, 1)
		quiet := recv()
		require.True(t, quiet.Progress())
		assert.GreaterOrEqual(t, time.Since(before), 20*time.Second-time.Second, "one tick is skipped after events")
		require.NoError(t, hub.Close())
	})
}

// N1: at least 100 ms, whatever is asked for.
func TestConfig_ProgressIntervalHasAFloor(t *testing.T) {
	assert.Equal(t, 100*time.Millisecond, Config{ProgressInterval: 1}.withDefaults().ProgressInterval)
	assert.Equal(t, 10*time.Minute, Config{}.withDefaults().ProgressInterval)
}

// Introspection tells who watches what, in which state and how far behind.
func TestHub_Watches(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	h := newHub(store, Config{Shards: 1, OutboxResponses: 1, OutboxBytes: 1})
	defer func() { require.NoError(t, h.Close()) }()
	s, err := h.NewStream("consumer")
	require.NoError(t, err)
	for _, r := range []Request{
		{ID: 1, Key: []byte("a")},
		{ID: 2, Key: []byte("b"), End: []byte("c")},
		{ID: 3, Key: []byte{}, End: []byte{0}, Policy: Latest},
		{ID: 4, Key: []byte("d"), End: []byte{0}, StartRevision: 100},
	} {
		_, err := s.Watch(r)
		require.NoError(t, err)
	}
	for i := range 3 {
		_, err := store.Put(context.Background(), []byte("a"), fmt.Append(nil, i))
		require.NoError(t, err)
		h.shards[0].dispatchOnce(context.Background())
	}
	byID := map[int64]WatchInfo{}
	for _, w := range h.Watches() {
		assert.Equal(t, "consumer", w.StreamName)
		assert.Positive(t, w.QueuedBytes)
		byID[w.ID] = w
	}
	type facts struct {
		key, end  string
		state     State
		next, lag int64
	}
	of := func(id int64) facts {
		w := byID[id]
		return facts{string(w.Key), string(w.End), w.State, w.Next, w.Lag}
	}
	// One of the two that match had the room of one hand-over.
	victims := []facts{of(1), of(3)}
	assert.Contains(t, victims, facts{"\x00", "\x00", Victim, 2, 3})
	assert.Contains(t, victims, facts{"a", "", Victim, 3, 2})
	assert.Equal(t, facts{"b", "c", Synced, 5, 0}, of(2))
	assert.Equal(t, facts{"d", "\x00", Synced, 100, 0}, of(4))
	assert.Positive(t, byID[1].LagBytes)
}

// Watches for a far revision that are cancelled leave nothing behind.
func TestCancel_OfWaitingWatches(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	h := newHub(store, Config{Shards: 1})
	defer func() { require.NoError(t, h.Close()) }()
	s, err := h.NewStream("")
	require.NoError(t, err)
	kept, err := s.Watch(Request{Key: []byte("a"), StartRevision: 3})
	require.NoError(t, err)
	for i := range int64(1000) {
		id, err := s.Watch(Request{Key: []byte("a"), StartRevision: 1 << 60})
		require.NoError(t, err)
		require.NoError(t, s.Cancel(id), "%d", i)
		require.LessOrEqual(t, len(h.shards[0].waiting), 4)
	}
	for range 2 {
		_, err := store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
	}
	h.shards[0].dispatchOnce(context.Background())
	h.shards[0].dispatchOnce(context.Background())
	infos := h.Watches()
	require.Len(t, infos, 1)
	assert.Equal(t, kept, infos[0].ID)
	assert.Equal(t, int64(4), infos[0].Next, "released when its start came")
	assert.Zero(t, s.behind)
}

// An event that concerns nobody, and the offer of one to many watches that
// share a seat, allocate nothing but what makes the event.
func TestDispatch_Allocations(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	h := newHub(store, Config{Shards: 1})
	defer func() { require.NoError(t, h.Close()) }()
	ctx, done := context.WithCancel(context.Background())
	done()
	var streams []*Stream
	for range 10 {
		s, err := h.NewStream("")
		require.NoError(t, err)
		for range 10 {
			_, err := s.Watch(Request{Key: []byte("k"), End: []byte("l")})
			require.NoError(t, err)
		}
		streams = append(streams, s)
	}
	delivered := 0
	drain := func() {
		for _, s := range streams {
			for {
				rs, err := s.Recv(ctx)
				if err != nil {
					break
				}
				delivered += len(rs)
			}
		}
	}
	const puts = 100
	for range puts + 10 {
		_, err := store.Put(context.Background(), []byte("key"), []byte("value"))
		require.NoError(t, err)
	}
	drain()
	// Dispatch one revision at a time, as when it is not behind.
	sh := h.shards[0]
	commits, _, ok := store.Recent(nil, 2, puts+10)
	require.True(t, ok)
	next := 0
	step := func() {
		sh.mu.Lock()
		sh.offerLocked(sh.matchLocked(commits[next : next+1]))
		sh.mu.Unlock()
		next++
		drain()
	}
	for range 5 {
		step() // queues grow to their size
	}
	delivered = 0
	assert.Zero(t, testing.AllocsPerRun(puts, step))
	assert.Equal(t, (puts+1)*100, delivered, "10 streams of 10 watches")
}

// V2 V7: a stream that nobody reads keeps no more than its bound of periodic
// progress, and one answer however often progress is requested; the answer
// that is owed comes when the first was taken.
func TestProgress_OfUnreadStreamIsBounded(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	h := newHub(store, Config{Shards: 1, OutboxResponses: 5})
	defer func() { require.NoError(t, h.Close()) }()
	s, err := h.NewStream("")
	require.NoError(t, err)
	_, err = s.Watch(Request{Key: []byte("a"), Progress: true})
	require.NoError(t, err)
	for range 1000 {
		require.NoError(t, s.RequestProgress())
		h.shards[0].tick()
	}
	assert.LessOrEqual(t, len(s.box.queue), 6)
	_, err = store.Put(context.Background(), []byte("b"), nil)
	require.NoError(t, err)
	h.shards[0].dispatchOnce(context.Background())
	require.NoError(t, s.RequestProgress())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var answers []int64
	for {
		rs, err := s.Recv(ctx)
		if err != nil {
			break
		}
		for i := range rs {
			if rs[i].WatchID == NoWatch {
				answers = append(answers, rs[i].Revision)
			}
		}
	}
	assert.Equal(t, []int64{1, 2}, answers, "the first, and the one owed, at its bar")
}

// A store that is closed before its hub: Recv of a stream whose watch is
// behind answers instead of waiting for ever.
func TestRecv_StoreClosedFirst(t *testing.T) {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, mvcc.Config{RecentBytes: 1})
	require.NoError(t, err)
	for range 10 {
		_, err := store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
	}
	hub, err := NewHub(store, Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, hub.Close()) }()
	s, err := hub.NewStream("")
	require.NoError(t, err)
	require.NoError(t, store.Close())
	_, err = s.Watch(Request{Key: []byte("a"), StartRevision: 2})
	require.NoError(t, err)
	for err == nil {
		_, err = s.Recv(context.Background())
	}
	assert.ErrorIs(t, err, mvcc.ErrClosed)
}
