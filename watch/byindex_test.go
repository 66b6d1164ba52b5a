package watch

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// G3, G4: a step through the index does not end between two events of one
// revision. One key has two of them where a nested delete meets a nested put.
func TestReadMatches_EndsBetweenRevisions(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxBytes: 1 << 30, MaxResponseBytes: 1 << 30})
	const border = (chunkEvents + readAtOnce - 1) / readAtOnce * readAtOnce // where a step ends
	h.fill("k", border)                                                     // revisions 2 to border
	put := mvcc.Op{Type: mvcc.OpTxn, Txn: &mvcc.Txn{Then: []mvcc.Op{{Type: mvcc.OpPut, Key: []byte("k")}}}}
	del := mvcc.Op{Type: mvcc.OpTxn, Txn: &mvcc.Txn{Then: []mvcc.Op{{Type: mvcc.OpDeleteRange, Key: []byte("k")}}}}
	res, err := h.store.Txn(context.Background(), mvcc.Txn{Then: []mvcc.Op{put, del}})
	require.NoError(t, err)
	h.put("k")
	h.shard.offered = h.store.Rev()

	var got []mvcc.Event
	for from := int64(2); from <= h.store.Rev(); {
		p, err := h.shard.readMatches(context.Background(), h.reader, mvcc.SpanOf([]byte("k"), nil), from)
		require.NoError(t, err)
		require.Greater(t, p.next, from)
		for _, e := range p.commits[0].Events {
			require.Less(t, e.KV.ModRevision, p.next)
			got = append(got, e)
		}
		from = p.next
	}
	require.Len(t, got, border-1+2+1)
	assert.Equal(t, mvcc.EventPut, got[border-1].Type)
	assert.Equal(t, mvcc.EventDelete, got[border].Type)
	for _, i := range []int{border - 1, border} {
		assert.Equal(t, res.Rev, got[i].KV.ModRevision)
	}
}

// V2, S5: a step through the index reads about one response, not all that the
// index named.
func TestReadMatches_ReadsAboutOneResponse(t *testing.T) {
	const value, response = 1 << 10, 64 << 10
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{MaxResponseBytes: response})
	for range 1000 {
		h.put("k", make([]byte, value)...)
	}
	h.shard.offered = h.store.Rev()
	p, err := h.shard.readMatches(context.Background(), h.reader, mvcc.SpanOf([]byte("k"), nil), 2)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, p.bytes, int64(response)/2)
	assert.LessOrEqual(t, p.bytes, int64(response+readAtOnce*2*value))
	assert.Less(t, p.next, h.store.Rev())
}
