package mvcc

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// yieldEarns is the most that one write pays off of what yields took, so
	// that one who seldom writes, and leaves the processor by himself, does
	// not wait each time.
	yieldEarns = 10 * time.Microsecond
	// yieldOwes is the most that one yield counts for: it may have met a
	// collection.
	yieldOwes = time.Millisecond
)

// yielding lets whom a write woke run before the writer goes on. They sit
// behind it in the queue of its processor: a writer that just writes on keeps
// them waiting until another processor takes them, which is ten times later.
// But a yield waits for everybody else who is in that queue, of consumers
// perhaps thousands. So what it took is owed: writers do not yield again
// before they have used as much time themselves.
type yielding struct {
	owed atomic.Int64 // nanoseconds
	last atomic.Int64 // when owed was last looked at, by sinceStart
}

var start = time.Now()

func sinceStart() int64 { return int64(time.Since(start)) }

// yield is called after a write that woke somebody. Concurrent writers may
// overwrite each other's sums, which only makes them less exact.
func (y *yielding) yield() {
	now := sinceStart()
	owed := y.owed.Load() - min(now-y.last.Load(), int64(yieldEarns))
	if owed <= 0 {
		runtime.Gosched()
		began := now
		now = sinceStart()
		owed = min(now-began, int64(yieldOwes))
	}
	y.owed.Store(owed)
	y.last.Store(now)
}
