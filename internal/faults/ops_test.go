package faults

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

// opID names an operation: everything it does follows from it and the
// workload.
type opID struct {
	Seed          uint64 // of the child
	Writer, Index int
}

func (id opID) String() string { return fmt.Sprintf("%d/%d/%d", id.Seed, id.Writer, id.Index) }

// workload bounds what operations do.
type workload struct {
	Keys     int // in the keyspace; 0 means 200
	MaxValue int // bytes of the largest values; 0 means 16 KiB
}

func (w workload) withDefaults() workload {
	if w.Keys == 0 {
		w.Keys = 200
	}
	if w.MaxValue == 0 {
		w.MaxValue = 16 << 10
	}
	return w
}

type opKind int

const (
	opPut opKind = iota
	opUpdate
	opDelete
	opTxn
)

// op is one transaction, so that at most one revision comes of it. Deletes
// stay in the lower half of the keys and puts beside them in the upper half,
// since no transaction may write a key twice.
type op struct {
	id       opID
	kind     opKind
	keys     []string // to put, all different
	values   [][]byte
	lo, hi   string // to delete; empty lo: nothing
	elseOnly int    // opTxn: if keys[0] is missing only keys[elseOnly] is put
}

func keyName(n int) string { return fmt.Sprintf("k/%06d", n) }

// op is the operation of an id.
func (w workload) op(id opID) op {
	r := rand.New(rand.NewPCG(id.Seed, uint64(id.Writer)<<40|uint64(id.Index)))
	o := op{id: id}
	half := max(w.Keys/2, 1)
	span := func() {
		from := r.IntN(half)
		o.lo, o.hi = keyName(from), keyName(min(half, from+1+r.IntN(8)))
	}
	put := func(n int) { // of n keys in the upper half
		for _, k := range r.Perm(half)[:min(n, half)] {
			o.keys = append(o.keys, keyName(half+k))
			o.values = append(o.values, w.value(r))
		}
	}
	switch n := r.IntN(100); {
	case n < 60:
		o.keys, o.values = []string{keyName(r.IntN(2 * half))}, [][]byte{w.value(r)}
	case n < 78:
		o.kind = opUpdate
		put(2 + r.IntN(5))
		if r.IntN(3) == 0 {
			span()
		}
	case n < 88:
		o.kind = opDelete
		span()
	default:
		o.kind = opTxn
		put(2)
		span()
		o.elseOnly = len(o.keys) - 1
	}
	return o
}

// value is random bytes, so that no engine can make them smaller: a tenth
// empty, most small, a few of the largest.
func (w workload) value(r *rand.Rand) []byte {
	n := 0
	switch p := r.IntN(100); {
	case p < 10:
	case p < 70:
		n = r.IntN(100)
	case p < 96:
		n = r.IntN(2000)
	default:
		n = r.IntN(w.MaxValue)
	}
	n = min(n, w.MaxValue)
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// run performs the operation. rev is 0 if it changed nothing.
func (o *op) run(ctx context.Context, s *mvcc.Store) (rev int64, err error) {
	switch o.kind {
	case opPut:
		return s.Put(ctx, []byte(o.keys[0]), o.values[0])
	case opDelete:
		res, err := s.DeleteRange(ctx, []byte(o.lo), []byte(o.hi))
		if res.Deleted == 0 {
			return 0, err
		}
		return res.Rev, err
	case opTxn:
		res, err := s.Txn(ctx, o.txn())
		return res.Rev, err // both branches put
	}
	return s.Update(ctx, func(tx *mvcc.WriteTx) error {
		if o.lo != "" {
			if _, err := tx.DeleteRange([]byte(o.lo), []byte(o.hi)); err != nil {
				return err
			}
		}
		for i, k := range o.keys {
			if err := tx.Put([]byte(k), o.values[i], 0); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *op) txn() mvcc.Txn {
	var then []mvcc.Op
	for i, k := range o.keys {
		then = append(then, mvcc.Op{Type: mvcc.OpPut, Key: []byte(k), Value: o.values[i]})
	}
	return mvcc.Txn{
		If:   []mvcc.Compare{{Target: mvcc.TargetVersion, Relation: mvcc.Greater, Key: []byte(o.keys[0])}},
		Then: append(then, mvcc.Op{Type: mvcc.OpDeleteRange, Key: []byte(o.lo), End: []byte(o.hi)}),
		Else: then[o.elseOnly : o.elseOnly+1],
	}
}

// version is a key as the ledger knows it; sum stands for its value.
type version struct {
	create, mod, version int64
	sum                  uint64
}

// effect is one event of a revision; a delete has only key and mod.
type effect struct {
	key string
	del bool
	v   version
}

// state is the keys alive at one revision.
type state map[string]version

func (s state) apply(effects []effect) {
	for _, e := range effects {
		if e.del {
			delete(s, e.key)
		} else {
			s[e.key] = e.v
		}
	}
}

// effects is what the operation does to s at rev, in the order of events.
func (o *op) effects(s state, rev int64) []effect {
	keys, values, deletes, deletesLast := o.keys, o.values, o.lo != "", o.kind == opTxn
	if o.kind == opTxn {
		if _, alive := s[o.keys[0]]; !alive {
			keys, values, deletes = keys[o.elseOnly:o.elseOnly+1], values[o.elseOnly:o.elseOnly+1], false
		}
	}
	var puts, gone []effect
	for i, k := range keys {
		was, alive := s[k]
		if !alive {
			was.create = rev
		}
		puts = append(puts, effect{key: k, v: version{was.create, rev, was.version + 1, sumOf(values[i])}})
	}
	if deletes {
		for _, k := range slices.Sorted(maps.Keys(s)) {
			if k >= o.lo && k < o.hi {
				gone = append(gone, effect{key: k, del: true, v: version{mod: rev}})
			}
		}
	}
	if deletesLast {
		return append(puts, gone...)
	}
	return append(gone, puts...)
}

var crcTable = crc64.MakeTable(crc64.ECMA)

func sumOf(b []byte) uint64 { return crc64.Checksum(b, crcTable) }

// effectOf reads an event.
func effectOf(e *mvcc.Event) effect {
	kv := &e.KV
	if e.Type == mvcc.EventDelete {
		return effect{key: string(kv.Key), del: true, v: version{mod: kv.ModRevision}}
	}
	return effect{key: string(kv.Key), v: version{kv.CreateRevision, kv.ModRevision, kv.Version, sumOf(kv.Value)}}
}

// digest folds effects, in order, into what a report line carries.
func digest(effects []effect) uint64 {
	sum := uint64(0)
	for _, e := range effects {
		line := fmt.Appendf(nil, "%q %v %v", e.key, e.del, e.v)
		sum = crc64.Update(sum, crcTable, line)
	}
	return sum
}
