package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

const (
	writers   = 3
	consumers = 9
	// keepRevisions is the history that compactions leave; historyWindow, in
	// events, is more than it can hold, so that all of it is compared.
	keepRevisions = 4000
	historyWindow = 1 << 17
	// bumpEvery and jumpMost: a life in so many ends with its revision raised
	// by up to so many.
	bumpEvery, jumpMost = 5, 1000
	// diskFactor: compaction keeps the files within so many times the bytes
	// that kept history can hold. bolt's file has room for the largest state
	// it was ever in and for the pages a transaction replaces; pebble and
	// badger have each version on two levels while they merge.
	diskFactor = 4
	// diskSlack is what an engine takes for itself: badger's two memory
	// tables and value log files are made in their full size.
	diskSlack = 512 << 20
)

// world is one store that lives again and again, who writes it and who
// listens.
type world struct {
	t    *testing.T
	v    variant
	path string
	seed uint64

	engine  backend.Engine
	store   *mvcc.Store
	hub     *watch.Hub
	history *watchtest.History
	old     [consumers][]opened // watches to resume in the next life

	lives     int
	counts    watchtest.Counts
	hubs      watch.Stats // sums over all lives
	compacted int64       // when it was closed
	largest   int64       // most bytes that kept history can have held
	hash      mvcc.HashResult

	mu      sync.Mutex // guards written
	written int64      // bytes, over all lives
}

func newWorld(t *testing.T, v variant, path string, seed uint64) *world {
	return &world{t: t, v: v, path: path, seed: seed, history: watchtest.NewHistory(watchtest.HistoryConfig{Window: historyWindow})}
}

// random is the source of one actor in this life.
func (w *world) random(actor int) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed+uint64(w.lives), uint64(actor)))
}

// live opens the store, lets everybody work for about d, and closes it.
func (w *world) live(d time.Duration) {
	w.lives++
	r := w.random(-1)
	w.open(r)
	ctx, stop := context.WithTimeout(context.Background(), d)
	defer stop()
	over, written := context.WithCancel(context.Background()) // when nothing more will be written
	defer written()
	var writing, reading sync.WaitGroup
	for i := range writers {
		writing.Go(func() { w.write(ctx, w.random(i), i == 0) })
	}
	writing.Go(func() { w.read(ctx, w.random(100)) })
	ends := make([]*consumer, consumers)
	for i := range consumers {
		ends[i] = &consumer{w: w, r: w.random(200 + i), nature: nature(i % natures), open: w.old[i]}
		reading.Go(func() { ends[i].run(over) })
	}
	writing.Wait()
	written()
	reading.Wait()
	for i, c := range ends {
		w.old[i] = c.open
		w.counts.Add(c.counts)
	}
	if !w.t.Failed() {
		w.close(r)
	}
}

// open opens the store with bounds that differ from life to life.
func (w *world) open(r *rand.Rand) {
	var err error
	if w.engine == nil {
		w.engine, err = w.v.driver.Open(w.path, backend.Options{CacheBytes: 8 << 20})
		require.NoError(w.t, err)
	}
	w.store, err = mvcc.Open(w.engine, mvcc.Config{
		Durability:   w.v.durability,
		RecentBytes:  oneOf[int64](r, 1, 64<<10, 4<<20),
		PendingBytes: oneOf[int64](r, 256<<10, 0),
		AutoCompact:  mvcc.AutoCompact{Revisions: keepRevisions, Interval: 200 * time.Millisecond},
	})
	require.NoError(w.t, err)
	if w.lives > 1 {
		w.compareHash()
	}
	w.hub, err = watch.NewHub(w.store, watch.Config{
		OutboxResponses:  oneOf(r, 8, 16, 128),
		OutboxBytes:      oneOf[int64](r, 4<<10, 64<<10, 1<<20),
		MaxResponseBytes: oneOf(r, 1<<10, 64<<10, 1<<20),
		ProgressInterval: 100 * time.Millisecond,
		Shards:           oneOf(r, 1, 2, 3),
	})
	require.NoError(w.t, err)
}

// compareHash: what a clean close left is what the next open finds. R2 R3
func (w *world) compareHash() {
	require.Equal(w.t, w.hash.Rev, w.store.Rev(), "the revision after a reopen")
	require.GreaterOrEqual(w.t, w.store.CompactRev(), w.compacted)
	now, err := w.store.HashKV(context.Background(), 0)
	require.NoError(w.t, err)
	if now.CompactRev == w.hash.CompactRev {
		require.Equal(w.t, w.hash, now, "the hash of all data after a reopen")
	}
}

// close ends a life in which everybody has settled and left.
func (w *world) close(r *rand.Rand) {
	ctx := context.Background()
	if r.IntN(bumpEvery) == 0 {
		by := 1 + r.Int64N(jumpMost)
		rev := w.store.Rev() + by
		w.history.Compacting(rev)
		require.NoError(w.t, w.history.Skip(rev))
		require.NoError(w.t, w.store.Bump(ctx, by)) // R4
	}
	s := w.hub.Stats()
	assert.Zero(w.t, s.Streams, "streams")
	assert.Zero(w.t, s.Synced+s.Unsynced+s.Victims, "gauges return to zero: %+v", s) // X4 F3
	assert.Zero(w.t, s.PendingBytes, "pending bytes")
	assert.Empty(w.t, w.hub.Watches())
	w.hubs.VictimsEver += s.VictimsEver
	w.hubs.EventsDispatched += s.EventsDispatched
	for way := range s.CatchUp {
		w.hubs.CatchUp[way].Events += s.CatchUp[way].Events
	}
	var err error
	w.hash, err = w.store.HashKV(ctx, 0)
	require.NoError(w.t, err)
	require.NoError(w.t, w.hub.Close())
	require.NoError(w.t, w.store.Close())
	w.compacted = w.store.CompactRev() // one may have come behind the hash
	es := w.engine.Stats()
	assert.Zero(w.t, es.OpenViews, "open views")
	bound := diskFactor*w.largest + diskSlack
	assert.LessOrEqual(w.t, es.DiskBytes, bound, "disk, after %d bytes were written in all", w.written)
	if !w.v.driver.Volatile {
		require.NoError(w.t, w.engine.Close())
		w.engine = nil
	}
}

// end lets go of everything.
func (w *world) end() {
	w.counts.Add(w.history.Counts())
	if w.engine != nil {
		require.NoError(w.t, w.engine.Close())
	}
	assert.Positive(w.t, w.counts.Events)
	assert.Positive(w.t, w.counts.Resumed, "watches went on after a reopen")
	assert.Zero(w.t, w.counts.Unmatched, "every event is compared")
}

// resumable counts the watches that go on in the next life.
func (w *world) resumable() (n int) {
	for _, open := range w.old {
		n += len(open)
	}
	return n
}

func (w *world) summary() string {
	return fmt.Sprintf("%d lives, revision %d, %d MiB written, %d watches (%d resumed, %d told of compaction, %d ended otherwise), %d events, %d victims, catch-up %d from memory %d by index %d by scan, %d conflated",
		w.lives, w.hash.Rev, w.written>>20, w.counts.Watches, w.counts.Resumed, w.counts.Compacted, w.counts.Canceled-w.counts.Compacted,
		w.counts.Events, w.hubs.VictimsEver, w.hubs.CatchUp[watch.WayMemory].Events, w.hubs.CatchUp[watch.WayIndex].Events, w.hubs.CatchUp[watch.WayScan].Events, w.counts.Conflated)
}

func oneOf[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
