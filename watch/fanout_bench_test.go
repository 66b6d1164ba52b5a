package watch

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// BenchmarkPutBesideWatchers puts at full speed, in Relaxed, while consumers
// read every event of the prefix: what a put waits for them.
//
//	go test ./watch -run NONE -bench PutBesideWatchers -benchtime 5000x -count 10
func BenchmarkPutBesideWatchers(b *testing.B) {
	const streams = 50
	for _, watches := range []int{0, 1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(watches), func(b *testing.B) {
			store := memStore(b, mvcc.Config{Durability: mvcc.Relaxed(100 * time.Millisecond)})
			hub, err := NewHub(store, Config{})
			require.NoError(b, err)
			var consumers sync.WaitGroup
			for range streams {
				s, err := hub.NewStream("")
				require.NoError(b, err)
				consumers.Go(func() { readAll(s) })
				for range watches / streams {
					_, err := s.Watch(Request{Key: []byte("k"), End: []byte("l")})
					require.NoError(b, err)
				}
			}
			value := make([]byte, 256)
			took := make([]time.Duration, 0, b.N)
			b.ResetTimer()
			for range b.N {
				begun := time.Now()
				if _, err := store.Put(context.Background(), []byte("key"), value); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
			b.StopTimer()
			require.NoError(b, hub.Close())
			consumers.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}

// readAll reads keys, revisions and lengths until the hub is closed, and lets
// others run every 256 events, as consumers do that share the processors.
func readAll(s *Stream) (sum int64) {
	for unyielded := 0; ; {
		responses, err := s.Recv(context.Background())
		if err != nil {
			return sum
		}
		for i := range responses {
			for j := range responses[i].Events {
				kv := &responses[i].Events[j].KV
				sum += int64(len(kv.Key)+len(kv.Value)) + kv.ModRevision
			}
			if unyielded += len(responses[i].Events); unyielded >= 256 {
				unyielded = 0
				runtime.Gosched()
			}
		}
	}
}
