package soak

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

var hostile = flag.String("soak.hostile", "small", "size of the hostile tests: small or full")

// sized picks by the size of the hostile tests.
func sized[T any](small, full T) T {
	if *hostile == "full" {
		return full
	}
	return small
}

// stand is a store and a hub over bolt, whose data are not on the heap.
type stand struct {
	t     *testing.T
	store *mvcc.Store
	hub   *watch.Hub
	heap  int64 // before anything was written
}

func newStand(t *testing.T, sc mvcc.Config, hc watch.Config) *stand {
	ignore := goleak.IgnoreCurrent()
	engine, err := bolt.Open(filepath.Join(t.TempDir(), "data"), backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, sc)
	require.NoError(t, err)
	hub, err := watch.NewHub(store, hc)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, hub.Close())
		assert.NoError(t, store.Close())
		assert.Zero(t, engine.Stats().OpenViews)
		assert.NoError(t, engine.Close())
		goleak.VerifyNone(t, ignore)
	})
	return &stand{t, store, hub, liveHeap()}
}

func (s *stand) stream(name string) *watch.Stream {
	st, err := s.hub.NewStream(name)
	require.NoError(s.t, err)
	return st
}

func (s *stand) watch(st *watch.Stream, req watch.Request) {
	_, err := st.Watch(req)
	require.NoError(s.t, err)
}

func (s *stand) put(key, value []byte) int64 {
	rev, err := s.store.Put(context.Background(), key, value)
	require.NoError(s.t, err)
	return rev
}

// recvUntil receives until done says so of a response.
func (s *stand) recvUntil(st *watch.Stream, done func(r *watch.Response) bool) {
	for ended := false; !ended; {
		ctx, cancel := context.WithTimeout(context.Background(), *patience)
		rs, err := st.Recv(ctx)
		cancel()
		require.NoError(s.t, err, "%+v", s.hub.Stats())
		for i := range rs {
			ended = done(&rs[i]) || ended
		}
	}
}

var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// The bounds that package watch states. largest is what the largest revision
// weighs, its previous values included.
func streamBound(cfg watch.Config, largest int64) int64 {
	const piece = 1 << 20
	return 2 * (2*max(cfg.OutboxBytes, largest) + piece + largest)
}

func shardBound(largest int64) int64 { return 10 * (1<<20 + largest) }

// V2 V4: values of hundreds of kilobytes at full speed to many watches whose
// consumers read nothing, or now and then: what they hold is within the
// stated bound, and one who reads at once is never behind by more than a
// revision, or policy cancel would end it.
func TestHostile_LargeValuesToSlowWatchers(t *testing.T) {
	watchers, puts, size := sized(60, 1000), sized(60, 200), sized(128<<10, 1<<20)
	for _, c := range []struct {
		name              string
		streams           int
		distinct, prevKV  bool
		readers           int // that take what is there after each put, in turn
		outbox, perStream int64
	}{
		{name: "one stream, never read", streams: 1},
		{name: "one stream, distinct ranges", streams: 1, distinct: true, readers: 1},
		{name: "a stream each, never read", streams: watchers},
		{name: "a stream each, read now and then", streams: watchers, readers: max(1, watchers/20)},
		{name: "a stream each, distinct ranges, previous values", streams: watchers, distinct: true, prevKV: true, readers: max(1, watchers/20)},
	} {
		t.Run(c.name, func(t *testing.T) {
			recent := int64(4 * size)
			s := newStand(t, mvcc.Config{RecentBytes: recent, Durability: mvcc.Relaxed(50 * time.Millisecond), PendingBytes: recent},
				watch.Config{OutboxBytes: int64(size), Shards: 2})
			const keys = 10
			key := func(i int) []byte { return fmt.Appendf(nil, "k%d", i%keys) }
			for i := range keys {
				s.put(key(i), make([]byte, size))
			}
			healthy := s.stream("healthy")
			s.watch(healthy, watch.Request{Key: []byte("k"), End: []byte("l"), Policy: watch.Cancel, MaxLagRevisions: 1})
			slow := make([]*watch.Stream, c.streams)
			for i := range slow {
				slow[i] = s.stream("slow")
			}
			for i := range watchers {
				req := watch.Request{Key: []byte("k"), End: []byte("l"), PrevKV: c.prevKV}
				if c.distinct {
					req.End = fmt.Appendf(nil, "l%06d", i)
				}
				s.watch(slow[i%len(slow)], req)
			}
			for p := range puts {
				rev := s.put(key(p), make([]byte, size))
				s.recvUntil(healthy, func(r *watch.Response) bool {
					assert.False(t, r.Canceled, "the healthy one: %v", r.Err)
					return r.Canceled || len(r.Events) > 0 && r.Revision >= rev
				})
				for i := range c.readers {
					if _, err := slow[(p*c.readers+i)%len(slow)].Recv(ended); !errors.Is(err, context.Canceled) {
						require.NoError(t, err)
					}
				}
			}
			largest := int64(size) + 400
			if c.prevKV {
				largest += int64(size)
			}
			s.settled()
			held := liveHeap()
			stats := s.hub.Stats()
			for _, st := range slow {
				require.NoError(t, st.Close())
			}
			after := liveHeap()
			cfg := s.hub.Config()
			bound := int64(c.streams)*streamBound(cfg, largest) + int64(watchers)<<10 + heapNoise
			t.Logf("%d watches on %d streams hold %d KiB, at most %d are stated; %d KiB in all", watchers, c.streams, (held-after)>>10, bound>>10, (held-s.heap)>>10)
			assert.LessOrEqual(t, held-after, bound)
			storeBound := 2*recent + 2*(4<<20+largest) // recent log, pending, a batch being written
			assert.LessOrEqual(t, held-s.heap, bound+storeBound+2*shardBound(largest)+4<<20)
			assert.LessOrEqual(t, stats.PendingBytesMax, max(cfg.OutboxBytes, largest))
			assert.LessOrEqual(t, after-s.heap, storeBound+2*shardBound(largest)+4<<20, "nothing of them is left")
			require.NoError(t, healthy.Close())
		})
	}
}

// V2: events of a few bytes are bounded by what they really take, and one
// event out of a huge revision does not keep the revision alive.
func TestHostile_TinyEventsOutOfHugeRevisions(t *testing.T) {
	const outbox = 64 << 10
	streams, revisions, keys := sized(30, 300), sized(30, 100), sized(2000, 20_000)
	s := newStand(t, mvcc.Config{RecentBytes: 1, Durability: mvcc.Relaxed(50 * time.Millisecond)}, watch.Config{OutboxBytes: outbox, Shards: 1})
	var slow []*watch.Stream
	for i := range streams {
		st := s.stream("slow")
		s.watch(st, watch.Request{Key: fmt.Appendf(nil, "k%05d", i)})                                  // an event of each revision
		s.watch(st, watch.Request{Key: []byte("k"), End: fmt.Appendf(nil, "k%05d", 1+i*keys/streams)}) // many
		slow = append(slow, st)
	}
	for range revisions {
		_, err := s.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
			for i := range keys {
				if err := tx.Put(fmt.Appendf(nil, "k%05d", i), nil, 0); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
	s.settled()
	held := liveHeap()
	for _, st := range slow {
		require.NoError(t, st.Close())
	}
	each := (held - liveHeap()) / int64(streams)
	// A revision's part for the wide watch may be larger than the outbox, and
	// is then what an empty one takes.
	largest := int64(keys) * (128 + 32)
	t.Logf("a stream holds %d KiB", each>>10)
	assert.LessOrEqual(t, each, max(outbox, largest)*5/4+16<<10)
}

// heapNoise is what a measurement may be off: what others are just doing.
const heapNoise = 512 << 10

// settled waits until everything written was dispatched and is durable, and
// catch-up rests, since nobody has room.
func (s *stand) settled() {
	_, err := s.store.HashKV(context.Background(), 0)
	require.NoError(s.t, err)
	st := s.stream("settled")
	s.watch(st, watch.Request{Key: []byte("nothing")})
	require.NoError(s.t, st.RequestProgress())
	rev := s.store.Rev()
	s.recvUntil(st, func(r *watch.Response) bool { return r.WatchID == watch.NoWatch && r.Revision >= rev })
	require.NoError(s.t, st.Close())
	require.Eventually(s.t, func() bool { return s.hub.Stats().Unsynced == 0 }, *patience, 10*time.Millisecond)
}

const (
	// unreadWatch is the most that a watch of a short key takes while nobody
	// reads its Created, readWatch what remains of it afterwards.
	unreadWatch, readWatch = 1200, 700
	// watchAllocations is the most objects that making one takes, however
	// many there are.
	watchAllocations = 16
)

// A hundred thousand watches (full: a million) on one stream: what each takes
// and what it costs does not grow with their number, an event costs those it
// concerns, and all is given back.
func TestHostile_AMillionWatchesOnAStream(t *testing.T) {
	n := sized(50_000, 1_000_000)
	s := newStand(t, mvcc.Config{Durability: mvcc.Relaxed(50 * time.Millisecond)}, watch.Config{MaxWatchesPerStream: n, Shards: 1})
	st := s.stream("all")
	name := func(i int) []byte { return fmt.Appendf(nil, "k%07d", i) }
	start := liveHeap()
	var halves [2]int64
	for half := range halves {
		before := allocated()
		for i := half * n / 2; i < (half+1)*n/2; i++ {
			s.watch(st, watch.Request{Key: name(i)})
		}
		halves[half] = allocated() - before
	}
	each := (liveHeap() - start) / int64(n)
	t.Logf("%d bytes for each of %d watches whose Created was not read, %d and %d allocations", each, n, halves[0]/int64(n/2), halves[1]/int64(n/2))
	assert.LessOrEqual(t, each, int64(unreadWatch))
	assert.LessOrEqual(t, halves[1], int64(n/2*watchAllocations))
	_, err := st.Watch(watch.Request{Key: []byte("one more")})
	assert.ErrorIs(t, err, watch.ErrTooManyWatches)

	created, events := 0, 0
	count := func(r *watch.Response) bool {
		if r.Created && !r.Canceled {
			created++
		}
		events += len(r.Events)
		return r.WatchID == watch.NoWatch && r.Progress()
	}
	require.NoError(t, st.RequestProgress())
	s.recvUntil(st, count)
	require.Equal(t, n, created)
	_, err = st.Recv(ended) // lets go of what it had taken
	require.ErrorIs(t, err, context.Canceled)
	each = (liveHeap() - start) / int64(n)
	t.Logf("%d bytes for each watch", each)
	assert.LessOrEqual(t, each, int64(readWatch))

	const puts = 1000
	offers := s.hub.Stats().Offers
	for i := range puts {
		s.put(name(i*(n/puts)), nil)
	}
	require.NoError(t, st.RequestProgress())
	s.recvUntil(st, count)
	assert.Equal(t, puts, events)
	assert.GreaterOrEqual(t, s.hub.Stats().Offers-offers, int64(puts))
	// Who met a full outbox is offered again each time it was emptied.
	rounds := int64(puts/s.hub.Config().OutboxResponses) + 2
	assert.LessOrEqual(t, s.hub.Stats().Offers-offers, puts*rounds, "those it concerns, and no one else")

	before := allocated()
	for id := range int64(n / 2) {
		require.NoError(t, st.Cancel(id))
	}
	assert.LessOrEqual(t, allocated()-before, int64(n/2*watchAllocations))
	require.NoError(t, st.RequestProgress())
	s.recvUntil(st, count)
	// As many watches of one key: one hand-over serves them all.
	for range n / 2 {
		s.watch(st, watch.Request{Key: []byte("same")})
	}
	require.NoError(t, st.RequestProgress())
	s.recvUntil(st, count)
	events = 0
	s.put([]byte("same"), nil)
	require.NoError(t, st.RequestProgress())
	s.recvUntil(st, count)
	assert.Equal(t, n/2, events)
	require.NoError(t, st.Close())
	stats := s.hub.Stats()
	assert.Zero(t, stats.Synced+stats.Unsynced+stats.Victims+stats.Streams)
	assert.LessOrEqual(t, liveHeap()-start, int64(2<<20+16*n), "hash tables of the hub may keep their size")
}

// allocated counts the objects ever allocated.
func allocated() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
