package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
)

var all = mvcc.SpanOf([]byte{0}, []byte{0})

func put(t *testing.T, s *model.Store, key, value string) int64 {
	rev, err := s.Update(func(tx *model.Tx) error { tx.Put([]byte(key), []byte(value), 0); return nil })
	require.NoError(t, err)
	return rev
}

// E4, E5, E6
func TestStore_Life(t *testing.T) {
	s := model.New()
	assert.Equal(t, int64(2), put(t, s, "a", "1"))
	assert.Equal(t, int64(3), put(t, s, "a", "1"))
	rev, err := s.Update(func(tx *model.Tx) error { tx.Delete(all); return nil })
	require.NoError(t, err)
	assert.Equal(t, int64(4), rev)
	assert.Equal(t, int64(5), put(t, s, "a", "2"))

	first := mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1}
	second := mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 3, Version: 2}
	assert.Equal(t, []mvcc.Event{
		{KV: first},
		{KV: second, Prev: &first},
		{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: []byte("a"), ModRevision: 4}, Prev: &second},
		{KV: mvcc.KeyValue{Key: []byte("a"), Value: []byte("2"), CreateRevision: 5, ModRevision: 5, Version: 1}},
	}, s.Events(all, 2))

	r, err := s.Range([]byte("a"), nil, mvcc.RangeOptions{Rev: 3})
	require.NoError(t, err)
	assert.Equal(t, mvcc.RangeResult{KVs: []mvcc.KeyValue{second}, Count: 1, Rev: 5}, r)
	require.NoError(t, s.Compact(4))
	_, err = s.Range([]byte("a"), nil, mvcc.RangeOptions{Rev: 3})
	assert.ErrorIs(t, err, mvcc.ErrCompacted)
	_, err = s.Range([]byte("a"), nil, mvcc.RangeOptions{Rev: 6})
	assert.ErrorIs(t, err, mvcc.ErrFutureRevision)
	assert.ErrorIs(t, s.Compact(4), mvcc.ErrCompacted)
}

// E2
func TestStore_Txn_DuplicateKeys(t *testing.T) {
	put := func(key string) mvcc.Op { return mvcc.Op{Type: mvcc.OpPut, Key: []byte(key)} }
	del := func(key, end string) mvcc.Op {
		return mvcc.Op{Type: mvcc.OpDeleteRange, Key: []byte(key), End: []byte(end)}
	}
	txn := func(then, or []mvcc.Op) mvcc.Op {
		return mvcc.Op{Type: mvcc.OpTxn, Txn: &mvcc.Txn{Then: then, Else: or}}
	}
	ops := func(o ...mvcc.Op) []mvcc.Op { return o }
	for _, c := range []struct {
		name    string
		ops     []mvcc.Op
		refused bool
	}{
		{"two keys", ops(put("a"), put("b")), false},
		{"one key twice", ops(put("a"), put("a")), true},
		{"inside a deleted range", ops(put("b"), del("a", "c")), true},
		{"at the end of a deleted range", ops(put("c"), del("a", "c")), false},
		{"overlapping deletes", ops(del("a", "c"), del("b", "d")), false},
		{"then and else are apart", ops(txn(ops(put("a")), ops(put("a")))), false},
		{"nested against this level", ops(txn(ops(put("a")), nil), put("a")), true},
		{"nested put behind a nested delete", ops(txn(ops(del("a", "b")), nil), txn(ops(put("a")), nil)), true},
		{"nested put before a nested delete", ops(txn(ops(put("a")), nil), txn(ops(del("a", "b")), nil)), false},
		{"nested delete against this level's put", ops(txn(nil, ops(del("a", "b"))), put("a")), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, txn := range []mvcc.Txn{{Then: c.ops}, {Else: c.ops}} {
				_, err := model.New().Txn(txn)
				if c.refused {
					assert.ErrorIs(t, err, mvcc.ErrDuplicateKey)
				} else {
					assert.NoError(t, err)
				}
			}
		})
	}
}
