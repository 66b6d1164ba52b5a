package server_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/mvcc"
)

// small makes responses of 512 KiB and a byte be split, the least there is.
const (
	smallRequests = 1
	smallLimit    = smallRequests + 512<<10
)

// large puts n keys of a size as one revision.
func (w *watched) large(n, size int) int64 {
	var txn mvcc.Txn
	for i := range n {
		txn.Then = append(txn.Then, mvcc.Op{Type: mvcc.OpPut, Key: fmt.Appendf(nil, "k%02d", i), Value: make([]byte, size)})
	}
	got, err := w.store.Txn(w.ctx, txn)
	require.NoError(w.t, err)
	return got.Rev
}

// fragmented watches everything, in fragments.
func fragmented() *pb.WatchCreateRequest {
	c := prefix("")
	c.Fragment = true
	return c
}

// S1, S2, S3, S4 over the wire, with C16: from the very first response. Two
// watches get the same; their fragments do not mix.
func TestWatch_Fragments(t *testing.T) {
	with := setup{}
	with.server.MaxRequestBytes = smallRequests
	s := serveWatches(t, with).stream()
	rev := s.large(10, 100<<10)
	for range 2 {
		c := fragmented()
		c.StartRevision = rev
		s.send(createRequest(c))
	}
	whole := map[int64][]string{}
	var current int64 = -1
	for len(whole[0]) < 10 || len(whole[1]) < 10 {
		r := s.next()
		if r.Created {
			continue
		}
		require.True(t, current < 0 || current == r.WatchId, "S4: a fragment of %d inside those of %d", r.WatchId, current)
		require.Less(t, proto.Size(r), smallLimit, "S3")
		require.Equal(t, rev, r.Header.Revision, "S2")
		whole[r.WatchId] = append(whole[r.WatchId], keys(r)...)
		require.Equal(t, len(whole[r.WatchId]) < 10, r.Fragment, "S2")
		if current = -1; r.Fragment {
			current = r.WatchId
		}
	}
	want := []string{"k00", "k01", "k02", "k03", "k04", "k05", "k06", "k07", "k08", "k09"}
	assert.Equal(t, map[int64][]string{0: want, 1: want}, whole)
}

// S1 over the wire: not what is below the limit, not a single event, and not
// unless asked for.
func TestWatch_NotFragmented(t *testing.T) {
	with := setup{}
	with.server.MaxRequestBytes = smallRequests
	w := serveWatches(t, with)
	s := w.stream()
	s.create(fragmented())
	w.large(4, 100<<10)
	r := s.next()
	assert.Len(t, r.Events, 4)
	assert.False(t, r.Fragment)
	w.large(1, smallLimit+1)
	r = s.event(0)
	assert.False(t, r.Fragment)
	assert.Greater(t, proto.Size(r), smallLimit)

	plain := w.stream()
	plain.create(prefix(""))
	w.large(10, 100<<10)
	r = plain.next()
	assert.Len(t, r.Events, 10)
	assert.False(t, r.Fragment)
}

// S5 over the wire: batches are cut so that what was not asked for in
// fragments stays below what clients take, from history and live.
func TestWatch_ResponsesAreBounded(t *testing.T) {
	const n, size = 60, 200 << 10
	s := serveWatches(t, setup{}).stream()
	for range n {
		s.write("a", make([]byte, size))
	}
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2})
	for range n { // live, while the client does not read
		s.write("a", make([]byte, size))
	}
	for got := 0; got < 2*n; {
		r := s.next()
		require.Less(t, proto.Size(r), 2<<20)
		for _, e := range r.Events {
			got++
			require.EqualValues(t, got+1, e.Kv.ModRevision)
		}
	}
}
