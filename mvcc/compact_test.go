package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
)

func TestCompact_Refusals(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	require.ErrorIs(t, s.Compact(ctx, 4), ErrFutureRevision)
	require.Equal(t, &CompactedError{0, 0}, s.Compact(ctx, 0))
	require.NoError(t, s.Compact(ctx, 3))
	require.Equal(t, &CompactedError{3, 3}, s.Compact(ctx, 3))
	_, err := s.Range([]byte("a"), nil, RangeOptions{Rev: 2})
	require.Equal(t, &CompactedError{2, 3}, err)
	require.ErrorIs(t, err, ErrCompacted)
	require.Equal(t, &CompactedError{2, 3}, s.CheckStart(2))
	require.NoError(t, s.CheckStart(3))
	_, err = s.ReadRevisions(ctx, nil, []KeyRev{{Main: 2}})
	require.Equal(t, &CompactedError{2, 3}, err)
	// E8: no event, no revision.
	require.EqualValues(t, 3, s.Rev())
	require.Equal(t, []string{"put a=2@3"}, history(t, s, 3))
}

// R2: the revision never goes down, also when the last one was a delete that
// compactions removed.
func TestCompact_RevisionSurvivesRemovedTombstone(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{})
	put(t, s, "a", "1")
	del(t, s, "a")
	require.NoError(t, s.Compact(ctx, 3))
	require.NoError(t, s.Close())
	var b backend.Batch // as etcd, which removes the tombstone at the revision
	b.Delete(backend.SpaceKey, append(firstKeyOf(3), 't'))
	b.Delete(backend.SpaceMeta, metaEnd)
	require.NoError(t, engine.Apply(&b, backend.Sync))
	s = openOn(t, engine, Config{})
	require.EqualValues(t, 3, s.Rev())
	require.EqualValues(t, 3, s.CompactRev())
	require.EqualValues(t, 4, put(t, s, "b", "1"))
}

// R3: a compaction that a crash cut at any write is completed by the next
// open, and the compact revision never goes down.
func TestCompact_ResumesAfterCrash(t *testing.T) {
	fill := func(s *Store) {
		for i := range 10 {
			put(t, s, fmt.Sprint("k", i%3), fmt.Sprint(i))
		}
		del(t, s, "k0")     // 12
		put(t, s, "z", "1") // 13
	}
	clean := memEngine(t)
	s := openTuned(t, clean, Config{}, smallSteps)
	fill(s)
	require.NoError(t, s.Compact(ctx, 12))
	require.NoError(t, s.Close())
	want := keySpace(t, clean)
	require.Len(t, want, 4) // k1, k2, the tombstone of k0, z

	for n := 1; ; n++ {
		faulty := backendtest.NewFaulty(memEngine(t))
		s := openTuned(t, faulty, Config{}, smallSteps)
		fill(s)
		before := s.CompactRev()
		faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk})
		err := s.Compact(ctx, 12)
		if err == nil {
			require.Greater(t, n, 3, "writes of a compaction")
			return
		}
		require.ErrorIs(t, err, errDisk)
		told := s.CompactRev()
		require.ErrorIs(t, s.Close(), ErrFailed)
		s = openTuned(t, faulty, Config{}, smallSteps)
		require.GreaterOrEqual(t, s.CompactRev(), max(before, told))
		if s.CompactRev() == 0 {
			require.NoError(t, s.Compact(ctx, 12))
		}
		_, err = s.HashKV(ctx, 0) // waits for what goes on in the background
		require.NoError(t, err)
		require.Equal(t, want, keySpace(t, faulty), "cut at write %d", n)
		require.Equal(t, []string{"k1=7@9", "k2=8@10", "z=1@13"}, all(t, s, 0))
		require.Equal(t, []string{"del k0@12", "put z=1@13"}, history(t, s, 12))
	}
}

// keySpace lists the record keys.
func keySpace(t *testing.T, engine backend.Engine) []string {
	t.Helper()
	view, err := engine.View()
	require.NoError(t, err)
	defer func() { require.NoError(t, view.Close()) }()
	var got []string
	require.NoError(t, view.Scan(backend.SpaceKey, nil, nil, func(key, _ []byte) bool {
		got = append(got, fmt.Sprintf("%x", key))
		return true
	}))
	return got
}

// A caller who leaves does not stop a compaction; Close stops it between two
// batches and the next open goes on.
func TestCompact_CallerLeaves(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openTuned(t, engine, Config{}, smallSteps)
	for i := range 10 {
		put(t, s, "a", fmt.Sprint(i))
	}
	leaving, cancel := context.WithCancel(ctx)
	done := make(chan error)
	engine.mu.Lock()
	entered := engine.entered
	engine.mu.Unlock()
	go func() { done <- s.Compact(leaving, 11) }()
	engine.awaitApply(entered + 1) // the mark
	await(func() bool { return s.CompactRev() == 11 })
	release := engine.hold()
	cancel()
	err := <-done
	if err != nil { // it may have been faster than we were
		require.ErrorIs(t, err, context.Canceled)
	}
	require.EqualValues(t, 11, s.CompactRev())
	release()
	_, err = s.HashKV(ctx, 0)
	require.NoError(t, err)
	require.Len(t, keySpace(t, engine), 1)
}

// Readers, writers and compactions at once: a reader gets what was there at
// its revision, or is told that it is compacted.
func TestCompact_BesideReadersAndWriters(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		cfg.RecentBytes = 2000 // most reads meet the engine
		s := openTuned(t, memEngine(t), cfg, tuning{ceilingStep: 1000, partBytes: 4096, deleteBatch: 3, compactChunk: 7})
		const keys, rounds = 5, 150
		errs := make(chan error, 4)
		stop := make(chan struct{})
		go func() { // key i has, at revision r, the value of the last put <= r
			defer close(stop)
			for i := range keys * rounds {
				rev, err := s.Put(ctx, fmt.Append(nil, i%keys), fmt.Append(nil, i))
				if err != nil || rev != int64(i+2) {
					errs <- fmt.Errorf("put %d: %d %w", i, rev, err)
					return
				}
			}
			errs <- nil
		}()
		reader := func(check func(rev int64) error) {
			for {
				select {
				case <-stop:
					errs <- nil
					return
				default:
				}
				rev := s.Rev() - 3
				if err := check(max(rev, 1)); err != nil && !errors.Is(err, ErrCompacted) {
					errs <- err
					return
				}
			}
		}
		go reader(func(rev int64) error {
			res, err := s.Range(everyKey, everyKey, RangeOptions{Rev: rev})
			for _, kv := range res.KVs {
				want := lastPut(string(kv.Key), rev, keys)
				if string(kv.Value) != fmt.Sprint(want) || kv.ModRevision != want+2 {
					return fmt.Errorf("at %d: %s = %s@%d, want %d", rev, kv.Key, kv.Value, kv.ModRevision, want)
				}
			}
			if err == nil && int64(len(res.KVs)) != min(rev-1, keys) {
				return fmt.Errorf("at %d: %d keys", rev, len(res.KVs))
			}
			return err
		})
		go reader(func(rev int64) error {
			chunk, err := s.History(ctx, HistoryQuery{From: rev, To: rev + 3})
			for i, e := range chunk.Events {
				if e.KV.ModRevision != rev+int64(i) && rev > 1 {
					return fmt.Errorf("history from %d: event %d has revision %d", rev, i, e.KV.ModRevision)
				}
			}
			if err != nil {
				return err
			}
			evs := make([]*Event, len(chunk.Events))
			for i := range evs {
				evs[i] = &chunk.Events[i]
			}
			prev, missing, err := s.Previous(ctx, nil, evs)
			for i, kv := range prev {
				if kv != nil && kv.ModRevision != evs[i].KV.ModRevision-keys {
					return fmt.Errorf("previous of %d is %d", evs[i].KV.ModRevision, kv.ModRevision)
				}
				if kv == nil && missing == 0 && evs[i].KV.ModRevision > keys+1 {
					return fmt.Errorf("previous of %d is absent and not counted", evs[i].KV.ModRevision)
				}
			}
			return err
		})
		go func() {
			for last := int64(0); ; {
				select {
				case <-stop:
					errs <- nil
					return
				default:
				}
				if rev := s.Rev() - 2; rev > last {
					if err := s.Compact(ctx, rev); err != nil {
						errs <- err
						return
					}
					last = rev
				}
			}
		}()
		for range 4 {
			require.NoError(t, <-errs)
		}
	})
}

// lastPut is the number of the last put of key at rev.
func lastPut(key string, rev int64, keys int64) int64 {
	var k int64
	fmt.Sscan(key, &k)
	last := rev - 2
	return last - (last-k)%keys
}

// R4: a bumped store tells all who knew higher revisions; keys stay.
func TestBump(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		engine := memEngine(t)
		s := openTuned(t, engine, cfg, smallSteps)
		put(t, s, "a", "1")
		put(t, s, "a", "2")
		require.Error(t, s.Bump(ctx, 0))
		require.NoError(t, s.Bump(ctx, 1000))
		for range 2 {
			require.EqualValues(t, 1003, s.Rev())
			require.EqualValues(t, 1003, s.CompactRev())
			require.Equal(t, &CompactedError{700, 1003}, s.CheckStart(700))
			require.Equal(t, []string{"a=2@3"}, all(t, s, 0))
			require.NoError(t, s.Close())
			s = openTuned(t, engine, cfg, smallSteps)
		}
		require.EqualValues(t, 1004, put(t, s, "a", "3"))
		_, _, ok := s.Recent(nil, 1003, 10)
		require.False(t, ok)
		require.Equal(t, []string{"put a=3@1004"}, history(t, s, 1003))
	})
}

func TestRetention_Target(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	byRevisions := retention{AutoCompact: AutoCompact{Revisions: 10}}
	require.Zero(t, byRevisions.target(start, 5))
	require.EqualValues(t, 15, byRevisions.target(start, 25))
	byAge := retention{AutoCompact: AutoCompact{Age: time.Hour}}
	require.Zero(t, byAge.target(start, 5))
	require.Zero(t, byAge.target(start.Add(59*time.Minute), 50))
	require.EqualValues(t, 5, byAge.target(start.Add(60*time.Minute), 500))
	require.EqualValues(t, 500, byAge.target(start.Add(120*time.Minute), 5000))
	require.LessOrEqual(t, len(byAge.samples), 3)
	both := retention{AutoCompact: AutoCompact{Age: time.Hour, Revisions: 10}}
	both.target(start, 5)
	require.Zero(t, both.target(start.Add(time.Hour), 10))
	require.EqualValues(t, 5, both.target(start.Add(time.Hour), 100))
	require.Equal(t, 6*time.Minute/10, autoCompactInterval(AutoCompact{Age: 6 * time.Minute}))
	require.Equal(t, 5*time.Minute, autoCompactInterval(AutoCompact{Age: 60 * time.Hour}))
	require.Equal(t, time.Minute, autoCompactInterval(AutoCompact{Revisions: 1}))
}

func TestAutoCompact_KeepsWhatIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openMem(t, Config{AutoCompact: AutoCompact{Age: time.Hour, Interval: time.Minute}})
		defer s.Close()
		put(t, s, "a", "1")
		put(t, s, "a", "2")
		time.Sleep(30 * time.Minute) // of the bubble's clock
		put(t, s, "a", "3")
		time.Sleep(31*time.Minute + time.Second)
		synctest.Wait()
		require.EqualValues(t, 3, s.CompactRev())
		require.Equal(t, []string{"a=3@4"}, all(t, s, 0))
	})
}
