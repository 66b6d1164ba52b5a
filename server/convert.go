package server

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
)

func rangeOptions(r *pb.RangeRequest) mvcc.RangeOptions {
	return mvcc.RangeOptions{Rev: r.Revision, Limit: r.Limit, CountOnly: r.CountOnly, KeysOnly: r.KeysOnly}
}

func rangeResponse(res *mvcc.RangeResult) *pb.RangeResponse {
	return &pb.RangeResponse{Kvs: keyValues(res.KVs), Count: res.Count, More: res.More}
}

func keyValues(kvs []mvcc.KeyValue) []*mvccpb.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	out := make([]*mvccpb.KeyValue, len(kvs))
	for i := range kvs {
		out[i] = keyValue(&kvs[i])
	}
	return out
}

// keyValue shares the slices of kv, which are frozen.
func keyValue(kv *mvcc.KeyValue) *mvccpb.KeyValue {
	return &mvccpb.KeyValue{
		Key: kv.Key, Value: kv.Value, Lease: kv.Lease, Version: kv.Version,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
	}
}

func txnOf(r *pb.TxnRequest) (mvcc.Txn, error) {
	t := mvcc.Txn{If: make([]mvcc.Compare, len(r.Compare))}
	for i, c := range r.Compare {
		t.If[i] = compareOf(c)
	}
	var err error
	if t.Then, err = opsOf(r.Success); err != nil {
		return mvcc.Txn{}, err
	}
	t.Else, err = opsOf(r.Failure)
	return t, err
}

func compareOf(c *pb.Compare) mvcc.Compare {
	out := mvcc.Compare{
		Key: c.Key, End: c.RangeEnd,
		Target: mvcc.Target(c.Target), Relation: mvcc.Relation(c.Result),
	}
	switch c.Target {
	case pb.Compare_VALUE:
		out.Value = c.GetValue()
	case pb.Compare_VERSION:
		out.Int = c.GetVersion()
	case pb.Compare_CREATE:
		out.Int = c.GetCreateRevision()
	case pb.Compare_MOD:
		out.Int = c.GetModRevision()
	case pb.Compare_LEASE:
		out.Int = c.GetLease()
	}
	return out
}

func opsOf(requests []*pb.RequestOp) ([]mvcc.Op, error) {
	ops := make([]mvcc.Op, len(requests))
	for i, r := range requests {
		switch u := r.Request.(type) {
		case *pb.RequestOp_RequestRange:
			ops[i] = mvcc.Op{
				Type: mvcc.OpRange, Key: u.RequestRange.Key, End: u.RequestRange.RangeEnd,
				Range: rangeOptions(u.RequestRange),
			}
		case *pb.RequestOp_RequestPut:
			p := u.RequestPut
			ops[i] = mvcc.Op{
				Type: mvcc.OpPut, Key: p.Key, Value: p.Value, Lease: p.Lease,
				IgnoreValue: p.IgnoreValue, IgnoreLease: p.IgnoreLease, PrevKV: p.PrevKv,
			}
		case *pb.RequestOp_RequestDeleteRange:
			d := u.RequestDeleteRange
			ops[i] = mvcc.Op{Type: mvcc.OpDeleteRange, Key: d.Key, End: d.RangeEnd, PrevKV: d.PrevKv}
		case *pb.RequestOp_RequestTxn:
			nested, err := txnOf(u.RequestTxn)
			if err != nil {
				return nil, err
			}
			ops[i] = mvcc.Op{Type: mvcc.OpTxn, Txn: &nested}
		default:
			return nil, status.Error(codes.InvalidArgument, "etcdserver: an operation of the transaction has no request")
		}
	}
	return ops, nil
}

func (s *Server) txnResponse(res *mvcc.TxnResult) *pb.TxnResponse {
	out := &pb.TxnResponse{
		Header: s.header(res.Rev), Succeeded: res.Succeeded,
		Responses: make([]*pb.ResponseOp, len(res.Results)),
	}
	for i := range res.Results {
		out.Responses[i] = s.opResponse(&res.Results[i])
	}
	return out
}

func (s *Server) opResponse(r *mvcc.OpResult) *pb.ResponseOp {
	switch r.Type {
	case mvcc.OpRange:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: rangeResponse(&r.Range)}}
	case mvcc.OpPut:
		put := &pb.PutResponse{}
		if len(r.Prev) > 0 {
			put.PrevKv = keyValue(&r.Prev[0])
		}
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: put}}
	case mvcc.OpDeleteRange:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{
			ResponseDeleteRange: &pb.DeleteRangeResponse{Deleted: r.Deleted, PrevKvs: keyValues(r.Prev)},
		}}
	}
	return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: s.txnResponse(r.Txn)}}
}
