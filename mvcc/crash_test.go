package mvcc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
)

// proposed is what a run asked for, and how far it got.
type proposed struct {
	events   []string // of every revision proposed, in order
	acked    int      // events whose transaction was acknowledged
	assigned int64    // greatest revision that anybody saw
	compact  int64    // greatest revision whose compaction was acknowledged
}

// runUntilFault does the same things each time, until one fails.
func runUntilFault(s *Store, p *proposed) error {
	for i := range 12 {
		key := fmt.Sprint("k", i%4)
		rev, err := s.Update(ctx, func(tx *WriteTx) error {
			p.assigned = max(p.assigned, tx.Rev())
			if i%5 == 4 {
				p.events = append(p.events, fmt.Sprintf("del %s@%d", key, tx.Rev()))
				_, err := tx.DeleteRange([]byte(key), nil)
				return err
			}
			p.events = append(p.events, fmt.Sprintf("put %s=%d@%d", key, i, tx.Rev()), fmt.Sprintf("put x%d=@%d", i, tx.Rev()))
			return errors.Join(tx.Put([]byte(key), fmt.Append(nil, i), 0), tx.Put(fmt.Append(nil, "x", i), nil, 0))
		})
		if err != nil {
			return err
		}
		p.acked = len(p.events)
		if i%6 == 5 {
			if err := s.Compact(ctx, rev-2); err != nil {
				return err
			}
			p.compact = rev - 2
		}
		if i == 8 && s.relaxed() {
			if err := s.flush(s.Rev()); err != nil {
				return err
			}
		}
	}
	return s.Close()
}

// R1, R3, R6, G5: whatever write to the engine fails, before or after it took
// effect, the next open shows a prefix of what was proposed, with everything
// that Sync acknowledged; revisions and the compact revision never go down and
// no number comes twice.
func TestStore_EveryWriteFails(t *testing.T) {
	for _, d := range []Durability{Sync(), Relaxed(hour)} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v after=%v", d, after), func(t *testing.T) {
				for n := 1; ; n++ {
					if !faultAt(t, d, n, after) {
						require.Greater(t, n, 5, "writes in a run")
						return
					}
				}
			})
		}
	}
}

// faultAt fails the n-th write and checks what the next open shows; false if
// there were fewer writes.
func faultAt(t *testing.T, d Durability, n int, after bool) bool {
	faulty := backendtest.NewFaulty(memEngine(t), backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk, After: after})
	cfg := Config{Durability: d, RecentBytes: 1}
	s, err := open(faulty, cfg, smallSteps)
	if err != nil {
		require.ErrorIs(t, err, errDisk)
		s = openTuned(t, faulty, cfg, smallSteps)
		require.NoError(t, s.Close())
		return true
	}
	var p proposed
	err = runUntilFault(s, &p)
	if err == nil {
		return false
	}
	require.ErrorIs(t, err, errDisk)
	told, durable := s.CompactRev(), s.applied.Load()
	if err := s.Close(); !errors.Is(err, ErrClosed) {
		require.ErrorIs(t, err, ErrFailed)
	}
	s = openTuned(t, faulty, cfg, smallSteps)
	require.GreaterOrEqual(t, s.Rev(), durable)
	require.GreaterOrEqual(t, s.CompactRev(), max(told, p.compact))
	_, err = s.HashKV(ctx, 0) // waits for a compaction that goes on
	require.NoError(t, err)
	got := history(t, s, s.CompactRev())
	from := slices.IndexFunc(p.events, func(e string) bool { return revOf(e) >= s.CompactRev() })
	if from < 0 {
		from = len(p.events)
	}
	require.LessOrEqual(t, from+len(got), len(p.events))
	require.Equal(t, append([]string{}, p.events[from:from+len(got)]...), got)
	if d == Sync() {
		require.GreaterOrEqual(t, from+len(got), p.acked, "acknowledged and lost")
	}
	again := put(t, s, "again", "")
	if d != Sync() {
		require.Greater(t, again, p.assigned, "a number that was seen comes again")
	}
	return true
}

func revOf(event string) (rev int64) {
	fmt.Sscanf(event[slices.Index([]byte(event), '@')+1:], "%d", &rev)
	return rev
}

// Equal data have equal hashes, whatever compactions led to them.
func TestHashKV_SameWhateverTheWay(t *testing.T) {
	fill := func(compactions ...int64) *Store {
		s := openMem(t, Config{})
		for i := range 30 {
			key := fmt.Sprint("k", i%5)
			if i%7 == 6 {
				del(t, s, key)
			} else {
				put(t, s, key, fmt.Sprint(i))
			}
		}
		for _, rev := range compactions {
			require.NoError(t, s.Compact(ctx, rev))
		}
		return s
	}
	once, twice := fill(12), fill(5, 12)
	for rev := int64(12); rev <= 31; rev++ {
		a, err := once.HashKV(ctx, rev)
		require.NoError(t, err)
		b, err := twice.HashKV(ctx, rev)
		require.NoError(t, err)
		require.Equal(t, a, b)
		require.Equal(t, HashResult{Hash: a.Hash, Rev: 31, CompactRev: 12, HashRev: rev}, a)
	}
	_, err := once.HashKV(ctx, 11)
	require.Equal(t, &CompactedError{11, 12}, err)
	require.ErrorContains(t, err, "asked for 11, complete from 12 on")
	_, err = once.HashKV(ctx, 32)
	require.ErrorIs(t, err, ErrFutureRevision)
	require.NoError(t, once.Close())
	_, err = once.HashKV(ctx, 31)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, once.Compact(ctx, 31), ErrClosed)
	require.ErrorIs(t, once.Bump(ctx, 1), ErrClosed)
	never := openMem(t, Config{})
	got, err := never.HashKV(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, HashResult{Hash: got.Hash, Rev: 1, CompactRev: -1, HashRev: 1}, got)
	// No key is alive: the tombstone at the compact revision counts for nothing.
	empty := openMem(t, Config{})
	put(t, empty, "a", "1")
	del(t, empty, "a")
	require.NoError(t, empty.Compact(ctx, 3))
	hash, err := empty.HashKV(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, HashResult{Hash: got.Hash, Rev: 3, CompactRev: 3, HashRev: 3}, hash)
	// Nor do a put and the delete behind it in one transaction, which etcd lets
	// pass, and whose put etcd's compaction takes.
	gone := openMem(t, Config{})
	_, err = gone.Txn(ctx, Txn{Then: []Op{
		{Type: OpTxn, Txn: &Txn{Then: []Op{{Type: OpPut, Key: []byte("x")}}}},
		{Type: OpTxn, Txn: &Txn{Then: []Op{{Type: OpDeleteRange, Key: []byte("x")}}}},
	}})
	require.NoError(t, err)
	require.NoError(t, gone.Compact(ctx, 2))
	hash, err = gone.HashKV(ctx, 0)
	require.NoError(t, err)
	require.Equal(t, HashResult{Hash: got.Hash, Rev: 2, CompactRev: 2, HashRev: 2}, hash)
	report, err := gone.Verify(ctx)
	require.NoError(t, err)
	require.Equal(t, hash, report.Hash)
}

// R4, R1: bumps beside writers: no revision comes twice, none goes down.
func TestBump_BesideWriters(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openTuned(t, memEngine(t), cfg, smallSteps)
		const writers, each = 4, 40
		var mu sync.Mutex
		seen := map[int64]bool{}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				last := int64(0)
				for range each {
					rev, err := s.Put(ctx, fmt.Append(nil, w), nil)
					mu.Lock()
					if err != nil || rev <= last || seen[rev] {
						t.Errorf("put: %d after %d, %v", rev, last, err)
					}
					seen[rev] = true
					mu.Unlock()
					last = rev
				}
			})
		}
		for range 5 {
			require.NoError(t, s.Bump(ctx, 100))
		}
		wg.Wait()
		require.EqualValues(t, 1+5*100+writers*each, s.Rev())
		require.Len(t, all(t, s, 0), writers)
	})
}

// One compaction runs at a time; who waits leaves when its context ends.
func TestCompact_SecondWaits(t *testing.T) {
	engine := &slowEngine{Engine: memEngine(t)}
	s := openOn(t, engine, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	release := engine.hold()
	done := make(chan error, 2)
	go func() { done <- s.Compact(ctx, 2) }()
	await(func() bool { return len(s.compacting) == 0 })
	leaving, cancel := context.WithCancel(ctx)
	left := make(chan error)
	go func() { left <- s.Compact(leaving, 3) }()
	cancel()
	require.ErrorIs(t, <-left, context.Canceled)
	go func() { done <- s.Compact(ctx, 3) }()
	release()
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.EqualValues(t, 3, s.CompactRev())
}

// The records of one engine are those of another.
func TestStore_SameBytesInEveryDurability(t *testing.T) {
	write := func(d Durability) backend.Engine {
		engine := memEngine(t)
		s := openOn(t, engine, Config{Durability: d})
		for i := range 20 {
			put(t, s, fmt.Sprint("k", i%3), fmt.Sprint(i))
		}
		del(t, s, "k1")
		require.NoError(t, s.Close())
		return engine
	}
	a, b := write(Sync()), write(Relaxed(hour))
	require.Equal(t, keySpace(t, a), keySpace(t, b))
	require.Equal(t, metaKeys(t, a), metaKeys(t, b))
}
