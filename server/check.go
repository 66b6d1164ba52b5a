package server

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/mvcc"
)

// What is wrong with a request whatever the store holds, in etcd's order.

func checkRange(r *pb.RangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	_, order := pb.RangeRequest_SortOrder_name[int32(r.SortOrder)]
	_, target := pb.RangeRequest_SortTarget_name[int32(r.SortTarget)]
	if !order || !target {
		return rpctypes.ErrGRPCInvalidSortOption
	}
	return nil
}

func checkPut(r *pb.PutRequest) error {
	switch {
	case len(r.GetKey()) == 0:
		return rpctypes.ErrGRPCEmptyKey
	case r.IgnoreValue && len(r.Value) != 0:
		return rpctypes.ErrGRPCValueProvided
	case r.IgnoreLease && r.Lease != 0:
		return rpctypes.ErrGRPCLeaseProvided
	}
	return nil
}

func checkDelete(r *pb.DeleteRangeRequest) error {
	if len(r.GetKey()) == 0 {
		return rpctypes.ErrGRPCEmptyKey
	}
	return nil
}

// checkTxn bounds the longest list of r by maxOps; a nested transaction has
// what that one leaves.
func checkTxn(r *pb.TxnRequest, maxOps int) error {
	longest := max(len(r.GetCompare()), len(r.GetSuccess()), len(r.GetFailure()))
	if longest > maxOps {
		return rpctypes.ErrGRPCTooManyOps
	}
	for _, c := range r.GetCompare() {
		if len(c.GetKey()) == 0 {
			return rpctypes.ErrGRPCEmptyKey
		}
	}
	for _, branch := range [2][]*pb.RequestOp{r.GetSuccess(), r.GetFailure()} {
		for _, op := range branch {
			if err := checkOp(op, maxOps-longest); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *pb.RequestOp, maxOps int) error {
	switch u := op.GetRequest().(type) {
	case *pb.RequestOp_RequestRange:
		return checkRange(u.RequestRange)
	case *pb.RequestOp_RequestPut:
		return checkPut(u.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return checkDelete(u.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return checkTxn(u.RequestTxn, maxOps)
	}
	return rpctypes.ErrGRPCKeyNotFound // etcd's answer to an operation without a request
}

// checkSize refuses a write that etcd would not take into its log.
func (s *Server) checkSize(m proto.Message) error {
	if proto.Size(m)+entryHead > s.cfg.MaxRequestBytes {
		return rpctypes.ErrGRPCRequestTooLarge
	}
	return nil
}

// entryHead is what etcd's log entry has beside the request: the tags and
// lengths of both, and the id of the request.
const entryHead = 18

// checkLease refuses to attach a key to a lease that is not there.
func (s *Server) checkLease(id int64) error {
	if s.parts.Lessor != nil && s.parts.Lessor.Exists(id) {
		return nil
	}
	return rpctypes.ErrGRPCLeaseNotFound
}

// checkAnswer refuses what grpc would not send, before it is encoded; read is
// the bytes of keys and values it was made of, some of which may not be in it.
func checkAnswer(read int64, m proto.Message) error {
	if read <= math.MaxInt32 {
		return nil
	}
	if n := proto.Size(m); n > math.MaxInt32 {
		return status.Errorf(codes.ResourceExhausted, "etcdserver: the answer has %d bytes, at most %d can be sent", n, math.MaxInt32)
	}
	return nil
}

// rangeBytes is what keys and values weigh.
func rangeBytes(kvs []mvcc.KeyValue) (n int64) {
	for i := range kvs {
		n += int64(len(kvs[i].Key) + len(kvs[i].Value))
	}
	return n
}
