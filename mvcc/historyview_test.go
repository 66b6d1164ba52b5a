package mvcc

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// G3: what becomes durable after a chunk's view was opened is not in that
// view, and the chunk does not claim to be complete up to it.
func TestHistory_NotCompleteBeyondItsView(t *testing.T) {
	engine := &stepEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{RecentBytes: 1})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	engine.at(afterView, func() { put(t, s, "a", "3") })
	chunk, err := s.History(ctx, HistoryQuery{From: 2, To: 100})
	require.NoError(t, err)
	require.EqualValues(t, 4, s.Rev(), "the put came between")
	require.Equal(t, []string{"put a=1@2", "put a=2@3"}, showEvents(chunk.Events))
	require.EqualValues(t, 4, chunk.Next)
	chunk, err = s.History(ctx, HistoryQuery{From: chunk.Next, To: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"put a=3@4"}, showEvents(chunk.Events))
}
