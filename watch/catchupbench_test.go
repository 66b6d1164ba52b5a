package watch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
)

// Of BenchmarkCatchUp's history: keys as long as paths, each written as often
// as any other.
const (
	benchKeys = 10_000
	benchRevs = 1_000_000
)

func catchUpKey(i int) []byte {
	return fmt.Appendf(nil, "/registry/pods/namespace-%03d/a-name-of-usual-length-%016d", i%100, i)
}

// catchUpHistory fills an engine with random revisions.
func catchUpHistory(b *testing.B, d backend.Driver, n int) backend.Engine {
	b.Helper()
	engine, err := d.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, engine.Close()) })
	store, err := mvcc.Open(engine, mvcc.Config{Durability: mvcc.Relaxed(100 * time.Millisecond)})
	require.NoError(b, err)
	rnd := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, 256)
	for range n {
		for i := range value {
			value[i] = byte(rnd.Uint32())
		}
		_, err := store.Put(context.Background(), catchUpKey(rnd.IntN(benchKeys)), value)
		require.NoError(b, err)
	}
	require.NoError(b, store.Close())
	return engine
}

// BenchmarkCatchUp is the time until all watches of a history that is in the
// engine alone are synced, consumers included, which read key, revision and
// value of each event:
//
//	go test ./watch -run NONE -bench CatchUp/bolt -benchtime 5x
func BenchmarkCatchUp(b *testing.B) {
	for _, d := range engines.All() {
		b.Run(d.Name, func(b *testing.B) {
			engine := catchUpHistory(b, d, benchRevs)
			for _, shape := range []struct {
				name     string
				watchers int
				from     int64 // the history is replayed from here on
				key, end func(i int) []byte
			}{
				{"all-1", 1, 2, func(int) []byte { return []byte{0} }, func(int) []byte { return []byte{0} }},
				{"all-1000", 1000, benchRevs - 100_000, func(int) []byte { return []byte{0} }, func(int) []byte { return []byte{0} }},
				{"key-1", 1, 2, catchUpKey, func(int) []byte { return nil }},
				{"key-100", 100, 2, catchUpKey, func(int) []byte { return nil }},
				{"key-1000", 1000, 2, catchUpKey, func(int) []byte { return nil }},
				{"key-5000", 5000, 2, catchUpKey, func(int) []byte { return nil }},
			} {
				b.Run(shape.name, func(b *testing.B) {
					events := 0
					for b.Loop() {
						b.StopTimer()
						store, err := mvcc.Open(engine, mvcc.Config{ReadOnly: true})
						require.NoError(b, err)
						hub, err := NewHub(store, Config{})
						require.NoError(b, err)
						b.StartTimer()
						events += catchUpAll(b, hub, min(50, shape.watchers), shape.watchers, func(i int) Request {
							return Request{Key: shape.key(i), End: shape.end(i), StartRevision: shape.from}
						})
						b.StopTimer()
						stats := hub.Stats()
						b.ReportMetric(float64(stats.CatchUp[WayScan].Events)/float64(stats.CatchUp[WayScan].Events+stats.CatchUp[WayIndex].Events), "byscan")
						require.NoError(b, hub.Close())
						require.NoError(b, store.Close())
						b.StartTimer()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
				})
			}
		})
	}
}

// catchUpAll makes watches on streams and reads until each has caught up.
func catchUpAll(b *testing.B, hub *Hub, streams, watchers int, request func(i int) Request) (events int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	bytes := 0
	for s := range streams {
		stream, err := hub.NewStream("")
		require.NoError(b, err)
		wg.Go(func() {
			left, n, sum := 0, 0, 0
			for i := s; i < watchers; i += streams {
				left++
			}
			for left > 0 {
				rs, err := stream.Recv(context.Background())
				if err != nil {
					b.Error(err)
					return
				}
				for i := range rs {
					for e := range rs[i].Events {
						sum += len(rs[i].Events[e].KV.Key) + len(rs[i].Events[e].KV.Value) + int(rs[i].Events[e].KV.ModRevision&1)
					}
					n += len(rs[i].Events)
					if rs[i].CaughtUp {
						left--
					}
				}
			}
			mu.Lock()
			events += n
			bytes += sum
			mu.Unlock()
		})
		for i := s; i < watchers; i += streams {
			_, err := stream.Watch(request(i))
			require.NoError(b, err)
		}
	}
	wg.Wait()
	require.NotZero(b, bytes)
	return events
}

// What catching up allocates for each event, by way, with all that a stream
// and its consumer need: the promise of the hot path.
func TestCatchUp_AllocationBudget(t *testing.T) {
	const keys, revs = 100, 10_000
	key := func(i int) Request { return Request{Key: fmt.Append(nil, "k", i), StartRevision: 2} }
	whole := func(int) Request { return Request{Key: []byte{0}, End: []byte{0}, StartRevision: 2} }
	for _, row := range []struct {
		name     string
		recent   int64
		cost     costs
		watchers int
		request  func(i int) Request
		budget   float64
	}{
		{"memory", 1 << 30, costs{entry: 1, get: 1}, 1, whole, 0.1},
		{"scan of everything", 1, costs{entry: 1, get: 1e6}, 1, whole, 0.1},
		{"scan for many", 1, costs{entry: 1, get: 1e6}, keys, key, 1.8},
		{"index", 1, costs{entry: 1e6, get: 1}, keys, key, 1.2},
	} {
		t.Run(row.name, func(t *testing.T) {
			h := newStoppedHub(t, mvcc.Config{RecentBytes: row.recent}, Config{OutboxBytes: 1 << 30})
			for i := range revs {
				h.put(fmt.Sprint("k", i%keys))
			}
			h.shard.offered = h.store.Rev()
			h.shard.source = priced{h.store, row.cost}
			events := 0
			perRun := testing.AllocsPerRun(3, func() {
				s := h.stream()
				for i := range row.watchers {
					h.watch(s, row.request(i))
				}
				h.catchUp()
				events = 0
				for _, r := range h.recv(s) {
					events += len(r.Events)
				}
				require.NoError(t, s.Close())
			})
			require.Equal(t, revs, events)
			require.LessOrEqual(t, perRun/revs, row.budget, "allocations for each event")
		})
	}
}
