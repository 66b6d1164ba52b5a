package backend_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

func TestGateCloseWaitsForAllInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g backend.Gate
		require.NoError(t, g.Enter())
		require.NoError(t, g.Enter())
		var closed atomic.Bool
		go func() {
			assert.NoError(t, g.Close())
			closed.Store(true)
		}()
		synctest.Wait()
		assert.False(t, closed.Load())
		require.ErrorIs(t, g.Enter(), backend.ErrClosed)
		require.ErrorIs(t, g.Close(), backend.ErrClosed, "the second does not wait")
		g.Leave()
		synctest.Wait()
		assert.False(t, closed.Load())
		g.Leave()
		synctest.Wait()
		assert.True(t, closed.Load())
		require.ErrorIs(t, g.Enter(), backend.ErrClosed)
		require.ErrorIs(t, g.Close(), backend.ErrClosed)
	})
}

func TestGateUnderLoad(t *testing.T) {
	var g backend.Gate
	var inside atomic.Int64
	var working, started sync.WaitGroup
	const workers = 8
	started.Add(workers)
	for range workers {
		working.Go(func() {
			for first := true; ; first = false {
				err := g.Enter()
				if first {
					started.Done()
				}
				if err != nil {
					assert.ErrorIs(t, err, backend.ErrClosed)
					return
				}
				inside.Add(1)
				inside.Add(-1)
				g.Leave()
			}
		})
	}
	started.Wait()
	require.NoError(t, g.Close())
	assert.Zero(t, inside.Load())
	working.Wait()
}
