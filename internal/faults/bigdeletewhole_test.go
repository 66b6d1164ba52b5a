package faults

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// G4, E1: a delete of very many keys beside a writer and a watch of everything
// is one revision and one response, on every engine. What it costs the writer
// and in memory is logged.
func TestBigDelete_IsOneRevision(t *testing.T) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) { deleteBeside(t, d) })
	}
}

func deleteBeside(t *testing.T, d backend.Driver) {
	keys := *bigDeleteFlag
	engine, err := d.Open(t.TempDir()+"/data", backend.Options{})
	require.NoError(t, err)
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(t, err)
	defer func() { require.NoError(t, errors.Join(hub.Close(), store.Close(), engine.Close())) }()
	before := fillBig(t, store, keys)
	stream, err := hub.NewStream("everything")
	require.NoError(t, err)
	_, err = stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: before})
	require.NoError(t, err)

	writer := keepPutting(store)
	heap := keepMeasuring()
	start := time.Now()
	res, err := store.DeleteRange(context.Background(), []byte("d/"), []byte("d0"))
	took := time.Since(start)
	longest, putErr := writer()
	grew := heap()
	require.NoError(t, errors.Join(err, putErr))
	require.EqualValues(t, keys, res.Deleted)
	require.Zero(t, countBig(t, store))

	got, err := untilSettled(stream)
	require.NoError(t, err)
	holding := 0
	for _, r := range got {
		n := 0
		for i := range r.Events {
			if r.Events[i].KV.ModRevision == res.Rev {
				require.Equal(t, mvcc.EventDelete, r.Events[i].Type)
				n++
			}
		}
		if n > 0 {
			require.Equal(t, keys, n, "the revision is split over responses")
			holding++
		}
	}
	require.Equal(t, 1, holding)
	t.Logf("%d keys: deleted in %v, the longest put beside it %v, %d MiB of heap more at most",
		keys, took.Round(time.Millisecond), longest.Round(time.Millisecond), grew>>20)
}

// keepPutting writes one key again and again until the function it answers is
// called, which says how long the longest put took.
func keepPutting(s *mvcc.Store) (stop func() (longest time.Duration, err error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var longest time.Duration
	var putErr error
	wg.Go(func() {
		for ctx.Err() == nil && putErr == nil {
			start := time.Now()
			_, putErr = s.Put(context.Background(), []byte("beside"), nil)
			longest = max(longest, time.Since(start))
		}
	})
	return func() (time.Duration, error) {
		cancel()
		wg.Wait()
		return longest, putErr
	}
}

// keepMeasuring answers by how much the heap grew at most, until it is asked.
func keepMeasuring() (stop func() (grew uint64)) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	runtime.GC()
	first := heap()
	most := first
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, heap())
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() uint64 {
		cancel()
		wg.Wait()
		return max(most, heap()) - first
	}
}
