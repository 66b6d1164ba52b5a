package mvcc

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// signal wakes everybody who waits for some state to change. A waker that
// finds nobody waiting pays one atomic load. mu is a leaf.
type signal struct {
	parked atomic.Int64 // who waits, or was woken and has not run since

	mu      sync.Mutex
	waiters []*waiter
	free    []*waiter // to be used again, at most keptWaiters
}

// waiter is one who waits. It is used again by the next who does: a store
// with a hub parks somebody for every few writes.
type waiter struct {
	at int           // in signal.waiters; -1: taken off by wake. Guarded by signal.mu
	ch chan struct{} // one place; sent by wake as it takes the waiter off the list
}

// keptWaiters is more than the shards of a hub.
const keptWaiters = 64

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
	w := g.enlist()
	// After parked and the list: a waker that changed the state before it read
	// parked is seen here, a later one sends.
	if ready() {
		g.delist(w, false)
		return nil
	}
	select {
	case <-w.ch:
		g.delist(w, true)
		return nil
	case <-ctx.Done():
		g.delist(w, false)
		return ctx.Err()
	}
}

// giveWay lets others run, and counts as waiting meanwhile: a writer that
// yields to those it woke yields to this one too.
func (g *signal) giveWay() {
	g.parked.Add(1)
	runtime.Gosched()
	g.parked.Add(-1)
}

func (g *signal) enlist() *waiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	var w *waiter
	if last := len(g.free) - 1; last >= 0 {
		w, g.free = g.free[last], g.free[:last]
	} else {
		w = &waiter{ch: make(chan struct{}, 1)}
	}
	w.at = len(g.waiters)
	g.waiters = append(g.waiters, w)
	return w
}

// delist withdraws a waiter, which a wake may just have met; woken: its token
// is taken.
func (g *signal) delist(w *waiter, woken bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case w.at >= 0:
		last := len(g.waiters) - 1
		moved := g.waiters[last]
		g.waiters[w.at], moved.at = moved, w.at
		g.waiters[last] = nil
		g.waiters = g.waiters[:last]
	case !woken:
		<-w.ch
	}
	if len(g.free) < keptWaiters {
		g.free = append(g.free, w)
	}
}

// wake wakes all who wait now and reports whether there was anybody: also one
// who was woken before and has not run since.
func (g *signal) wake() bool {
	if g.parked.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, w := range g.waiters {
		w.at = -1
		w.ch <- struct{}{} // of a waiter on the list it is empty
		g.waiters[i] = nil
	}
	g.waiters = g.waiters[:0]
	return true
}
