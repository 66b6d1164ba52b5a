package mvcc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const hour = time.Hour

// A transaction that fails or panics leaves no trace: not in the index, not in
// revisions, not in what a later one sees.
func TestUpdate_TakesBack(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		put(t, s, "a", "1")
		put(t, s, "b", "1")
		del(t, s, "b") // revision 4
		keys, revisions := s.indexSize()
		spoil := func(tx *WriteTx) error {
			require.EqualValues(t, 5, tx.Rev())
			require.NoError(t, tx.Put([]byte("b"), []byte("2"), 0))
			require.NoError(t, tx.Put([]byte("new"), []byte("2"), 0))
			n, err := tx.DeleteRange([]byte("a"), nil)
			require.NoError(t, err)
			require.EqualValues(t, 1, n)
			res, err := tx.Range(everyKey, everyKey, RangeOptions{})
			require.NoError(t, err)
			require.Equal(t, []string{"b=2@5", "new=2@5"}, show(res.KVs))
			require.EqualValues(t, 5, res.Rev)
			return errDisk
		}
		_, err := s.Update(ctx, spoil)
		require.Equal(t, errDisk, err)
		require.PanicsWithValue(t, "no", func() {
			_, _ = s.Update(ctx, func(tx *WriteTx) error {
				_ = spoil(tx)
				panic("no")
			})
		})
		gotKeys, gotRevisions := s.indexSize()
		require.Equal(t, keys, gotKeys)
		require.Equal(t, revisions, gotRevisions)
		require.EqualValues(t, 4, s.Rev())
		require.EqualValues(t, 5, put(t, s, "b", "3"))
		kv, _, err := s.Get([]byte("b"), 0)
		require.NoError(t, err)
		require.EqualValues(t, 1, kv.Version)
		require.EqualValues(t, 6, put(t, s, "a", "2"))
		kv, _, err = s.Get([]byte("a"), 0)
		require.NoError(t, err)
		require.EqualValues(t, 2, kv.Version)
	})
}

// E2: in a closure a second write of a key is refused; the rest goes on.
func TestUpdate_DuplicateKey(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "gone", "1")
	put(t, s, "here", "1")
	rev, err := s.Update(ctx, func(tx *WriteTx) error {
		require.NoError(t, tx.Put([]byte("a"), []byte("1"), 0))
		require.ErrorIs(t, tx.Put([]byte("a"), []byte("2"), 0), ErrDuplicateKey)
		n, err := tx.DeleteRange([]byte("g"), []byte("h"))
		require.NoError(t, err)
		require.EqualValues(t, 1, n)
		require.ErrorIs(t, tx.Put([]byte("gone"), nil, 0), ErrDuplicateKey)
		_, err = tx.DeleteRange([]byte("a"), []byte("z"))
		require.ErrorIs(t, err, ErrDuplicateKey)
		n, err = tx.DeleteRange([]byte("gone"), nil) // deletes nothing, so no second write
		require.NoError(t, err)
		require.Zero(t, n)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a=1@4", "here=1@3"}, all(t, s, 0))
	// E1, G8: one revision, events in the order of the operations.
	require.Equal(t, []string{"put a=1@4", "del gone@4"}, history(t, s, rev))
}

func TestUpdate_Bounds(t *testing.T) {
	s := openMem(t, Config{MaxRecordBytes: 10})
	_, err := s.Put(ctx, nil, []byte("v"))
	require.ErrorIs(t, err, ErrEmptyKey)
	_, err = s.Put(ctx, []byte("12345"), []byte("123456"))
	require.ErrorIs(t, err, ErrTooLarge)
	require.EqualValues(t, 2, put(t, s, "12345", "12345"))
	_, err = s.DeleteRange(ctx, nil, nil)
	require.ErrorIs(t, err, ErrEmptyKey)
	var kept *WriteTx
	_, err = s.Update(ctx, func(tx *WriteTx) error { kept = tx; return nil })
	require.NoError(t, err)
	require.ErrorIs(t, kept.Put([]byte("a"), nil, 0), ErrTxDone)
	_, err = kept.DeleteRange([]byte("a"), nil)
	require.ErrorIs(t, err, ErrTxDone)
	_, _, err = kept.Get([]byte("a"))
	require.ErrorIs(t, err, ErrTxDone)
	_, err = kept.Range([]byte("a"), nil, RangeOptions{})
	require.ErrorIs(t, err, ErrTxDone)
	require.Zero(t, kept.Rev())
	require.NoError(t, s.Close())
	_, err = s.Put(ctx, []byte("a"), nil)
	require.ErrorIs(t, err, ErrClosed)
	_, _, err = s.Get([]byte("a"), 0)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, s.Wait(ctx, 100), ErrClosed)
}

// A range inside a transaction reads old revisions, and its own writes.
func TestUpdate_RangeAtRevision(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	put(t, s, "a", "2")
	_, err := s.Update(ctx, func(tx *WriteTx) error {
		res, err := tx.Range([]byte("a"), nil, RangeOptions{Rev: 4})
		require.ErrorIs(t, err, ErrFutureRevision)
		require.Empty(t, res.KVs)
		require.NoError(t, tx.Put([]byte("a"), []byte("3"), 9))
		for rev, want := range map[int64]string{0: "a=3@4", 2: "a=1@2", 3: "a=2@3", 4: "a=3@4"} {
			res, err := tx.Range([]byte("a"), nil, RangeOptions{Rev: rev})
			require.NoError(t, err)
			require.Equal(t, []string{want}, show(res.KVs))
		}
		return nil
	})
	require.NoError(t, err)
	kv, _, err := s.Get([]byte("a"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 9, kv.Lease)
}

func putOp(key, value string) Op { return Op{Type: OpPut, Key: []byte(key), Value: []byte(value)} }

func deleteOp(key, end string) Op {
	return Op{Type: OpDeleteRange, Key: []byte(key), End: []byte(end)}
}

func nestedOp(then, otherwise []Op) Op {
	return Op{Type: OpTxn, Txn: &Txn{Then: then, Else: otherwise}}
}

// E2: which declarative transactions are refused as writing a key twice.
func TestTxn_CheckWrites(t *testing.T) {
	for _, test := range []struct {
		name    string
		ops     []Op
		refused bool
	}{
		{"different keys", []Op{putOp("a", ""), putOp("b", "")}, false},
		{"same key", []Op{putOp("a", ""), putOp("a", "")}, true},
		{"put, then deleted", []Op{putOp("b", ""), deleteOp("a", "c")}, true},
		{"deleted, then put", []Op{deleteOp("a", "c"), putOp("b", "")}, true},
		{"single key deleted, then put", []Op{deleteOp("b", ""), putOp("b", "")}, true},
		{"put at the end of a deleted range", []Op{deleteOp("a", "b"), putOp("b", "")}, false},
		{"deletes overlap", []Op{deleteOp("a", "c"), deleteOp("b", "d")}, false},
		{"delete from a key on covers nothing", []Op{deleteOp("a", "\x00"), putOp("b", "")}, false},
		{"put in both branches of a nested one", []Op{nestedOp([]Op{putOp("a", "")}, []Op{putOp("a", "")})}, false},
		{"nested put, then put", []Op{nestedOp([]Op{putOp("a", "")}, nil), putOp("a", "")}, true},
		{"put, then nested put", []Op{putOp("a", ""), nestedOp(nil, []Op{putOp("a", "")})}, true},
		{"two nested puts", []Op{nestedOp([]Op{putOp("a", "")}, nil), nestedOp(nil, []Op{putOp("a", "")})}, true},
		{"nested put, this level deletes behind it", []Op{nestedOp([]Op{putOp("a", "")}, nil), deleteOp("a", "")}, true},
		{"nested delete, then nested put", []Op{nestedOp([]Op{deleteOp("a", "")}, nil), nestedOp([]Op{putOp("a", "")}, nil)}, true},
		{"nested put, then nested delete", []Op{nestedOp([]Op{putOp("a", "")}, nil), nestedOp([]Op{deleteOp("a", "")}, nil)}, false},
		{"nested delete, put on this level", []Op{putOp("a", ""), nestedOp(nil, []Op{deleteOp("a", "b")})}, true},
		{"twice inside a nested one", []Op{nestedOp(nil, []Op{putOp("a", ""), putOp("a", "")})}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openMem(t, Config{})
			for _, txn := range []Txn{{Then: test.ops}, {Else: test.ops}} {
				_, err := s.Txn(ctx, txn)
				if test.refused {
					require.ErrorIs(t, err, ErrDuplicateKey)
				} else {
					require.NoError(t, err)
				}
			}
			if test.refused {
				require.EqualValues(t, 1, s.Rev())
			}
		})
	}
	t.Run("then and else are apart", func(t *testing.T) {
		_, err := openMem(t, Config{}).Txn(ctx, Txn{Then: []Op{putOp("a", "")}, Else: []Op{putOp("a", "")}})
		require.NoError(t, err)
	})
}

// E2's odd cases: a key may have two events in one revision; both are kept, in
// order, over a restart and a compaction at that revision.
func TestTxn_PutThenDeletedBySibling(t *testing.T) {
	engine := memEngine(t)
	s := openOn(t, engine, Config{})
	put(t, s, "a", "0")
	_, err := s.Txn(ctx, Txn{Then: []Op{
		nestedOp([]Op{putOp("a", "1")}, nil),
		nestedOp([]Op{deleteOp("a", "b")}, nil),
	}})
	require.NoError(t, err)
	_, err = s.Txn(ctx, Txn{Then: []Op{putOp("b", "1")}})
	require.NoError(t, err)
	_, err = s.Txn(ctx, Txn{Then: []Op{deleteOp("b", "\x00"), putOp("b", "2")}})
	require.NoError(t, err)
	want := []string{"put a=1@3", "del a@3", "put b=1@4", "del b@5", "put b=2@5"}
	check := func() {
		t.Helper()
		require.Equal(t, want, history(t, s, 3))
		require.Equal(t, []string{}, all(t, s, 3))
		require.Equal(t, []string{"b=2@5"}, all(t, s, 0))
	}
	check()
	require.NoError(t, s.Close())
	s = openOn(t, engine, Config{})
	check()
	require.NoError(t, s.Compact(ctx, 3))
	check()
	kv, _, err := s.Get([]byte("b"), 0)
	require.NoError(t, err)
	require.Equal(t, int64(1), kv.Version)
	require.NoError(t, s.Compact(ctx, 5))
	require.Equal(t, want[3:], history(t, s, 5))
}

func TestTxn_Compares(t *testing.T) {
	s := openMem(t, Config{})
	_, err := s.Update(ctx, func(tx *WriteTx) error { return tx.Put([]byte("k"), []byte("v"), 7) })
	require.NoError(t, err) // revision 2
	put(t, s, "l", "v")     // 3
	_, err = s.Update(ctx, func(tx *WriteTx) error { return tx.Put([]byte("k"), []byte("v"), 7) })
	require.NoError(t, err) // 4, version 2
	for _, test := range []struct {
		text string
		c    Compare
		want bool
	}{
		{"value =", Compare{Target: TargetValue, Relation: Equal, Key: []byte("k"), Value: []byte("v")}, true},
		{"value !=", Compare{Target: TargetValue, Relation: NotEqual, Key: []byte("k"), Value: []byte("v")}, false},
		{"value >", Compare{Target: TargetValue, Relation: Greater, Key: []byte("k"), Value: []byte("a")}, true},
		{"value <", Compare{Target: TargetValue, Relation: Less, Key: []byte("k"), Value: []byte("z")}, true},
		{"version", Compare{Target: TargetVersion, Relation: Equal, Key: []byte("k"), Int: 2}, true},
		{"create", Compare{Target: TargetCreate, Relation: Equal, Key: []byte("k"), Int: 2}, true},
		{"mod", Compare{Target: TargetMod, Relation: Greater, Key: []byte("k"), Int: 3}, true},
		{"lease", Compare{Target: TargetLease, Relation: Equal, Key: []byte("k"), Int: 7}, true},
		{"missing key: numbers are 0", Compare{Target: TargetVersion, Relation: Equal, Key: []byte("x"), Int: 0}, true},
		{"missing key: lease is 0", Compare{Target: TargetLease, Relation: Less, Key: []byte("x"), Int: 1}, true},
		{"missing key: no value", Compare{Target: TargetValue, Relation: NotEqual, Key: []byte("x"), Value: []byte("a")}, false},
		{"range, all hold", Compare{Target: TargetValue, Relation: Equal, Key: []byte("k"), End: []byte("m"), Value: []byte("v")}, true},
		{"range, one does not", Compare{Target: TargetVersion, Relation: Equal, Key: []byte("k"), End: []byte("m"), Int: 2}, false},
		{"empty range", Compare{Target: TargetMod, Relation: Equal, Key: []byte("x"), End: []byte{0}, Int: 0}, true},
	} {
		t.Run(test.text, func(t *testing.T) {
			res, err := s.Txn(ctx, Txn{If: []Compare{test.c}})
			require.NoError(t, err)
			require.Equal(t, test.want, res.Succeeded)
			require.EqualValues(t, 4, res.Rev)
		})
	}
	for name, bad := range map[string]Txn{
		"empty compare key": {If: []Compare{{}}},
		"empty put key":     {Else: []Op{putOp("", "")}},
		"empty nested key":  {Then: []Op{nestedOp([]Op{{Type: OpRange}}, nil)}},
	} {
		_, err := s.Txn(ctx, bad)
		require.ErrorIs(t, err, ErrEmptyKey, name)
	}
	for name, bad := range map[string]Txn{
		"unknown operation": {Then: []Op{{Type: 99, Key: []byte("a")}}},
		"nested is missing": {Then: []Op{{Type: OpTxn}}},
		"unknown target":    {If: []Compare{{Target: 9, Key: []byte("a")}}},
		"unknown relation":  {If: []Compare{{Relation: 9, Key: []byte("a")}}},
	} {
		_, err := s.Txn(ctx, bad)
		require.Error(t, err, name)
	}
	require.EqualValues(t, 4, s.Rev())
}

// E1, G8: answers mirror the operations; all conditions are decided on the
// state before.
func TestTxn_Answers(t *testing.T) {
	s := openMem(t, Config{})
	put(t, s, "a", "1")
	put(t, s, "d", "1")
	absent := []Compare{{Target: TargetVersion, Relation: Equal, Key: []byte("n"), Int: 0}}
	res, err := s.Txn(ctx, Txn{
		If: absent,
		Then: []Op{
			putOp("n", "1"),
			{Type: OpPut, Key: []byte("a"), IgnoreValue: true, Lease: 5, PrevKV: true},
			{Type: OpRange, Key: []byte("a"), End: []byte{0}},
			{Type: OpTxn, Txn: &Txn{If: absent, Then: []Op{putOp("inner", "then")}, Else: []Op{putOp("inner", "else")}}},
			{Type: OpDeleteRange, Key: []byte("d"), PrevKV: true},
			{Type: OpRange, Key: []byte("a"), Range: RangeOptions{Rev: 2}},
		},
	})
	require.NoError(t, err)
	require.True(t, res.Succeeded)
	require.EqualValues(t, 4, res.Rev)
	require.Len(t, res.Results, 6)
	require.Equal(t, []string{"a=1@2"}, show(res.Results[1].Prev))
	require.Equal(t, []string{"a=1@4", "d=1@3", "n=1@4"}, show(res.Results[2].Range.KVs))
	require.True(t, res.Results[3].Txn.Succeeded)
	require.EqualValues(t, 4, res.Results[3].Txn.Rev)
	require.EqualValues(t, 1, res.Results[4].Deleted)
	require.Equal(t, []string{"d=1@3"}, show(res.Results[4].Prev))
	require.Equal(t, []string{"a=1@2"}, show(res.Results[5].Range.KVs))
	require.Equal(t, []string{"put n=1@4", "put a=1@4", "put inner=then@4", "del d@4"}, history(t, s, 4))
	res, err = s.Txn(ctx, Txn{If: absent, Else: []Op{{Type: OpPut, Key: []byte("a"), Value: []byte("2"), IgnoreLease: true}}})
	require.NoError(t, err)
	require.False(t, res.Succeeded)
	kv, _, err := s.Get([]byte("a"), 0)
	require.NoError(t, err)
	require.EqualValues(t, 5, kv.Lease)
	_, err = s.Txn(ctx, Txn{Then: []Op{putOp("z", "1"), {Type: OpPut, Key: []byte("nobody"), IgnoreValue: true}}})
	require.ErrorIs(t, err, ErrKeyMissing)
	_, err = s.Txn(ctx, Txn{Then: []Op{putOp("z", "1"), {Type: OpRange, Key: []byte("a"), Range: RangeOptions{Rev: 99}}}})
	require.ErrorIs(t, err, ErrFutureRevision)
	require.EqualValues(t, 5, s.Rev())
	require.NotContains(t, strings.Join(all(t, s, 0), " "), "z=")
}

// G9: a write that returned is visible to every later read, whoever reads.
func TestPut_VisibleWhenItReturns(t *testing.T) {
	eachDurability(t, func(t *testing.T, cfg Config) {
		s := openMem(t, cfg)
		done := make(chan error, 8)
		for w := range 8 {
			go func() {
				key := fmt.Appendf(nil, "k%d", w)
				for i := range 50 {
					rev, err := s.Put(ctx, key, fmt.Append(nil, i))
					kv, ok, getErr := s.Get(key, 0)
					if err := errors.Join(err, getErr); err != nil || !ok || kv.ModRevision != rev || string(kv.Value) != fmt.Sprint(i) {
						done <- fmt.Errorf("put %d at %d, read %v %v %w", i, rev, kv, ok, err)
						return
					}
				}
				done <- nil
			}()
		}
		for range 8 {
			require.NoError(t, <-done)
		}
		require.EqualValues(t, 401, s.Rev())
	})
}
