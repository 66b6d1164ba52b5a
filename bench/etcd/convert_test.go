package etcd

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

func TestConvert(t *testing.T) {
	var b buffers
	kv := &mvccpb.KeyValue{Key: []byte("k"), Value: []byte("v"), CreateRevision: 3, ModRevision: 7, Version: 2, Lease: 9}
	was := &mvccpb.KeyValue{Key: []byte("k"), Value: []byte("u"), CreateRevision: 3, ModRevision: 5, Version: 1}
	got := b.convert(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 12}, WatchId: 4, Events: []*mvccpb.Event{
		{Type: mvccpb.Event_PUT, Kv: kv},
		{Type: mvccpb.Event_PUT, Kv: kv, PrevKv: was},
		{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte("k"), ModRevision: 8}, PrevKv: kv},
	}})
	put := mvcc.KeyValue{Key: []byte("k"), Value: []byte("v"), CreateRevision: 3, ModRevision: 7, Version: 2, Lease: 9}
	before := mvcc.KeyValue{Key: []byte("k"), Value: []byte("u"), CreateRevision: 3, ModRevision: 5, Version: 1}
	assert.Equal(t, []watch.Response{{WatchID: 4, Revision: 12, Events: []mvcc.Event{
		{Type: mvcc.EventPut, KV: put},
		{Type: mvcc.EventPut, KV: put, Prev: &before},
		{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: []byte("k"), ModRevision: 8}, Prev: &put},
	}}}, got)
}

// Why watches end is told in the words that the checker knows.
func TestConvert_Ends(t *testing.T) {
	var b buffers
	header := &pb.ResponseHeader{Revision: 12}
	for _, c := range []struct {
		what string
		in   *pb.WatchResponse
		want error
	}{
		{"cancelled", &pb.WatchResponse{Header: header, WatchId: 1, Canceled: true}, nil},
		{"empty range", &pb.WatchResponse{Header: header, WatchId: -1, Created: true, Canceled: true, CancelReason: "mvcc: watcher range is empty"}, watch.ErrEmptyRange},
		{"same id", &pb.WatchResponse{Header: header, WatchId: -1, Created: true, Canceled: true, CancelReason: "mvcc: duplicate watch ID provided on the WatchStream"}, watch.ErrDuplicateID},
		{"compacted", &pb.WatchResponse{Header: &pb.ResponseHeader{}, WatchId: 1, Canceled: true, CompactRevision: 9}, mvcc.ErrCompacted},
		{"below zero", &pb.WatchResponse{Header: header, WatchId: -1, Created: true, Canceled: true, CancelReason: "mvcc: required revision has been compacted"}, mvcc.ErrCompacted},
	} {
		got := b.convert(c.in)
		require.Len(t, got, 1)
		assert.True(t, got[0].Canceled, c.what)
		assert.Equal(t, c.in.Created, got[0].Created, c.what)
		assert.Equal(t, c.in.CompactRevision, got[0].CompactRevision, c.what)
		if c.want == nil {
			assert.NoError(t, got[0].Err, c.what)
			continue
		}
		assert.ErrorIs(t, got[0].Err, c.want, c.what)
	}
	got := b.convert(&pb.WatchResponse{WatchId: -1, Created: true, Canceled: true, CancelReason: "rpc error: code = PermissionDenied desc = etcdserver: permission denied"})
	assert.EqualError(t, got[0].Err, "etcdserver: permission denied")
}
