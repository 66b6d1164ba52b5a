package differ_test

import (
	"bytes"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"pgregory.net/rapid"
)

// drawing draws requests that are mostly meaningful, about few keys and about
// revisions near base.
type drawing struct {
	*rapid.T
	base int64
}

func (d drawing) oneIn(n int, label string) bool { return rapid.IntRange(1, n).Draw(d.T, label) == n }

func (d drawing) key() []byte {
	if d.oneIn(300, "no key") {
		return nil
	}
	return []byte(rapid.SampledFrom([]string{"a", "aa", "ab", "b", "c", "d", "\x00", "\xff"}).Draw(d.T, "key"))
}

func (d drawing) end() []byte {
	return []byte(rapid.SampledFrom([]string{"", "", "\x00", "\x00", "b", "c", "d", "\xff", "a"}).Draw(d.T, "end"))
}

func (d drawing) value() []byte {
	return []byte(rapid.SampledFrom([]string{"", "1", "2", "3", "long enough"}).Draw(d.T, "value"))
}

// revision is one that is current, gone or to come.
func (d drawing) revision() int64 {
	if d.oneIn(20, "no revision") {
		return rapid.Int64Range(-3, 1).Draw(d.T, "odd revision")
	}
	return d.base + rapid.Int64Range(-5, 25).Draw(d.T, "revision")
}

func (d drawing) some(label string) int64 {
	if d.oneIn(3, label) {
		return d.revision()
	}
	return 0
}

func (d drawing) rangeRequest() *pb.RangeRequest {
	r := &pb.RangeRequest{Key: d.key(), RangeEnd: d.end()}
	if d.oneIn(3, "old") {
		r.Revision = d.revision()
	}
	if rapid.Bool().Draw(d.T, "limited") {
		r.Limit = rapid.Int64Range(-1, 5).Draw(d.T, "limit")
	}
	if rapid.Bool().Draw(d.T, "sorted") {
		r.SortOrder = pb.RangeRequest_SortOrder(rapid.IntRange(0, 2).Draw(d.T, "order"))
		r.SortTarget = pb.RangeRequest_SortTarget(rapid.IntRange(0, 4).Draw(d.T, "target"))
	}
	if d.oneIn(100, "odd sort") {
		r.SortTarget = 7
	}
	if d.oneIn(4, "filtered") {
		r.MinModRevision, r.MaxModRevision = d.some("min mod"), d.some("max mod")
		r.MinCreateRevision, r.MaxCreateRevision = d.some("min create"), d.some("max create")
	}
	r.KeysOnly = d.oneIn(5, "keys only")
	r.CountOnly = d.oneIn(8, "count only")
	r.Serializable = rapid.Bool().Draw(d.T, "serializable")
	return r
}

func (d drawing) put() *pb.PutRequest {
	p := &pb.PutRequest{Key: d.key(), Value: d.value(), PrevKv: d.oneIn(3, "prev"), IgnoreLease: d.oneIn(8, "ignore lease")}
	if d.oneIn(8, "ignore value") {
		p.IgnoreValue = true
		if !d.oneIn(20, "value all the same") {
			p.Value = nil
		}
	}
	if d.oneIn(4, "leased") {
		p.Lease = d.lease()
	}
	return p
}

// leases are the ids drawn; at first there is only the first of them.
var leases = []int64{1000, 77}

func (d drawing) lease() int64 { return rapid.SampledFrom(leases).Draw(d.T, "lease") }

func (d drawing) delete() *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{Key: d.key(), RangeEnd: d.end(), PrevKv: rapid.Bool().Draw(d.T, "prev")}
}

func (d drawing) txn(depth int) *pb.TxnRequest {
	r := new(pb.TxnRequest)
	for range rapid.IntRange(0, 2).Draw(d.T, "compares") {
		r.Compare = append(r.Compare, d.compare())
	}
	r.Success, r.Failure = d.ops(depth), d.ops(depth)
	if depth == 2 {
		withoutPanics(r)
	}
	return r
}

func (d drawing) ops(depth int) (ops []*pb.RequestOp) {
	for range rapid.IntRange(0, 3).Draw(d.T, "operations") {
		op := new(pb.RequestOp)
		switch kind := rapid.IntRange(0, 30).Draw(d.T, "operation"); {
		case kind < 12:
			op.Request = &pb.RequestOp_RequestPut{RequestPut: d.put()}
		case kind < 18:
			op.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: d.delete()}
		case kind < 25:
			op.Request = &pb.RequestOp_RequestRange{RequestRange: d.rangeRequest()}
		case kind < 30 && depth > 0:
			op.Request = &pb.RequestOp_RequestTxn{RequestTxn: d.txn(depth - 1)}
		case kind < 30:
			op.Request = &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: d.key()}}
		}
		ops = append(ops, op)
	}
	return ops
}

func (d drawing) compare() *pb.Compare {
	c := &pb.Compare{
		Key: d.key(), Target: pb.Compare_CompareTarget(rapid.IntRange(0, 4).Draw(d.T, "target")),
		Result: pb.Compare_CompareResult(rapid.IntRange(0, 3).Draw(d.T, "result")),
	}
	if d.oneIn(3, "range") {
		c.RangeEnd = d.end()
	}
	if d.oneIn(30, "odd target") {
		c.Target = 9
	}
	if d.oneIn(30, "odd result") {
		c.Result = 9
	}
	// Now and then an operand of another target.
	switch operand := rapid.IntRange(0, 9).Draw(d.T, "operand"); {
	case operand == 0:
	case operand == 1 || c.Target == pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: d.value()}
	case operand == 2 || c.Target == pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: rapid.Int64Range(0, 3).Draw(d.T, "version")}
	case c.Target == pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: d.revision()}
	case c.Target == pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: rapid.SampledFrom([]int64{0, 77, 1000}).Draw(d.T, "lease")}
	default:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: d.revision()}
	}
	return c
}

// withoutPanics takes out what ends an etcd: a put that keeps the value or
// lease of a key which the same transaction deleted before, by a range without
// end.
func withoutPanics(r *pb.TxnRequest) {
	if !deletesToTheEnd(r) {
		return
	}
	eachPut(r, func(p *pb.PutRequest) { p.IgnoreValue, p.IgnoreLease = false, false })
}

func deletesToTheEnd(r *pb.TxnRequest) (found bool) {
	for _, op := range append(append([]*pb.RequestOp{}, r.Success...), r.Failure...) {
		if d := op.GetRequestDeleteRange(); d != nil && bytes.Equal(d.RangeEnd, []byte{0}) {
			return true
		}
		if nested := op.GetRequestTxn(); nested != nil && deletesToTheEnd(nested) {
			return true
		}
	}
	return false
}

func eachPut(r *pb.TxnRequest, visit func(p *pb.PutRequest)) {
	for _, op := range append(append([]*pb.RequestOp{}, r.Success...), r.Failure...) {
		if p := op.GetRequestPut(); p != nil {
			visit(p)
		}
		if nested := op.GetRequestTxn(); nested != nil {
			eachPut(nested, visit)
		}
	}
}
