package mvcc

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Waiters that give up and waiters that are woken share the list and, one
// after the other, the same waiters: nobody sleeps through a change, and
// nobody is woken by a token that was another's.
func TestSignal_ManyWaitersAndWakers(t *testing.T) {
	const waiters, steps = 8, 200
	var g signal
	var state atomic.Int64
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() {
			for next := int64(1); next <= steps; {
				ctx, cancel := context.WithCancel(context.Background())
				if i%2 == 0 {
					go cancel() // at any moment, also when it has been woken
				}
				err := g.wait(ctx, func() bool { return state.Load() >= next })
				cancel()
				if err == nil {
					next++
				}
			}
		})
	}
	for range steps {
		state.Add(1)
		g.wake()
		runtime.Gosched()
	}
	wg.Wait()
	assert.Zero(t, g.parked.Load())
	assert.Empty(t, g.waiters)
}

// Waiting and waking allocate nothing: it happens with every few writes.
func TestSignal_AllocatesNothing(t *testing.T) {
	var g signal
	var state atomic.Int64
	turns := make(chan int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for next := range turns {
			_ = g.wait(context.Background(), func() bool { return state.Load() >= next })
		}
	}()
	next := int64(0)
	turn := func() {
		next++
		turns <- next
		for g.parked.Load() == 0 {
			runtime.Gosched()
		}
		state.Store(next)
		g.wake()
	}
	turn()
	assert.Zero(t, testing.AllocsPerRun(200, turn))
	close(turns)
	<-done
}

// What yields took is paid off by writes, little by each, however long ago
// the one before was.
func TestYielding_OwesWhatItTook(t *testing.T) {
	var y yielding
	y.owed.Store(int64(yieldOwes))
	for y.owed.Load() > int64(yieldEarns) {
		before := y.owed.Load()
		y.last.Store(0)
		y.yield()
		require.GreaterOrEqual(t, y.owed.Load(), before-int64(yieldEarns))
		require.Less(t, y.owed.Load(), before)
	}
	y.yield()
	assert.LessOrEqual(t, y.owed.Load(), int64(yieldOwes))
}

// BenchmarkSignal wakes one who waits, as each write does that dispatch is
// quicker than:
//
//	go test ./mvcc -run NONE -bench Signal -benchmem
func BenchmarkSignal(b *testing.B) {
	var g signal
	var state atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for next := int64(1); next <= int64(b.N); next++ {
			_ = g.wait(context.Background(), func() bool { return state.Load() >= next })
		}
	}()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		state.Add(1)
		g.wake()
		runtime.Gosched()
	}
	<-done
}
