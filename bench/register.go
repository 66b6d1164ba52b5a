package bench

import (
	"context"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// registerRun: many watchers that nobody writes to. What do they weigh, and what
// does it cost to begin them? The checker is not there, it weighs more than
// they do; that they hear is tried on a few at the end.
type registerRun struct {
	heap       int64         // all watchers together
	registered time.Duration // inside Stream.Watch alone, all together
	started    int
}

func (*registerRun) looked() watchtest.Counts { return watchtest.Counts{} }

// triedWatchers is how many watchers are put to after they were weighed.
const triedWatchers = 100

func (m *registerRun) measure(s *session) error {
	return s.sampled(func() error {
		before := heapInUse()
		streams := make([]Stream, s.sc.Streams)
		defer func() {
			for _, stream := range streams {
				if stream != nil {
					_ = stream.Close()
				}
			}
		}()
		for i := range streams {
			if err := m.begin(s, streams, i); err != nil {
				return err
			}
		}
		m.heap = heapInUse() - before
		return m.try(s, streams)
	})
}

// begin opens stream i and begins its watches, one after another.
func (m *registerRun) begin(s *session, streams []Stream, i int) (err error) {
	if streams[i], err = s.target.NewStream(fmt.Sprintf("stream %d", i)); err != nil {
		return err
	}
	for j := i; j < s.sc.Watchers; j += s.sc.Streams {
		key, end := s.work.watchRange(s.sc.Shape, j, s.sc.Watchers)
		// As from a wire: bytes of its own, which the target may keep.
		r := watch.Request{ID: int64(j/s.sc.Streams) + 1, Key: slices.Clone(key), End: slices.Clone(end)}
		at := time.Now()
		_, err := streams[i].Watch(r)
		m.registered += time.Since(at)
		if err != nil {
			return err
		}
		m.started++
		if err := created(s.ctx, streams[i]); err != nil {
			return err
		}
	}
	return nil
}

// created takes the answer to one watch, so that no queue grows.
func created(ctx context.Context, stream Stream) error {
	for {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return err
		}
		for i := range responses {
			if responses[i].Created {
				return nil
			}
		}
	}
}

// try puts to keys of a few watchers and waits for the event of each.
func (m *registerRun) try(s *session, streams []Stream) error {
	for n := range min(triedWatchers, s.sc.Watchers) {
		j := int(mix(s.work.seed, uint64(n)) % uint64(s.sc.Watchers))
		key, _ := s.work.watchRange(s.sc.Shape, j, s.sc.Watchers)
		rev, err := s.target.Put(s.ctx, key, key)
		if err != nil {
			return err
		}
		if err := hears(s.ctx, streams[j%s.sc.Streams], int64(j/s.sc.Streams)+1, rev); err != nil {
			return fmt.Errorf("watcher %d: %w", j, err)
		}
	}
	return nil
}

func hears(ctx context.Context, stream Stream, id, rev int64) error {
	for {
		responses, err := stream.Recv(ctx)
		if err != nil {
			return err
		}
		for i := range responses {
			r := &responses[i]
			for k := range r.Events {
				if r.WatchID != id || r.Events[k].KV.ModRevision != rev {
					return fmt.Errorf("revision %d was put and revision %d delivered to watch %d", rev, r.Events[k].KV.ModRevision, r.WatchID)
				}
				return nil
			}
		}
	}
}

// heapInUse is the memory of live objects, after what is dead was collected.
func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // the first sweeps what finalizers kept
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

func (m *registerRun) figures(s *session, run *Run) {
	run.set("register.heap_per_watcher_bytes", float64(m.heap)/float64(s.sc.Watchers))
	run.set("register.watch_ns", float64(m.registered)/float64(max(1, m.started)))
	run.set("done_ratio", float64(m.started)/float64(s.sc.Watchers))
	run.set("measured_ns", float64(s.usage.wall))
}
