package wire

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/watchkv/watchkv/mvcc"
)

func rangeRequest(key, end []byte, o mvcc.RangeOptions) *pb.RangeRequest {
	return &pb.RangeRequest{Key: key, RangeEnd: end, Revision: o.Rev, Limit: o.Limit, CountOnly: o.CountOnly, KeysOnly: o.KeysOnly}
}

func toRange(r *pb.RangeResponse) mvcc.RangeResult {
	out := mvcc.RangeResult{Count: r.Count, More: r.More, Rev: r.Header.GetRevision()}
	for _, kv := range r.Kvs {
		out.KVs = append(out.KVs, toKV(kv))
	}
	return out
}

func toKV(kv *mvccpb.KeyValue) mvcc.KeyValue {
	return mvcc.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}

func toEvent(e *mvccpb.Event) mvcc.Event {
	out := mvcc.Event{Type: mvcc.EventType(e.Type), KV: toKV(e.Kv)}
	if e.PrevKv != nil {
		prev := toKV(e.PrevKv)
		out.Prev = &prev
	}
	return out
}

func toTxn(t *mvcc.Txn) *pb.TxnRequest {
	out := &pb.TxnRequest{Success: toOps(t.Then), Failure: toOps(t.Else)}
	for i := range t.If {
		out.Compare = append(out.Compare, toCompare(&t.If[i]))
	}
	return out
}

func toCompare(c *mvcc.Compare) *pb.Compare {
	out := &pb.Compare{
		Result: pb.Compare_CompareResult(c.Relation), Target: pb.Compare_CompareTarget(c.Target),
		Key: c.Key, RangeEnd: c.End,
	}
	switch c.Target {
	case mvcc.TargetVersion:
		out.TargetUnion = &pb.Compare_Version{Version: c.Int}
	case mvcc.TargetCreate:
		out.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: c.Int}
	case mvcc.TargetMod:
		out.TargetUnion = &pb.Compare_ModRevision{ModRevision: c.Int}
	case mvcc.TargetValue:
		out.TargetUnion = &pb.Compare_Value{Value: c.Value}
	case mvcc.TargetLease:
		out.TargetUnion = &pb.Compare_Lease{Lease: c.Int}
	}
	return out
}

func toOps(ops []mvcc.Op) []*pb.RequestOp {
	out := make([]*pb.RequestOp, len(ops))
	for i := range ops {
		out[i] = toOp(&ops[i])
	}
	return out
}

func toOp(op *mvcc.Op) *pb.RequestOp {
	switch op.Type {
	case mvcc.OpPut:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{
			Key: op.Key, Value: op.Value, Lease: op.Lease, PrevKv: op.PrevKV, IgnoreValue: op.IgnoreValue, IgnoreLease: op.IgnoreLease,
		}}}
	case mvcc.OpDeleteRange:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{
			Key: op.Key, RangeEnd: op.End, PrevKv: op.PrevKV,
		}}}
	case mvcc.OpTxn:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: toTxn(op.Txn)}}
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: rangeRequest(op.Key, op.End, op.Range)}}
}

func toTxnResult(r *pb.TxnResponse) mvcc.TxnResult {
	out := mvcc.TxnResult{Succeeded: r.Succeeded, Rev: r.Header.GetRevision()}
	for _, op := range r.Responses {
		out.Results = append(out.Results, toOpResult(op))
	}
	return out
}

func toOpResult(op *pb.ResponseOp) mvcc.OpResult {
	switch r := op.Response.(type) {
	case *pb.ResponseOp_ResponsePut:
		return mvcc.OpResult{Type: mvcc.OpPut, Prev: previous(r.ResponsePut.PrevKv)}
	case *pb.ResponseOp_ResponseDeleteRange:
		return mvcc.OpResult{Type: mvcc.OpDeleteRange, Deleted: r.ResponseDeleteRange.Deleted, Prev: previous(r.ResponseDeleteRange.PrevKvs...)}
	case *pb.ResponseOp_ResponseTxn:
		nested := toTxnResult(r.ResponseTxn)
		return mvcc.OpResult{Type: mvcc.OpTxn, Txn: &nested}
	case *pb.ResponseOp_ResponseRange:
		return mvcc.OpResult{Type: mvcc.OpRange, Range: toRange(r.ResponseRange)}
	}
	return mvcc.OpResult{}
}

func previous(kvs ...*mvccpb.KeyValue) (out []mvcc.KeyValue) {
	for _, kv := range kvs {
		if kv != nil {
			out = append(out, toKV(kv))
		}
	}
	return out
}
