package mvcc

import (
	"runtime"
	"sync/atomic"
	"time"
)

// gathering is how a leader lets those whom the batch before has just
// acknowledged stage once more: without it a group holds half of the writers,
// and each waits for two flushes. It sleeps, and the last of them wakes it: a
// leader that spins may hold the processor that they need.
type gathering struct {
	full     chan struct{} // a token from the writer that was the last awaited
	joined   atomic.Int64  // transactions in the open group; changed under writer
	awaited  atomic.Int64  // whoever is this one to join wakes the leader; 0: nobody
	expected int64         // that waited when the last batch was durable; this and below under applyMu
	took     time.Duration // the last batch
	misses   int           // waits in vain in a row, up to mostMisses
	skips    int           // groups that are taken without waiting
}

const (
	// worthGathering: a faster batch is written while one would wait.
	worthGathering = 100 * time.Microsecond
	// mostMisses: where those who were acknowledged do not come back at once,
	// one of 1<<mostMisses groups, nearly, waits for them.
	mostMisses = 6
)

// wait returns when all who are expected have joined, or half the time of a
// batch is over. Needs applyMu.
func (g *gathering) wait() {
	runtime.Gosched()
	if g.skips > 0 || g.took < worthGathering {
		g.skips = max(g.skips-1, 0)
		return
	}
	select {
	case <-g.full: // left from a leader that did not wait for it
	default:
	}
	g.awaited.Store(g.expected)
	defer g.awaited.Store(0)
	if g.joined.Load() >= g.expected {
		g.misses = 0
		return
	}
	timer := time.NewTimer(g.took / 2)
	defer timer.Stop()
	select {
	case <-g.full:
		g.misses = 0
	case <-timer.C:
		g.misses = min(g.misses+1, mostMisses)
		g.skips = 1<<g.misses - 2
	}
}

// join counts one more in the open group. Needs writer.
func (g *gathering) join() {
	if g.joined.Add(1) == g.awaited.Load() {
		poke(g.full)
	}
}
