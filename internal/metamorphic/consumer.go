package metamorphic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// consumer is one stream, its check, and who reads it: a goroutine of its own
// if its number is even, else the runner, when the list says so.
type consumer struct {
	r      *runner
	number int
	stream *watch.Stream
	check  *watchtest.Stream
	open   []opened // watches that were granted and not cancelled by the list

	stop    context.CancelFunc
	done    sync.WaitGroup
	changed chan struct{} // of capacity 1: something was delivered, or it failed

	mu  sync.Mutex // guards err
	err error
}

type opened struct {
	id    int64
	req   watch.Request
	check *watchtest.Watch
}

// probe is a key nobody writes: every stream watches it, so that a stream
// always has a watch, and one that matches nothing.
const probe = "~nobody writes this"

func newConsumer(r *runner, number int) (*consumer, error) {
	s, err := r.hub.NewStream(name(number))
	if err != nil {
		return nil, err
	}
	c := &consumer{r: r, number: number, stream: s, check: watchtest.NewStream(r.history, 0), changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if c.eager() {
		c.done.Go(func() { c.read(ctx) })
	}
	return c, c.watchProbe()
}

// watchProbe makes a watch that is there when progress is asked for: the last
// one may have been told of a compaction.
func (c *consumer) watchProbe() error {
	if err := c.create(watch.Request{Key: []byte(probe)}, nil); err != nil {
		return err
	}
	last := len(c.open) - 1
	c.open[0], c.open[last] = c.open[last], c.open[0]
	return nil
}

func (c *consumer) eager() bool { return c.number%2 == 0 }

// read is the goroutine of an eager consumer; it ends with the stream.
func (c *consumer) read(ctx context.Context) {
	for {
		responses, err := c.stream.Recv(ctx)
		if err == nil {
			err = c.check.Deliver(responses)
		}
		if err != nil && ctx.Err() == nil {
			c.fail(err)
		}
		select {
		case c.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (c *consumer) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("stream %d: %w", c.number, err)
	}
}

func (c *consumer) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *consumer) close() error {
	c.stop()
	c.done.Wait()
	return c.stream.Close()
}

// resume watches again what the consumer of the same number watched before a
// reopen, from where each had come to.
func (c *consumer) resume(old *consumer) error {
	for _, o := range old.open {
		if o.check.Ended() || string(o.req.Key) == probe {
			continue
		}
		o.req.StartRevision = o.check.Next()
		if o.req.StartRevision == 0 {
			o.check = nil // it never heard where it starts
		}
		if err := c.create(o.req, o.check); err != nil {
			return err
		}
	}
	return nil
}

func (c *consumer) create(req watch.Request, resumes *watchtest.Watch) error {
	taken := req.ID > 0 && slices.ContainsFunc(c.open, func(o opened) bool { return o.id == req.ID && !c.over(o) })
	id, err := c.stream.Watch(req)
	if err != nil {
		if errors.Is(err, watch.ErrDuplicateID) != taken {
			return fmt.Errorf("watch %d on stream %d: %w, the id is taken: %t", req.ID, c.number, err, taken)
		}
		return c.check.Refused(req, err)
	}
	if taken && !c.mayBeOver(req.ID) {
		return fmt.Errorf("watch %d on stream %d was granted, the id is taken", req.ID, c.number)
	}
	check, err := c.check.Expect(id, req, resumes)
	if err != nil {
		return err
	}
	c.open = append(c.open, opened{id, req, check})
	if resumes == nil {
		c.r.highest = max(c.r.highest, req.StartRevision)
	}
	return nil
}

// over and mayBeOver: the hub ends watches by itself, by compaction or for
// being slow, and the consumer may not have heard of it yet.
func (c *consumer) over(o opened) bool { return c.check.Ended(o.check) }

func (c *consumer) mayBeOver(id int64) bool {
	return slices.ContainsFunc(c.open, func(o opened) bool {
		return o.id == id && (o.req.Policy == watch.Cancel || c.r.model.CompactRev() > 0)
	})
}

func (c *consumer) watch(req watch.Request) error { return c.create(req, nil) }

// cancel ends one of the watches that the list made.
func (c *consumer) cancel(n int) error {
	_, err := c.cancelled(n)
	return err
}

func (c *consumer) cancelled(n int) (id int64, err error) {
	if len(c.open) < 2 {
		return 0, nil // the probe stays
	}
	n = 1 + n%(len(c.open)-1)
	o := c.open[n]
	c.open = slices.Delete(c.open, n, n+1)
	c.check.CancelAsked(o.id)
	if err := c.stream.Cancel(o.id); err != nil && (!errors.Is(err, watch.ErrNoWatch) || !c.over(o) && o.req.Policy != watch.Cancel && c.r.model.CompactRev() == 0) {
		return 0, fmt.Errorf("cancel of watch %d on stream %d: %w", o.id, c.number, err)
	}
	return o.id, nil
}

// rewatch cancels a watch and makes another under its id.
func (c *consumer) rewatch(n int, req watch.Request) error {
	id, err := c.cancelled(n)
	if err != nil || id == 0 {
		return err
	}
	if req.ID = id; req.StartRevision < 0 || mvcc.SpanOf(req.Key, req.End).Empty() {
		return nil
	}
	return c.create(req, nil)
}

func (c *consumer) askProgress() error {
	c.check.ProgressAsked(c.r.store.Rev())
	return c.stream.RequestProgress()
}

// receive takes what is there, n times, without waiting.
func (c *consumer) receive(n int) error {
	if c.eager() {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range n {
		responses, err := c.stream.Recv(ctx)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.check.Deliver(responses); err != nil {
			return err
		}
	}
	return nil
}

// settle reads until a progress notification says that all is delivered.
func (c *consumer) settle(rev int64) error {
	if err := c.askProgress(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for c.check.Owes() > 0 {
		if c.eager() {
			select {
			case <-c.changed:
			case <-ctx.Done():
				return c.hangs(rev)
			}
			if err := c.failed(); err != nil {
				return err
			}
			continue
		}
		responses, err := c.stream.Recv(ctx)
		if err != nil {
			return errors.Join(c.hangs(rev), err)
		}
		if err := c.check.Deliver(responses); err != nil {
			return err
		}
	}
	return c.check.Finish(rev)
}

// hangs describes a stream that waits in vain.
func (c *consumer) hangs(rev int64) error {
	s := fmt.Sprintf("stream %d has no progress notification for revision %d after %v;", c.number, rev, patience)
	for _, w := range c.r.hub.Watches() {
		if w.StreamName == name(c.number) {
			s += fmt.Sprintf(" watch %d %q %q %v next %d;", w.ID, w.Key, w.End, w.State, w.Next)
		}
	}
	return fmt.Errorf("%s offered %d", s, c.r.hub.Stats().OfferedRevision)
}

func name(number int) string { return fmt.Sprint("consumer ", number) }
