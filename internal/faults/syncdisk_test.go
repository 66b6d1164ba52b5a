package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// openOnMemDisk opens pebble on a disk in memory that counts and holds up
// syncs.
func openOnMemDisk(t *testing.T) (*memDisk, backend.Engine) {
	t.Helper()
	disk := newMemDisk(vfs.NewCrashableMem())
	e, err := pebble.DriverFS(disk).Open("/data", backend.Options{CacheBytes: 1 << 20})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return disk, e
}

// G7, R1: no Apply with Sync returns without a sync of pebble's log.
func TestSync_CountedForEachBatch(t *testing.T) {
	disk, e := openOnMemDisk(t)
	for i := range 200 {
		var b backend.Batch
		for k := range 1 + i%7 {
			b.Put(backend.SpaceMeta, fmt.Append(nil, k), fmt.Append(nil, i))
		}
		before := disk.logSyncs.Load()
		require.NoError(t, e.Apply(&b, backend.Sync))
		require.Greater(t, disk.logSyncs.Load(), before, "batch %d", i)
	}
	var b backend.Batch
	b.Put(backend.SpaceMeta, []byte("k"), nil)
	before := disk.logSyncs.Load()
	require.NoError(t, e.Apply(&b, backend.NoSync))
	require.Equal(t, before, disk.logSyncs.Load(), "what counts can tell no sync from one")
}

// G7, R1: groups of puts that share a batch each have a sync of their own.
func TestSync_CountedForEachGroup(t *testing.T) {
	disk, e := openOnMemDisk(t)
	s, err := mvcc.Open(e, mvcc.Config{})
	require.NoError(t, err)
	before := disk.logSyncs.Load()
	const each = 100
	errs := make([]error, 8)
	var writers sync.WaitGroup
	for w := range errs {
		writers.Go(func() {
			for i := 0; i < each && errs[w] == nil; i++ {
				_, errs[w] = s.Put(context.Background(), fmt.Append(nil, w), fmt.Append(nil, i))
			}
		})
	}
	writers.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	stats := s.Stats()
	require.GreaterOrEqual(t, disk.logSyncs.Load()-before, stats.Groups)
	require.Positive(t, stats.Groups)
	t.Logf("%d puts in %d groups, %d syncs", stats.Txns, stats.Groups, disk.logSyncs.Load()-before)
	require.NoError(t, s.Close())
}

// G7: while the sync of a group has not ended nobody is acknowledged, no
// reader sees it and no watch hears of it.
func TestSync_NothingShowsBeforeItsSync(t *testing.T) {
	ctx := t.Context()
	disk, e := openOnMemDisk(t)
	s, err := mvcc.Open(e, mvcc.Config{})
	require.NoError(t, err)
	hub, err := watch.NewHub(s, watch.Config{})
	require.NoError(t, err)
	stream, err := hub.NewStream("early")
	require.NoError(t, err)
	_, err = stream.Watch(watch.Request{Key: []byte{0}, End: []byte{0}})
	require.NoError(t, err)
	first, err := s.Put(ctx, []byte("first"), nil)
	require.NoError(t, err)

	gate := disk.holdLogs()
	type answer struct {
		rev int64
		err error
	}
	answers := make(chan answer, 2) // one for each put
	for _, key := range []string{"second", "third"} {
		go func() {
			rev, err := s.Put(ctx, []byte(key), nil)
			answers <- answer{rev, err}
		}()
	}
	<-gate.entered
	require.Empty(t, answers, "acknowledged before its sync")
	require.Equal(t, first, s.Rev())
	for _, key := range []string{"second", "third"} {
		_, ok, err := s.Get([]byte(key), 0)
		require.NoError(t, err)
		require.False(t, ok, key)
	}
	// The answer to this stands behind all that was offered before it.
	require.NoError(t, stream.RequestProgress())
	require.Equal(t, []int64{first}, receivedUntilProgress(t, ctx, stream))

	close(gate.open)
	revs := map[int64]bool{}
	for range 2 {
		a := <-answers
		require.NoError(t, a.err)
		revs[a.rev] = true
	}
	require.Equal(t, map[int64]bool{first + 1: true, first + 2: true}, revs)
	require.NoError(t, stream.RequestProgress())
	require.Equal(t, []int64{first + 1, first + 2}, receivedUntilProgress(t, ctx, stream))
	require.NoError(t, hub.Close())
	require.NoError(t, s.Close())
}

// receivedUntilProgress is the revisions of the events that come before the
// answer to a request for progress.
func receivedUntilProgress(t *testing.T, ctx context.Context, stream *watch.Stream) (revs []int64) {
	t.Helper()
	for {
		responses, err := stream.Recv(ctx)
		require.NoError(t, err)
		for i := range responses {
			if r := &responses[i]; r.WatchID == watch.NoWatch && r.Progress() {
				return revs
			}
			for k := range responses[i].Events {
				revs = append(revs, responses[i].Events[k].KV.ModRevision)
			}
		}
	}
}
