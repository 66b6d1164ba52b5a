package bench

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// Replayed is the Kind of a history that came from elsewhere, in an engine of
// choice. It is filled once; every Open is a new store over the same data,
// which none of them writes.
type Replayed struct {
	Embedded
	engine backend.Engine
	own    bool // engine is a copy that Close ends
}

// OpenReplayed makes the history of source available in the engine that k
// names: source itself, if it is of that engine, else a copy of its records
// and marks in dir. The source stays the caller's and must outlive it.
func OpenReplayed(k Embedded, dir string, source backend.Engine, sourceName string) (*Replayed, error) {
	k.ReadOnly = true
	r := &Replayed{Embedded: k, engine: source}
	if k.Driver.Name != sourceName {
		engine, err := k.Driver.Open(dir, backend.Options{CacheBytes: k.CacheBytes})
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", k.Driver.Name, err)
		}
		r.engine, r.own = engine, true
		for _, space := range []backend.Space{backend.SpaceMeta, backend.SpaceKey} {
			if err := copySpace(engine, source, space); err != nil {
				return nil, errors.Join(fmt.Errorf("copy to %s: %w", k.Driver.Name, err), engine.Close())
			}
		}
	}
	stats := r.engine.Stats()
	r.Version, r.CacheBytes = stats.Version, stats.CacheBytes
	return r, nil
}

// Facts implements Kind. Nothing is written, so there is no durability.
func (r *Replayed) Facts() TargetFacts {
	facts := r.Embedded.Facts()
	facts.Durability = ""
	return facts
}

// Close ends what OpenReplayed began.
func (r *Replayed) Close() error {
	if !r.own {
		return nil
	}
	return r.engine.Close()
}

// Open implements Kind.
func (r *Replayed) Open(string) (Target, error) {
	t := &embedded{engine: sharedEngine{r.engine}}
	t.cfg.ReadOnly, t.cfg.RecentBytes = true, recentBytes
	if err := t.open(t.cfg); err != nil {
		return nil, err
	}
	return t, nil
}

// sharedEngine outlives the stores over it.
type sharedEngine struct{ backend.Engine }

// Close leaves the engine open: others use it.
func (sharedEngine) Close() error { return nil }

// Batches of a copy, well below what any engine takes.
const (
	copyBytes = 4 << 20
	copyOps   = 10_000
)

// copySpace copies every entry of a space, as it is.
func copySpace(to, from backend.Engine, space backend.Space) (err error) {
	view, err := from.View()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	var batch backend.Batch
	var failed error
	flush := func() bool {
		if batch.Len() > 0 {
			failed = to.Apply(&batch, backend.Sync)
			batch.Reset()
		}
		return failed == nil
	}
	err = view.Scan(space, nil, nil, func(key, value []byte) bool {
		batch.Put(space, slices.Clone(key), slices.Clone(value))
		return batch.Size() < copyBytes && batch.Len() < copyOps || flush()
	})
	flush()
	return errors.Join(failed, err)
}

// replayRun: watchers want a history that is there already.
type replayRun struct {
	catchUpRun
	recording *Recording
}

func (*replayRun) looked() watchtest.Counts { return watchtest.Counts{} }

func (m *replayRun) measure(s *session) error {
	s.historyBytes = m.recording.bytes
	runtime.GC() // what decoding the file left is not the scenario's memory
	return m.sampled(s, m.recording.start)
}

// sampled measures the catching up; that every stream confirms the end of it
// is not counted.
func (m *catchUpRun) sampled(s *session, start int64) error {
	if err := s.sampled(func() error { return m.catchUp(s, start) }); err != nil {
		return err
	}
	_, err := s.confirm(s.consumers, s.rev.Load())
	return err
}

// catchUp begins the watches of a replaying scenario and waits until all are
// synced.
func (m *catchUpRun) catchUp(s *session, start int64) error {
	caughtUp := newLatch(s.sc.Watchers)
	defer s.traceCatchUp(classHealthy, func() int { return s.sc.Watchers - int(caughtUp.left.Load()) })()
	s.rec.phases.begin(1, s.clock.now())
	at := time.Now()
	defer func() { m.took = time.Since(at) }()
	history := func(i int) int64 { return s.historyOf(s.replayShape(), i) }
	if s.perKey == nil {
		history = nil // a recording
	} else {
		for i := range s.sc.Watchers {
			s.planned.Add(history(i))
		}
	}
	_, err := s.beginWatches(group{
		name: "stream", streams: s.sc.Streams, watchers: s.sc.Watchers, caughtUp: caughtUp, history: history,
		request: func(i int) watch.Request {
			key, end := s.work.watchRange(s.replayShape(), i, s.parts())
			return watch.Request{Key: key, End: end, StartRevision: start}
		},
	})
	if err != nil {
		return err
	}
	return s.wait("all watches have caught up", caughtUp.open)
}
