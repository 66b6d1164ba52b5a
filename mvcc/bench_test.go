package mvcc

import (
	"encoding/binary"
	"fmt"
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

// BenchmarkGroupCommit sets 64 durable writers against two limits, in one run:
// one commit for each put of the same writers, and what the engine does when
// one caller hands it batches of 64 such records with nothing around them.
func BenchmarkGroupCommit(b *testing.B) {
	const writers, each = 64, 256
	for _, d := range engines.All() {
		if d.Volatile {
			continue
		}
		b.Run(d.Name, func(b *testing.B) {
			var alone sync.Mutex
			var grouped, single, raw time.Duration
			var groups int64
			s := benchStore(b, d, Config{})
			bare := openBare(b, d)
			for i := 0; b.Loop(); i++ {
				single += putFrom(b, s, writers, 4, &alone)
				raw += bare.apply(b, writers, each)
				before := s.Stats().Groups
				grouped += putFrom(b, s, writers, each, nil)
				groups += s.Stats().Groups - before
			}
			perGroup := float64(b.N*writers*each) / grouped.Seconds()
			perPut := float64(b.N*writers*4) / single.Seconds()
			perRaw := float64(b.N*writers*each) / raw.Seconds()
			b.ReportMetric(perGroup, "grouped-puts/s")
			b.ReportMetric(perPut, "single-puts/s")
			b.ReportMetric(perRaw, "raw-puts/s")
			b.ReportMetric(perGroup/perPut, "of-single")
			b.ReportMetric(perGroup/perRaw, "of-raw")
			b.ReportMetric(float64(b.N*writers*each)/float64(groups), "puts/group")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bare is an engine with no store around it.
type bare struct {
	engine backend.Engine
	rev    int64
}

func openBare(b *testing.B, d backend.Driver) *bare {
	b.Helper()
	engine, err := d.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, engine.Close()) })
	return &bare{engine: engine}
}

// apply writes n durable batches of size records, as putFrom's puts make them.
func (x *bare) apply(b *testing.B, size, n int) time.Duration {
	b.Helper()
	var batch backend.Batch
	var buf [64]byte
	start := time.Now()
	for range n {
		batch.Reset()
		for range size {
			x.rev++
			_, record := encodeRecord(KeyValue{
				Key: benchKey(buf[:], int(x.rev)), Value: benchValue,
				CreateRevision: x.rev, ModRevision: x.rev, Version: 1,
			})
			batch.Append(backend.SpaceKey, appendRevKey(nil, KeyRev{Main: x.rev}), record)
		}
		if err := x.engine.Apply(&batch, backend.Sync); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
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

// benchHistory fills an engine at path with n revisions of the given number
// of keys, in random order.
func benchHistory(b *testing.B, d backend.Driver, path string, n, keys int) backend.Engine {
	b.Helper()
	engine, err := d.Open(path, backend.Options{})
	require.NoError(b, err)
	s, err := Open(engine, Config{Durability: Relaxed(100 * time.Millisecond)})
	require.NoError(b, err)
	order := rand.New(rand.NewPCG(1, 2)).Perm(keys)
	var buf [64]byte
	for i := range n {
		_, err := s.Put(ctx, benchKey(buf[:], order[i%keys]), benchValue)
		require.NoError(b, err)
	}
	require.NoError(b, s.Close())
	return engine
}

// BenchmarkOpen opens 1,000,000 revisions: the engine, with its files in the
// page cache, and the store over it.
func BenchmarkOpen(b *testing.B) {
	for _, d := range engines.All() {
		for _, keys := range []int{100_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/keys=%d", d.Name, keys), func(b *testing.B) {
				path := b.TempDir()
				engine := benchHistory(b, d, path, 1_000_000, keys)
				var stores time.Duration
				for b.Loop() {
					if !d.Volatile {
						require.NoError(b, engine.Close())
						var err error
						engine, err = d.Open(path, backend.Options{})
						require.NoError(b, err)
					}
					start := time.Now()
					s, err := Open(engine, Config{})
					require.NoError(b, err)
					stores += time.Since(start)
					require.NoError(b, s.Close())
				}
				b.ReportMetric(stores.Seconds()*1000/float64(b.N), "store-ms/op")
				require.NoError(b, engine.Close())
			})
		}
	}
}

// BenchmarkHistory scans the whole of 100,000 revisions in chunks of 1,000, as
// a watcher of the whole keyspace does, and matching one key in 1,000.
func BenchmarkHistory(b *testing.B) {
	const revisions = 100_000
	one := string(benchKey(make([]byte, 64), 7))
	for _, d := range engines.All() {
		b.Run(d.Name, func(b *testing.B) {
			engine := benchHistory(b, d, b.TempDir(), revisions, 1000)
			s, err := Open(engine, Config{})
			require.NoError(b, err)
			defer func() {
				require.NoError(b, s.Close())
				require.NoError(b, engine.Close())
			}()
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
