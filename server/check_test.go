package server

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
)

// An answer that grpc would refuse is refused before it is encoded. The keys
// of this one share a value, so that it weighs nothing here.
func TestCheckAnswer(t *testing.T) {
	value := make([]byte, 1<<20)
	kvs := make([]mvcc.KeyValue, 1024)
	for i := range kvs {
		kvs[i] = mvcc.KeyValue{Key: []byte("k"), Value: value}
	}
	half := mvcc.OpResult{Type: mvcc.OpRange, Range: mvcc.RangeResult{KVs: kvs}}
	whole := mvcc.TxnResult{Results: []mvcc.OpResult{half, {Type: mvcc.OpTxn, Txn: &mvcc.TxnResult{Results: []mvcc.OpResult{{Prev: kvs}}}}}}
	read := txnBytes(&whole)
	require.EqualValues(t, 2*1024*(1<<20+1), read)
	all := &pb.RangeResponse{Kvs: append(keyValues(kvs), keyValues(kvs)...)}
	err := checkAnswer(read, all)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	all.Kvs = all.Kvs[:1]
	require.NoError(t, checkAnswer(read, all), "read and left out")
	require.NoError(t, checkAnswer(math.MaxInt32, nil))
}
