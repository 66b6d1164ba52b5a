package mvcc

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
)

// memEngine is an engine that a test opens stores on, one after the other.
func memEngine(t *testing.T) backend.Engine {
	t.Helper()
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// openOn opens a store that the test's end closes, unless the test did.
func openOn(t *testing.T, engine backend.Engine, cfg Config) *Store {
	t.Helper()
	return openTuned(t, engine, cfg, defaultTuning)
}

func openTuned(t *testing.T, engine backend.Engine, cfg Config, tune tuning) *Store {
	t.Helper()
	s, err := open(engine, cfg, tune)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Close(); !errors.Is(err, ErrClosed) && s.failure.Load() == nil {
			require.NoError(t, err)
		}
	})
	return s
}

func openMem(t *testing.T, cfg Config) *Store {
	t.Helper()
	return openOn(t, memEngine(t), cfg)
}

// eachDurability runs a test in both.
func eachDurability(t *testing.T, test func(t *testing.T, cfg Config)) {
	for _, d := range []Durability{Sync(), Relaxed(time.Millisecond)} {
		t.Run(d.String(), func(t *testing.T) { test(t, Config{Durability: d}) })
	}
}

var ctx = context.Background()

func put(t *testing.T, s *Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Put(ctx, []byte(key), []byte(value))
	require.NoError(t, err)
	return rev
}

func del(t *testing.T, s *Store, key string) int64 {
	t.Helper()
	res, err := s.DeleteRange(ctx, []byte(key), nil)
	require.NoError(t, err)
	require.EqualValues(t, 1, res.Deleted, "keys deleted by name %q", key)
	return res.Rev
}

// show writes keys as "key=value@mod" for comparing.
func show(kvs []KeyValue) []string {
	out := []string{}
	for _, kv := range kvs {
		out = append(out, fmt.Sprintf("%s=%s@%d", kv.Key, kv.Value, kv.ModRevision))
	}
	return out
}

// showEvents writes events as "put key=value@mod" or "del key@mod".
func showEvents(evs []Event) []string {
	out := []string{}
	for _, e := range evs {
		if e.Type == EventDelete {
			out = append(out, fmt.Sprintf("del %s@%d", e.KV.Key, e.KV.ModRevision))
			continue
		}
		out = append(out, fmt.Sprintf("put %s=%s@%d", e.KV.Key, e.KV.Value, e.KV.ModRevision))
	}
	return out
}

// flushed makes everything visible durable, so that reads meet the engine.
func flushed(t *testing.T, s *Store) {
	t.Helper()
	require.NoError(t, s.flush(s.Rev()))
}

var everyKey = []byte{0}

func all(t *testing.T, s *Store, rev int64) []string {
	t.Helper()
	res, err := s.Range(everyKey, everyKey, RangeOptions{Rev: rev})
	require.NoError(t, err)
	return show(res.KVs)
}

func history(t *testing.T, s *Store, from int64) []string {
	t.Helper()
	flushed(t, s)
	chunk, err := s.History(ctx, HistoryQuery{From: from, To: s.Rev()})
	require.NoError(t, err)
	require.Equal(t, s.Rev()+1, chunk.Next)
	return showEvents(chunk.Events)
}

func TestStore_StartsAtRevisionOne(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		require.EqualValues(t, 1, s.Rev())
		require.EqualValues(t, 0, s.CompactRev())
		require.EqualValues(t, 2, s.RecentFirst())
		require.EqualValues(t, 2, put(t, s, "a", "1"))
		require.EqualValues(t, 2, s.Rev())
	})
}

// E1, E4, E5, E6, G8: what a put, a repeated put, a delete and a put after it
// leave behind, read as keys, as recent commits and as history.
func TestStore_LifeOfAKey(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		put(t, s, "a", "1")
		put(t, s, "a", "1")
		kv, ok, err := s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 3, Version: 2}, kv)
		require.EqualValues(t, 4, del(t, s, "a"))
		_, ok, err = s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.False(t, ok)
		put(t, s, "a", "2")
		kv, _, err = s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.Equal(t, KeyValue{Key: []byte("a"), Value: []byte("2"), CreateRevision: 5, ModRevision: 5, Version: 1}, kv)
		want := []string{"put a=1@2", "put a=1@3", "del a@4", "put a=2@5"}
		require.Equal(t, want, history(t, s, 1))
		commits, first, ok := s.Recent(nil, 2, 100)
		require.True(t, ok)
		require.EqualValues(t, 2, first)
		var got []string
		for _, c := range commits {
			got = append(got, showEvents(c.Events)...)
		}
		require.Equal(t, want, got)
		require.Equal(t, KeyValue{Key: []byte("a"), ModRevision: 4}, commits[2].Events[0].KV)
		for rev, want := range map[int64][]string{1: {}, 2: {"a=1@2"}, 3: {"a=1@3"}, 4: {}, 5: {"a=2@5"}} {
			require.Equal(t, want, all(t, s, rev), "at revision %d", rev)
		}
	})
}

// E3: what changes nothing makes no revision.
func TestStore_NoChangeNoRevision(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		put(t, s, "a", "1")
		res, err := s.DeleteRange(ctx, []byte("b"), nil)
		require.NoError(t, err)
		require.Equal(t, DeleteResult{Deleted: 0, Rev: 2}, res)
		rev, err := s.Update(ctx, func(*WriteTx) error { return nil })
		require.NoError(t, err)
		require.EqualValues(t, 2, rev)
		require.EqualValues(t, 3, put(t, s, "b", "1"))
	})
}

func TestStore_CompactForgets(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		engine := memEngine(t)
		s := openOn(t, engine, cfg)
		put(t, s, "a", "1")
		put(t, s, "a", "2")
		put(t, s, "b", "1")
		del(t, s, "b") // revision 5
		put(t, s, "a", "3")
		require.NoError(t, s.Compact(ctx, 5))
		require.EqualValues(t, 5, s.CompactRev())
		// C10: the event at the compact revision survives, also a delete.
		require.Equal(t, []string{"del b@5", "put a=3@6"}, history(t, s, 5))
		require.Equal(t, []string{"a=2@3"}, all(t, s, 5))
		_, err := s.History(ctx, HistoryQuery{From: 4, To: 100})
		require.Equal(t, &CompactedError{Requested: 4, Compact: 5}, err)
		require.NoError(t, s.Close())
		// C10, E8 after a restart.
		s = openOn(t, engine, cfg)
		require.EqualValues(t, 6, s.Rev())
		require.EqualValues(t, 5, s.CompactRev())
		require.Equal(t, []string{"del b@5", "put a=3@6"}, history(t, s, 5))
		require.Equal(t, []string{"a=2@3"}, all(t, s, 5))
	})
}
