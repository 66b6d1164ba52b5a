package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// consumer reads one stream and gives every response to the checker of its
// watch. Its goroutine is the only one that receives; it owns all fields but
// those said to be shared.
type consumer struct {
	session *session
	name    string
	class   int
	timed   bool // its events are live: their latency counts
	lane    *lane

	stream   Stream
	requests []watch.Request
	checks   []*watchtest.Watch           // by id, from 1; nil if unchecked
	left     []int64                      // events to come until a watch is caught up, by id; nil: it tells
	stall    chan stall                   // shared: the scenario sends, the goroutine obeys
	awaited  atomic.Pointer[confirmation] // shared: set by the scenario, cleared by the goroutine
	created  *latch                       // shared: counted down by each Created
	caughtUp *latch                       // shared: counted down by each CaughtUp; may be nil

	goal     int64  // events after which reached is counted down; 0: none, or done
	reached  *latch // shared
	samples  []sample
	received time.Duration // when the responses that are being read came
	pending  []unanswered
	events   int64
	bytes    int64
	done     chan struct{} // closed when the goroutine is over

	visits *visits       // instead of requests, checks, left, created and caughtUp; may be nil
	told   *atomic.Int64 // shared: watches that compaction overtook; nil: that is an error

	delivered atomic.Int64 // shared: events so far
}

// confirmation waits for a stream to say that everything up to rev was
// delivered. at, the moment of it, may be read once done is closed.
type confirmation struct {
	rev  int64
	at   int64
	done chan struct{}
}

// stall stops a consumer from reading until it is closed.
type stall chan struct{}

// sample is the latency of one event for one watch.
type sample struct {
	phase    int
	notify   time.Duration // -1: unknown, the value had no room for the time
	ackKnown bool
	ack      time.Duration
}

// unanswered is an event that came before the answer to its put.
type unanswered struct {
	rev, at int64
	untimed bool // the due time, too, comes with the answer
}

// maxUnanswered bounds pending; an event beyond it has no time from answer to
// event. Puts in flight are few: the bound is for targets that answer late.
const maxUnanswered = 1 << 14

// newConsumer opens a stream; the number chooses its lane.
func (s *session) newConsumer(name string, number int) (*consumer, error) {
	stream, err := s.target.NewStream(name)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	return &consumer{
		session: s, name: name, lane: s.rec.lane(number), stream: stream,
		stall: make(chan stall, 1), // one stall at a time
		done:  make(chan struct{}),
	}, nil
}

// plan adds a watch to those the consumer will begin.
func (c *consumer) plan(r watch.Request) {
	r.ID = int64(len(c.requests)) + 1
	c.requests = append(c.requests, r)
	if !c.session.options.Unchecked {
		c.checks = append(c.checks, watchtest.NewWatch(r, watchtest.Options{
			History: c.session.history, ID: r.ID, EtcdRules: c.session.etcdRules, Excuse: c.session.excuse,
			Record: keptResponses(c.session.sc.Watchers), Now: func() time.Duration { return c.received },
		}))
	}
}

// planReplay adds a watch that reads a history in which this many events are
// for it.
func (c *consumer) planReplay(r watch.Request, events int64) {
	c.plan(r)
	if c.session.etcdRules {
		c.left = append(c.left, events)
	}
}

// begin starts the goroutine, then the watches.
func (c *consumer) begin(ctx context.Context) error {
	c.session.wg.Go(func() {
		defer close(c.done)
		if err := c.run(ctx); err != nil && ctx.Err() == nil {
			c.session.fail(err)
		}
	})
	for i := range c.requests {
		if _, err := c.stream.Watch(c.requests[i]); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s: begin watch %d: %w", c.name, c.requests[i].ID, err)
		}
	}
	return nil
}

// yieldEvents is how many events a consumer reads before it lets others run:
// about 10 µs of work.
const yieldEvents = 256

func (c *consumer) run(ctx context.Context) error {
	unyielded := 0
	for {
		select {
		case resume := <-c.stall:
			select {
			case <-resume:
			case <-ctx.Done():
				return nil
			}
		default:
		}
		responses, err := c.stream.Recv(ctx)
		if err != nil {
			return fmt.Errorf("%s: receive: %w", c.name, err)
		}
		c.received = time.Duration(c.session.clock.now())
		for i := range responses {
			if err := c.take(&responses[i]); err != nil {
				return err
			}
			// Consumers of a store are elsewhere; here they share the cores
			// with it, and must not keep it waiting for a whole batch.
			if unyielded += len(responses[i].Events); unyielded >= yieldEvents {
				unyielded = 0
				runtime.Gosched()
			}
		}
		c.flush()
	}
}

// take reads one response: checks it, then its times.
func (c *consumer) take(r *watch.Response) error {
	if r.WatchID == watch.NoWatch {
		return c.answer(r)
	}
	if c.visits != nil {
		return c.visits.take(c, r)
	}
	if r.WatchID < 1 || r.WatchID > int64(len(c.requests)) {
		return fmt.Errorf("%s: a response for watch %d, which was never begun", c.name, r.WatchID)
	}
	if c.checks != nil {
		if err := c.checks[r.WatchID-1].Deliver(r); err != nil {
			return c.named(err)
		}
	}
	if len(r.Events) > 0 {
		c.read(r.Events)
	}
	if c.left != nil {
		c.count(r)
	}
	if r.Created && c.created != nil {
		c.created.down()
	}
	if r.CaughtUp && c.caughtUp != nil {
		c.caughtUp.down()
	}
	switch {
	case r.Canceled && r.CompactRevision != 0 && c.told != nil:
		c.told.Add(1)
	case r.Canceled:
		return fmt.Errorf("%s: watch %d was ended: %w", c.name, r.WatchID, r.Err)
	}
	return nil
}

// count tells the end of catch-up for a target that does not: when all events
// of the history have come. With nothing to come it is told by Created.
func (c *consumer) count(r *watch.Response) {
	left := &c.left[r.WatchID-1]
	if was := *left; was > 0 || r.Created {
		*left -= int64(len(r.Events))
		if *left <= 0 && c.caughtUp != nil {
			c.caughtUp.down()
		}
	}
}

// answer is for the requested progress of the whole stream: it speaks for
// every watch of it.
func (c *consumer) answer(r *watch.Response) error {
	if !r.Progress() {
		return fmt.Errorf("%s: a watch was refused: %w", c.name, r.Err)
	}
	for _, check := range c.checks {
		if check.Ended() {
			continue
		}
		if err := check.Deliver(r); err != nil {
			return c.named(err)
		}
	}
	if c.visits != nil {
		if err := c.visits.progress(c, r); err != nil {
			return err
		}
	}
	if want := c.awaited.Load(); want != nil && r.Revision >= want.rev {
		c.flush() // what is confirmed is counted
		c.awaited.Store(nil)
		want.at = c.session.clock.now()
		c.session.confirmed.Add(int64(len(c.requests)))
		close(want.done)
	}
	return nil
}

// read is the moment of delivery: key, revision and value length of every
// event, and the time.
func (c *consumer) read(events []mvcc.Event) {
	if c.session.options.Unread {
		c.events += int64(len(events))
		return
	}
	bytes := 0
	for i := range events {
		bytes += len(events[i].KV.Key) + len(events[i].KV.Value)
	}
	c.events += int64(len(events))
	c.bytes += int64(bytes)
	if !c.timed {
		return
	}
	now := c.session.clock.now()
	for i := range events {
		kv := &events[i].KV
		due, stamped := stamp(kv.Value)
		if stamped && due == untimed {
			continue
		}
		s := sample{notify: -1}
		if stamped {
			s.phase, s.notify = c.session.rec.phases.at(due), time.Duration(now-due)
		}
		putDue, acked, joined := c.session.answers.get(kv.ModRevision)
		switch {
		case joined == found:
			if !stamped {
				s.phase, s.notify = c.session.rec.phases.at(putDue), time.Duration(now-putDue)
			}
			s.ackKnown, s.ack = true, time.Duration(now-acked)
		case joined == notYet && len(c.pending) < maxUnanswered:
			c.pending = append(c.pending, unanswered{rev: kv.ModRevision, at: now, untimed: !stamped})
		}
		if s.notify >= 0 || s.ackKnown {
			c.samples = append(c.samples, s)
		}
	}
}

// settle looks again for the answers that events did not wait for.
func (c *consumer) settle() {
	kept := c.pending[:0]
	for _, p := range c.pending {
		due, acked, joined := c.session.answers.get(p.rev)
		switch joined {
		case notYet:
			kept = append(kept, p)
		case found:
			s := sample{phase: c.session.rec.phases.at(due), notify: -1, ackKnown: true, ack: time.Duration(p.at - acked)}
			if p.untimed {
				s.notify = time.Duration(p.at - due)
			}
			c.samples = append(c.samples, s)
		}
	}
	c.pending = kept
}

// flush hands what was read to the recorder, once for a batch of responses.
func (c *consumer) flush() {
	if len(c.pending) > 0 {
		c.settle()
	}
	if c.events == 0 && len(c.samples) == 0 {
		return
	}
	phase := c.session.rec.phases.at(c.session.clock.now())
	l := c.lane
	l.mu.Lock()
	if c.class != classProbe {
		l.second.events += c.events
	}
	l.events[c.class][phase] += c.events
	l.eventBytes[c.class][phase] += c.bytes
	for _, s := range c.samples {
		if s.notify >= 0 {
			l.recordNotifyLocked(c.class, s.phase, s.notify, 1)
		}
		if s.ackKnown && s.phase >= 1 && s.phase <= maxPhases {
			l.recordAckToEventLocked(s.ack, 1)
		}
	}
	l.mu.Unlock()
	if all := c.delivered.Add(c.events); c.goal > 0 && all >= c.goal {
		c.goal = 0
		c.reached.down()
	}
	c.events, c.bytes, c.samples = 0, 0, c.samples[:0]
}

// finish checks that everything up to rev was delivered, if the scenario came
// to its end, and adds up what was looked at. The goroutine must be over.
func (c *consumer) finish(rev int64, complete bool) (watchtest.Counts, error) {
	if c.visits != nil {
		return c.visits.finish(c, rev, complete)
	}
	var sum watchtest.Counts
	for _, check := range c.checks {
		if complete {
			if err := check.Finish(rev); err != nil {
				return sum, c.named(err)
			}
		}
		sum.Add(check.Counts())
	}
	return sum, nil
}

// named adds the stream to what the checker says of its watch.
func (c *consumer) named(err error) error { return &streamError{stream: c.name, err: err} }

// streamError is an error that concerns one stream.
type streamError struct {
	stream string
	err    error
}

func (e *streamError) Error() string { return e.stream + ": " + e.err.Error() }
func (e *streamError) Unwrap() error { return e.err }
