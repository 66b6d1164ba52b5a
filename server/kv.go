package server

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
)

// kvService is etcd's KV service. RangeStream is in rangestream.go, Txn in
// txn.go.
type kvService struct {
	pb.UnsafeKVServer // a method that etcd adds must not compile
	server            *Server
	store             *mvcc.Store
}

// Range implements etcdserverpb.KVServer. Serializable or not is the same
// here: what is visible was acknowledged, or is about to be.
func (k *kvService) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := checkRange(r); err != nil {
		return nil, err
	}
	if err := k.server.authorize(ctx, pb.KV_Range_FullMethodName, ActionRead, r.Key, r.RangeEnd); err != nil {
		return nil, err
	}
	res, err := k.store.Range(r.Key, r.RangeEnd, rangeOptions(r))
	if err != nil {
		return nil, toGRPC(err)
	}
	read := rangeBytes(res.KVs)
	out := rangeResponse(r, &res, k.server.header(res.Rev))
	return out, checkAnswer(read, out)
}

// Put implements etcdserverpb.KVServer.
func (k *kvService) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := checkPut(r); err != nil {
		return nil, err
	}
	if len(r.Key)+len(r.Value)+putHead > k.server.cfg.MaxRequestBytes {
		if err := k.server.checkSize(r); err != nil {
			return nil, err
		}
	}
	if err := k.server.alarms.admit(writingPuts); err != nil {
		return nil, err
	}
	if err := k.server.authorizePut(ctx, pb.KV_Put_FullMethodName, r); err != nil {
		return nil, err
	}
	if r.Lease == 0 && !r.PrevKv && !r.IgnoreValue && !r.IgnoreLease {
		rev, err := k.store.Put(ctx, r.Key, r.Value)
		if err != nil {
			return nil, toGRPC(err)
		}
		return &pb.PutResponse{Header: k.server.header(rev)}, nil
	}
	res, err := k.store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{putOp(r)}, CheckLease: k.server.checkLease})
	if err != nil {
		return nil, toGRPC(err)
	}
	return putResponse(&res.Results[0], k.server.header(res.Rev)), nil
}

// putHead is more than what a put's request has beside key and value.
const putHead = 64

// DeleteRange implements etcdserverpb.KVServer.
func (k *kvService) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := checkDelete(r); err != nil {
		return nil, err
	}
	if err := k.server.checkSize(r); err != nil {
		return nil, err
	}
	if err := k.server.alarms.admit(writingNoPuts); err != nil {
		return nil, err
	}
	if err := k.server.authorizeDelete(ctx, pb.KV_DeleteRange_FullMethodName, r); err != nil {
		return nil, err
	}
	if !r.PrevKv {
		res, err := k.store.DeleteRange(ctx, r.Key, r.RangeEnd)
		if err != nil {
			return nil, toGRPC(err)
		}
		return &pb.DeleteRangeResponse{Header: k.server.header(res.Rev), Deleted: res.Deleted}, nil
	}
	res, err := k.store.Txn(ctx, mvcc.Txn{Then: []mvcc.Op{deleteOp(r)}})
	if err != nil {
		return nil, toGRPC(err)
	}
	return deleteResponse(&res.Results[0], k.server.header(res.Rev)), nil
}

// Compact implements etcdserverpb.KVServer. A physical compaction returns
// when the records are deleted, any other when nobody can read them any more.
func (k *kvService) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := k.server.authorizeAdmin(ctx, pb.KV_Compact_FullMethodName); err != nil {
		return nil, err
	}
	if err := k.server.alarms.admit(writingNoPuts); err != nil {
		return nil, err
	}
	// Nothing is below revision 0; etcd says so as long as nothing is
	// compacted.
	if r.Revision != 0 || k.store.CompactRev() > 0 {
		compact := k.store.StartCompact
		if r.Physical {
			compact = k.store.Compact
		}
		if err := compact(ctx, r.Revision); err != nil {
			return nil, toGRPC(err)
		}
	}
	return &pb.CompactionResponse{Header: k.server.header(k.store.Rev())}, nil
}
