package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// nature is how a consumer behaves.
type nature int

const (
	quick   nature = iota // reads at once
	slow                  // stops reading for a while, again and again
	dying                 // closes its stream in the middle and comes back with another
	natures = 3
)

// mostWatches bounds the watches of one consumer.
const mostWatches = 25

// probe is a key that nobody writes: a stream that watches it is never
// without a watch when it asks for progress.
const probe = "~nobody writes this"

// opened is a watch that was granted.
type opened struct {
	id    int64
	req   watch.Request
	check *watchtest.Watch
}

// consumer is one stream after the other. It belongs to its goroutine.
type consumer struct {
	w      *world
	r      *rand.Rand
	nature nature
	stream *watch.Stream
	check  *watchtest.Stream
	open   []opened // on the stream, or to be resumed on the next one
	counts watchtest.Counts
}

// run consumes until ctx ends, then until everything was delivered.
func (c *consumer) run(ctx context.Context) {
	defer func() {
		if c.stream != nil {
			c.leave()
		}
	}()
	for {
		if !c.enter() {
			return
		}
		lasts := 1 << 30
		if c.nature == dying {
			lasts = 20 + c.r.IntN(300)
		}
		for range lasts {
			if ctx.Err() != nil {
				c.settle()
				return
			}
			if !c.act(ctx) {
				return
			}
		}
		c.leave()
	}
}

// enter opens a stream and resumes on it what the one before watched: G5.
func (c *consumer) enter() bool {
	var err error
	if c.stream, err = c.w.hub.NewStream("soak"); !assert.NoError(c.w.t, err) {
		return false
	}
	c.check = watchtest.NewStream(c.w.history, 8)
	old := c.open
	c.open = nil
	for _, o := range old {
		o.req.ID = 0 // on this stream it may be another's by now
		if o.req.StartRevision = o.check.Next(); o.req.StartRevision == 0 {
			o.check = nil // it never heard where it starts
		}
		if string(o.req.Key) != probe && !c.watch(o.req, o.check) {
			return false
		}
	}
	return true
}

// leave closes the stream, whatever is queued in it.
func (c *consumer) leave() {
	assert.NoError(c.w.t, c.stream.Close())
	c.counts.Add(c.check.Counts())
	c.stream = nil
}

// act does one thing, most often to receive.
func (c *consumer) act(ctx context.Context) bool {
	switch n := c.r.IntN(100); {
	case n < 12 && len(c.open) < mostWatches || len(c.open) == 0:
		return c.watch(c.request(), nil)
	case n < 18:
		return c.cancel(c.r.IntN(2) == 0)
	case n < 20:
		return c.refused()
	case n < 23:
		c.check.ProgressAsked(c.w.store.Rev())
		return assert.NoError(c.w.t, c.stream.RequestProgress())
	case n < 30 && c.nature == slow:
		c.stall(ctx)
		return true
	}
	// A context that ends soon: Recv may be asked with such, and what watches
	// quiet keys would else do nothing else.
	soon, cancel := context.WithTimeout(ctx, time.Duration(1+c.r.IntN(30))*time.Millisecond)
	defer cancel()
	return c.receive(soon)
}

// stall is a consumer that is busy with something else.
func (c *consumer) stall(ctx context.Context) {
	busy := time.NewTimer(time.Duration(10+c.r.IntN(400)) * time.Millisecond)
	defer busy.Stop()
	select {
	case <-busy.C:
	case <-ctx.Done():
	}
}

// request draws a watch.
func (c *consumer) request() watch.Request {
	r := c.r
	req := watch.Request{PrevKV: r.IntN(3) == 0, NoPut: r.IntN(8) == 0, NoDelete: r.IntN(8) == 0, Progress: r.IntN(4) == 0}
	switch r.IntN(10) {
	case 0:
		req.Key, req.End = []byte{0}, []byte{0} // everything
	case 1:
		req.Key, req.End = []byte("k/1"), []byte("k/2") // a prefix
	case 2:
		req.Key, req.End = fmt.Appendf(nil, "k/%02d", r.IntN(3)), []byte("k/1") // ranges
	case 3:
		req.Key, req.End = []byte("k/15"), []byte{0} // open
	case 4:
		req.Key, req.End = []byte("big/"), []byte("big0")
	case 5:
		req.Key, req.End = []byte("x"), []byte("y") // nothing
	default:
		req.Key = key(r.IntN(keyCount))
	}
	switch r.IntN(5) {
	case 0:
		req.Policy = watch.Latest
	case 1:
		req.Policy, req.MaxLagRevisions, req.MaxLagBytes = watch.Cancel, oneOf[int64](r, 0, 50, 2000), oneOf[int64](r, 0, 1<<20)
	}
	switch now := c.w.store.Rev(); r.IntN(6) {
	case 0:
		req.StartRevision = now + r.Int64N(20) // later, perhaps
	case 1:
		req.StartRevision = max(1, now-r.Int64N(300))
	case 2:
		req.StartRevision = max(1, c.w.store.CompactRev()-5+r.Int64N(100)) // too late, perhaps
	}
	return req
}

func (c *consumer) watch(req watch.Request, resumes *watchtest.Watch) bool {
	id, err := c.stream.Watch(req)
	if !assert.NoError(c.w.t, err) {
		return false
	}
	check, err := c.check.Expect(id, req, resumes)
	c.open = append(c.open, opened{id, req, check})
	return c.kept(err)
}

// refused asks for what no stream grants.
func (c *consumer) refused() bool {
	req := c.request()
	switch c.r.IntN(3) {
	case 0:
		req.ID = -1 - c.r.Int64N(5)
	case 1:
		req.Key, req.End = []byte("b"), []byte("a")
	case 2:
		req.StartRevision = -1 - c.r.Int64N(5)
	}
	_, err := c.stream.Watch(req)
	return assert.Error(c.w.t, err) && c.kept(c.check.Refused(req, err))
}

// cancel ends a watch; again makes another under its id at once: X5.
func (c *consumer) cancel(again bool) bool {
	if len(c.open) == 0 {
		return true
	}
	n := c.r.IntN(len(c.open))
	id := c.open[n].id
	c.open = slices.Delete(c.open, n, n+1)
	c.check.CancelAsked(id)
	// The hub may have ended it and the response be under way.
	if err := c.stream.Cancel(id); err != nil && !assert.ErrorIs(c.w.t, err, watch.ErrNoWatch) {
		return false
	}
	if !again {
		return true
	}
	req := c.request()
	req.ID = id
	return c.watch(req, nil)
}

// receive takes what is there and has it checked.
func (c *consumer) receive(ctx context.Context) bool {
	rs, err := c.stream.Recv(ctx)
	if err != nil {
		return ctx.Err() != nil || assert.NoError(c.w.t, err)
	}
	if !c.kept(c.check.Deliver(rs)) {
		return false
	}
	for i := range rs {
		if rs[i].Canceled {
			c.open = slices.DeleteFunc(c.open, func(o opened) bool { return c.check.Ended(o.check) })
			break
		}
	}
	return true
}

// kept fails the test with what the checker saw, if it saw a promise broken.
func (c *consumer) kept(err error) bool {
	var b *watchtest.Broken
	if errors.As(err, &b) {
		c.w.t.Log(strings.Join(b.Record, "\n"))
	}
	return assert.NoError(c.w.t, err)
}

// settle asks for progress when nobody writes any more, and reads until it
// has come: then everything must have been delivered.
func (c *consumer) settle() {
	if !c.watch(watch.Request{Key: []byte(probe)}, nil) {
		return
	}
	rev := c.w.store.Rev()
	c.open = slices.DeleteFunc(c.open, func(o opened) bool {
		if o.req.StartRevision <= rev {
			return false
		}
		c.check.CancelAsked(o.id) // nothing reaches its start any more
		if err := c.stream.Cancel(o.id); err != nil {
			assert.ErrorIs(c.w.t, err, watch.ErrNoWatch)
		}
		return true
	})
	c.check.ProgressAsked(rev)
	if !assert.NoError(c.w.t, c.stream.RequestProgress()) {
		return
	}
	for c.check.Owes() > 0 {
		if !c.receiveSoon(rev) {
			return
		}
	}
	c.kept(c.check.Finish(rev))
}

// receiveSoon receives, and fails if nothing comes for as long as patience.
func (c *consumer) receiveSoon(rev int64) bool {
	bounded, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	if !c.receive(bounded) {
		return false
	}
	if bounded.Err() != nil {
		c.hangs(rev)
		return false
	}
	return true
}

// hangs says what is known of a stream that waits in vain, and where every
// goroutine stands.
func (c *consumer) hangs(rev int64) {
	var at strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&at, 1)
	var behind strings.Builder
	for _, w := range c.w.hub.Watches() {
		if w.State != watch.Synced {
			fmt.Fprintf(&behind, "stream %d: watch %d %q %q %v %v next %d\n", w.Stream, w.ID, w.Key, w.End, w.Policy, w.State, w.Next)
		}
	}
	for _, o := range c.open {
		fmt.Fprintln(&behind, o.check)
	}
	assert.Fail(c.w.t, "progress never came", "revision %d, %+v\n%s\n%s", rev, c.w.hub.Stats(), behind.String(), at.String())
}
