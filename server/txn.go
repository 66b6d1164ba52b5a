package server

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
)

// Txn implements etcdserverpb.KVServer.
func (k *kvService) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if err := checkTxn(r, k.server.cfg.MaxTxnOps); err != nil {
		return nil, err
	}
	t := txnOf(r)
	t.CheckLease = k.server.checkLease
	if !onlyReads(r) {
		if err := k.server.checkSize(r); err != nil {
			return nil, err
		}
		if err := k.server.alarms.admit(writingOf(r)); err != nil {
			return nil, err
		}
	}
	if err := k.server.authorizeTxn(ctx, pb.KV_Txn_FullMethodName, r); err != nil {
		return nil, err
	}
	res, err := k.store.Txn(ctx, t)
	if err != nil {
		return nil, toGRPC(err)
	}
	read := txnBytes(&res)
	a := txnAnswer{before: res.Rev}
	if writes(&res) {
		a.before--
	}
	out := a.txn(r, &res)
	out.Header = k.server.header(res.Rev)
	return out, checkAnswer(read, out)
}

// onlyReads reports whether etcd answers r without writing to its log.
func onlyReads(r *pb.TxnRequest) bool {
	for _, branch := range [2][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			if op.GetRequestRange() == nil {
				return false
			}
		}
	}
	return true
}

// txnOf says r in the words of mvcc; r passed checkTxn.
func txnOf(r *pb.TxnRequest) mvcc.Txn {
	t := mvcc.Txn{If: make([]mvcc.Compare, len(r.Compare)), Then: opsOf(r.Success), Else: opsOf(r.Failure)}
	for i, c := range r.Compare {
		t.If[i] = compareOf(c)
	}
	return t
}

func opsOf(requests []*pb.RequestOp) []mvcc.Op {
	ops := make([]mvcc.Op, len(requests))
	for i, r := range requests {
		switch u := r.Request.(type) {
		case *pb.RequestOp_RequestRange:
			ops[i] = mvcc.Op{
				Type: mvcc.OpRange, Key: u.RequestRange.Key, End: u.RequestRange.RangeEnd,
				Range: rangeOptions(u.RequestRange),
			}
		case *pb.RequestOp_RequestPut:
			ops[i] = putOp(u.RequestPut)
		case *pb.RequestOp_RequestDeleteRange:
			ops[i] = deleteOp(u.RequestDeleteRange)
		case *pb.RequestOp_RequestTxn:
			nested := txnOf(u.RequestTxn)
			ops[i] = mvcc.Op{Type: mvcc.OpTxn, Txn: &nested}
		}
	}
	return ops
}

// compareOf says c in the words of mvcc. A target or relation that etcd does
// not know is no error there: whatever field it is equals its operand, whatever
// relation it is holds.
func compareOf(c *pb.Compare) mvcc.Compare {
	out := mvcc.Compare{
		Target: mvcc.Target(c.Target), Relation: mvcc.Relation(c.Result),
		Key: c.Key, End: c.RangeEnd,
	}
	_, target := pb.Compare_CompareTarget_name[int32(c.Target)]
	_, relation := pb.Compare_CompareResult_name[int32(c.Result)]
	switch {
	case !relation && c.Target == pb.Compare_VALUE:
		return atLeastVersion(out, 1) // a value is there
	case !relation, !target && c.Result == pb.Compare_EQUAL:
		return atLeastVersion(out, 0) // always
	case !target:
		out.Target, out.Relation, out.Int = mvcc.TargetVersion, mvcc.Less, 0 // never
		return out
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

func atLeastVersion(c mvcc.Compare, version int64) mvcc.Compare {
	c.Target, c.Relation, c.Int = mvcc.TargetVersion, mvcc.Greater, version-1
	return c
}

// txnBytes is what was read for the answer to a transaction.
func txnBytes(res *mvcc.TxnResult) (n int64) {
	for i := range res.Results {
		r := &res.Results[i]
		n += rangeBytes(r.Range.KVs) + rangeBytes(r.Prev)
		if r.Txn != nil {
			n += txnBytes(r.Txn)
		}
	}
	return n
}

// writes reports whether the transaction made a revision.
func writes(res *mvcc.TxnResult) bool {
	for i := range res.Results {
		r := &res.Results[i]
		if r.Type == mvcc.OpPut || r.Deleted > 0 || r.Txn != nil && writes(r.Txn) {
			return true
		}
	}
	return false
}

// txnAnswer makes the answer to a transaction. Its operations tell the
// revision as it was for them: one more once something was written.
type txnAnswer struct {
	before int64 // revision before the transaction
	wrote  bool  // an operation so far did
}

func (a *txnAnswer) header() *pb.ResponseHeader {
	rev := a.before
	if a.wrote {
		rev++
	}
	return &pb.ResponseHeader{Revision: rev}
}

// txn answers with an empty header, as etcd does for nested transactions.
func (a *txnAnswer) txn(r *pb.TxnRequest, res *mvcc.TxnResult) *pb.TxnResponse {
	branch := r.Failure
	if res.Succeeded {
		branch = r.Success
	}
	out := &pb.TxnResponse{
		Header: &pb.ResponseHeader{}, Succeeded: res.Succeeded,
		Responses: make([]*pb.ResponseOp, len(res.Results)),
	}
	for i := range res.Results {
		out.Responses[i] = a.op(branch[i], &res.Results[i])
	}
	return out
}

func (a *txnAnswer) op(r *pb.RequestOp, res *mvcc.OpResult) *pb.ResponseOp {
	switch u := r.Request.(type) {
	case *pb.RequestOp_RequestRange:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{
			ResponseRange: rangeResponse(u.RequestRange, &res.Range, a.header()),
		}}
	case *pb.RequestOp_RequestPut:
		a.wrote = true
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponsePut{ResponsePut: putResponse(res, a.header())}}
	case *pb.RequestOp_RequestDeleteRange:
		a.wrote = a.wrote || res.Deleted > 0
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseDeleteRange{
			ResponseDeleteRange: deleteResponse(res, a.header()),
		}}
	case *pb.RequestOp_RequestTxn:
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: a.txn(u.RequestTxn, res.Txn)}}
	}
	return &pb.ResponseOp{}
}
