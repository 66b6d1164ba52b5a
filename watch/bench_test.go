package watch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

func memStore(tb testing.TB, cfg mvcc.Config) *mvcc.Store {
	tb.Helper()
	engine, err := mem.Open("", backend.Options{})
	require.NoError(tb, err)
	store, err := mvcc.Open(engine, cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, store.Close())
		require.NoError(tb, engine.Close())
	})
	return store
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkIdleWatchers registers a million watches on 1,000 streams, in random
// order, and reports what each costs in time, and in heap once its Created was
// read; what one collection of all garbage takes beside them; what each takes
// once it woke; and what it costs to cancel each at rest:
//
//	go test ./watch -run NONE -bench IdleWatchers -benchtime 1x
func BenchmarkIdleWatchers(b *testing.B) {
	const watches, streams = 1_000_000, 1000
	key := func(i int) []byte { return fmt.Appendf(nil, "key/%012d", i) }
	for _, shape := range []string{"key", "prefix", "range"} {
		b.Run(shape, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				store := memStore(b, mvcc.Config{})
				hub, err := NewHub(store, Config{})
				require.NoError(b, err)
				order := rand.Perm(watches)
				before := heapInUse()
				b.StartTimer()
				all := make([]*Stream, streams)
				for i := range all {
					all[i], err = hub.NewStream("")
					require.NoError(b, err)
				}
				begun := time.Now()
				for i, n := range order {
					r := Request{Key: key(n)}
					switch shape {
					case "prefix":
						r.End = prefixEnd(r.Key)
					case "range":
						r.End = append(r.Key[:len(r.Key):len(r.Key)], 'z')
					}
					if _, err := all[i%streams].Watch(r); err != nil {
						b.Fatal(err)
					}
				}
				perWatch := func(unit string) {
					b.ReportMetric(float64(time.Since(begun).Nanoseconds())/watches, unit)
				}
				perWatch("ns/register")
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				drain := func() {
					for _, s := range all {
						for {
							if _, err := s.Recv(ctx); err != nil {
								require.ErrorIs(b, err, context.Canceled)
								break
							}
						}
					}
				}
				drain()
				b.ReportMetric(float64(heapInUse()-before)/watches, "B/watch")
				begun = time.Now()
				runtime.GC()
				b.ReportMetric(float64(time.Since(begun).Microseconds())/1000, "ms/GC")
				require.Equal(b, watches, hub.Stats().Synced)
				for _, s := range all {
					for id, at := range s.watches.all() {
						s.shard.watcherLocked(s, id, at)
					}
				}
				b.ReportMetric(float64(heapInUse()-before)/watches, "B/awake")
				for _, sh := range hub.shards {
					sh.restIdle()
				}
				begun = time.Now()
				for i := range order {
					if err := all[i%streams].Cancel(int64(i / streams)); err != nil {
						b.Fatal(err)
					}
				}
				perWatch("ns/cancel")
				require.NoError(b, hub.Close())
				b.StartTimer()
			}
		})
	}
}

// BenchmarkDispatch offers revisions of one event each to watches of one
// prefix, spread over streams, and hands them over to the consumers.
func BenchmarkDispatch(b *testing.B) {
	for _, size := range []struct{ streams, each int }{{1, 10}, {10, 100}, {100, 100}, {1000, 1}} {
		b.Run(fmt.Sprintf("%dx%d", size.streams, size.each), func(b *testing.B) {
			store := memStore(b, mvcc.Config{})
			h := newHub(store, Config{Shards: 1})
			defer func() { require.NoError(b, h.Close()) }()
			streams := make([]*Stream, size.streams)
			for i := range streams {
				streams[i], _ = h.NewStream("")
				for range size.each {
					_, err := streams[i].Watch(Request{Key: []byte("k"), End: []byte("l")})
					require.NoError(b, err)
				}
			}
			ctx, done := context.WithCancel(context.Background())
			done()
			drain := func() (n int) {
				for _, s := range streams {
					for {
						rs, err := s.Recv(ctx)
						if err != nil {
							break
						}
						for i := range rs {
							n += len(rs[i].Events)
						}
					}
				}
				return n
			}
			drain()
			value := make([]byte, 256)
			delivered := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := store.Put(context.Background(), []byte("key"), value); err != nil {
					b.Fatal(err)
				}
				h.shards[0].dispatchOnce(context.Background())
				delivered += drain()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(delivered), "ns/delivered")
			if delivered != b.N*size.streams*size.each {
				b.Fatalf("delivered %d of %d", delivered, b.N*size.streams*size.each)
			}
		})
	}
}
