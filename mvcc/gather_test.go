package mvcc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newGathering(expected int64, took time.Duration) *gathering {
	return &gathering{full: make(chan struct{}, 1), expected: expected, took: took}
}

// The last one who is expected wakes the leader, at whatever moment.
func TestGathering_WakesWhenAllJoined(t *testing.T) {
	for range 1000 {
		g := newGathering(3, time.Hour) // the wait would not end
		g.join()
		go func() {
			g.join()
			g.join()
			g.join() // and one nobody waits for
		}()
		g.wait()
		require.GreaterOrEqual(t, g.joined.Load(), int64(3))
		require.Zero(t, g.misses)
		require.Zero(t, g.awaited.Load())
	}
}

// A writer alone, or a batch that takes no time, waits for nobody.
func TestGathering_NobodyToWaitFor(t *testing.T) {
	g := newGathering(1, time.Hour)
	g.join()
	g.wait()
	g = newGathering(64, worthGathering-1)
	g.join()
	g.wait()
	require.Zero(t, g.misses)
}

// Those who do not come back are waited for less and less, and again when
// they do.
func TestGathering_WaitsLessInVain(t *testing.T) {
	g := newGathering(2, worthGathering)
	g.join()
	waits := 0
	for range 1000 {
		skips := g.skips
		g.wait()
		if skips == 0 {
			waits++
		}
	}
	require.Equal(t, mostMisses, g.misses)
	require.Less(t, waits, 30)
	g.join()
	for range 1 << mostMisses {
		g.wait()
	}
	require.Zero(t, g.misses)
}
