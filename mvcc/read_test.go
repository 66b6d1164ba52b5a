package mvcc

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
)

// eachPlace runs a test with values in memory and with values in the engine.
func eachPlace(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("memory", func(t *testing.T) { test(t, openMem(t, Config{Durability: Relaxed(hour)})) })
	t.Run("engine", func(t *testing.T) { test(t, openMem(t, Config{RecentBytes: 1})) })
}

func TestRange(t *testing.T) {
	eachPlace(t, func(t *testing.T, s *Store) {
		for i, key := range []string{"a", "b", "c", "ca", "d"} { // 2 to 6
			put(t, s, key, fmt.Sprint(i))
		}
		put(t, s, "c", "new") // 7
		del(t, s, "b")        // 8
		for _, test := range []struct {
			name     string
			key, end string
			o        RangeOptions
			want     []string
			count    int64
			more     bool
		}{
			{"single key", "c", "", RangeOptions{}, []string{"c=new@7"}, 1, false},
			{"missing", "x", "", RangeOptions{}, []string{}, 0, false},
			{"deleted", "b", "", RangeOptions{}, []string{}, 0, false},
			{"half open", "a", "d", RangeOptions{}, []string{"a=0@2", "c=new@7", "ca=3@5"}, 3, false},
			{"to the end", "ca", "\x00", RangeOptions{}, []string{"ca=3@5", "d=4@6"}, 2, false},
			{"everything", "\x00", "\x00", RangeOptions{}, []string{"a=0@2", "c=new@7", "ca=3@5", "d=4@6"}, 4, false},
			{"empty key with an end", "", "b", RangeOptions{}, []string{"a=0@2"}, 1, false},
			{"end before key", "d", "a", RangeOptions{}, []string{}, 0, false},
			{"old revision", "a", "d", RangeOptions{Rev: 4}, []string{"a=0@2", "b=1@3", "c=2@4"}, 3, false},
			{"negative revision is the current", "a", "", RangeOptions{Rev: -1}, []string{"a=0@2"}, 1, false},
			{"limit", "a", "z", RangeOptions{Limit: 2}, []string{"a=0@2", "c=new@7"}, 4, true},
			{"limit that is exact", "a", "z", RangeOptions{Limit: 4}, []string{"a=0@2", "c=new@7", "ca=3@5", "d=4@6"}, 4, false},
			{"count only", "a", "z", RangeOptions{CountOnly: true, Limit: 1}, []string{}, 4, false},
			{"keys only", "a", "d", RangeOptions{KeysOnly: true}, []string{"a=@2", "c=@7", "ca=@5"}, 3, false},
			{"keys only, at an old revision", "a", "z", RangeOptions{KeysOnly: true, Rev: 6}, []string{"a=@2", "b=@3", "c=@4", "ca=@5", "d=@6"}, 5, false},
			{"keys only, bytes of one", "a", "z", RangeOptions{KeysOnly: true, MaxBytes: 1}, []string{"a=@2"}, 4, true},
			{"keys only, bytes of three, not counted", "a", "z", RangeOptions{KeysOnly: true, MaxBytes: 3, NoCount: true}, []string{"a=@2", "c=@7", "ca=@5"}, 4, true},
			{"not counted", "a", "z", RangeOptions{Limit: 2, NoCount: true}, []string{"a=0@2", "c=new@7"}, 3, true},
			{"not counted, to the end", "c", "z", RangeOptions{Limit: 3, NoCount: true}, []string{"c=new@7", "ca=3@5", "d=4@6"}, 3, false},
			{"bytes of one", "a", "z", RangeOptions{MaxBytes: 1}, []string{"a=0@2"}, 4, true},
			{"bytes of two", "a", "z", RangeOptions{MaxBytes: 20}, []string{"a=0@2", "c=new@7"}, 4, true},
			{"bytes of the last", "ca", "z", RangeOptions{MaxBytes: 20}, []string{"ca=3@5", "d=4@6"}, 2, false},
			{"bytes of all", "ca", "z", RangeOptions{MaxBytes: 100}, []string{"ca=3@5", "d=4@6"}, 2, false},
		} {
			t.Run(test.name, func(t *testing.T) {
				res, err := s.Range([]byte(test.key), []byte(test.end), test.o)
				require.NoError(t, err)
				require.Equal(t, test.want, show(res.KVs))
				require.Equal(t, test.count, res.Count)
				require.Equal(t, test.more, res.More)
				require.EqualValues(t, 8, res.Rev)
			})
		}
		_, err := s.Range(nil, nil, RangeOptions{})
		require.ErrorIs(t, err, ErrEmptyKey)
		_, err = s.Range([]byte("a"), nil, RangeOptions{Rev: 9})
		require.ErrorIs(t, err, ErrFutureRevision)
		require.ErrorContains(t, err, "revision 9, current is 8")
	})
}

func TestReadRevisions(t *testing.T) {
	eachPlace(t, func(t *testing.T, s *Store) {
		for i := range 300 {
			put(t, s, fmt.Sprint("k", i%7), strings.Repeat("v", i*10))
		}
		del(t, s, "k1") // 302
		revs := []KeyRev{{Main: 302, Tombstone: true}}
		for i := range 300 {
			revs = append(revs, KeyRev{Main: int64(301 - i)})
		}
		evs, err := s.ReadRevisions(ctx, make([]Event, 1), revs)
		require.NoError(t, err)
		require.Len(t, evs, 302)
		require.Equal(t, Event{Type: EventDelete, KV: KeyValue{Key: []byte("k1"), ModRevision: 302}, record: evs[1].record}, evs[1])
		for i, e := range evs[2:] {
			require.EqualValues(t, 301-i, e.KV.ModRevision)
			require.Equal(t, fmt.Sprint("k", (299-i)%7), string(e.KV.Key))
			require.Equal(t, strings.Repeat("v", (299-i)*10), string(e.KV.Value))
			require.Equal(t, len(e.record), e.Size())
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err = s.ReadRevisions(ended, nil, revs)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// P1, P2: the key as it was just before the event.
func TestPrevious(t *testing.T) {
	eachPlace(t, func(t *testing.T, s *Store) {
		put(t, s, "a", "1") // 2
		put(t, s, "a", "2")
		del(t, s, "a")
		put(t, s, "a", "3") // 5
		_, err := s.Update(ctx, func(tx *WriteTx) error { return tx.Put([]byte("b"), []byte("1"), 7) })
		require.NoError(t, err)
		put(t, s, "b", "2") // 7
		flushed(t, s)
		chunk, err := s.History(ctx, HistoryQuery{From: 1, To: 7})
		require.NoError(t, err)
		var evs []*Event
		for i := range chunk.Events {
			evs = append(evs, &chunk.Events[i])
		}
		texts := func() (got []string, missing int) {
			prev, missing, err := s.Previous(ctx, make([]*KeyValue, 1), evs)
			require.NoError(t, err)
			for _, kv := range prev[1:] {
				if kv == nil {
					got = append(got, "-")
				} else {
					got = append(got, show([]KeyValue{*kv})...)
				}
			}
			return got, missing
		}
		got, missing := texts()
		require.Equal(t, []string{"-", "a=1@2", "a=2@3", "-", "-", "b=1@6"}, got)
		require.Zero(t, missing)
		prev, _, err := s.Previous(ctx, nil, evs[5:])
		require.NoError(t, err)
		require.EqualValues(t, 7, prev[0].Lease)
		// P2: below the compact revision it is absent, and counted unless the
		// event says that there was none.
		require.NoError(t, s.Compact(ctx, 6))
		got, missing = texts()
		require.Equal(t, []string{"-", "-", "-", "-", "-", "b=1@6"}, got)
		require.Equal(t, 2, missing)
	})
}

// G4: a chunk ends between revisions, whatever the bound.
func TestHistory_Chunks(t *testing.T) {
	s := openMem(t, Config{})
	for i := range 200 { // revisions 2 to 201, three events each
		_, err := s.Update(ctx, func(tx *WriteTx) error {
			for _, key := range []string{"a", "b", "c"} {
				if err := tx.Put([]byte(key), fmt.Append(nil, i), 0); err != nil {
					return err
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
	onlyB := func(key []byte) bool { return string(key) == "b" }
	for _, test := range []struct {
		name       string
		q          HistoryQuery
		chunks     int
		perChunk   int
		maxScanned int
	}{
		{"no bound", HistoryQuery{}, 1, 600, 600},
		{"events", HistoryQuery{MaxEvents: 10}, 50, 12, 12},
		{"one event", HistoryQuery{MaxEvents: 1}, 200, 3, 3},
		{"scan", HistoryQuery{MaxScan: 7}, 67, 9, 9},
		{"bytes", HistoryQuery{MaxBytes: 1}, 200, 3, 3},
		{"match", HistoryQuery{Match: onlyB, MaxEvents: 10}, 20, 10, 30},
		{"match and scan", HistoryQuery{Match: onlyB, MaxScan: 30}, 20, 10, 30},
	} {
		t.Run(test.name, func(t *testing.T) {
			var evs []Event
			chunks := 0
			for q := test.q; q.From < 202; chunks++ {
				q.To = 1000
				chunk, err := s.History(ctx, q)
				require.NoError(t, err)
				require.LessOrEqual(t, len(chunk.Events), test.perChunk)
				require.LessOrEqual(t, chunk.Scanned, test.maxScanned)
				require.Greater(t, chunk.Next, q.From)
				var bytes int64
				for _, e := range chunk.Events {
					require.Less(t, e.KV.ModRevision, chunk.Next)
					bytes += int64(e.Size())
				}
				require.Equal(t, bytes, chunk.Bytes)
				evs = append(evs, chunk.Events...)
				q.From = chunk.Next
			}
			require.Equal(t, test.chunks, chunks)
			want := 600
			if test.q.Match != nil {
				want = 200
			}
			require.Len(t, evs, want)
			for i, e := range evs {
				require.EqualValues(t, i/(want/200)+2, e.KV.ModRevision)
			}
		})
	}
	chunk, err := s.History(ctx, HistoryQuery{From: 202, To: 1000})
	require.NoError(t, err)
	require.Equal(t, Chunk{Next: 202}, chunk)
	chunk, err = s.History(ctx, HistoryQuery{From: 5, To: 6})
	require.NoError(t, err)
	require.Len(t, chunk.Events, 6)
	require.EqualValues(t, 7, chunk.Next)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.History(ended, HistoryQuery{From: 1, To: 1000})
	require.ErrorIs(t, err, context.Canceled)
}

// In Relaxed, history from the engine ends at what is applied.
func TestHistory_EndsAtApplied(t *testing.T) {
	s := openMem(t, Config{Durability: Relaxed(hour)})
	put(t, s, "a", "1")
	flushed(t, s)
	put(t, s, "a", "2")
	chunk, err := s.History(ctx, HistoryQuery{From: 1, To: 100})
	require.NoError(t, err)
	require.Equal(t, []string{"put a=1@2"}, showEvents(chunk.Events))
	require.EqualValues(t, 3, chunk.Next)
}

// The recent log is bounded in bytes, keeps the newest revision whatever its
// size, and keeps what is not applied.
func TestRecent_Bounds(t *testing.T) {
	s := openMem(t, Config{RecentBytes: 5000})
	for range 100 {
		put(t, s, "a", strings.Repeat("v", 100))
	}
	first := s.RecentFirst()
	st := s.Stats()
	require.LessOrEqual(t, st.RecentBytes, int64(5000))
	require.Equal(t, 102-first, st.RecentRevisions)
	require.Greater(t, st.RecentRevisions, int64(10))
	_, got, ok := s.Recent(nil, first-1, 10)
	require.False(t, ok)
	require.Equal(t, first, got)
	commits, _, ok := s.Recent(nil, first, 5)
	require.True(t, ok)
	require.Len(t, commits, 5)
	for i, c := range commits {
		require.Equal(t, first+int64(i), c.Rev)
		require.Len(t, c.Events, 1)
	}
	commits, _, ok = s.Recent(nil, 102, 5)
	require.True(t, ok)
	require.Empty(t, commits)
	put(t, s, "a", strings.Repeat("v", 100_000))
	require.EqualValues(t, 102, s.RecentFirst())

	s = openMem(t, Config{Durability: Relaxed(hour), RecentBytes: 1})
	for range 100 {
		put(t, s, "a", "1")
	}
	require.EqualValues(t, 2, s.RecentFirst())
	require.Positive(t, s.Stats().PendingBytes)
	flushed(t, s)
	require.EqualValues(t, 101, s.RecentFirst())
	require.Zero(t, s.Stats().PendingBytes)
}

// One answer of Recent is bounded in bytes, and never empty for that.
func TestRecent_AnswerIsBounded(t *testing.T) {
	s := openMem(t, Config{})
	for range 5 {
		put(t, s, "a", strings.Repeat("v", 700<<10))
	}
	commits, _, ok := s.Recent(nil, 2, 100)
	require.True(t, ok)
	require.Equal(t, 1, len(commits))
	put(t, s, "a", "1")
	commits, _, ok = s.Recent(nil, 6, 100)
	require.True(t, ok)
	require.Equal(t, 2, len(commits))
}

func TestWait(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		require.NoError(t, s.Wait(ctx, 1))
		ended, cancel := context.WithCancel(ctx)
		cancel()
		require.NoError(t, s.Wait(ended, 1))
		require.ErrorIs(t, s.Wait(ended, 2), context.Canceled)
		const waiters = 50
		done := make(chan error, waiters)
		for i := range waiters {
			go func() { done <- s.Wait(ctx, int64(i%5+2)) }()
		}
		await(func() bool { return s.shown.parked.Load() == waiters })
		for range 5 {
			put(t, s, "a", "1")
			runtime.Gosched()
		}
		for range waiters {
			require.NoError(t, <-done)
		}
		go func() { done <- s.Wait(ctx, 100) }()
		await(func() bool { return s.shown.parked.Load() == 1 })
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-done, ErrClosed)
	})
}

func TestStats(t *testing.T) {
	s := openMem(t, Config{RecentBytes: 1})
	put(t, s, "a", "1")
	put(t, s, "b", "1")
	put(t, s, "a", "2")
	del(t, s, "b")
	for range 2000 {
		_, _, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
	}
	require.NoError(t, s.Compact(ctx, 5))
	st := s.Stats()
	require.EqualValues(t, 5, st.Rev)
	require.EqualValues(t, 5, st.Applied)
	require.EqualValues(t, 5, st.CompactRev)
	require.Equal(t, 2, st.Keys)
	require.EqualValues(t, 2, st.Revisions)
	require.EqualValues(t, 4, st.Groups)
	require.EqualValues(t, 4, st.Puts)
	require.EqualValues(t, 4, st.Txns)
	require.EqualValues(t, 1, st.Compactions)
	require.EqualValues(t, 2, st.CompactedRecords)
	require.Positive(t, st.ApplyTime)
	require.Positive(t, st.ApplyLongest)
	require.NotEqual(t, float64(getNanosGuess), st.GetNanosPerRead, "learnt by reading")
	require.Equal(t, float64(scanNanosGuess), st.ScanNanosPerEntry)
	require.Empty(t, st.Failed)
	require.NotEmpty(t, st.Engine.Version)
}

// Keys alone come from the index: only for a version that is not its key's
// newest the engine is asked.
func TestRange_KeysOnlyReadsNoRecords(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	faulty := backendtest.NewFaulty(engine)
	t.Cleanup(func() { require.NoError(t, faulty.Close()) })
	s, err := Open(faulty, Config{RecentBytes: 1})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for i := range 50 {
		put(t, s, fmt.Sprint("k", i%20), "v")
	}
	before := faulty.Calls(backendtest.CallGet)
	res, err := s.Range([]byte("k"), []byte("l"), RangeOptions{KeysOnly: true})
	require.NoError(t, err)
	require.Len(t, res.KVs, 20)
	require.Equal(t, KeyValue{Key: []byte("k0"), CreateRevision: 2, ModRevision: 42, Version: 3}, res.KVs[0])
	require.Equal(t, before, faulty.Calls(backendtest.CallGet))
	res, err = s.Range([]byte("k"), []byte("l"), RangeOptions{KeysOnly: true, Rev: 41})
	require.NoError(t, err)
	require.Equal(t, KeyValue{Key: []byte("k0"), CreateRevision: 2, ModRevision: 22, Version: 2}, res.KVs[0])
	require.Equal(t, before+10, faulty.Calls(backendtest.CallGet), "ten keys were put again since")
}
