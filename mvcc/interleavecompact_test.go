package mvcc

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// stepStore holds key a at every revision from 2 to 11, but for 8, where it
// was deleted, and beside it key z since 2; only revision 11 is in memory.
func stepStore(t *testing.T) (*stepEngine, *Store) {
	t.Helper()
	engine := &stepEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{RecentBytes: 1})
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("2"), 0), tx.Put([]byte("z"), []byte("2"), 0))
	})
	require.NoError(t, err)
	for rev := 3; rev <= 11; rev++ {
		if rev == 8 {
			del(t, s, "a")
		} else {
			put(t, s, "a", fmt.Sprint(rev))
		}
	}
	return engine, s
}

// compacting is a step that compacts and returns when all of it is done.
func compacting(t *testing.T, s *Store, rev int64) func() {
	return func() { require.NoError(t, s.Compact(ctx, rev)) }
}

// C9 C10 C11 G3: a chunk of history that begins below a compaction is
// discarded if its view may lack something, and whole if the view was there
// first; one that begins at the compact revision is always whole.
func TestInterleave_HistoryAndCompaction(t *testing.T) {
	for _, c := range []struct {
		at      point
		compact int64
		want    error // of the chunk from revision 4 on
	}{
		{beforeView, 4, nil},
		{afterView, 4, nil},
		{inScan, 4, nil},
		{beforeView, 8, &CompactedError{4, 8}},
		{afterView, 8, &CompactedError{4, 8}},
		{inScan, 8, nil},
		{beforeView, 11, &CompactedError{4, 11}},
		{inScan, 11, nil},
	} {
		t.Run(fmt.Sprintf("%v to %d", c.at, c.compact), func(t *testing.T) {
			engine, s := stepStore(t)
			engine.at(c.at, compacting(t, s, c.compact))
			chunk, err := s.History(ctx, HistoryQuery{From: 4, To: 100, MaxEvents: 3})
			require.False(t, engine.pending())
			require.Equal(t, c.compact, s.CompactRev())
			if c.want != nil {
				require.Equal(t, c.want, err)
				require.Empty(t, chunk.Events)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"put a=4@4", "put a=5@5", "put a=6@6"}, showEvents(chunk.Events))
			require.EqualValues(t, 7, chunk.Next)
			// The next chunk is on its own.
			next, err := s.History(ctx, HistoryQuery{From: chunk.Next, To: 100})
			if chunk.Next < c.compact {
				require.Equal(t, &CompactedError{7, c.compact}, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"put a=7@7", "del a@8", "put a=9@9", "put a=10@10", "put a=11@11"}, showEvents(next.Events))
		})
	}
}

// C10: between two chunks a compaction at the very revision where the next one
// begins, which is a delete and stands in no later view of the key, loses
// nothing.
func TestInterleave_CompactionBetweenChunks(t *testing.T) {
	engine, s := stepStore(t)
	chunk, err := s.History(ctx, HistoryQuery{From: 2, To: 100, MaxEvents: 7})
	require.NoError(t, err)
	require.EqualValues(t, 8, chunk.Next)
	for _, at := range []point{beforeView, afterView, inScan} {
		engine.at(at, func() {
			if s.CompactRev() == 0 {
				compacting(t, s, 8)()
			}
		})
		next, err := s.History(ctx, HistoryQuery{From: 8, To: 100})
		require.NoError(t, err)
		require.Equal(t, []string{"del a@8", "put a=9@9", "put a=10@10", "put a=11@11"}, showEvents(next.Events))
	}
}

// G9 C11: a read at an old revision sees that revision or is told that it is
// compacted, wherever the compaction passes it; at the compact revision it
// always sees it.
func TestInterleave_RangeAndCompaction(t *testing.T) {
	for _, c := range []struct {
		at      point
		compact int64
		want    error
	}{
		{beforeView, 5, nil},
		{afterView, 5, nil},
		{beforeGet, 5, nil},
		{beforeView, 9, &CompactedError{5, 9}},
		{afterView, 9, &CompactedError{5, 9}},
		{beforeGet, 9, nil}, // the view was there first
	} {
		t.Run(fmt.Sprintf("%v to %d", c.at, c.compact), func(t *testing.T) {
			engine, s := stepStore(t)
			engine.at(c.at, compacting(t, s, c.compact))
			res, err := s.Range([]byte("a"), []byte("zz"), RangeOptions{Rev: 5})
			require.False(t, engine.pending())
			if c.want != nil {
				require.Equal(t, c.want, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"a=5@5", "z=2@2"}, show(res.KVs))
		})
	}
}

// G9: who reads what is current is never told that it is compacted, also when
// revisions and compactions pass while it reads.
func TestInterleave_CurrentReadAndCompaction(t *testing.T) {
	for _, at := range []point{beforeView, afterView, beforeGet} {
		t.Run(at.String(), func(t *testing.T) {
			engine, s := stepStore(t)
			engine.at(at, func() {
				put(t, s, "a", "12")
				put(t, s, "a", "13")
				compacting(t, s, 13)()
			})
			res, err := s.Range([]byte("a"), []byte("zz"), RangeOptions{})
			require.False(t, engine.pending())
			require.NoError(t, err)
			want := []string{"a=13@13", "z=2@2"}
			if at == beforeGet {
				want = []string{"a=11@11", "z=2@2"} // as of when it began
			}
			require.Equal(t, want, show(res.KVs))
		})
	}
}

// R4, G9: while a bump moves the compact revision first and the current one
// right after, a read of what is current waits for the second.
func TestInterleave_CurrentReadAndBump(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	s.tail.mu.Lock() // the bump stands between the two
	bumped := make(chan error, 1)
	go func() { bumped <- s.Bump(ctx, 100) }()
	await(func() bool { return s.CompactRev() == 102 })
	require.EqualValues(t, 2, s.Rev())
	read := make(chan error, 1)
	go func() {
		_, _, err := s.Get([]byte("missing"), 0) // needs nothing that the bump holds
		read <- err
	}()
	await(func() bool { return s.shown.parked.Load() > 0 || len(read) > 0 })
	s.tail.mu.Unlock()
	require.NoError(t, <-read)
	require.NoError(t, <-bumped)
	require.Equal(t, []string{"a=1@2"}, all(t, s, 0))
}

// G3 C11: what the index named before a compaction is read whole or answered
// as compacted: never in part, never as damage.
func TestInterleave_IndexWayAndCompaction(t *testing.T) {
	span := SpanOf([]byte("a"), nil)
	for _, c := range []struct {
		at      point
		compact int64
		want    error
	}{
		{beforeView, 4, nil},
		{afterView, 4, nil},
		{beforeGet, 4, nil},
		{beforeView, 6, &CompactedError{4, 6}},
		{afterView, 6, &CompactedError{4, 6}},
		{beforeGet, 6, nil},
		{beforeView, 11, &CompactedError{4, 11}},
	} {
		t.Run(fmt.Sprintf("%v to %d", c.at, c.compact), func(t *testing.T) {
			engine, s := stepStore(t)
			revs, cut, _ := s.Revisions(nil, span, 4, 9, RevLimits{})
			require.False(t, cut)
			engine.at(c.at, compacting(t, s, c.compact))
			events, err := s.ReadRevisions(ctx, nil, revs)
			require.False(t, engine.pending())
			if c.want != nil {
				require.Equal(t, c.want, err)
				require.Empty(t, events)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"put a=4@4", "put a=5@5", "put a=6@6", "put a=7@7", "del a@8", "put a=9@9"}, showEvents(events))
		})
	}
	t.Run("between the look and the read", func(t *testing.T) {
		_, s := stepStore(t)
		revs, _, _ := s.Revisions(nil, span, 4, 9, RevLimits{})
		compacting(t, s, 5)()
		_, err := s.ReadRevisions(ctx, nil, revs)
		require.Equal(t, &CompactedError{4, 5}, err)
		revs, _, _ = s.Revisions(nil, span, 5, 9, RevLimits{})
		require.Len(t, revs, 5)
		events, err := s.ReadRevisions(ctx, nil, revs)
		require.NoError(t, err)
		require.Len(t, events, 5)
	})
}

// P1 P2: a compaction that passes a look for previous values makes some of
// them missing, which is counted; it is no error, and none is wrong.
func TestInterleave_PreviousAndCompaction(t *testing.T) {
	for _, c := range []struct {
		at      point
		compact int64
		missing int
	}{
		{beforeView, 4, 0},
		{afterView, 4, 0},
		{beforeView, 6, 2}, // of the events of 5 and 6
		{afterView, 6, 2},
		{beforeGet, 6, 0}, // the view was there first
		{beforeView, 11, 4},
	} {
		t.Run(fmt.Sprintf("%v to %d", c.at, c.compact), func(t *testing.T) {
			engine, s := stepStore(t)
			chunk, err := s.History(ctx, HistoryQuery{From: 5, To: 9})
			require.NoError(t, err)
			var events []*Event
			for i := range chunk.Events {
				events = append(events, &chunk.Events[i])
			}
			engine.at(c.at, compacting(t, s, c.compact))
			prev, missing, err := s.Previous(ctx, nil, events)
			require.NoError(t, err)
			require.False(t, engine.pending())
			require.Equal(t, c.missing, missing)
			for i, want := range []string{"4", "5", "6", "7", ""} { // 9 is a create
				if i < missing || want == "" {
					require.Nil(t, prev[i], "before revision %d", i+5)
					continue
				}
				require.Equal(t, want, string(prev[i].Value))
				require.EqualValues(t, i+4, prev[i].ModRevision)
			}
		})
	}
}

// R5: a hash and a compaction wait for each other: the hash is of one state.
func TestInterleave_HashAndCompaction(t *testing.T) {
	engine, s := stepStore(t)
	want, err := s.HashKV(ctx, 9)
	require.NoError(t, err)
	done := make(chan error, 1)
	engine.at(inScan, func() {
		go func() { done <- s.Compact(ctx, 6) }()
		put(t, s, "a", "12")
	})
	got, err := s.HashKV(ctx, 9)
	require.NoError(t, err)
	require.Equal(t, want.Hash, got.Hash)
	require.EqualValues(t, -1, got.CompactRev, "the compaction waited")
	require.NoError(t, <-done)

	slow := &slowEngine{Engine: engine.Engine}
	require.NoError(t, s.Close())
	s = openOn(t, slow, Config{})
	compacted, err := s.HashKV(ctx, 9)
	require.NoError(t, err)
	require.EqualValues(t, 6, compacted.CompactRev)
	release := slow.hold()
	go func() { done <- s.Compact(ctx, 8) }()
	await(func() bool { return len(s.compacting) == 0 })
	hashed := make(chan HashResult, 1)
	go func() {
		res, err := s.HashKV(ctx, 9)
		if err == nil {
			hashed <- res
		}
		close(hashed)
	}()
	release()
	require.NoError(t, <-done)
	require.EqualValues(t, 8, (<-hashed).CompactRev, "the hash waited")
}

// G9: a compaction that trims the index of keys that a transaction has just
// written, and which are then taken back, leaves the index as a fresh open
// builds it.
func TestInterleave_UndoAndCompaction(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	put(t, s, "gone", "1")
	del(t, s, "gone")
	put(t, s, "last", "1") // revision 6
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		require.NoError(t, tx.Put([]byte("a"), []byte("no"), 0))
		require.NoError(t, tx.Put([]byte("gone"), []byte("no"), 0))
		require.NoError(t, tx.Put([]byte("new"), []byte("no"), 0))
		_, err := tx.DeleteRange([]byte("last"), nil)
		require.NoError(t, err)
		s.compacted(6)
		s.trimIndex(ctx, 6)
		return errDisk
	})
	require.Equal(t, errDisk, err)
	keys, revisions := s.indexSize()
	require.Equal(t, 2, keys)
	require.EqualValues(t, 2, revisions)
	require.Equal(t, []string{"a=2@3", "last=1@6"}, all(t, s, 0))
	put(t, s, "gone", "2")
	put(t, s, "a", "3")
	kv, _, err := s.Get([]byte("a"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 3, kv.Version)
	kv, _, err = s.Get([]byte("gone"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 1, kv.Version)
}

// P2: a compaction that trims the index while previous values are looked up in
// it makes them missing, and counted, not absent.
func TestInterleave_PreviousAndTrimming(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	put(t, s, "b", "1") // revision 4
	commits, _, ok := s.Recent(nil, 3, 1)
	require.True(t, ok)
	type answer struct {
		prev    []*KeyValue
		missing int
		err     error
	}
	answers := make(chan answer, 1)
	began := make(chan struct{})
	s.mu.Lock() // the look-up stands before the index
	go func() {
		close(began)
		prev, missing, err := s.Previous(ctx, nil, []*Event{&commits[0].Events[0]})
		answers <- answer{prev, missing, err}
	}()
	<-began
	for range 1000 {
		runtime.Gosched() // most often it has seen the old compact revision by then
	}
	s.compacted(4)
	h, ok := s.index.find([]byte("a"))
	require.True(t, ok)
	s.index.revisions -= int64(h.compact(4))
	s.mu.Unlock()
	require.Equal(t, answer{[]*KeyValue{nil}, 1, nil}, <-answers)
}
