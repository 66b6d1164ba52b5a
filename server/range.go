package server

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sort"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
)

// rangeOptions asks the store for what r needs: all of the range if the
// answer is sorted or filtered, because the limit comes after that.
func rangeOptions(r *pb.RangeRequest) mvcc.RangeOptions {
	o := mvcc.RangeOptions{Rev: r.Revision, Limit: r.Limit, CountOnly: r.CountOnly, KeysOnly: withoutValues(r)}
	switch {
	case !inKeyOrder(r) || filtered(r):
		o.Limit = 0
	case shaped(r) && r.Limit > 0 && r.Limit < math.MaxInt64:
		o.Limit++ // etcd sorts one more than it answers
	}
	return o
}

// inKeyOrder reports whether etcd takes the order of the keys for the order
// asked for, when it decides how many keys to read.
func inKeyOrder(r *pb.RangeRequest) bool {
	return r.SortOrder == pb.RangeRequest_NONE ||
		r.SortTarget == pb.RangeRequest_KEY && r.SortOrder == pb.RangeRequest_ASCEND
}

func filtered(r *pb.RangeRequest) bool {
	return r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0
}

// shaped reports whether the answer is more than a stretch of the range.
func shaped(r *pb.RangeRequest) bool {
	return filtered(r) || !inKeyOrder(r) || r.SortTarget != pb.RangeRequest_KEY
}

// withoutValues reports whether no value is needed at all. Such an answer
// names no leases either, here as in etcd: it is made from the index.
func withoutValues(r *pb.RangeRequest) bool {
	return r.KeysOnly && r.SortTarget != pb.RangeRequest_VALUE
}

// rangeResponse makes the answer to r of what the store had for rangeOptions.
// res is used up.
func rangeResponse(r *pb.RangeRequest, res *mvcc.RangeResult, h *pb.ResponseHeader) *pb.RangeResponse {
	kvs, more := res.KVs, res.More
	if shaped(r) {
		kvs = slices.DeleteFunc(kvs, func(kv mvcc.KeyValue) bool { return !passes(r, &kv) })
		sortKVs(r, kvs)
		if more = r.Limit > 0 && int64(len(kvs)) > r.Limit; more {
			kvs = kvs[:r.Limit]
		}
	}
	if r.KeysOnly {
		for i := range kvs {
			kvs[i].Value = nil // of those that were sorted by it
		}
	}
	return &pb.RangeResponse{Header: h, Kvs: keyValues(kvs), Count: res.Count, More: more}
}

func passes(r *pb.RangeRequest, kv *mvcc.KeyValue) bool {
	within := func(rev, from, to int64) bool {
		return (from == 0 || rev >= from) && (to == 0 || rev <= to)
	}
	return within(kv.ModRevision, r.MinModRevision, r.MaxModRevision) &&
		within(kv.CreateRevision, r.MinCreateRevision, r.MaxCreateRevision)
}

// sortKVs orders kvs as r asks for, and keys that are equal in that as etcd
// happens to: by the same, not stable, sort of the standard library.
func sortKVs(r *pb.RangeRequest, kvs []mvcc.KeyValue) {
	order := r.SortOrder
	if order == pb.RangeRequest_NONE {
		if r.SortTarget == pb.RangeRequest_KEY {
			return
		}
		order = pb.RangeRequest_ASCEND
	}
	if r.SortTarget == pb.RangeRequest_KEY && order == pb.RangeRequest_ASCEND {
		return
	}
	by := byTarget{kvs: kvs, compare: comparison(r.SortTarget)}
	if order == pb.RangeRequest_DESCEND {
		sort.Sort(sort.Reverse(by))
		return
	}
	sort.Sort(by)
}

// comparison orders two keys by one of their fields.
func comparison(target pb.RangeRequest_SortTarget) func(a, b *mvcc.KeyValue) int {
	switch target {
	case pb.RangeRequest_VERSION:
		return func(a, b *mvcc.KeyValue) int { return cmp.Compare(a.Version, b.Version) }
	case pb.RangeRequest_CREATE:
		return func(a, b *mvcc.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) }
	case pb.RangeRequest_MOD:
		return func(a, b *mvcc.KeyValue) int { return cmp.Compare(a.ModRevision, b.ModRevision) }
	case pb.RangeRequest_VALUE:
		return func(a, b *mvcc.KeyValue) int { return bytes.Compare(a.Value, b.Value) }
	}
	return func(a, b *mvcc.KeyValue) int { return bytes.Compare(a.Key, b.Key) }
}

// byTarget implements sort.Interface.
type byTarget struct {
	kvs     []mvcc.KeyValue
	compare func(a, b *mvcc.KeyValue) int
}

func (s byTarget) Len() int           { return len(s.kvs) }
func (s byTarget) Swap(i, j int)      { s.kvs[i], s.kvs[j] = s.kvs[j], s.kvs[i] }
func (s byTarget) Less(i, j int) bool { return s.compare(&s.kvs[i], &s.kvs[j]) < 0 }
