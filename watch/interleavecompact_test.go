package watch

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// compact compacts the store at a revision that is not compacted yet.
func (w *theater) compact(rev int64) {
	if err := w.source.Compact(context.Background(), rev); !errors.Is(err, mvcc.ErrCompacted) {
		require.NoError(w.t, err)
	}
}

// next is the next revision the watch wants, 0 without one.
func (w *theater) next() int64 {
	for _, info := range w.hub.Watches() {
		return info.Next
	}
	return 0
}

// verifyToldOrWhole: the watch got everything, or a beginning of it without a
// hole and then was told, once, that the rest is gone.
func verifyToldOrWhole(w *theater) {
	lives := w.lives()
	require.Len(w.t, lives, 1)
	l := lives[0]
	w.check(l, 2, l.ended == nil)
	if l.ended != nil {
		require.Positive(w.t, l.ended.CompactRevision)
		require.Empty(w.t, w.hub.Watches())
	}
}

// G1 G2 G3 N7 P2 C10: a compaction at the very revision that the watch wants
// next, whatever step of its catch-up it falls into: nothing is lost, nobody
// is told. Before the watch is there it is at its start.
func TestInterleave_CompactionAtTheNextRevision(t *testing.T) {
	everyBoundary(t, func(w *theater) {
		if rev := min(max(w.next(), 2), w.source.Rev()); rev > 0 {
			w.compact(rev)
		}
	}, func(w *theater) {
		lives := w.lives()
		require.Len(w.t, lives, 1)
		require.Nil(w.t, lives[0].ended, "told although nothing it wants is gone")
		w.check(lives[0], 2, true)
	})
}

// G3 C11 C12 V3: a compaction above what the watch wants next.
func TestInterleave_CompactionAboveTheNextRevision(t *testing.T) {
	everyBoundary(t, func(w *theater) {
		w.compact(min(max(w.next(), 2)+20, w.source.Rev()))
	}, verifyToldOrWhole)
}

// G3 C11 C12 V3: a compaction of everything, and another one later.
func TestInterleave_CompactionAtTheCurrentRevision(t *testing.T) {
	everyBoundary(t, func(w *theater) {
		w.compact(w.source.Rev())
		if !w.dispatching {
			w.put("a")
			w.put("a")
			w.compact(w.source.Rev())
		}
	}, verifyToldOrWhole)
}

// R4 C11 C12: a bump tells whoever had not all of what was before it, and
// those who had, since they cannot know; a watch that begins behind it gets
// what follows.
func TestInterleave_Bump(t *testing.T) {
	everyBoundary(t, func(w *theater) {
		require.NoError(w.t, w.source.Bump(context.Background(), 50))
	}, func(w *theater) {
		lives := w.lives()
		require.Len(w.t, lives, 1)
		require.NotNil(w.t, lives[0].ended)
		w.check(lives[0], 2, false)
		bumped := lives[0].ended.CompactRevision
		w.watch(bumped)
		w.dispatch()
		w.settle()
		lives = w.lives()
		require.Len(w.t, lives, 2)
		require.Nil(w.t, lives[1].ended)
		w.check(lives[1], bumped, true)
	})
}
