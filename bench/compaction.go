package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// compactionRun models what an API server does every five minutes: history is
// cut up to where the store was one interval ago, while thousands watch. Who
// keeps up should notice nothing. Who is so far behind that its next event is
// gone must be told, once, from where it can begin again; it must never be
// moved past the gap in silence.
//
// Behind watchers of the whole keyspace begin at the start of the History and
// stop reading once they are created, so that what they have not read is more
// than any queue holds. The middle third of Duration is cut Cuts times; the
// first cut takes the whole History. When it was answered, those behind read
// on. Each that is told begins again, from the revision it was told, and reads
// to the end.
type compactionRun struct {
	cuts   []int64 // how long each call took, in nanoseconds
	cutRev int64
	reads  int64        // moment at which those behind read on; set before they do
	told   atomic.Int64 // of those behind, about the first cut
	again  atomic.Int64 // of those that began again, about a later one
	others atomic.Int64 // of the Watchers
	behind []*consumer
}

func (*compactionRun) looked() watchtest.Counts { return watchtest.Counts{} }

// behindStreams is how many streams those behind share, at most: many watches
// on each, so that a queue that counts responses is full soon.
const behindStreams = 10

func (m *compactionRun) measure(s *session) error {
	base, err := s.fill()
	if err != nil {
		return err
	}
	runtime.GC() // what the filling left is not the scenario's memory
	consumers, err := s.liveWatches()
	if err != nil {
		return err
	}
	for _, c := range consumers {
		c.told = &m.others
	}
	resume := make(stall)
	read := sync.OnceFunc(func() { close(resume) })
	defer read() // nobody is left waiting
	if err := m.fallBehind(s, base, resume); err != nil {
		return err
	}
	return s.sampled(func() error {
		start := s.clock.now() + int64(lead)
		before := start + int64(s.sc.Warmup)
		during := before + int64(s.sc.Duration)/3
		after := before + int64(s.sc.Duration)*2/3
		until := before + int64(s.sc.Duration)
		s.rec.phases.follow(before, during, after, until)
		l := s.startLoad(s.ctx, start, until)
		defer l.wait()
		if err := m.cut(s, during, after, read); err != nil {
			return err
		}
		l.wait()
		if err := context.Cause(s.ctx); err != nil {
			return err
		}
		_, err := s.confirm(append(consumers, m.behind...), s.rev.Load())
		return err
	})
}

// fallBehind begins the watchers that stop reading, and waits until all are
// created.
func (m *compactionRun) fallBehind(s *session, base int64, resume stall) error {
	created := newLatch(s.sc.Behind)
	streams := min(behindStreams, s.sc.Behind)
	for i := range streams {
		c, err := s.newVisitor(fmt.Sprintf("stream behind %d", i), i)
		if err != nil {
			return err
		}
		mine := share(s.sc.Behind, streams, i)
		left := mine // the consumer's
		c.visits.created = func(*visit, int64) {
			if left--; left == 0 {
				c.stall <- resume
			}
			if left >= 0 {
				created.down()
			}
		}
		c.visits.ended = func(v *visit, r *watch.Response, at int64) error {
			return m.isTold(s, c, v, r, at, v.id <= int64(mine))
		}
		m.behind = append(m.behind, c)
		s.consumers = append(s.consumers, c)
		if err := c.begin(s.ctx); err != nil {
			return err
		}
		for range mine {
			key, end := s.work.watchRange(wholeKeyspace, 0, 1)
			if _, err := c.visit(watch.Request{Key: key, End: end, StartRevision: base + 1}, 0); err != nil {
				return err
			}
		}
	}
	return s.wait("all watches behind are created", created.open)
}

// isTold takes the end of a watch: nothing but compaction may have ended it.
func (m *compactionRun) isTold(s *session, c *consumer, v *visit, r *watch.Response, at int64, first bool) error {
	if r.CompactRevision == 0 {
		return fmt.Errorf("%s: watch %d was ended: %w", c.name, v.id, r.Err)
	}
	if first {
		m.told.Add(1)
		// Also where the call took longer than the phase.
		s.rec.answer(c.lane, answerTold, phaseDuring, time.Duration(at-m.reads))
	} else {
		m.again.Add(1)
	}
	_, err := c.visit(watch.Request{Key: v.request.Key, End: v.request.End, StartRevision: r.CompactRevision}, at)
	return err
}

// cut compacts at regular times. After the first, read lets those behind read.
func (m *compactionRun) cut(s *session, during, after int64, read func()) error {
	upTo := s.rev.Load() // with the history, and nothing that is put meanwhile
	for i := range s.sc.Cuts {
		if err := s.sleepUntil(during + (after-during)*int64(i)/int64(s.sc.Cuts)); err != nil {
			return err
		}
		next := s.rev.Load()
		if upTo > m.cutRev {
			if err := m.compact(s, upTo); err != nil {
				return err
			}
		}
		if i == 0 {
			s.say("history is cut")
			m.reads = s.clock.now()
			read()
		}
		upTo = next
	}
	s.say("history was cut")
	return nil
}

func (m *compactionRun) compact(s *session, rev int64) error {
	s.history.Compacting(rev)
	at := s.clock.now()
	err := s.target.(Compactor).Compact(s.ctx, rev)
	if err != nil && !errors.Is(err, mvcc.ErrCompacted) {
		return fmt.Errorf("compact at revision %d: %w", rev, err)
	}
	m.cutRev = rev
	m.cuts = append(m.cuts, s.clock.now()-at)
	return nil
}

func (m *compactionRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, phaseDuring)
	s.phaseFigures(run, "before.", classHealthy, phaseBefore)
	s.phaseFigures(run, "after.", classHealthy, phaseAfter)
	s.loadFigures(run)
	run.latency("told", s.answerOf(answerTold, phaseDuring), "nobody was told of a compaction")
	if len(m.cuts) == 0 {
		run.absent("compaction.call_max_ns", "the run ended before a compaction")
		run.absent("compaction.call_median_ns", "the run ended before a compaction")
	} else {
		run.set("compaction.call_max_ns", float64(slices.Max(m.cuts)))
		slices.Sort(m.cuts)
		run.set("compaction.call_median_ns", float64(m.cuts[len(m.cuts)/2]))
	}
	run.set("compaction.cuts", float64(len(m.cuts)))
	run.set("compaction.told", float64(m.told.Load()))
	run.set("compaction.told_again", float64(m.again.Load()))
	run.set("compaction.others_told", float64(m.others.Load()))
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.measured()))
}
