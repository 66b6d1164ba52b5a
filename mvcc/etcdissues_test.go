package mvcc

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/engines"
)

// Tests named after etcd issues: each brings about what went wrong there.

// cutCompactions compacts, on every engine, a store made by fill, again and
// again: the n-th time the n-th write of the compaction fails, the store ends
// and is opened again, which completes what was begun. check gets the opened
// store and the revision of the one before. The last compaction meets no
// fault.
func cutCompactions(t *testing.T, rev int64, fill func(s *Store), check func(t *testing.T, s *Store, before int64)) {
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			for n := 1; ; n++ {
				dir := t.TempDir()
				var inner backend.Engine = openEngine(t, d, dir)
				faulty := backendtest.NewFaulty(inner)
				s := openTuned(t, faulty, Config{}, smallSteps)
				fill(s)
				before := s.Rev()
				faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: n, Err: errDisk, After: n%2 == 0})
				err := s.Compact(ctx, rev)
				whole := err == nil
				if err != nil {
					require.ErrorIs(t, err, errDisk)
				}
				_ = s.Close() // the fault is met here at the latest, or behind it
				if !d.Volatile {
					require.NoError(t, inner.Close())
					inner = openEngine(t, d, dir)
				}
				s = openTuned(t, inner, Config{}, smallSteps)
				if s.CompactRev() == 0 { // cut before the decision was durable
					require.NoError(t, s.Compact(ctx, rev))
				}
				_, err = s.HashKV(ctx, 0) // waits for what goes on in the background
				require.NoError(t, err)
				check(t, s, before)
				require.NoError(t, s.Close())
				require.NoError(t, inner.Close())
				if whole {
					require.Greater(t, n, 3, "writes of a compaction")
					return
				}
			}
		})
	}
}

// etcd's last revisions were deletes; compacting there removed them from the
// file, and a crash before the compaction was marked as finished brought the
// member back with a lower revision, whose numbers it then gave out again. R2,
// R3: the revision is kept wherever the compaction is cut, on every engine.
func TestEtcd17780_RevisionAfterCompactedTombstones(t *testing.T) {
	const last = 12
	fill := func(s *Store) {
		for i := range 8 {
			put(t, s, fmt.Sprint("k", i%3), fmt.Sprint(i))
		}
		for i := range 3 {
			require.EqualValues(t, 10+i, del(t, s, fmt.Sprint("k", i)))
		}
	}
	cutCompactions(t, last, fill, func(t *testing.T, s *Store, before int64) {
		require.EqualValues(t, last, before)
		require.EqualValues(t, last, s.Rev())
		require.EqualValues(t, last, s.CompactRev())
		require.Empty(t, all(t, s, 0))
		require.Equal(t, []string{"del k2@12"}, history(t, s, last))
		require.EqualValues(t, last+1, put(t, s, "k0", "new"))
	})
}

// etcd, restarted in the middle of a compaction, built its index from a file
// in which the tombstone at the compact revision was all that was left of its
// key, took it for nothing worth keeping, and the second run of the compaction
// removed it: a watch from there missed the delete. C10, R3: it is kept by
// every run, and so is a tombstone above.
func TestEtcd19179_InterruptedCompactionKeepsTheDelete(t *testing.T) {
	fill := func(s *Store) {
		for _, key := range []string{"a", "b", "c", "d"} {
			put(t, s, key, "1")
		}
		put(t, s, "a", "2") // 6
		del(t, s, "a")      // 7
		del(t, s, "b")      // 8
	}
	cutCompactions(t, 7, fill, func(t *testing.T, s *Store, _ int64) {
		require.NoError(t, s.CheckStart(7))
		require.Equal(t, []string{"del a@7", "del b@8"}, history(t, s, 7))
		revs, _, _ := s.Revisions(nil, SpanOf([]byte("a"), nil), 7, 8, RevLimits{})
		require.Equal(t, []KeyRev{{Main: 7, Tombstone: true}}, revs, "the index way finds it too")
		require.Equal(t, []string{"b=1@3", "c=1@4", "d=1@5"}, all(t, s, 7))
	})
}

// etcd dropped a transaction's reads on members that did not have to answer
// them: where they stayed, one at a compacted revision made the transaction
// fail, elsewhere its writes were applied, and the members went apart. G9, R1:
// such a read refuses the whole transaction, wherever it stands in it; no
// revision is used, nothing is written, and two stores that are told the same
// stay the same.
func TestEtcd18667_CompactedReadRefusesTheTransaction(t *testing.T) {
	bad := []RangeOptions{{Rev: 2}, {Rev: 99}, {Rev: 2, CountOnly: true}, {Rev: 2, Limit: 1}}
	shapes := map[string]func(read Op) Txn{
		"before the put": func(read Op) Txn { return Txn{Then: []Op{read, putOp("x", "1")}} },
		"after the put":  func(read Op) Txn { return Txn{Then: []Op{putOp("x", "1"), read}} },
		"after a delete": func(read Op) Txn { return Txn{Then: []Op{{Type: OpDeleteRange, Key: []byte("a")}, read}} },
		"nested": func(read Op) Txn {
			return Txn{Then: []Op{putOp("x", "1"), {Type: OpTxn, Txn: &Txn{Then: []Op{putOp("y", "1"), read}}}}}
		},
		"in the other branch": func(read Op) Txn {
			return Txn{If: []Compare{{Target: TargetVersion, Key: []byte("a"), Int: 77}}, Else: []Op{putOp("x", "1"), read}}
		},
	}
	eachDurability(t, func(t *testing.T, cfg Config) {
		told, spared := openMem(t, cfg), openMem(t, cfg)
		for _, s := range []*Store{told, spared} {
			put(t, s, "a", "1")
			put(t, s, "a", "2")
			put(t, s, "b", "1")
			require.NoError(t, s.Compact(ctx, 3))
		}
		for name, shape := range shapes {
			for _, o := range bad {
				for _, key := range []string{"a", "nobody"} {
					_, err := told.Txn(ctx, shape(Op{Type: OpRange, Key: []byte(key), Range: o}))
					require.Error(t, err, "%s, %+v", name, o)
					if o.Rev == 99 {
						require.ErrorIs(t, err, ErrFutureRevision)
					} else {
						require.ErrorIs(t, err, ErrCompacted)
					}
					require.EqualValues(t, 4, told.Rev())
				}
			}
		}
		_, err := told.Txn(ctx, Txn{Then: []Op{putOp("x", "1")}, Else: []Op{{Type: OpRange, Key: []byte("a"), Range: bad[0]}}})
		require.NoError(t, err, "a read that does not run refuses nothing")
		require.EqualValues(t, 5, put(t, spared, "x", "1"))
		a, err := told.HashKV(ctx, 0)
		require.NoError(t, err)
		b, err := spared.HashKV(ctx, 0)
		require.NoError(t, err)
		require.Equal(t, b, a)
		require.Equal(t, all(t, spared, 0), all(t, told, 0))
	})
}

// etcd merged what a transaction had written into its read buffer wrongly when
// the keys of a bucket did not come in order, and a read of history through
// that buffer had an entry twice. G2, G3, G4: wherever the border between what
// is in memory and what is in the engine runs, and whatever the order of keys
// in a transaction, each entry is read exactly once, by every way.
func TestEtcd17247_EveryEntryOnceOverTheBorder(t *testing.T) {
	keys := []string{"m", "z", "a", "zz", "b", "y", "0"}
	for _, d := range engines.All() {
		t.Run(d.Name, func(t *testing.T) {
			engine := openEngine(t, d, t.TempDir())
			defer func() { require.NoError(t, engine.Close()) }()
			s := openTuned(t, engine, Config{Durability: Relaxed(hour), RecentBytes: 3000}, defaultTuning)
			var want []string
			for i := range 60 {
				rev, err := s.Update(ctx, func(tx *WriteTx) error {
					for k := range 1 + i%len(keys) {
						key := keys[(i*5+k)%len(keys)]
						if err := tx.Put([]byte(key), fmt.Append(nil, i), 0); err != nil {
							return err
						}
						want = append(want, fmt.Sprintf("put %s=%d@%d", key, i, tx.Rev()))
					}
					return nil
				})
				require.NoError(t, err)
				if i%7 == 3 {
					flushed(t, s)
				}
				require.Equal(t, want, readAllWays(t, s, rev), "at revision %d", rev)
			}
			require.NoError(t, s.Close())
		})
	}
}

// readAllWays reads history from the engine as far as it goes, the rest from
// memory, and holds what the index names against it.
func readAllWays(t *testing.T, s *Store, rev int64) []string {
	t.Helper()
	var got []string
	next := int64(1)
	for next <= s.applied.Load() {
		chunk, err := s.History(ctx, HistoryQuery{From: next, To: rev, MaxEvents: 10})
		require.NoError(t, err)
		got = append(got, showEvents(chunk.Events)...)
		next = chunk.Next
	}
	for next <= rev {
		commits, _, ok := s.Recent(nil, next, 5)
		require.True(t, ok, "what is not applied is in memory")
		for _, c := range commits {
			require.Equal(t, next, c.Rev)
			got = append(got, showEvents(c.Events)...)
			next++
		}
	}
	revs, cut, _ := s.Revisions(nil, SpanOf(everyKey, everyKey), 1, rev, RevLimits{})
	require.False(t, cut)
	require.Len(t, revs, len(got))
	events, err := s.ReadRevisions(ctx, nil, revs)
	require.NoError(t, err)
	require.ElementsMatch(t, got, showEvents(events))
	return got
}
