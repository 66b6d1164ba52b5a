package server

import (
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// FuzzTxn sends whatever decodes as a transaction: it is refused with a code
// that blames the request, or answered operation by operation.
func FuzzTxn(f *testing.F) {
	key := []byte("a")
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: key, PrevKv: true}}}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, RangeEnd: []byte{0}, Limit: 1, SortOrder: 2, SortTarget: 3}}}
	remove := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("b"), RangeEnd: []byte{0}}}}
	inner := &pb.TxnRequest{Compare: []*pb.Compare{{Key: key, Target: 3, Result: 1, TargetUnion: &pb.Compare_Value{Value: key}}}, Failure: []*pb.RequestOp{put, get}}
	for _, seed := range []*pb.TxnRequest{
		{},
		inner,
		{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}}, remove, {}}},
		{Success: []*pb.RequestOp{remove, get, {Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}}}},
		{Compare: []*pb.Compare{{Key: key, Target: 99, Result: -5, RangeEnd: []byte{0}}}, Success: []*pb.RequestOp{put}},
	} {
		data, err := proto.Marshal(seed)
		require.NoError(f, err)
		f.Add(data)
	}
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(f, err)
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(f, err)
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(f, err)
	s, err := New(Parts{Engine: engine, Store: store, Hub: hub}, Config{})
	require.NoError(f, err)
	f.Cleanup(func() {
		require.NoError(f, s.Close())
		require.NoError(f, hub.Close())
		require.NoError(f, store.Close())
		require.NoError(f, engine.Close())
	})
	kv := &kvService{server: s, store: store}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := new(pb.TxnRequest)
		if proto.Unmarshal(data, r) != nil {
			return
		}
		before := store.Rev()
		res, err := kv.Txn(t.Context(), r)
		if err != nil {
			require.Contains(t, []codes.Code{codes.InvalidArgument, codes.OutOfRange, codes.NotFound}, status.Code(err), "%v", err)
			require.Equal(t, before, store.Rev(), "refused and done all the same")
			return
		}
		require.Equal(t, store.Rev(), res.Header.Revision)
		requireAnswered(t, r, res)
		_, err = proto.Marshal(res)
		require.NoError(t, err)
	})
}

// requireAnswered wants an answer of the right kind for each operation of the
// branch that ran.
func requireAnswered(t *testing.T, r *pb.TxnRequest, res *pb.TxnResponse) {
	branch := r.Failure
	if res.Succeeded {
		branch = r.Success
	}
	require.Len(t, res.Responses, len(branch))
	for i, op := range branch {
		switch u := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			require.NotNil(t, res.Responses[i].GetResponseRange())
		case *pb.RequestOp_RequestPut:
			require.NotNil(t, res.Responses[i].GetResponsePut())
		case *pb.RequestOp_RequestDeleteRange:
			require.NotNil(t, res.Responses[i].GetResponseDeleteRange())
		case *pb.RequestOp_RequestTxn:
			require.NotNil(t, res.Responses[i].GetResponseTxn())
			requireAnswered(t, u.RequestTxn, res.Responses[i].GetResponseTxn())
		}
	}
}
