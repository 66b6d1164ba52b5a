package mvcc

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/backend/mem"
)

// benchStore opens a store that the benchmark's end closes.
func benchStore(b *testing.B, d backend.Driver, cfg Config) *Store {
	b.Helper()
	engine, err := d.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	s, err := Open(engine, cfg)
	require.NoError(b, err)
	b.Cleanup(func() {
		require.NoError(b, s.Close())
		require.NoError(b, engine.Close())
	})
	return s
}

// benchKey writes key i, 64 bytes long, into buf.
func benchKey(buf []byte, i int) []byte {
	clear(buf[:64])
	binary.BigEndian.PutUint64(buf[:64], uint64(i))
	return buf[:64]
}

var benchValue = make([]byte, 256)

// BenchmarkPut is one writer, keys at random out of 10,000.
func BenchmarkPut(b *testing.B) {
	for _, d := range engines.All() {
		for _, durability := range []Durability{Sync(), Relaxed(100 * time.Millisecond)} {
			b.Run(d.Name+"/"+durability.String(), func(b *testing.B) {
				s := benchStore(b, d, Config{Durability: durability})
				var buf [64]byte
				rnd := rand.New(rand.NewPCG(1, 2))
				b.ReportAllocs()
				for b.Loop() {
					_, err := s.Put(ctx, benchKey(buf[:], rnd.IntN(10_000)), benchValue)
					require.NoError(b, err)
				}
			})
		}
	}
}

// BenchmarkGroupCommit sets 64 durable writers against one commit for each put
// of the same 64 writers, in one run: the floor is five times the rate.
func BenchmarkGroupCommit(b *testing.B) {
	const writers = 64
	for _, d := range engines.All() {
		if d.Volatile {
			continue
		}
		b.Run(d.Name, func(b *testing.B) {
			var alone sync.Mutex
			var grouped, single time.Duration
			for b.Loop() {
				s := benchStore(b, d, Config{})
				single += putFrom(b, s, writers, 4, &alone)
				grouped += putFrom(b, s, writers, 64, nil)
			}
			perGroup := float64(b.N*writers*64) / grouped.Seconds()
			perPut := float64(b.N*writers*4) / single.Seconds()
			b.ReportMetric(perGroup, "grouped-puts/s")
			b.ReportMetric(perPut, "single-puts/s")
			b.ReportMetric(perGroup/perPut, "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// putFrom makes each writer put n times, one at a time if alone is given.
func putFrom(b *testing.B, s *Store, writers, n int, alone *sync.Mutex) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			var buf [64]byte
			for i := range n {
				if alone != nil {
					alone.Lock()
				}
				_, err := s.Put(ctx, benchKey(buf[:], w*n+i), benchValue)
				if alone != nil {
					alone.Unlock()
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// benchHistory fills an engine with n revisions of the given number of keys.
func benchHistory(b *testing.B, d backend.Driver, n, keys int) backend.Engine {
	b.Helper()
	engine, err := d.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, engine.Close()) })
	s, err := Open(engine, Config{Durability: Relaxed(100 * time.Millisecond)})
	require.NoError(b, err)
	var buf [64]byte
	for i := range n {
		_, err := s.Put(ctx, benchKey(buf[:], i%keys), benchValue)
		require.NoError(b, err)
	}
	require.NoError(b, s.Close())
	return engine
}

// BenchmarkOpen opens 1,000,000 revisions of 100,000 keys.
func BenchmarkOpen(b *testing.B) {
	for _, d := range engines.All() {
		b.Run(d.Name, func(b *testing.B) {
			engine := benchHistory(b, d, 1_000_000, 100_000)
			for b.Loop() {
				s, err := Open(engine, Config{})
				require.NoError(b, err)
				require.NoError(b, s.Close())
			}
		})
	}
}

// BenchmarkHistory scans the whole of 100,000 revisions in chunks of 1,000, as
// a watcher of the whole keyspace does, and matching one key in 1,000.
func BenchmarkHistory(b *testing.B) {
	const revisions = 100_000
	one := string(benchKey(make([]byte, 64), 7))
	for _, d := range engines.All() {
		b.Run(d.Name, func(b *testing.B) {
			s, err := Open(benchHistory(b, d, revisions, 1000), Config{})
			require.NoError(b, err)
			defer func() { require.NoError(b, s.Close()) }()
			b.Run("all", func(b *testing.B) { benchScan(b, s, nil) })
			b.Run("one", func(b *testing.B) {
				benchScan(b, s, func(key []byte) bool { return string(key) == one })
			})
		})
	}
}

func benchScan(b *testing.B, s *Store, match func(key []byte) bool) {
	b.ReportAllocs()
	for b.Loop() {
		for q := (HistoryQuery{From: 1, To: s.Rev(), MaxScan: 1000, Match: match}); q.From <= q.To; {
			chunk, err := s.History(ctx, q)
			require.NoError(b, err)
			q.From = chunk.Next
		}
	}
	b.ReportMetric(float64(s.Rev())*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

// A put of a known key into memory allocates the record, the event and what
// the engine and its batch need: the promise of the hot path.
func TestPut_AllocationBudget(t *testing.T) {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	s := openOn(t, engine, Config{Durability: Relaxed(time.Hour)})
	put(t, s, "key", "value")
	key, value := []byte("key"), []byte("value")
	got := testing.AllocsPerRun(1000, func() {
		if _, err := s.Put(ctx, key, value); err != nil {
			t.Error(err)
		}
	})
	require.LessOrEqual(t, got, 2.0, "allocations of a put: record and event")
}
