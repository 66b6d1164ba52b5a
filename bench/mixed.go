package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// mixedRun models the store of a Kubernetes control plane: its keys, the sizes
// of its objects, and its mix of heartbeats, pods that begin and end, events
// with short lives, gets and pages of lists, while a few API servers watch
// every resource as a whole. Where each number comes from stands at the top of
// controlplane.go.
//
// RatePerS is writes, puts and deletes together; reads come on top in their
// proportion. The default is what 5,000 nodes write, over Keys objects, which
// is less than such a cluster has: 350,000 are all of it.
type mixedRun struct {
	plane     *controlPlane
	readBytes atomic.Int64
	written   atomic.Int64 // bytes
	deletes   atomic.Int64
}

func (*mixedRun) looked() watchtest.Counts { return watchtest.Counts{} }

func (m *mixedRun) measure(s *session) error {
	m.plane = newControlPlane(s.work.prefix, s.sc.Keys)
	if err := m.fill(s); err != nil {
		return err
	}
	runtime.GC() // what the filling left is not the scenario's memory
	consumers, err := s.beginWatches(group{
		name: "API server", streams: s.sc.Streams, watchers: s.sc.Watchers, timed: true,
		request: func(i int) watch.Request {
			dir := m.plane.dir(resource(i / s.sc.Streams % int(resources)))
			return watch.Request{Key: []byte(dir), End: prefixEnd(dir)}
		},
	})
	if err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		from := start + int64(s.sc.Warmup)
		until := from + int64(s.sc.Duration)
		s.rec.phases.follow(from, until)
		s.startRequests(s.ctx, start, until, s.sc.RatePerS*float64(allWeight())/float64(writeWeight()), func(ctx context.Context, w *writer, n, due, late int64) error {
			return m.request(ctx, s, w, n, due, late)
		}).wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(consumers, s.rev.Load())
		return err
	})
}

// fill writes the objects that are there at the beginning.
func (m *mixedRun) fill(s *session) error {
	s.sc.History = m.plane.objects()
	var value []byte
	_, err := s.fillFrom(func(i int64) ([]byte, []byte) {
		key, size := m.plane.create(i)
		value = s.work.appendSized(value[:0], i, untimed, size)
		return key, value
	}, func([]byte) {})
	return err
}

// request does the n-th request.
func (m *mixedRun) request(ctx context.Context, s *session, w *writer, n, due, late int64) error {
	random := mix(s.work.seed+4, uint64(n))
	switch requestOf(s.work.seed, n) {
	case renewLease:
		return m.put(ctx, s, w, ofLeases, m.plane.herds[ofLeases].pick(random), n, due, late)
	case updateNode:
		return m.put(ctx, s, w, ofNodes, m.plane.herds[ofNodes].pick(random), n, due, late)
	case updatePod:
		return m.put(ctx, s, w, ofPods, m.plane.herds[ofPods].pick(random), n, due, late)
	case updateSlice:
		return m.put(ctx, s, w, ofSlices, m.plane.herds[ofSlices].pick(random), n, due, late)
	case createPod:
		return m.create(ctx, s, w, ofPods, n, due, late)
	case createEvent:
		return m.create(ctx, s, w, ofEvents, n, due, late)
	case deletePod:
		return m.end(ctx, s, w, ofPods, n, due, late)
	case expireEvent:
		return m.end(ctx, s, w, ofEvents, n, due, late)
	case getPod:
		return m.read(ctx, s, w, answerGet, m.plane.herds[ofPods].pick(random), nil, 0, due)
	default:
		return m.read(ctx, s, w, answerList, m.plane.herds[ofPods].pick(random), prefixEnd(m.plane.dir(ofPods)), pagePods, due)
	}
}

func (m *mixedRun) put(ctx context.Context, s *session, w *writer, r resource, key []byte, n, due, late int64) error {
	w.value = s.work.appendSized(w.value[:0], n, due, m.plane.herds[r].bytes)
	m.written.Add(int64(len(key) + len(w.value)))
	return s.put(ctx, w, key, w.value, n, due, late)
}

func (m *mixedRun) create(ctx context.Context, s *session, w *writer, r resource, n, due, late int64) error {
	key := m.plane.herds[r].newName()
	err := m.put(ctx, s, w, r, key, n, due, late)
	m.plane.herds[r].add(key)
	return err
}

// end deletes the oldest; one always stays, and is written instead.
func (m *mixedRun) end(ctx context.Context, s *session, w *writer, r resource, n, due, late int64) error {
	key, ok := m.plane.herds[r].oldest()
	if !ok {
		return m.put(ctx, s, w, r, m.plane.herds[r].pick(0), n, due, late)
	}
	m.deletes.Add(1)
	return s.delete(ctx, w, key, n, due, late)
}

func (m *mixedRun) read(ctx context.Context, s *session, w *writer, kind int, key, end []byte, limit, due int64) error {
	_, bytes, err := s.target.(Reader).Read(context.WithoutCancel(ctx), key, end, limit)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	s.rec.answer(w.lane, kind, s.rec.phases.at(due), time.Duration(s.clock.now()-due))
	m.readBytes.Add(bytes)
	return nil
}

func (m *mixedRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, 1)
	for _, c := range []struct {
		name string
		kind int
	}{{"get", answerGet}, {"list", answerList}} {
		h := s.answerOf(c.kind, 1)
		run.latency(c.name, h, "nothing was read so")
		if took := s.length(1).Seconds(); took > 0 {
			run.set("mixed."+c.name+"s_per_s", float64(countOf(h))/took)
		}
	}
	s.loadFigures(run)
	if took := s.usage.wall.Seconds(); took > 0 {
		run.set("mixed.read_bytes_per_s", float64(m.readBytes.Load())/took)
		run.set("mixed.written_bytes_per_s", float64(m.written.Load())/took)
		run.set("mixed.deletes_per_s", float64(m.deletes.Load())/took)
	}
	run.set("mixed.objects", float64(m.plane.objects()))
	run.set("mixed.object_bytes", float64(s.historyBytes))
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.length(1)))
}
