package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// measurement is one scenario: what it does, then what it found.
type measurement interface {
	// measure returns when everything planned was done and every event
	// confirmed, or with the cause of the session's end.
	measure(s *session) error
	// figures adds the scenario's own metrics to a run, whose measure may have
	// been cut short.
	figures(s *session, run *Run)
	// looked is what watches that are gone by now had been checked for.
	looked() watchtest.Counts
}

func newMeasurement(sc Scenario, recording *Recording) measurement {
	switch sc.Name {
	case Replay:
		return &replayRun{recording: recording}
	case CatchUp:
		return &catchUpRun{}
	case Slow:
		return &slowRun{}
	case Interference:
		return &interferenceRun{}
	case Storm:
		return &stormRun{}
	case Churn:
		return &churnRun{}
	case Compaction:
		return &compactionRun{}
	case Mixed:
		return &mixedRun{}
	case FanOut:
		return &fanOutRun{}
	case Register:
		return &registerRun{}
	case Reopen:
		return &reopenRun{}
	}
	return &notifyRun{}
}

// lead is the time between planning a load and its first put.
const lead = 10 * time.Millisecond

// liveWatches begins the watches of a scenario's shape, from now on, and the
// probes.
func (s *session) liveWatches() ([]*consumer, error) {
	live, err := s.beginWatches(group{
		name: "stream", streams: s.sc.Streams, watchers: s.sc.Watchers, timed: true, affected: s.sc.StalledStreams,
		request: func(i int) watch.Request {
			key, end := s.work.watchRange(s.sc.Shape, i, s.parts())
			return watch.Request{Key: key, End: end}
		},
	})
	if err != nil {
		return nil, err
	}
	if s.sc.Idle > 0 {
		if _, err := s.beginWatches(group{
			name: "idle stream", streams: min(s.sc.Streams, s.sc.Idle), watchers: s.sc.Idle, probe: true,
			request: func(i int) watch.Request { return watch.Request{Key: s.work.idleKey(i)} },
		}); err != nil {
			return nil, err
		}
	}
	probes, err := s.probes()
	return append(live, probes...), err
}

// parts is how many ranges the keys are cut into.
func (s *session) parts() int { return either(s.sc.Parts, s.sc.Watchers) }

// probes are a few watches beside the measured ones that ask for what those
// do not, so that more promises are looked at: previous values, filters,
// periodic progress. Each has a small share of the keys; they are in no figure.
func (s *session) probes() ([]*consumer, error) {
	if s.options.NoProbes {
		return nil, nil
	}
	asks := []watch.Request{{PrevKV: true}, {NoDelete: true, Progress: true}, {NoPut: true}}
	const share = 100 // of the keys
	return s.beginWatches(group{
		name: "probe stream", streams: 1, watchers: len(asks), probe: true,
		request: func(i int) watch.Request {
			key, end := s.work.watchRange(Ranges, min(i, len(s.work.keys)-1), min(share, len(s.work.keys)))
			r := asks[i]
			r.Key, r.End = key, end
			return r
		},
	})
}

// replayShape is the shape of watchers that read a history.
func (s *session) replayShape() Shape {
	if s.sc.Shape == Prefix {
		return wholeKeyspace
	}
	return s.sc.Shape
}

// notifyRun: watchers wait, puts come, how late are the events?
type notifyRun struct{}

func (*notifyRun) looked() watchtest.Counts { return watchtest.Counts{} }

func (*notifyRun) measure(s *session) error {
	consumers, err := s.liveWatches()
	if err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		from := start + int64(s.sc.Warmup)
		until := from + int64(s.sc.Duration)
		s.rec.phases.follow(from, until)
		s.startLoad(s.ctx, start, until).wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(consumers, s.rev.Load())
		return err
	})
}

// catchUpRun: a history is there, watchers want all of it at once.
type catchUpRun struct {
	took time.Duration // until all were synced, or the end
}

func (*catchUpRun) looked() watchtest.Counts { return watchtest.Counts{} }

func (m *catchUpRun) measure(s *session) error {
	base, err := s.fill()
	if err != nil {
		return err
	}
	runtime.GC() // what the filling left is not the scenario's memory
	return m.sampled(s, base+1)
}

// slowRun: part of the streams stop reading for a while.
type slowRun struct {
	stalledAt, resumedAt watch.Stats
	inspected            bool
	recovery             time.Duration // 0: not recovered
}

func (*slowRun) looked() watchtest.Counts { return watchtest.Counts{} }

// Phases of slowRun, interferenceRun, stormRun and compactionRun.
const (
	phaseBefore = 1
	phaseDuring = 2
	phaseAfter  = 3
)

func (m *slowRun) measure(s *session) error {
	consumers, err := s.liveWatches()
	if err != nil {
		return err
	}
	var stalled []*consumer
	for _, c := range consumers {
		if c.class == classAffected {
			stalled = append(stalled, c)
		}
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		before := start + int64(s.sc.Warmup)
		during := before + int64(s.sc.Duration-s.sc.Stall)/2
		after := during + int64(s.sc.Stall)
		until := before + int64(s.sc.Duration)
		s.rec.phases.follow(before, during, after, until)
		l := s.startLoad(s.ctx, start, until)
		defer l.wait()
		if err := m.stall(s, stalled, during, after); err != nil {
			return err
		}
		l.wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(consumers, s.rev.Load())
		return err
	})
}

func (m *slowRun) stall(s *session, stalled []*consumer, during, after int64) error {
	if err := s.sleepUntil(during); err != nil {
		return err
	}
	resume := make(stall)
	for _, c := range stalled {
		c.stall <- resume
	}
	s.say(fmt.Sprintf("%d of %d streams stalled", len(stalled), s.sc.Streams))
	m.stalledAt, m.inspected = s.hubStats()
	if err := s.sleepUntil(after); err != nil {
		return err
	}
	m.resumedAt, _ = s.hubStats()
	at := s.clock.now()
	close(resume)
	s.say("all streams read again")
	last, err := s.confirm(stalled, s.rev.Load())
	if err != nil {
		return err
	}
	m.recovery = time.Duration(last - at)
	s.say("after the stall")
	return nil
}

// interferenceRun: others read history while puts and notifications go on.
type interferenceRun struct {
	rounds atomic.Int64 // watches that read the history to its end

	mu   sync.Mutex // guards what is below
	gone watchtest.Counts
}

func (m *interferenceRun) looked() watchtest.Counts { return m.gone }

func (m *interferenceRun) measure(s *session) error {
	base, err := s.fill()
	if err != nil {
		return err
	}
	runtime.GC()
	synced, err := s.bystanders()
	if err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		before := start + int64(s.sc.Warmup)
		during := before + int64(either(s.sc.Quiet, s.sc.Duration/2))
		until := before + int64(s.sc.Duration)
		s.rec.phases.follow(before, during, until)
		l := s.startLoad(s.ctx, start, until)
		defer l.wait()
		if err := s.sleepUntil(during); err != nil {
			return err
		}
		s.say("others read history")
		ctx, stop := context.WithCancel(s.ctx)
		var replays sync.WaitGroup
		for i := range s.sc.Streams {
			replays.Go(func() {
				if err := m.replay(ctx, s, i, base); err != nil && ctx.Err() == nil {
					s.fail(err)
				}
			})
		}
		l.wait()
		stop()
		if s.givenUp.Load() {
			return context.Cause(s.ctx)
		}
		replays.Wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(synced, s.rev.Load())
		return err
	})
}

// bystanders begins watches that are synced all the time and share the keys, a
// range each.
func (s *session) bystanders() ([]*consumer, error) {
	return s.beginWatches(group{
		name: "bystander stream", streams: min(10, s.sc.Bystanders), watchers: s.sc.Bystanders, timed: true,
		request: func(i int) watch.Request {
			key, end := s.work.watchRange(Ranges, i, s.sc.Bystanders)
			return watch.Request{Key: key, End: end}
		},
	})
}

// replay reads the history again and again on one stream after another, so
// that others catch up for as long as the scenario wants.
func (m *interferenceRun) replay(ctx context.Context, s *session, number int, base int64) error {
	for ctx.Err() == nil {
		c, err := s.newConsumer("replay stream", number)
		if err != nil {
			return err
		}
		c.class = classAffected
		for j := number; j < s.sc.Watchers; j += s.sc.Streams {
			key, end := s.work.watchRange(s.replayShape(), j, s.parts())
			c.planReplay(watch.Request{Key: key, End: end, StartRevision: base + 1}, s.historyOf(s.replayShape(), j))
		}
		c.caughtUp = newLatch(len(c.requests))
		own, end := context.WithCancel(ctx)
		if err = c.begin(own); err == nil {
			select {
			case <-c.caughtUp.open:
			case <-ctx.Done():
			}
		}
		end()
		closeErr := c.stream.Close()
		<-c.done
		m.rounds.Add(int64(len(c.requests)) - c.caughtUp.left.Load())
		counts, _ := c.finish(0, false) // without the end nothing can be missing
		m.mu.Lock()
		m.gone.Add(counts)
		m.mu.Unlock()
		if err != nil {
			return err
		}
		if closeErr != nil && ctx.Err() == nil {
			return closeErr
		}
	}
	return nil
}
