package watchd

import (
	"math/rand/v2"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// requestGen makes requests from a seed. It guesses the store's revision, so
// that some requests are about history.
type requestGen struct {
	r         *rand.Rand
	rev       int64
	compacted int64
	values    int
}

// next is one request more.
func (g *requestGen) next() any {
	g.rev++ // about right
	switch n := g.r.IntN(100); {
	case n < 22:
		return g.rangeRequest()
	case n < 28:
		// etcd sorts each part by the target, if no order is asked for; with
		// one it refuses.
		r := g.rangeRequest()
		if r.SortOrder == pb.RangeRequest_NONE {
			r.SortTarget = pb.RangeRequest_KEY
		}
		return streamed{r}
	case n < 50:
		return g.putRequest()
	case n < 60:
		return g.deleteRequest()
	case n < 82:
		t := g.txnRequest(0)
		if deletes(t) {
			keepNothing(t)
		}
		return t
	case n < 84:
		return g.compaction()
	case n < 87:
		return &pb.LeaseGrantRequest{ID: pick[int64](g, 1, 2, 3, 7, -1), TTL: pick(g, unhurried, unhurried+1, 9_000_000_001)}
	case n < 89:
		return &pb.LeaseRevokeRequest{ID: g.lease()}
	case n < 92:
		return &pb.LeaseTimeToLiveRequest{ID: g.lease(), Keys: g.chance(2)}
	case n < 93:
		return &pb.LeaseLeasesRequest{}
	case n < 95:
		return &pb.LeaseKeepAliveRequest{ID: g.lease()}
	default:
		// Of compacted revisions etcd has the hashes that it took on the way.
		return &pb.HashKVRequest{Revision: pick(g, 0, 0, 0, g.rev+1000)}
	}
}

func pick[T any](g *requestGen, from ...T) T { return from[g.r.IntN(len(from))] }

func (g *requestGen) chance(oneIn int) bool { return g.r.IntN(oneIn) == 0 }

// key is now and then none.
func (g *requestGen) key() []byte {
	if g.chance(40) {
		return nil
	}
	return []byte(pick(g, "a", "a/b", "a/c", "b", "c", "\x00", "\xff", "a\x00"))
}

func (g *requestGen) end() []byte {
	if g.chance(2) {
		return nil
	}
	return []byte(pick(g, "\x00", "a", "a0", "b", "d", "\xff\xff"))
}

func (g *requestGen) lease() int64 { return pick[int64](g, 1, 2, 3, 7, 0, -1) }

func (g *requestGen) revision() int64 {
	switch g.r.IntN(8) {
	case 0:
		return g.rev + 1000
	case 1:
		return pick[int64](g, -1, 1)
	case 2, 3:
		return g.compacted + g.r.Int64N(5) - 1
	case 4:
		return max(1, g.rev/2)
	}
	return 0
}

func (g *requestGen) bound() int64 {
	if g.chance(6) {
		return g.r.Int64N(g.rev + 1)
	}
	return 0
}

func (g *requestGen) rangeRequest() *pb.RangeRequest {
	r := &pb.RangeRequest{
		Key: g.key(), RangeEnd: g.end(), Revision: g.revision(), Serializable: g.chance(3),
		KeysOnly: g.chance(6), CountOnly: g.chance(8),
		MinModRevision: g.bound(), MaxModRevision: g.bound(), MinCreateRevision: g.bound(), MaxCreateRevision: g.bound(),
	}
	if g.chance(3) {
		r.Limit = pick[int64](g, 1, 2, 3, 100, -1)
	}
	if g.chance(3) {
		r.SortOrder = pick[pb.RangeRequest_SortOrder](g, 0, 1, 2, 9, -1)
		r.SortTarget = pick[pb.RangeRequest_SortTarget](g, 0, 1, 2, 3, 4, 9, -1)
	}
	return r
}

// value is unique: with equal ones the order of a sort would be anybody's.
func (g *requestGen) value() []byte {
	g.values++
	return []byte(strings.Repeat("v", g.r.IntN(3)) + string(rune('a'+g.values%26)) + string(rune('0'+g.values/26%10)) + string(rune('0'+g.values/260%75)))
}

func (g *requestGen) putRequest() *pb.PutRequest {
	p := &pb.PutRequest{Key: g.key(), Value: g.value(), PrevKv: g.chance(3), IgnoreValue: g.chance(9), IgnoreLease: g.chance(9)}
	if g.chance(4) {
		p.Lease = g.lease()
	}
	if p.IgnoreValue && !g.chance(4) {
		p.Value = nil
	}
	return p
}

func (g *requestGen) deleteRequest() *pb.DeleteRangeRequest {
	return &pb.DeleteRangeRequest{Key: g.key(), RangeEnd: g.end(), PrevKv: g.chance(2)}
}

func (g *requestGen) compaction() *pb.CompactionRequest {
	// etcd takes a compaction at 0, but only the first time.
	at := max(g.revision(), 1)
	return &pb.CompactionRequest{Revision: at, Physical: g.chance(2)}
}

func (g *requestGen) txnRequest(depth int) *pb.TxnRequest {
	t := &pb.TxnRequest{}
	for range g.r.IntN(3) {
		t.Compare = append(t.Compare, g.compare())
	}
	for range g.r.IntN(4) {
		t.Success = append(t.Success, g.op(depth))
	}
	for range g.r.IntN(3) {
		t.Failure = append(t.Failure, g.op(depth))
	}
	return t
}

// deletes reports whether anything in t does.
func deletes(t *pb.TxnRequest) bool {
	return slices.ContainsFunc(slices.Concat(t.Success, t.Failure), func(op *pb.RequestOp) bool {
		nested := op.GetRequestTxn()
		return op.GetRequestDeleteRange() != nil || nested != nil && deletes(nested)
	})
}

// keepNothing clears what refers to the key's present value or lease: etcd
// crashes if the same transaction has deleted the key by then.
func keepNothing(t *pb.TxnRequest) {
	for _, op := range slices.Concat(t.Success, t.Failure) {
		if p := op.GetRequestPut(); p != nil {
			p.IgnoreValue, p.IgnoreLease = false, false
		}
		if nested := op.GetRequestTxn(); nested != nil {
			keepNothing(nested)
		}
	}
}

func (g *requestGen) op(depth int) *pb.RequestOp {
	switch n := g.r.IntN(20); {
	case n < 6:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: g.rangeRequest()}}
	case n < 12:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: g.putRequest()}}
	case n < 16:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: g.deleteRequest()}}
	case n < 19 && depth < 2:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: g.txnRequest(depth + 1)}}
	}
	if g.chance(30) {
		return &pb.RequestOp{} // of no kind
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: g.key(), Value: g.value()}}}
}

func (g *requestGen) compare() *pb.Compare {
	c := &pb.Compare{Key: g.key(), Result: pick[pb.Compare_CompareResult](g, 0, 1, 2, 3)}
	if g.chance(4) {
		c.RangeEnd = g.end()
	}
	if g.chance(40) {
		c.Result = 9
	}
	c.Target = pick[pb.Compare_CompareTarget](g, 0, 1, 2, 3, 4)
	target := c.Target
	if g.chance(20) {
		target = pick[pb.Compare_CompareTarget](g, 0, 1, 2, 3, 4) // a value of another kind
	}
	number := pick(g, 0, 1, 2, g.r.Int64N(g.rev+1))
	switch target {
	case pb.Compare_VERSION:
		c.TargetUnion = &pb.Compare_Version{Version: number}
	case pb.Compare_CREATE:
		c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: number}
	case pb.Compare_MOD:
		c.TargetUnion = &pb.Compare_ModRevision{ModRevision: number}
	case pb.Compare_VALUE:
		c.TargetUnion = &pb.Compare_Value{Value: []byte(pick(g, "", "a", "va0", "vvz9"))}
	case pb.Compare_LEASE:
		c.TargetUnion = &pb.Compare_Lease{Lease: g.lease()}
	}
	return c
}
