package server

import (
	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
)

// keyValues shares the slices of kvs, which are frozen.
func keyValues(kvs []mvcc.KeyValue) []*mvccpb.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	all := make([]mvccpb.KeyValue, len(kvs))
	out := make([]*mvccpb.KeyValue, len(kvs))
	for i := range kvs {
		out[i] = &all[i]
		setKeyValue(out[i], &kvs[i])
	}
	return out
}

func keyValue(kv *mvcc.KeyValue) *mvccpb.KeyValue {
	out := new(mvccpb.KeyValue)
	setKeyValue(out, kv)
	return out
}

func setKeyValue(out *mvccpb.KeyValue, kv *mvcc.KeyValue) {
	out.Key, out.Value, out.Lease, out.Version = kv.Key, kv.Value, kv.Lease, kv.Version
	out.CreateRevision, out.ModRevision = kv.CreateRevision, kv.ModRevision
}

func putOp(r *pb.PutRequest) mvcc.Op {
	return mvcc.Op{
		Type: mvcc.OpPut, Key: r.Key, Value: r.Value, Lease: r.Lease,
		IgnoreValue: r.IgnoreValue, IgnoreLease: r.IgnoreLease, PrevKV: r.PrevKv,
	}
}

func putResponse(res *mvcc.OpResult, h *pb.ResponseHeader) *pb.PutResponse {
	out := &pb.PutResponse{Header: h}
	if len(res.Prev) > 0 {
		out.PrevKv = keyValue(&res.Prev[0])
	}
	return out
}

func deleteOp(r *pb.DeleteRangeRequest) mvcc.Op {
	return mvcc.Op{Type: mvcc.OpDeleteRange, Key: r.Key, End: r.RangeEnd, PrevKV: r.PrevKv}
}

func deleteResponse(res *mvcc.OpResult, h *pb.ResponseHeader) *pb.DeleteRangeResponse {
	return &pb.DeleteRangeResponse{Header: h, Deleted: res.Deleted, PrevKvs: keyValues(res.Prev)}
}
