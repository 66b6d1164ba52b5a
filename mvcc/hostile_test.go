package mvcc

import (
	"bytes"
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
)

// Keys and values of 0 bytes and of the limit are kept on every engine, a
// byte more is refused by name and leaves nothing. Keys are part of records,
// so the engines' own bound on keys does not bind them: the limit is of key
// and value together, and in one batch of any engine at the default.
func TestPut_SizesAtTheLimits(t *testing.T) {
	const limit = defaultMaxRecordBytes
	long := func(n int, last byte) []byte { return append(bytes.Repeat([]byte("x"), n-1), last) }
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			dir := t.TempDir()
			engine := openEngine(t, d, dir)
			s := openOn(t, engine, Config{RecentBytes: 1})
			taken := []KeyValue{
				{Key: []byte("empty")},
				{Key: []byte{0}, Value: []byte{0}},
				{Key: []byte("value"), Value: long(limit-5, 'v')},
				{Key: long(limit, 'k')},
				{Key: long(backend.MaxKeyBytes+1, 'm'), Value: long(1<<20+1, 'v')},
			}
			for _, kv := range taken {
				_, err := s.Put(ctx, kv.Key, kv.Value)
				require.NoError(t, err, "key of %d bytes, value of %d", len(kv.Key), len(kv.Value))
			}
			before := s.Rev()
			for _, kv := range []KeyValue{
				{Key: []byte("value"), Value: long(limit-4, 'v')},
				{Key: long(limit+1, 'k')},
				{Key: long(limit, 'k'), Value: []byte("v")},
			} {
				_, err := s.Put(ctx, kv.Key, kv.Value)
				require.ErrorIs(t, err, ErrTooLarge)
				require.EqualError(t, err, "put of 8388609 bytes, at most 8388608: mvcc: request is too large")
				_, err = s.Update(ctx, func(tx *WriteTx) error {
					return errors.Join(tx.Put([]byte("beside"), nil, 0), tx.Put(kv.Key, kv.Value, 0))
				})
				require.ErrorIs(t, err, ErrTooLarge)
			}
			for _, key := range [][]byte{nil, {}} {
				_, err := s.Put(ctx, key, []byte("v"))
				require.ErrorIs(t, err, ErrEmptyKey)
				_, err = s.DeleteRange(ctx, key, nil)
				require.ErrorIs(t, err, ErrEmptyKey)
				_, err = s.Range(key, nil, RangeOptions{})
				require.ErrorIs(t, err, ErrEmptyKey)
			}
			require.Equal(t, before, s.Rev(), "what is refused makes no revision")
			if !d.Volatile {
				require.NoError(t, s.Close())
				require.NoError(t, engine.Close())
				s = openOn(t, openEngine(t, d, dir), Config{})
			}
			for i, want := range taken {
				kv, ok, err := s.Get(want.Key, 0)
				require.NoError(t, err)
				require.True(t, ok)
				require.Equal(t, int64(i+2), kv.ModRevision)
				require.True(t, bytes.Equal(want.Key, kv.Key) && bytes.Equal(want.Value, kv.Value))
			}
			res, err := s.Range([]byte{0}, []byte{0}, RangeOptions{})
			require.NoError(t, err)
			require.Len(t, res.KVs, len(taken))
		})
	}
}

// Where MaxRecordBytes is above what an engine's batch holds, the batch is
// the limit, and is named.
func TestPut_LimitOfTheEngine(t *testing.T) {
	for _, d := range engines.All() {
		engine := openEngine(t, d, t.TempDir())
		bound := engine.Stats().MaxBatchBytes
		if bound == 0 || bound > 64<<20 {
			continue
		}
		s := openOn(t, engine, Config{MaxRecordBytes: 1 << 30})
		_, err := s.Put(ctx, []byte("k"), make([]byte, bound))
		require.ErrorIs(t, err, ErrTooLarge, d.Name)
		_, err = s.Put(ctx, []byte("k"), make([]byte, s.limits.record-1))
		require.NoError(t, err, d.Name)
		require.Less(t, bound-int64(s.limits.record), int64(4<<10), "%s: next to nothing of a batch is lost", d.Name)
	}
}

// Revisions at both ends of int64 are answered like any that is not there:
// with an error, or with what is; never wrong, and never a panic.
func TestRevisions_AtTheEnds(t *testing.T) {
	const lowest, highest = math.MinInt64, math.MaxInt64
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		put(t, s, "a", "1")
		last := put(t, s, "a", "2")

		_, err := s.Range([]byte("a"), nil, RangeOptions{Rev: highest})
		assert.ErrorIs(t, err, ErrFutureRevision)
		assert.ErrorContains(t, err, "range at revision 9223372036854775807, current is 3")
		kv, ok, err := s.Get([]byte("a"), lowest)
		assert.NoError(t, err)
		assert.True(t, ok && kv.ModRevision == last, "0 or less is the current revision")
		res, err := s.Range([]byte("a"), nil, RangeOptions{Limit: lowest})
		assert.NoError(t, err)
		assert.Len(t, res.KVs, 1)

		assert.ErrorIs(t, s.Compact(ctx, highest), ErrFutureRevision)
		assert.ErrorIs(t, s.Compact(ctx, lowest), ErrCompacted)
		for _, by := range []int64{lowest, -1, 0} {
			assert.ErrorContains(t, s.Bump(ctx, by), "at least 1 expected")
		}
		assert.ErrorIs(t, s.Bump(ctx, highest), ErrExhausted)
		assert.ErrorIs(t, s.Bump(ctx, maxRevision-last+1), ErrExhausted)
		_, err = s.HashKV(ctx, highest)
		assert.ErrorIs(t, err, ErrFutureRevision)
		_, err = s.HashKV(ctx, lowest)
		assert.NoError(t, err)

		assert.ErrorIs(t, s.CheckStart(lowest), ErrCompacted)
		assert.NoError(t, s.CheckStart(highest))
		waiting, cancel := context.WithCancel(ctx)
		cancel()
		assert.ErrorIs(t, s.Wait(waiting, highest), context.Canceled)
		assert.NoError(t, s.Wait(waiting, lowest))

		_, err = s.History(ctx, HistoryQuery{From: lowest, To: highest})
		assert.ErrorIs(t, err, ErrCompacted)
		flushed(t, s)
		for _, q := range []HistoryQuery{
			{From: 0, To: highest, MaxEvents: 1 << 62},
			{From: 0, To: highest, MaxEvents: -1, MaxScan: -1, MaxBytes: lowest},
		} {
			chunk, err := s.History(ctx, q)
			assert.NoError(t, err)
			assert.Len(t, chunk.Events, 2)
			assert.Equal(t, last+1, chunk.Next)
		}
		for _, q := range []HistoryQuery{{From: highest, To: highest}, {From: highest, To: lowest}, {From: 2, To: lowest}} {
			chunk, err := s.History(ctx, q)
			assert.NoError(t, err)
			assert.Empty(t, chunk.Events)
			assert.Equal(t, q.From, chunk.Next)
		}

		commits, _, ok := s.Recent(nil, highest, 10)
		assert.True(t, ok)
		assert.Empty(t, commits)
		_, _, ok = s.Recent(nil, lowest, 10)
		assert.False(t, ok)
		span := SpanOf([]byte("a"), nil)
		revs, _, _ := s.Revisions(nil, span, lowest, highest, RevLimits{})
		assert.Len(t, revs, 2)
		n, _ := s.CountRevisions(span, highest, 0, 0)
		assert.Zero(t, n)
		newest, _ := s.Newest(nil, span, lowest, highest, 10)
		assert.Len(t, newest, 1)
		_, ok = s.VersionAt([]byte("a"), lowest)
		assert.False(t, ok)
		for _, kr := range []KeyRev{{Main: highest, Sub: highest}, {Main: last, Sub: lowest}, {Main: last, Sub: highest}} {
			_, err = s.ReadRevisions(ctx, nil, []KeyRev{kr})
			assert.Error(t, err, "%v", kr)
		}
		_, err = s.ReadRevisions(ctx, nil, []KeyRev{{Main: lowest}})
		assert.ErrorIs(t, err, ErrCompacted)
		prevs, _, err := s.Previous(ctx, nil, []*Event{
			{Type: EventDelete, KV: KeyValue{Key: []byte("a"), ModRevision: lowest}},
			{Type: EventDelete, KV: KeyValue{Key: []byte("b"), ModRevision: highest}},
		})
		assert.NoError(t, err)
		assert.Equal(t, []*KeyValue{nil, nil}, prevs)
	})
}

// R1: writing ends with a clear error at the last revision, before anything
// overflows; the rest goes on, also after a reopen, clean or not.
func TestRevisions_RunOut(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		engine := memEngine(t)
		faulty := backendtest.NewFaulty(engine)
		s := openOn(t, faulty, cfg)
		put(t, s, "old", "kept")
		const left = 5
		require.NoError(t, s.Bump(ctx, maxRevision-left-s.Rev()))
		require.Equal(t, maxRevision-left, s.Rev())
		for i := range int64(left) {
			require.Equal(t, maxRevision-left+i+1, put(t, s, "k", "v"))
		}
		exhausted := func(s *Store) {
			t.Helper()
			// Not before something waits for room that never comes.
			bounded, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, err := s.Put(bounded, []byte("k"), nil)
			require.ErrorIs(t, err, ErrExhausted)
			require.EqualError(t, err, "revision 9223372032559808511: mvcc: no revision is left")
			require.ErrorIs(t, s.Bump(bounded, 1), ErrExhausted)
			kv, ok, err := s.Get([]byte("k"), 0)
			require.NoError(t, err)
			require.True(t, ok && kv.ModRevision == maxRevision)
			kv, ok, err = s.Get([]byte("old"), 0)
			require.NoError(t, err)
			require.True(t, ok && kv.ModRevision == 2)
			require.GreaterOrEqual(t, s.Rev(), maxRevision)
			require.NoError(t, s.Wait(bounded, maxRevision))
		}
		exhausted(s)
		flushed(t, s)
		chunk, err := s.History(ctx, HistoryQuery{From: maxRevision - left + 1, To: math.MaxInt64})
		require.NoError(t, err)
		require.Len(t, chunk.Events, left)
		require.Equal(t, maxRevision+1, chunk.Next)
		require.NoError(t, s.Compact(ctx, maxRevision))

		for range 3 {
			crash(t, s, faulty)
			faulty = backendtest.NewFaulty(engine)
			s = openOn(t, faulty, cfg)
			exhausted(s)
		}
		require.NoError(t, s.Close())
		exhausted(openOn(t, engine, cfg))
	})
}

// V2: whoever asks for many large records, or many events' large previous
// values, gets them in pieces: never more in memory than a bound and a record.
func TestRead_LargeRecordsInPieces(t *testing.T) {
	const size, keys = 400 << 10, 10
	s := openMem(t, Config{RecentBytes: 1})
	var revs []KeyRev
	var deletes []*Event
	for i := range keys {
		key := string(rune('a' + i))
		revs = append(revs, KeyRev{Main: put(t, s, key, string(make([]byte, size)))})
		deletes = append(deletes, &Event{Type: EventDelete, KV: KeyValue{Key: []byte("none"), ModRevision: 1}})
		deletes = append(deletes, &Event{Type: EventDelete, KV: KeyValue{Key: []byte(key), ModRevision: del(t, s, key)}})
	}
	put(t, s, "last", "stays in memory")
	const most = readAnswerBytes/size + 1
	var events []Event
	for left := revs; len(left) > 0; {
		more, err := s.ReadRevisions(ctx, nil, left)
		require.NoError(t, err)
		require.NotEmpty(t, more)
		require.LessOrEqual(t, len(more), most)
		events = append(events, more...)
		left = left[len(more):]
	}
	require.Len(t, events, keys)
	for i, e := range events {
		require.Equal(t, revs[i].Main, e.KV.ModRevision)
	}
	seen := 0
	for left := deletes; len(left) > 0; {
		prevs, missing, err := s.Previous(ctx, []*KeyValue{nil}, left)
		require.NoError(t, err)
		require.Zero(t, missing)
		prevs = prevs[1:] // what it was appended to
		require.NotEmpty(t, prevs)
		large := 0
		for i, kv := range prevs {
			require.Equal(t, string(left[i].KV.Key) != "none", kv != nil)
			if kv != nil {
				require.Equal(t, left[i].KV.Key, kv.Key)
				large++
			}
		}
		require.LessOrEqual(t, large, most)
		seen += large
		left = left[len(prevs):]
	}
	require.Equal(t, keys, seen)
}
