package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
)

// R5: what Verify checked is what there is, on every engine, beside writers
// and compactions, and its hash is HashKV's.
func TestVerify_Whole(t *testing.T) {
	for _, d := range engines.All() {
		eachDurability(t, func(t *testing.T, cfg Config) {
			t.Run(d.Name, func(t *testing.T) {
				engine := openEngine(t, d, t.TempDir())
				s := openTuned(t, engine, cfg, tuning{ceilingStep: 100, partBytes: 4096, deleteBatch: 20, compactChunk: 50})
				for i := range 300 {
					put(t, s, fmt.Sprint("k", i%40), fmt.Sprint(i))
				}
				del(t, s, "k7")
				require.NoError(t, s.Compact(ctx, 120))
				report, err := s.Verify(ctx)
				require.NoError(t, err)
				hash, err := s.HashKV(ctx, 0)
				require.NoError(t, err)
				require.Equal(t, hash, report.Hash)
				require.EqualValues(t, 302, report.Rev)
				require.EqualValues(t, 120, report.CompactRev)
				require.EqualValues(t, 40, report.Keys)
				require.EqualValues(t, 302-120+40, report.Records) // one of each key up to 120, 182 after
				require.EqualValues(t, 1, report.Tombstones)
				require.Zero(t, report.Leftovers)
				require.Greater(t, report.Bytes, 17*report.Records)
				require.Contains(t, report.Engine, d.Name)
				require.NotEmpty(t, report.Checked)

				var writing sync.WaitGroup
				for w := range 4 {
					writing.Go(func() {
						for i := range 50 {
							if _, err := s.Put(ctx, fmt.Append(nil, "w", w), fmt.Append(nil, i)); err != nil {
								t.Error(err)
							}
						}
					})
				}
				writing.Go(func() {
					if err := s.Compact(ctx, 250); err != nil {
						t.Error(err)
					}
				})
				for range 5 {
					_, err := s.Verify(ctx)
					require.NoError(t, err)
				}
				writing.Wait()
				_, err = s.Verify(ctx)
				require.NoError(t, err)
				require.NoError(t, s.Close())
				_, err = s.Verify(ctx)
				require.ErrorIs(t, err, ErrClosed)
			})
		})
	}
}

// R5: each kind of damage that comes while a store is open, and what is said
// of it.
func TestVerify_Damage(t *testing.T) {
	record := func(kv KeyValue) []byte { _, b := encodeRecord(kv); return b }
	for _, test := range []struct {
		name  string
		space backend.Space
		key   []byte
		value []byte // nil: deleted
		says  string
	}{
		{"a record is gone", backend.SpaceKey, firstKeyOf(3), nil, "revisions 3 to 3 have no record"},
		{"the newest is gone", backend.SpaceKey, firstKeyOf(6), nil, "revisions 6 to 6 have no record"},
		{"the last change of a revision is gone", backend.SpaceKey, appendRevKey(nil, KeyRev{Main: 5, Sub: 1}), nil, `key "c" has 1 versions up to revision 6 in the index and 0 records`},
		{"a bit of the value", backend.SpaceKey, firstKeyOf(6), record(KeyValue{Key: []byte("a"), CreateRevision: 2, ModRevision: 6, Version: 4, Value: []byte("5")}), `the record of key "a" is not what was written`},
		{"a bit of the key", backend.SpaceKey, firstKeyOf(4), record(KeyValue{Key: []byte("q"), CreateRevision: 2, ModRevision: 4, Version: 3, Value: []byte("3")}), `key "q" has no such version in the index`},
		{"version", backend.SpaceKey, firstKeyOf(4), record(KeyValue{Key: []byte("a"), CreateRevision: 2, ModRevision: 4, Version: 7, Value: []byte("3")}), `key "a" has create revision 2 and version 7 there, 2 and 2 before`},
		{"no record at all", backend.SpaceKey, firstKeyOf(4), []byte{0xff}, "record key 0000000000000004"},
		{"another record", backend.SpaceKey, appendRevKey(nil, KeyRev{Main: 6, Sub: 1}), record(KeyValue{Key: []byte("a"), CreateRevision: 2, ModRevision: 6, Version: 5}), "no such version in the index"},
		{"a mark", backend.SpaceMeta, metaScheduled, firstKeyOf(5), "the compaction marks say 5, history is kept from 0 on"},
		{"the end", backend.SpaceMeta, metaEnd, []byte{0, 0, 0, 0, 0, 0, 1, 0}, "watchkv_end is 256, above the current revision 6"},
		{"an intent", backend.SpaceMeta, metaIntent, []byte{0, 0, 0, 0, 0, 0, 0, 4}, "watchkv_intent names revision 4"},
		{"gaps", backend.SpaceMeta, metaGaps, append(make([]byte, 15), 4), "watchkv_gaps says [{0 4}]"},
		{"format", backend.SpaceMeta, metaFormat, nil, "watchkv_format is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			engine := memEngine(t)
			s := openOn(t, engine, Config{RecentBytes: 1})
			for i := range 3 {
				put(t, s, "a", fmt.Sprint(i+1))
			}
			_, err := s.Update(ctx, func(tx *WriteTx) error {
				if err := tx.Put([]byte("b"), []byte("1"), 0); err != nil {
					return err
				}
				return tx.Put([]byte("c"), []byte("1"), 0)
			})
			require.NoError(t, err)
			put(t, s, "a", "4")
			_, err = s.Verify(ctx)
			require.NoError(t, err)
			var b backend.Batch
			if test.value == nil {
				b.Delete(test.space, test.key)
			} else {
				b.Put(test.space, test.key, test.value)
			}
			require.NoError(t, engine.Apply(&b, backend.Sync))
			_, err = s.Verify(ctx)
			require.ErrorIs(t, err, ErrDamaged)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "mem go")
		})
	}
}

// A store whose compaction was cut short, opened for reading only: what is
// still to be deleted is no damage.
func TestVerify_Leftovers(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{})
	for i := range 5 {
		put(t, s, "a", fmt.Sprint(i))
	}
	require.NoError(t, s.Close())
	rawPut(t, engine, backend.SpaceMeta, metaScheduled, firstKeyOf(4))
	s = openOn(t, engine, Config{ReadOnly: true})
	s.trimIndex(ctx, 4) // as a later open's index would be
	report, err := s.Verify(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, report.Leftovers)
	require.EqualValues(t, 5, report.Records)
}

func TestVerify_Cancelled(t *testing.T) {
	s := openMem(t, Config{})
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.Verify(gone)
	require.ErrorIs(t, err, context.Canceled)
}

// FuzzOpen: whatever records and marks an engine hands out, opening, reading
// and verifying answer, and never panic; what opens and verifies reads whole.
func FuzzOpen(f *testing.F) {
	_, record := encodeRecord(KeyValue{Key: []byte("k"), Value: []byte("v"), CreateRevision: 2, ModRevision: 2, Version: 1})
	f.Add(firstKeyOf(2), record, []byte("scheduledCompactRev"), firstKeyOf(2))
	f.Add(append(firstKeyOf(3), 't'), []byte("\x0a\x01k"), []byte("watchkv_gaps"), make([]byte, 16))
	f.Add(firstKeyOf(3), record, []byte("watchkv_end"), make([]byte, 8))
	f.Add([]byte("x"), []byte{0xff}, []byte("watchkv_intent"), bytes.Repeat([]byte{0x7f}, 8))
	f.Fuzz(func(t *testing.T, key, value, metaKey, metaValue []byte) {
		if len(key) == 0 || len(metaKey) == 0 || len(key) > backend.MaxKeyBytes || len(metaKey) > backend.MaxKeyBytes {
			return
		}
		engine := memEngine(t)
		rawPut(t, engine, backend.SpaceKey, firstKeyOf(2), record)
		rawPut(t, engine, backend.SpaceKey, key, value)
		rawPut(t, engine, backend.SpaceMeta, metaKey, metaValue)
		s, err := Open(engine, Config{})
		if err != nil {
			require.True(t, errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat), "%v", err)
			return
		}
		defer func() { _ = s.Close() }()
		_, verifyErr := s.Verify(ctx)
		from := max(s.CompactRev(), 1)
		_, err = s.History(ctx, HistoryQuery{From: from, To: s.Rev()})
		if verifyErr == nil {
			require.NoError(t, err)
		}
		_, _ = s.Range(everyKey, everyKey, RangeOptions{})
		_, _ = s.HashKV(ctx, 0)
	})
}
