package mvcc

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// syncLog notes for every Apply whether it was to be durable, and states its
// own largest batch.
type syncLog struct {
	backend.Engine
	maxOps int
	log    []backend.Syncing
}

func (e *syncLog) Apply(b *backend.Batch, s backend.Syncing) error {
	e.log = append(e.log, s)
	return e.Engine.Apply(b, s)
}

func (e *syncLog) Stats() backend.Stats {
	st := e.Engine.Stats()
	st.MaxBatchOps = e.maxOps
	return st
}

// since returns what was noted since the last call.
func (e *syncLog) since() []backend.Syncing {
	got := e.log
	e.log = nil
	return got
}

// G7, R1, R3: what is acknowledged was synced: a group, the last part of a
// revision that no batch holds, the mark of a compaction before anything is
// deleted and the one behind it, a bump, the end. Parts and deletes are not
// synced one by one.
func TestApply_SyncsWhatIsAcknowledged(t *testing.T) {
	const maxOps = 20
	engine := &syncLog{Engine: memEngine(t), maxOps: maxOps}
	s := openTuned(t, engine, Config{}, smallSteps)
	engine.since()
	one := []backend.Syncing{backend.Sync}
	put(t, s, "a", "1")
	require.Equal(t, one, engine.since())
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		for i := range 2 * maxOps {
			if err := tx.Put(fmt.Appendf(nil, "k%02d", i), nil, 0); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	parts := engine.since()
	require.Greater(t, len(parts), 2)
	require.Equal(t, backend.Sync, parts[len(parts)-1], "the last part makes all of them durable")
	require.NotContains(t, parts[:len(parts)-1], backend.Sync)

	put(t, s, "a", "2")
	engine.since()
	_, err = s.DeleteRange(ctx, []byte("k"), []byte("l"))
	require.NoError(t, err)
	engine.since()
	put(t, s, "a", "3")
	engine.since()
	require.NoError(t, s.Compact(ctx, s.Rev()))
	steps := engine.since()
	require.Greater(t, len(steps), 3)
	require.Equal(t, backend.Sync, steps[0], "the decision")
	require.Equal(t, backend.Sync, steps[len(steps)-1], "that it is finished")
	require.NotContains(t, steps[1:len(steps)-1], backend.Sync)
	require.NoError(t, s.Bump(ctx, 10))
	require.Equal(t, backend.Sync, engine.since()[0])
	require.NoError(t, s.Close())
	require.Equal(t, one, engine.since())

	s = openTuned(t, engine, Config{Durability: Relaxed(hour)}, smallSteps)
	require.Equal(t, one, engine.since(), "the ceiling, before any revision is assigned")
	put(t, s, "a", "4")
	require.Empty(t, engine.since())
	flushed(t, s)
	require.NotContains(t, engine.since(), backend.NoSync)
}

// R6: the cause that ended writing is the first one, whatever fails later.
func TestFailure_FirstCauseIsKept(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	first, second := errors.New("the first"), errors.New("the second")
	require.ErrorIs(t, s.fail(first), first)
	require.ErrorIs(t, s.fail(second), first)
	_, err := s.Put(ctx, []byte("a"), nil)
	require.ErrorIs(t, err, ErrFailed)
	require.ErrorIs(t, err, first)
	require.NotErrorIs(t, err, second)
	require.ErrorContains(t, err, "revision 3")
}
