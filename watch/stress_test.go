package watch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// TestConcurrent lets writers, compaction, and streams whose watches come and
// go work at once, and checks every response of every watch. G1 G2 G3 G4 G5
// G6 X4 V1 V3.
func TestConcurrent(t *testing.T) {
	for name, cfg := range map[string]struct {
		store mvcc.Config
		hub   watch.Config
	}{
		"defaults":          {},
		"everybody is slow": {hub: watch.Config{OutboxResponses: 2, OutboxBytes: 600, Shards: 2}},
		"nothing in memory": {store: mvcc.Config{RecentBytes: 1}, hub: watch.Config{OutboxResponses: 3, Shards: 1}},
		"small responses":   {store: mvcc.Config{RecentBytes: 4096}, hub: watch.Config{MaxResponseBytes: 100, OutboxBytes: 2000, Shards: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			w := newWorld(t, cfg.store, cfg.hub)
			w.run(6, 2, 1500)
			w.close()
		})
	}
}

// world is a store, a hub, what was written and who listens.
type world struct {
	t       *testing.T
	engine  backend.Engine
	store   *mvcc.Store
	hub     *watch.Hub
	history *watchtest.History
	writing context.Context // ends when the writers are done
}

func newWorld(t *testing.T, sc mvcc.Config, hc watch.Config) *world {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, sc)
	require.NoError(t, err)
	hub, err := watch.NewHub(store, hc)
	require.NoError(t, err)
	return &world{
		t: t, engine: engine, store: store, hub: hub,
		history: watchtest.NewHistory(watchtest.HistoryConfig{}),
	}
}

func (w *world) run(streams, writers, commits int) {
	var writing, reading sync.WaitGroup
	var written context.CancelFunc
	w.writing, written = context.WithCancel(context.Background())
	for i := range streams {
		reading.Go(func() { w.consume(uint64(i)) })
	}
	for i := range writers {
		writing.Go(func() { w.write(rand.New(rand.NewPCG(1, uint64(i))), commits) })
	}
	writing.Wait()
	written()
	reading.Wait()
}

func (w *world) close() {
	stats := w.hub.Stats()
	assert.Zero(w.t, stats.Streams)
	assert.Zero(w.t, stats.Synced+stats.Unsynced+stats.Victims, "gauges return to zero: %+v", stats)
	assert.Zero(w.t, stats.PendingBytes)
	require.NoError(w.t, w.hub.Close())
	require.NoError(w.t, w.store.Close())
	require.NoError(w.t, w.engine.Close())
}

func key(r *rand.Rand) []byte { return fmt.Appendf(nil, "k%02d", r.IntN(40)) }

// write commits transactions of one to three changes and tells the history.
func (w *world) write(r *rand.Rand, commits int) {
	for i := range commits {
		var changes []watchtest.Change
		rev, err := w.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
			changes = changes[:0]
			for range 1 + r.IntN(3) {
				if err := w.change(tx, r, &changes); err != nil {
					return err
				}
			}
			return nil
		})
		if !assert.NoError(w.t, err) {
			return
		}
		if len(changes) > 0 {
			assert.NoError(w.t, w.history.Commit(rev, changes...))
		}
		if i%500 == 499 {
			w.compact(rev - 200)
		}
	}
}

func (w *world) change(tx *mvcc.WriteTx, r *rand.Rand, changes *[]watchtest.Change) error {
	k := key(r)
	c := watchtest.Change{Type: mvcc.EventPut, Key: k, Value: fmt.Appendf(nil, "%d", r.IntN(1e6))}
	var err error
	if r.IntN(4) == 0 {
		var n int64
		c = watchtest.Change{Type: mvcc.EventDelete, Key: k}
		if n, err = tx.DeleteRange(k, nil); n == 0 && err == nil {
			return nil
		}
	} else {
		err = tx.Put(k, c.Value, 0)
	}
	if errors.Is(err, mvcc.ErrDuplicateKey) {
		return nil
	}
	*changes = append(*changes, c)
	return err
}

func (w *world) compact(rev int64) {
	w.history.Compacting(rev)
	err := w.store.Compact(context.Background(), rev)
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) {
		assert.NoError(w.t, err)
	}
}

// consume reads one stream whose watches it makes and cancels as it goes, and
// at the end waits until everything was delivered.
func (w *world) consume(seed uint64) {
	r := rand.New(rand.NewPCG(2, seed))
	s, err := w.hub.NewStream(fmt.Sprint(seed))
	if !assert.NoError(w.t, err) {
		return
	}
	defer s.Close()
	check := watchtest.NewStream(w.history, 8)
	open := map[int64]int64{} // id -> start revision
	for w.writing.Err() == nil {
		switch {
		case len(open) == 0 || r.IntN(3) == 0:
			w.create(r, s, check, open)
		case r.IntN(6) == 0:
			cancelOne(w.t, s, check, open)
		}
		if _, ok := w.recv(w.writing, s, check, open); !ok {
			return
		}
	}
	if !w.askProgress(r, s, check, open) {
		return
	}
	// A bound, so that what never comes is a failure that tells its state.
	bounded, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for answered := false; !answered && len(open) > 0; {
		var ok bool
		if answered, ok = w.recv(bounded, s, check, open); !ok {
			return
		}
		if bounded.Err() != nil {
			w.t.Errorf("stream %d: progress never came: open %v\n%+v\n%+v", seed, open, w.hub.Stats(), w.hub.Watches())
			return
		}
	}
	if !w.t.Failed() {
		assert.NoError(w.t, check.Finish(w.store.Rev()))
	}
}

// recv takes and checks what is there; answered tells that it held the
// notification that was requested.
func (w *world) recv(ctx context.Context, s *watch.Stream, check *watchtest.Stream, open map[int64]int64) (answered, ok bool) {
	rs, err := s.Recv(ctx)
	if err != nil && ctx.Err() != nil {
		return false, true
	}
	if !assert.NoError(w.t, err) {
		return false, false
	}
	if err := check.Deliver(rs); err != nil {
		var b *watchtest.Broken
		if errors.As(err, &b) {
			w.t.Log(strings.Join(b.Record, "\n"))
		}
		w.t.Error(err)
		return false, false
	}
	for i := range rs {
		if rs[i].Canceled {
			delete(open, rs[i].WatchID)
		}
		answered = answered || rs[i].WatchID == watch.NoWatch && rs[i].Progress()
	}
	return answered, true
}

// askProgress requests the notification that tells that all is delivered.
func (w *world) askProgress(r *rand.Rand, s *watch.Stream, check *watchtest.Stream, open map[int64]int64) bool {
	w.create(r, s, check, open)
	for id, start := range open {
		if start > w.store.Rev() { // nothing will be written any more
			check.CancelAsked(id)
			assert.NoError(w.t, s.Cancel(id))
		}
	}
	check.ProgressAsked(w.store.Rev())
	return assert.NoError(w.t, s.RequestProgress())
}

func (w *world) create(r *rand.Rand, s *watch.Stream, check *watchtest.Stream, open map[int64]int64) {
	req := watch.Request{Key: key(r), PrevKV: r.IntN(3) == 0, NoPut: r.IntN(8) == 0, NoDelete: r.IntN(8) == 0}
	switch r.IntN(3) {
	case 0:
		req.Key, req.End = []byte{0}, []byte{0}
	case 1:
		req.Key, req.End = []byte("k1"), []byte("k2")
	}
	if r.IntN(5) == 0 {
		req.Policy = watch.Latest
	}
	switch now := w.store.Rev(); r.IntN(4) {
	case 0:
		req.StartRevision = now + r.Int64N(5) // later, perhaps
	case 1:
		req.StartRevision = max(1, now-r.Int64N(300))
	case 2:
		req.StartRevision = max(1, w.store.CompactRev()+r.Int64N(20))
	}
	id, err := s.Watch(req)
	if !assert.NoError(w.t, err) {
		return
	}
	open[id] = req.StartRevision
	_, err = check.Expect(id, req, nil)
	assert.NoError(w.t, err)
}

func cancelOne(t *testing.T, s *watch.Stream, check *watchtest.Stream, open map[int64]int64) {
	for id := range open {
		check.CancelAsked(id)
		if err := s.Cancel(id); err != nil {
			assert.ErrorIs(t, err, watch.ErrNoWatch)
		}
		return
	}
}
