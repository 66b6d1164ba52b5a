package server

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// kvService is etcd's KV service.
type kvService struct {
	pb.UnimplementedKVServer
	server *Server
}

// Range implements etcdserverpb.KVServer.
func (k *kvService) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if err := k.server.authorize(ctx, pb.KV_Range_FullMethodName, ActionRead, r.Key, r.RangeEnd); err != nil {
		return nil, err
	}
	res, err := k.server.parts.Store.Range(r.Key, r.RangeEnd, rangeOptions(r))
	if err != nil {
		return nil, toGRPC(err)
	}
	out := rangeResponse(&res)
	out.Header = k.server.header(res.Rev)
	return out, nil
}

// Put implements etcdserverpb.KVServer.
func (k *kvService) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := k.server.authorize(ctx, pb.KV_Put_FullMethodName, ActionWrite, r.Key, nil); err != nil {
		return nil, err
	}
	res, err := k.txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{
		{Request: &pb.RequestOp_RequestPut{RequestPut: r}},
	}})
	if err != nil {
		return nil, err
	}
	out := res.Responses[0].GetResponsePut()
	out.Header = res.Header
	return out, nil
}

// DeleteRange implements etcdserverpb.KVServer.
func (k *kvService) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := k.server.authorize(ctx, pb.KV_DeleteRange_FullMethodName, ActionWrite, r.Key, r.RangeEnd); err != nil {
		return nil, err
	}
	res, err := k.txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{
		{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}},
	}})
	if err != nil {
		return nil, err
	}
	out := res.Responses[0].GetResponseDeleteRange()
	out.Header = res.Header
	return out, nil
}

// Txn implements etcdserverpb.KVServer.
func (k *kvService) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	return k.txn(ctx, r)
}

func (k *kvService) txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	t, err := txnOf(r)
	if err != nil {
		return nil, err
	}
	res, err := k.server.parts.Store.Txn(ctx, t)
	if err != nil {
		return nil, toGRPC(err)
	}
	return k.server.txnResponse(&res), nil
}

// Compact implements etcdserverpb.KVServer.
func (k *kvService) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := k.server.parts.Store.Compact(ctx, r.Revision); err != nil {
		return nil, toGRPC(err)
	}
	return &pb.CompactionResponse{Header: k.server.header(k.server.parts.Store.Rev())}, nil
}

func (s *Server) authorize(ctx context.Context, method string, action Action, key, end []byte) error {
	if s.cfg.Authorizer == nil {
		return nil
	}
	return s.cfg.Authorizer.Authorize(ctx, Access{Method: method, Action: action, Key: key, End: end})
}
