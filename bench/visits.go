package bench

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// visits are the watches of one consumer that come and go. Another goroutine
// begins and cancels them while the consumer receives.
type visits struct {
	// created and ended are told of the first and the last response of a
	// visit, with the moment they were read. The consumer calls them; either
	// may be nil.
	created func(v *visit, at int64)
	ended   func(v *visit, r *watch.Response, at int64) error

	mu     sync.Mutex // guards what is below; a leaf
	lastID int64      // ids are given once
	open   map[int64]*visit
	over   []*visit         // the last of those that ended, oldest first: what still comes is theirs
	counts watchtest.Counts // of those before them
}

// keptVisits bounds visits.over: a response so long after the end is told
// from a good one by its id alone.
const keptVisits = 1024

// visit is one watch that was begun and may be cancelled.
type visit struct {
	id        int64
	request   watch.Request
	check     *watchtest.Watch // nil if unchecked
	asked     int64            // moment at which it was due or begun
	cancelled atomic.Int64     // moment at which its end was asked for; 0: not
	isCreated bool             // the consumer's
	events    int64            // the consumer's
}

// newVisitor opens a stream for watches that come and go. Their events are
// read and counted and not timed.
func (s *session) newVisitor(name string, number int) (*consumer, error) {
	c, err := s.newConsumer(name, number)
	if err != nil {
		return nil, err
	}
	c.class = classAffected
	c.visits = &visits{open: map[int64]*visit{}}
	return c, nil
}

// visit begins a watch that was due at a moment of the session's clock.
func (c *consumer) visit(r watch.Request, due int64) (*visit, error) {
	v := &visit{asked: due}
	c.visits.mu.Lock()
	c.visits.lastID++
	r.ID = c.visits.lastID
	c.visits.mu.Unlock()
	v.id, v.request = r.ID, r
	if !c.session.options.Unchecked {
		v.check = watchtest.NewWatch(r, watchtest.Options{History: c.session.history, ID: r.ID, EtcdRules: c.session.etcdRules, Excuse: c.session.excuse})
	}
	c.visits.mu.Lock()
	c.visits.open[v.id] = v
	c.visits.mu.Unlock()
	if _, err := c.stream.Watch(r); err != nil {
		return nil, fmt.Errorf("%s: begin watch %d: %w", c.name, v.id, err)
	}
	return v, nil
}

// leave asks for the end of a visit.
func (c *consumer) leave(v *visit) error {
	if v.check != nil {
		v.check.CancelAsked()
	}
	v.cancelled.Store(c.session.clock.now())
	if err := c.stream.(Canceler).Cancel(v.id); err != nil {
		return fmt.Errorf("%s: cancel watch %d: %w", c.name, v.id, err)
	}
	return nil
}

// take reads one response for one visit.
func (vs *visits) take(c *consumer, r *watch.Response) error {
	v, err := vs.find(c, r)
	if err != nil {
		return err
	}
	if v.check != nil {
		if err := v.check.Deliver(r); err != nil {
			return c.named(err)
		}
	}
	if len(r.Events) > 0 {
		v.events += int64(len(r.Events))
		c.read(r.Events)
	}
	if !r.Created && !r.Canceled {
		return nil
	}
	at := c.session.clock.now()
	if r.Created {
		v.isCreated = true
		if vs.created != nil {
			vs.created(v, at)
		}
	}
	if r.Canceled {
		vs.end(v)
		if vs.ended != nil {
			return vs.ended(v, r, at)
		}
	}
	return nil
}

// find is the visit that a response is for.
func (vs *visits) find(c *consumer, r *watch.Response) (*visit, error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v, ok := vs.open[r.WatchID]; ok {
		return v, nil
	}
	for _, v := range vs.over {
		if v.id == r.WatchID {
			return v, nil
		}
	}
	if r.WatchID < 1 || r.WatchID > vs.lastID {
		return nil, fmt.Errorf("%s: a response for watch %d, which was never begun", c.name, r.WatchID)
	}
	return nil, c.named(&watchtest.Broken{
		Rule:   ruleOf("X1"),
		Detail: fmt.Sprintf("a response with %d events came long after Canceled", len(r.Events)),
		Watch:  fmt.Sprintf("watch %d", r.WatchID),
	})
}

// ruleOf is one of the checker's rules.
func ruleOf(id string) watchtest.Rule {
	for _, r := range watchtest.Rules() {
		if r.ID == id {
			return r
		}
	}
	return watchtest.Rule{ID: id}
}

func (vs *visits) end(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.open, v.id)
	if len(vs.over) == keptVisits {
		if gone := vs.over[0]; gone.check != nil {
			vs.counts.Add(gone.check.Counts())
		}
		copy(vs.over, vs.over[1:])
		vs.over = vs.over[:keptVisits-1]
	}
	vs.over = append(vs.over, v)
}

// progress is for every visit that is there.
func (vs *visits) progress(c *consumer, r *watch.Response) error {
	for _, v := range vs.here() {
		if v.check == nil || !v.isCreated {
			continue
		}
		if err := v.check.Deliver(r); err != nil {
			return c.named(err)
		}
	}
	return nil
}

// here lists the visits that have not ended.
func (vs *visits) here() []*visit {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	all := make([]*visit, 0, len(vs.open))
	for _, v := range vs.open {
		all = append(all, v)
	}
	return all
}

// finish is consumer.finish.
func (vs *visits) finish(c *consumer, rev int64, complete bool) (watchtest.Counts, error) {
	sum := vs.counts
	for _, v := range append(vs.here(), vs.over...) {
		if v.check == nil {
			continue
		}
		if complete {
			if err := v.check.Finish(rev); err != nil {
				return sum, c.named(err)
			}
		}
		sum.Add(v.check.Counts())
	}
	return sum, nil
}
