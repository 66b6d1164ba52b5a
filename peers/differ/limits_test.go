package differ_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// The limits are etcd's defaults, with its codes and texts.
func TestLimits_AsEtcd(t *testing.T) {
	theirs, ours := startEtcd(t), startOurs(t)
	const limit = 1536 * 1024
	put := func(bytes int) *pb.PutRequest { return &pb.PutRequest{Key: []byte("a"), Value: make([]byte, bytes)} }
	puts := func(n int) (ops []*pb.RequestOp) {
		for i := range n {
			ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: fmt.Append(nil, i)}}})
		}
		return ops
	}
	nested := func(r *pb.TxnRequest) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}}
	}
	deep := &pb.TxnRequest{}
	for range 140 {
		deep = &pb.TxnRequest{Success: []*pb.RequestOp{nested(deep)}}
	}
	reads := &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: make([]byte, limit)}}}}}
	for _, test := range []struct {
		name string
		r    proto.Message
	}{
		{"put just below", put(limit - 64)},
		{"put at the limit", put(limit)},
		{"put at what grpc takes", put(limit + 512*1024 - 32)},
		{"put above it", put(limit + 512*1024)},
		{"delete", &pb.DeleteRangeRequest{Key: make([]byte, limit)}},
		{"range", &pb.RangeRequest{Key: make([]byte, limit)}},
		{"transaction", &pb.TxnRequest{Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: put(limit)}}}}},
		{"transaction that only reads", reads},
		{"128 operations", &pb.TxnRequest{Success: puts(128)}},
		{"129 operations", &pb.TxnRequest{Failure: puts(129)}},
		{"129 compares", &pb.TxnRequest{Compare: slices.Repeat([]*pb.Compare{{Key: []byte("a")}}, 129)}},
		{"nested within", &pb.TxnRequest{Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: puts(127)})}}},
		{"nested above", &pb.TxnRequest{Success: []*pb.RequestOp{nested(&pb.TxnRequest{Success: puts(128)})}}},
		{"nested too deep", deep},
	} {
		require.Equal(t, theirs.ask(t.Context(), test.r), ours.ask(t.Context(), test.r), test.name)
	}
}
