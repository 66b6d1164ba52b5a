package mvcc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/backendtest"
)

// withGap returns an engine that a store in Relaxed left without closing:
// revisions 2 and 3 are durable, 4 and 5 were shown and lost, and the next
// open goes on after 11.
func withGap(t *testing.T) *backendtest.Faulty {
	t.Helper()
	faulty := backendtest.NewFaulty(memEngine(t))
	s := openTuned(t, faulty, Config{Durability: Relaxed(hour)}, smallSteps)
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	flushed(t, s)
	put(t, s, "a", "lost")
	put(t, s, "a", "lost")
	crash(t, s, faulty)
	return faulty
}

// R1: who saw what a crash took is told, also after a compaction below the
// gap and the restart that follows.
func TestGap_OutlivesACompactionBelow(t *testing.T) {
	engine := withGap(t)
	s := openTuned(t, engine, Config{}, smallSteps)
	require.NoError(t, s.Compact(ctx, 3))
	for range 2 {
		require.NoError(t, s.CheckStart(4), "who saw no more than is there")
		require.Equal(t, &CompactedError{5, 12}, s.CheckStart(5))
		require.Equal(t, &CompactedError{11, 12}, s.CheckStart(11))
		require.NoError(t, s.Close())
		s = openTuned(t, engine, Config{}, smallSteps)
	}
}

// R1: a compaction at the end of the gap does not make revision 11, which may
// have been shown and lost, a place to go on from.
func TestGap_CompactedAtItsEnd(t *testing.T) {
	engine := withGap(t)
	s := openTuned(t, engine, Config{}, smallSteps)
	require.NoError(t, s.Compact(ctx, 11))
	for range 2 {
		require.Equal(t, &CompactedError{11, 12}, s.CheckStart(11))
		require.NoError(t, s.CheckStart(12))
		require.NoError(t, s.Close())
		s = openTuned(t, engine, Config{}, smallSteps)
	}
	require.EqualValues(t, 12, put(t, s, "a", "3"))
	require.NoError(t, s.Compact(ctx, 12))
	require.Empty(t, *s.gaps.Load())
}

// R4: a put that came while Bump held off writers goes on when it is over.
func TestBump_WakesWhoWaited(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	put(t, s, "a", "1")
	engine.mu.Lock()
	entered := engine.entered
	engine.mu.Unlock()
	release := engine.hold()
	bumped, written := make(chan error, 1), make(chan int64, 1)
	go func() { bumped <- s.Bump(ctx, 10) }()
	engine.awaitApply(entered + 1)
	go func() {
		rev, err := s.Put(ctx, []byte("a"), []byte("2"))
		if err != nil {
			rev = -1
		}
		written <- rev
	}()
	await(func() bool { return s.room.parked.Load() > 0 })
	release()
	require.NoError(t, <-bumped)
	require.EqualValues(t, 13, <-written)
}
