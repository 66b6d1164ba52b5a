package mvcc

import (
	"context"
	"sync"
	"sync/atomic"
)

// signal wakes everybody who waits for some state to change. A waker that
// finds nobody waiting pays one atomic load. mu is a leaf.
type signal struct {
	parked atomic.Int64

	mu sync.Mutex
	ch chan struct{} // closed by wake; made by the first who waits
}

// wait returns nil once ready answers true, which it does for good or with an
// answer the caller checks again. ready is asked before parking and after
// each wake; a state change before the wake is never missed.
func (g *signal) wait(ctx context.Context, ready func() bool) error {
	for !ready() {
		if err := g.park(ctx, ready); err != nil {
			return err
		}
	}
	return nil
}

func (g *signal) park(ctx context.Context, ready func() bool) error {
	g.parked.Add(1)
	defer g.parked.Add(-1)
	ch := g.channel()
	// After parked and channel: a waker that changed the state before it read
	// parked is seen here, a later one closes ch.
	if ready() {
		return nil
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *signal) channel() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch == nil {
		g.ch = make(chan struct{})
	}
	return g.ch
}

// wake wakes all who wait now and reports whether there was anybody.
func (g *signal) wake() bool {
	if g.parked.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch != nil {
		close(g.ch)
		g.ch = nil
	}
	return true
}
