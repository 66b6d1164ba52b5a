package watch

import (
	"context"
	"fmt"
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

// BenchmarkIdleWatchers registers a million watches on 1,000 streams and
// reports what each costs in heap, once its Created was read, and in time:
//
//	go test ./watch -run NONE -bench IdleWatchers -benchtime 1x
func BenchmarkIdleWatchers(b *testing.B) {
	const watches, streams = 1_000_000, 1000
	for _, shape := range []string{"key", "range"} {
		b.Run(shape, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				store := memStore(b, mvcc.Config{})
				hub, err := NewHub(store, Config{})
				require.NoError(b, err)
				before := heapInUse()
				b.StartTimer()
				all := make([]*Stream, streams)
				begun := time.Now()
				for i := range all {
					all[i], err = hub.NewStream("")
					require.NoError(b, err)
				}
				for i := range watches {
					r := Request{Key: fmt.Appendf(nil, "key/%012d", i)}
					if shape == "range" {
						r.End = append(r.Key[:len(r.Key):len(r.Key)], 'z')
					}
					if _, err := all[i%streams].Watch(r); err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(time.Since(begun).Nanoseconds())/watches, "ns/register")
				for _, s := range all {
					for n := 0; n < watches/streams; {
						rs, err := s.Recv(context.Background())
						require.NoError(b, err)
						n += len(rs)
					}
				}
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				for _, s := range all {
					_, err := s.Recv(ctx)
					require.ErrorIs(b, err, context.Canceled)
				}
				b.ReportMetric(float64(heapInUse()-before)/watches, "B/watch")
				require.Equal(b, watches, hub.Stats().Synced)
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
