package lease

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/mvcc"
)

// naive is what leases are: an end for each, and a lease for each key.
type naive struct {
	leases map[int64]naiveLease
	keys   map[string]int64 // 0: no lease
	rev    int64
}

type naiveLease struct {
	ttl int64
	end time.Time
}

// drop ends a lease.
func (n *naive) drop(id int64) {
	had := false
	for key, lease := range n.keys {
		if lease == id {
			delete(n.keys, key)
			had = true
		}
	}
	if had {
		n.rev++
	}
	delete(n.leases, id)
}

// expire ends those whose time is over.
func (n *naive) expire() {
	for id, l := range n.leases {
		if !time.Now().Before(l.end) {
			n.drop(id)
		}
	}
}

type op struct {
	kind    int
	id, ttl int64
	key     string
	wait    time.Duration
	relaxed bool
}

const (
	opGrant = iota
	opPut
	opDelete
	opRevoke
	opRenew
	opWait
	opReopen
)

var genOp = rapid.Custom(func(t *rapid.T) op {
	return op{
		kind: rapid.SampledFrom([]int{opGrant, opGrant, opPut, opPut, opPut, opDelete, opRevoke, opRenew, opRenew, opWait, opWait, opReopen}).Draw(t, "kind"),
		id:   rapid.Int64Range(1, 4).Draw(t, "id"), ttl: rapid.Int64Range(0, 9).Draw(t, "ttl"),
		key:     rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "key"),
		wait:    time.Duration(rapid.Int64Range(1, 4000).Draw(t, "wait")) * time.Millisecond,
		relaxed: rapid.Bool().Draw(t, "relaxed"),
	}
})

// Leases do what the naive ones do over random grants, puts, deletes,
// revokes, renewals, restarts and time, in both durabilities; each end with
// keys is one revision with its deletes sorted (E7).
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		ops := rapid.SliceOfN(genOp, 1, 60).Draw(r, "ops")
		var failed failure
		synctest.Test(t, func(t *testing.T) { failed.catch(func() { runOps(&failed, t, ops) }) })
		if failed.text != "" {
			r.Fatal(failed.text)
		}
	})
}

// failure takes what is asserted in a bubble out of it, where rapid is.
type failure struct{ text string }

// Errorf implements require.TestingT.
func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }

// FailNow implements require.TestingT.
func (f *failure) FailNow() { runtime.Goexit() }

// catch returns when fn has, or has failed.
func (f *failure) catch(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	<-done
}

func runOps(r *failure, t *testing.T, ops []op) {
	w := start(t, memEngine(t), mvcc.Config{}, Config{})
	defer func() {
		w.stop()
		require.NoError(t, w.engine.Close())
	}()
	n := &naive{leases: map[int64]naiveLease{}, keys: map[string]int64{}, rev: 1}
	for _, o := range ops {
		w = doBoth(r, w, n, o)
		compare(r, w, n)
	}
	pass(20 * time.Second)
	synctest.Wait()
	n.expire()
	compare(r, w, n)
	require.Empty(r, w.Leases())
	checkEnds(r, w)
}

func doBoth(r *failure, w *world, n *naive, o op) *world {
	l, there := n.leases[o.id]
	now := time.Now()
	switch o.kind {
	case opGrant:
		got, err := w.Grant(ctx, o.id, o.ttl)
		if there {
			require.ErrorIs(r, err, ErrExists)
			break
		}
		require.NoError(r, err)
		ttl := max(o.ttl, defaultMinTTL)
		require.Equal(r, Lease{o.id, ttl}, got)
		n.leases[o.id] = naiveLease{ttl, now.Add(time.Duration(ttl) * time.Second)}
	case opPut:
		id := o.id - 1 // or none
		_, there = n.leases[id]
		err := w.put(o.key, id)
		if id != 0 && !there {
			require.ErrorIs(r, err, ErrNotFound)
			break
		}
		require.NoError(r, err)
		n.keys[o.key] = id
		n.rev++
	case opDelete:
		_, err := w.store.DeleteRange(ctx, []byte(o.key), nil)
		require.NoError(r, err)
		if _, was := n.keys[o.key]; was {
			n.rev++
		}
		delete(n.keys, o.key)
	case opRevoke:
		rev, err := w.Revoke(ctx, o.id)
		if !there {
			require.ErrorIs(r, err, ErrNotFound)
			break
		}
		require.NoError(r, err)
		n.drop(o.id)
		require.Equal(r, n.rev, rev)
	case opRenew:
		ttl, err := w.Renew(ctx, o.id)
		if !there {
			require.ErrorIs(r, err, ErrNotFound)
			break
		}
		require.NoError(r, err)
		require.Equal(r, l.ttl, ttl)
		n.leases[o.id] = naiveLease{l.ttl, now.Add(time.Duration(l.ttl) * time.Second)}
	case opWait:
		pass(o.wait)
		synctest.Wait()
		n.expire()
	case opReopen:
		w.stop()
		cfg := mvcc.Config{}
		if o.relaxed {
			cfg.Durability = mvcc.Relaxed(5 * time.Millisecond)
		}
		w = start(w.t, w.engine, cfg, Config{})
		for id, l := range n.leases {
			n.leases[id] = naiveLease{l.ttl, now.Add(time.Duration(l.ttl) * time.Second)}
		}
	}
	return w
}

func compare(r *failure, w *world, n *naive) {
	require.Equal(r, n.rev, w.store.Rev())
	require.Equal(r, slices.Sorted(maps.Keys(n.keys)), nilIfEmpty(w.keys()))
	require.Len(r, w.Leases(), len(n.leases))
	for id, l := range n.leases {
		info, err := w.TimeToLive(id)
		require.NoError(r, err)
		require.Equal(r, Info{Lease{id, l.ttl}, time.Until(l.end)}, info)
		var keys []string
		for key, lease := range n.keys {
			if lease == id {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		var got []string
		for _, key := range w.Keys(id) {
			got = append(got, string(key))
		}
		require.Equal(r, keys, got)
	}
}

func nilIfEmpty(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return s
}

// checkEnds holds every revision of deletes against E7.
func checkEnds(t require.TestingT, w *world) {
	pass(time.Second) // until Relaxed has written all
	chunk, err := w.store.History(ctx, mvcc.HistoryQuery{From: 1, To: w.store.Rev()})
	require.NoError(t, err)
	deleted := map[int64][]string{}
	lease := map[string]int64{}
	for _, e := range chunk.Events {
		key := string(e.KV.Key)
		if e.Type == mvcc.EventPut {
			lease[key] = e.KV.Lease
			continue
		}
		before := deleted[e.KV.ModRevision]
		if len(before) > 0 {
			require.Less(t, before[len(before)-1], key, "sorted")
			require.Equal(t, lease[before[0]], lease[key], "one lease in one revision")
		}
		deleted[e.KV.ModRevision] = append(before, key)
	}
}

// Grants, puts, revokes, renewals and the end of time race; afterwards no key
// has outlived its lease, and whoever was told that a lease is no more cannot
// have attached a key to it.
func TestRaces(t *testing.T) {
	inBubble(t, func(t *testing.T, cfg mvcc.Config) {
		w := start(t, memEngine(t), cfg, Config{MinTTL: 1})
		defer w.stop()
		const workers, rounds, ids = 8, 60, 6
		done := make(chan error, workers)
		for i := range workers {
			go func() { done <- race(w, i, rounds, ids) }()
		}
		for range workers {
			require.NoError(t, <-done)
		}
		for id := int64(1); id <= ids; id++ {
			// What is left of a lease is there with all its keys.
			if _, err := w.TimeToLive(id); err == nil {
				require.True(t, w.Exists(id))
			} else {
				require.Empty(t, w.Keys(id))
			}
		}
		pass(10 * time.Second)
		synctest.Wait()
		require.Empty(t, w.keys())
		require.Empty(t, w.Leases())
		checkEnds(t, w)
		require.Empty(t, records(t, w.store))
		st := w.Stats()
		require.Equal(t, st.Granted, st.Revoked)
		require.Positive(t, st.Expired)
		require.Greater(t, st.Revoked, st.Expired)
	})
}

// race is one worker. Its steps are the same in every run, their order among
// workers is not.
func race(w *world, worker, rounds, ids int) error {
	for i := range rounds {
		id := int64((i*7+worker*3)%ids + 1)
		var err error
		switch (i + worker) % 7 {
		case 0, 1:
			_, err = w.Grant(ctx, id, 1)
		case 2, 3:
			err = w.put(fmt.Sprintf("%d-%d", worker, i%5), id)
		case 4:
			_, err = w.Renew(ctx, id)
		case 5:
			_, err = w.Revoke(ctx, id)
		default:
			pass(time.Duration(i*37%900) * time.Millisecond)
		}
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrExists) {
			return fmt.Errorf("worker %d, round %d: %w", worker, i, err)
		}
	}
	return nil
}
