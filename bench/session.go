package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// clock counts nanoseconds of the monotonic clock from a moment in the past,
// so that no reading of it is untimed.
type clock struct{ base time.Time }

func newClock() clock { return clock{base: time.Now().Add(-time.Second)} }

func (c clock) now() int64 { return int64(time.Since(c.base)) }

// latch opens when it was counted down to zero.
type latch struct {
	left atomic.Int64
	open chan struct{}
}

func newLatch(n int) *latch {
	l := &latch{open: make(chan struct{})}
	l.left.Store(int64(n))
	if n == 0 {
		close(l.open)
	}
	return l
}

func (l *latch) down() {
	if l.left.Add(-1) == 0 {
		close(l.open)
	}
}

// session is one scenario on one open target.
type session struct {
	sc      Scenario
	target  Target
	clock   clock
	work    *workload
	rec     *recorder
	answers *answers
	history *watchtest.History
	began   time.Time // the run, for progress
	observe func(Tick)
	// Where it stands in the run, for progress.
	number, repetition int
	checkedBefore      int64
	stage              atomic.Pointer[string] // what goes on, if the scenario says it
	errors             atomic.Int64
	allowedMu          sync.Mutex   // guards allowed; a leaf
	allowed            []Allowed    // promises that broke and may, the first of each rule
	unanswered         atomic.Int64 // puts whose outcome nobody knows
	refused            atomic.Int64 // puts that were not done
	options            Options
	dir                string
	// etcdRules: see TargetFacts.EtcdRules.
	etcdRules bool

	ctx     context.Context // ends when the run is cut short or something failed
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup // consumers
	rev     atomic.Int64   // newest revision a writer was answered with
	cut     chan struct{}  // closed when Options.Longest is over
	givenUp atomic.Bool    // the target did not answer when the scenario was cut
	ended   int64          // moment at which the measurement stopped
	usage   usage
	// Of the server, by metric; and why some are missing.
	server           map[string]float64
	serverUnmeasured map[string]string
	historyBytes     int64        // keys and values that fill wrote
	perKey           []int64      // events of the history, by number of the key; see wanted
	planned          atomic.Int64 // events that the measured part would deliver, if known
	inside           insideStats
	series           *Series
	sampledAt        int64        // moment at which the series began
	curve            *Curve       // of catching up, if that was traced
	confirmed        atomic.Int64 // watches whose stream confirmed what it was asked for, all told

	consumers []*consumer
}

// noteRev remembers the newest revision answered.
func (s *session) noteRev(rev int64) {
	for {
		old := s.rev.Load()
		if rev <= old || s.rev.CompareAndSwap(old, rev) {
			return
		}
	}
}

// fail ends the scenario with what went wrong first.
func (s *session) fail(err error) {
	s.errors.Add(1)
	s.cancel(err)
}

// say tells whoever watches the run what goes on from now on; see Tick.Stage.
func (s *session) say(stage string) { s.stage.Store(&stage) }

// checked is how many events the run has held against the promises; -1 is
// without a checker.
func (s *session) checked() int64 {
	if s.options.Unchecked {
		return -1
	}
	return s.checkedBefore + s.delivered()
}

// wait waits for one of three: the channel, the end of the session, or a
// target that has stopped answering.
func (s *session) wait(what string, ch <-chan struct{}) error {
	ticker := time.NewTicker(patience / 10)
	defer ticker.Stop()
	last, since := s.delivered(), time.Now()
	for {
		select {
		case <-ch:
			return nil
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		case <-ticker.C:
			if now := s.delivered(); now != last {
				last, since = now, time.Now()
			} else if time.Since(since) > patience {
				return fmt.Errorf("nothing was delivered for %v while waiting until %s", patience, what)
			}
		}
	}
}

// patience is how long nothing may happen before a target counts as dead.
const patience = 30 * time.Second

// delivered is how many events all consumers have read.
func (s *session) delivered() (n int64) {
	return s.rec.total(func(l *lane) (sum int64) {
		for class := range l.events {
			for _, v := range l.events[class] {
				sum += v
			}
		}
		return sum
	})
}

// sleepUntil waits for a moment of the session's clock.
func (s *session) sleepUntil(nanos int64) error {
	timer := time.NewTimer(time.Duration(nanos - s.clock.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// group is a number of streams that share a number of watches.
type group struct {
	name     string
	streams  int
	watchers int
	goal     int64  // events that each watch is to get; 0: not known
	reached  *latch // counted down by each stream whose watches have them all
	affected int    // of the streams, evenly spread, are of class affected
	timed    bool   // their events are live
	probe    bool   // in no figure
	caughtUp *latch // counted down by each watch; may be nil
	// request makes watch i.
	request func(i int) watch.Request
	// history is how many events are there for watch i; nil without history.
	history func(i int) int64
}

// beginWatches opens the streams of a group, deals its watches out to them,
// and waits until all are created.
func (s *session) beginWatches(g group) ([]*consumer, error) {
	return s.beginUntil(s.ctx, g)
}

// beginUntil is beginWatches with consumers that end when ctx does, which must
// end no later than the session.
func (s *session) beginUntil(ctx context.Context, g group) ([]*consumer, error) {
	opened := make([]*consumer, 0, g.streams)
	created := newLatch(g.watchers)
	for i := range g.streams {
		c, err := s.newConsumer(fmt.Sprintf("%s %d", g.name, i), len(s.consumers))
		if err != nil {
			return nil, err
		}
		c.timed, c.created, c.caughtUp = g.timed, created, g.caughtUp
		if (i+1)*g.affected/g.streams > i*g.affected/g.streams {
			c.class = classAffected
		}
		if g.probe {
			c.class = classProbe
		}
		if g.goal > 0 {
			c.goal, c.reached = g.goal*int64((g.watchers-i+g.streams-1)/g.streams), g.reached
		}
		for j := i; j < g.watchers; j += g.streams {
			if g.history != nil {
				c.planReplay(g.request(j), g.history(j))
			} else {
				c.plan(g.request(j))
			}
		}
		opened = append(opened, c)
		s.consumers = append(s.consumers, c)
	}
	for _, c := range opened {
		if err := c.begin(ctx); err != nil {
			return nil, err
		}
	}
	return opened, s.wait("all watches are created", created.open)
}

// leave closes the streams of consumers in the middle of the session, and
// returns what their watches were checked for until then. The context of the
// consumers must have ended.
func (s *session) leave(group []*consumer) (watchtest.Counts, error) {
	var sum watchtest.Counts
	var errs []error
	for _, c := range group {
		if err := c.stream.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: close: %w", c.name, err))
		}
	}
	for _, c := range group {
		<-c.done
		counts, _ := c.finish(0, false) // without the end nothing can be missing
		sum.Add(counts)
	}
	s.consumers = slices.DeleteFunc(s.consumers, func(c *consumer) bool { return slices.Contains(group, c) })
	return sum, errors.Join(errs...)
}

// confirm asks every stream to say when it has delivered everything up to
// rev, waits for all of them, and returns the moment of the last answer.
func (s *session) confirm(group []*consumer, rev int64) (last int64, err error) {
	each, err := s.confirmEach(group, rev)
	if err != nil || len(each) == 0 {
		return 0, err
	}
	return slices.Max(each), nil
}

// confirmEach is confirm with the moment of each answer.
func (s *session) confirmEach(group []*consumer, rev int64) (each []int64, err error) {
	asked := make([]*confirmation, len(group))
	for i, c := range group {
		asked[i] = &confirmation{rev: rev, done: make(chan struct{})}
		c.awaited.Store(asked[i])
		if err := c.stream.RequestProgress(); err != nil {
			return nil, fmt.Errorf("%s: request progress: %w", c.name, err)
		}
	}
	for i, c := range group {
		if err := s.wait(fmt.Sprintf("%s confirms revision %d", c.name, rev), asked[i].done); err != nil {
			return nil, err
		}
		each = append(each, asked[i].at)
	}
	return each, nil
}

// sampled runs the measured part of a scenario with a sampler beside it.
func (s *session) sampled(measure func() error) error {
	before, _ := s.hubStats()
	delivered := s.delivered()
	sam := &sampler{session: s, intended: s.sc.RatePerS, part: func() float64 {
		if planned := s.planned.Load(); planned > 0 {
			return float64(s.delivered()-delivered) / float64(planned)
		}
		return -1
	}}
	if s.sc.Duration > 0 {
		sam.length = s.sc.Warmup + s.sc.Duration
	}
	s.sampledAt = s.clock.now()
	sam.start()
	if s.options.Longest > 0 {
		defer time.AfterFunc(s.options.Longest, func() { s.fail(errLongest); close(s.cut) }).Stop()
	}
	stop := func() (map[string]float64, map[string]string) { return nil, nil }
	if metered, ok := s.target.(Metered); ok {
		stop = metered.MeterServer()
	}
	err := measure()
	s.ended = s.clock.now()
	s.server, s.serverUnmeasured = stop()
	s.usage = sam.end()
	s.series = &sam.series
	s.series.Parts = s.partsOfSeries()
	after, known := s.hubStats()
	s.inside = insideStats{known: known, before: before, after: after, pinned: sam.pinned, pinnedOne: sam.pending}
	return err
}

// insideStats is what a target that can be inspected said before and after.
type insideStats struct {
	known             bool
	before, after     watch.Stats
	pinned, pinnedOne int64 // most bytes in all outboxes, and in one
}

func (s *session) hubStats() (watch.Stats, bool) {
	if t, ok := s.target.(Inspector); ok {
		return t.HubStats(), true
	}
	return watch.Stats{}, false
}

// close ends the consumers and judges what they were given. complete says
// that all streams had confirmed everything. A promise that a consumer found
// broken is not in the answer: it ended the session.
func (s *session) close(complete bool) (watchtest.Counts, error) {
	s.cancel(errOver)
	var errs []error
	for _, c := range s.consumers {
		if s.givenUp.Load() {
			break // it would not answer this either
		}
		if err := c.stream.Close(); err != nil {
			errs = append(errs, fmt.Errorf("%s: close: %w", c.name, err))
		}
	}
	s.wg.Wait()
	sum := s.history.Counts()
	for _, c := range s.consumers {
		counts, err := c.finish(s.rev.Load(), complete)
		if err != nil {
			errs = append(errs, err)
			return sum, errors.Join(errs...)
		}
		sum.Add(counts)
	}
	return sum, errors.Join(errs...)
}

// errLongest is the cause of the end of a session that took too long.
var errLongest = errors.New("bench: the longest time for a scenario is over")

// errOver is the cause of a session's end that is none.
var errOver = errors.New("bench: the scenario is over")
