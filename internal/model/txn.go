package model

import (
	"bytes"
	"cmp"

	"github.com/watchkv/watchkv/mvcc"
)

// Txn runs a declarative transaction the way etcd does: it is refused whole
// if it could write a key twice; all its conditions, nested ones too, are
// decided on what is there before it; then the chosen operations run in
// order.
func (s *Store) Txn(t mvcc.Txn) (mvcc.TxnResult, error) {
	var result mvcc.TxnResult
	rev, err := s.Update(func(tx *Tx) (err error) {
		result, err = tx.Txn(t)
		return err
	})
	result.Rev = rev
	return result, err
}

// Txn runs one as the first thing of this one.
func (tx *Tx) Txn(t mvcc.Txn) (mvcc.TxnResult, error) {
	for _, branch := range [][]mvcc.Op{t.Then, t.Else} {
		if _, _, ok := writes(branch); !ok {
			return mvcc.TxnResult{}, mvcc.ErrDuplicateKey
		}
	}
	return tx.store.run(tx, t), nil
}

// writes collects what a branch may put and delete. Order matters as it does
// in etcd: a nested branch's puts are held against this level's deletes and
// against those of nested transactions before it, not of those behind it.
func writes(ops []mvcc.Op) (puts map[string]bool, deletes []mvcc.Span, ok bool) {
	puts = map[string]bool{}
	deleted := func(key string) bool {
		for _, d := range deletes {
			if d.Contains([]byte(key)) {
				return true
			}
		}
		return false
	}
	for _, op := range ops {
		// A delete from a key on covers nothing here: etcd takes its end,
		// the byte 0x00, for a key, and the range for empty.
		if op.Type == mvcc.OpDeleteRange && string(op.End) != "\x00" {
			deletes = append(deletes, mvcc.SpanOf(op.Key, op.End))
		}
	}
	for _, op := range ops {
		if op.Type != mvcc.OpTxn {
			continue
		}
		thenPuts, thenDeletes, ok := writes(op.Txn.Then)
		if !ok {
			return nil, nil, false
		}
		elsePuts, elseDeletes, ok := writes(op.Txn.Else)
		if !ok {
			return nil, nil, false
		}
		for k := range thenPuts {
			if puts[k] || deleted(k) {
				return nil, nil, false
			}
		}
		for k := range elsePuts {
			if puts[k] || deleted(k) {
				return nil, nil, false
			}
		}
		for k := range thenPuts {
			puts[k] = true
		}
		for k := range elsePuts {
			puts[k] = true
		}
		deletes = append(append(deletes, thenDeletes...), elseDeletes...)
	}
	for _, op := range ops {
		if op.Type != mvcc.OpPut {
			continue
		}
		if puts[string(op.Key)] || deleted(string(op.Key)) {
			return nil, nil, false
		}
		puts[string(op.Key)] = true
	}
	return puts, deletes, true
}

func (s *Store) run(tx *Tx, t mvcc.Txn) mvcc.TxnResult {
	result := mvcc.TxnResult{Succeeded: true}
	for _, c := range t.If {
		if !s.holds(c) {
			result.Succeeded = false
		}
	}
	ops := t.Then
	if !result.Succeeded {
		ops = t.Else
	}
	for _, op := range ops {
		result.Results = append(result.Results, s.do(tx, op))
	}
	return result
}

func (s *Store) do(tx *Tx, op mvcc.Op) mvcc.OpResult {
	r := mvcc.OpResult{Type: op.Type}
	span := mvcc.SpanOf(op.Key, op.End)
	switch op.Type {
	case mvcc.OpRange:
		if op.Range.Rev > 0 {
			r.Range = answer(inSpan(s.at(op.Range.Rev), span), op.Range)
		} else {
			r.Range = answer(tx.Keys(span), op.Range)
		}
	case mvcc.OpPut:
		old := tx.Keys(mvcc.SpanOf(op.Key, nil))
		value, lease := op.Value, op.Lease
		if len(old) > 0 && op.IgnoreValue {
			value = old[0].Value
		}
		if len(old) > 0 && op.IgnoreLease {
			lease = old[0].Lease
		}
		tx.Put(op.Key, value, lease)
		if op.PrevKV {
			r.Prev = old
		}
	case mvcc.OpDeleteRange:
		gone := tx.Delete(span)
		r.Deleted = int64(len(gone))
		if op.PrevKV {
			r.Prev = gone
		}
	case mvcc.OpTxn:
		nested := s.run(tx, *op.Txn)
		r.Txn = &nested
	}
	return r
}

// holds decides one condition on the state before the transaction.
func (s *Store) holds(c mvcc.Compare) bool {
	kvs := inSpan(s.now, mvcc.SpanOf(c.Key, c.End))
	if len(kvs) == 0 {
		if c.Target == mvcc.TargetValue {
			return false
		}
		kvs = []mvcc.KeyValue{{}}
	}
	for _, kv := range kvs {
		var d int
		switch c.Target {
		case mvcc.TargetValue:
			d = bytes.Compare(kv.Value, c.Value)
		case mvcc.TargetVersion:
			d = cmp.Compare(kv.Version, c.Int)
		case mvcc.TargetCreate:
			d = cmp.Compare(kv.CreateRevision, c.Int)
		case mvcc.TargetMod:
			d = cmp.Compare(kv.ModRevision, c.Int)
		case mvcc.TargetLease:
			d = cmp.Compare(kv.Lease, c.Int)
		}
		is := map[mvcc.Relation]bool{mvcc.Equal: d == 0, mvcc.NotEqual: d != 0, mvcc.Greater: d > 0, mvcc.Less: d < 0}
		if !is[c.Relation] {
			return false
		}
	}
	return true
}
