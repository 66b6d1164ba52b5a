package wire

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// watchers are streams with watches of one range each.
type watchers struct {
	streams []*stream
	each    int // watches of a stream, with the ids 1 to each
	close   func()
}

// Checked is the figure that counts the events that were held against what was
// written.
const Checked = "checked"

// ranges names the range of watch id of stream i.
type ranges func(i, id int) (key, end string)

func everything(int, int) (key, end string) { return prefix, prefixEnd }

// watch opens streams over connections, and watches on them. Those from 0 on
// are created when it returns.
func (s *Server) watch(ctx context.Context, conns, streams, each int, from int64, of ranges) (w *watchers, err error) {
	connected, closeAll, err := s.connect(conns)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w = &watchers{each: each, streams: make([]*stream, streams), close: func() { cancel(); closeAll() }}
	err = together(ctx, conns, func(_ context.Context, c int) error {
		for i := c; i < streams; i += conns {
			st, err := openStream(ctx, connected[c])
			if err != nil {
				return err
			}
			w.streams[i] = st
			for id := 1; id <= each; id++ {
				key, end := of(i, id)
				if err := st.create(int64(id), key, end, from); err != nil {
					return err
				}
				if from == 0 {
					if err := st.awaitCreated(1); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// collect reads every stream until every watch has its events of the
// revisions from first to last.
func (w *watchers) collect(ctx context.Context, first, last int64) (int64, error) {
	var events atomic.Int64
	err := together(ctx, len(w.streams), func(_ context.Context, i int) error {
		n, err := w.streams[i].collect(w.each, first, last)
		events.Add(n)
		return err
	})
	want := int64(len(w.streams)*w.each) * (last - first + 1)
	if err == nil && events.Load() != want {
		err = fmt.Errorf("%d events, wanted %d", events.Load(), want)
	}
	return events.Load(), err
}

// FanOut is W2: a thousand watches of one prefix on a hundred streams over
// four connections, and puts at a steady rate, so each put is a thousand
// events, one a message. Figures: cpu_ns (of the server, an event),
// events_per_s, late_ratio (puts sent more than 10 ms after their time).
func (s *Server) FanOut(ctx context.Context, ratePerS int, warmup, duration time.Duration) (map[string]float64, error) {
	const conns, streams, each = 4, 100, 10
	w, err := s.watch(ctx, conns, streams, each, 0, everything)
	if err != nil {
		return nil, err
	}
	defer w.close()
	put, closeAll, err := s.connect(1)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	kv, v := pb.NewKVClient(put[0]), newValues(0)
	late := 0
	load := func(puts int) error {
		head, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte(prefix)})
		if err != nil {
			return err
		}
		first := head.Header.Revision + 1
		return together(ctx, 2, func(ctx context.Context, i int) error {
			if i == 0 {
				_, err := w.collect(ctx, first, first+int64(puts)-1)
				return err
			}
			began := time.Now()
			for n := range puts {
				due := began.Add(time.Duration(n) * time.Second / time.Duration(ratePerS))
				if wait := time.Until(due); wait > 0 {
					time.Sleep(wait)
				} else if wait < -10*time.Millisecond {
					late++
				}
				if _, err := kv.Put(ctx, &pb.PutRequest{Key: keyOf(n % 1000), Value: v.next()}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	puts := func(d time.Duration) int { return max(1, int(d.Seconds()*float64(ratePerS))) }
	if err := load(puts(warmup)); err != nil {
		return nil, err
	}
	late = 0
	n := puts(duration)
	cpu, took, err := s.used(func() error { return load(n) })
	if err != nil {
		return nil, err
	}
	events := float64(n) * streams * each
	return map[string]float64{
		"cpu_ns": float64(cpu) / events, "events_per_s": events / took.Seconds(), "late_ratio": float64(late) / float64(n), Checked: events,
	}, nil
}

// CatchUp is W3: watches, a stream each, that read a history from its first
// revision. Figures: events_per_s of all, cpu_ns (of the server, an event).
// What takes longer than longest ends, and the figures are those of what was
// delivered; then done_ratio is below 1.
func (s *Server) CatchUp(ctx context.Context, watches, revisions, keys int, longest time.Duration) (map[string]float64, error) {
	first, last, err := s.fill(ctx, revisions, keys)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	var events int64
	cpu, took, err := s.used(func() error {
		w, err := s.watch(limited, min(4, watches), watches, 1, first, everything)
		if err != nil {
			return err
		}
		defer w.close()
		events, err = w.collect(limited, first, last)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if events == 0 {
		return nil, errors.New("no event was delivered")
	}
	return map[string]float64{
		"events_per_s": float64(events) / took.Seconds(), "cpu_ns": float64(cpu) / float64(events),
		"done_ratio": float64(events) / float64(int64(watches)*int64(revisions)), Checked: float64(events),
	}, nil
}

// Idle is W4: watches of a key each that nobody writes to. Figures:
// bytes_per_watch, the server's memory that came with them once it has settled.
func (s *Server) Idle(ctx context.Context, streams, each int, settle time.Duration) (map[string]float64, error) {
	before, err := s.settled(ctx, settle)
	if err != nil {
		return nil, err
	}
	w, err := s.watch(ctx, 10, streams, each, 0, func(i, id int) (string, string) { return string(keyOf(i*each + id)), "" })
	if err != nil {
		return nil, err
	}
	defer w.close()
	after, err := s.settled(ctx, settle)
	if err != nil {
		return nil, err
	}
	return map[string]float64{"bytes_per_watch": float64(after-before) / float64(streams*each)}, nil
}

// settled is the server's memory a while after the last thing it did.
func (s *Server) settled(ctx context.Context, settle time.Duration) (int64, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.Memory()
}
