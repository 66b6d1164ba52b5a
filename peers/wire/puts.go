package wire

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Puts is W1: clients that put one after the other, each on a connection of
// its own, for a time. Figures: rate_per_s, p50_ns, p99_ns, cpu_ns (of the
// server, a put).
func (s *Server) Puts(ctx context.Context, clients int, warmup, duration time.Duration) (map[string]float64, error) {
	conns, closeAll, err := s.connect(clients)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	lanes := make([]*hdrhistogram.Histogram, clients)
	var done atomic.Int64
	load := func(d time.Duration, measured bool) error {
		end := time.Now().Add(d)
		return together(ctx, clients, func(ctx context.Context, i int) error {
			kv, v := pb.NewKVClient(conns[i]), newValues(byte(i))
			lane := hdrhistogram.New(1000, int64(time.Minute), 3)
			for n := 0; time.Now().Before(end); n++ {
				at := time.Now()
				if _, err := kv.Put(ctx, &pb.PutRequest{Key: keyOf((n*clients + i) % 10_000), Value: v.next()}); err != nil {
					return err
				}
				if err := lane.RecordValue(int64(time.Since(at))); err != nil {
					return err
				}
			}
			if measured {
				lanes[i] = lane
				done.Add(lane.TotalCount())
			}
			return nil
		})
	}
	if err := load(warmup, false); err != nil {
		return nil, err
	}
	cpu, took, err := s.used(func() error { return load(duration, true) })
	if err != nil {
		return nil, err
	}
	all := lanes[0]
	for _, lane := range lanes[1:] {
		all.Merge(lane)
	}
	n := float64(done.Load())
	return map[string]float64{
		"rate_per_s": n / took.Seconds(), "cpu_ns": float64(cpu) / n,
		"p50_ns": float64(all.ValueAtQuantile(50)), "p99_ns": float64(all.ValueAtQuantile(99)),
	}, nil
}
