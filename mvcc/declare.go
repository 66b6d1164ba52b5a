package mvcc

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
)

// Txn runs a declarative transaction at one revision. All conditions, those of
// nested transactions too, are decided on the state before it; the operations
// of the branches chosen run in order and see what earlier ones did.
//
// It is refused whole, whatever branch would run, with ErrEmptyKey if a key is
// empty, and with ErrDuplicateKey if it could write a key twice, by etcd's
// rule: see checkWrites. Further errors are those of Update, ErrKeyMissing,
// and those of Range for OpRange. It takes the writer's way even if it only
// reads, so a read-only store refuses it.
func (s *Store) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := checkTxn(&t); err != nil {
		return TxnResult{}, err
	}
	for _, branch := range [2][]Op{t.Then, t.Else} {
		if _, _, err := checkWrites(branch); err != nil {
			return TxnResult{}, err
		}
	}
	var res TxnResult
	rev, err := s.write(ctx, func(x *txn) error {
		x.rewrites = true
		path, err := x.decide(&t, nil)
		if err != nil {
			return err
		}
		if _, err := x.checkBranches(&t, path, t.CheckLease); err != nil {
			return err
		}
		res, _, err = x.runDeclared(&t, path)
		return err
	})
	if err != nil {
		return TxnResult{}, err
	}
	res.setRev(rev)
	return res, nil
}

// setRev notes the revision after the whole transaction at every level.
func (r *TxnResult) setRev(rev int64) {
	r.Rev = rev
	for i := range r.Results {
		if nested := r.Results[i].Txn; nested != nil {
			nested.setRev(rev)
		}
	}
}

// checkTxn answers what is wrong with the form of a transaction.
func checkTxn(t *Txn) error {
	for i := range t.If {
		c := &t.If[i]
		switch {
		case len(c.Key) == 0:
			return ErrEmptyKey
		case c.Target > TargetLease:
			return fmt.Errorf("mvcc: compare of key %q has the unknown target %d", c.Key, c.Target)
		case c.Relation > NotEqual:
			return fmt.Errorf("mvcc: compare of key %q has the unknown relation %d", c.Key, c.Relation)
		}
	}
	for _, branch := range [2][]Op{t.Then, t.Else} {
		for i := range branch {
			if err := checkOp(&branch[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkOp(op *Op) error {
	switch op.Type {
	case OpRange, OpPut, OpDeleteRange:
		if len(op.Key) == 0 {
			return ErrEmptyKey
		}
		return nil
	case OpTxn:
		if op.Txn != nil {
			return checkTxn(op.Txn)
		}
	}
	return fmt.Errorf("mvcc: operation of type %d is none, or a nested transaction is missing", op.Type)
}

// decide evaluates the conditions of t and of the nested transactions on the
// branches chosen, and appends one answer for each, in the order they run.
func (x *txn) decide(t *Txn, path []bool) ([]bool, error) {
	ok := true
	for i := 0; ok && i < len(t.If); i++ {
		var err error
		if ok, err = x.holds(&t.If[i]); err != nil {
			return nil, err
		}
	}
	path = append(path, ok)
	branch := t.branch(ok)
	for i := range branch {
		if branch[i].Type == OpTxn {
			var err error
			if path, err = x.decide(branch[i].Txn, path); err != nil {
				return nil, err
			}
		}
	}
	return path, nil
}

func (t *Txn) branch(ok bool) []Op {
	if ok {
		return t.Then
	}
	return t.Else
}

// holds decides one condition.
func (x *txn) holds(c *Compare) (bool, error) {
	x.read = true
	span := SpanOf(c.Key, c.End)
	if span.Single() && c.Target != TargetValue && c.Target != TargetLease {
		return c.holdsFor(x.head(c.Key)), nil
	}
	res, err := x.rangeKeys(c.Key, c.End, RangeOptions{})
	if err != nil {
		return false, err
	}
	if len(res.KVs) == 0 {
		return c.Target != TargetValue && c.holdsFor(KeyValue{}), nil
	}
	for _, kv := range res.KVs {
		if !c.holdsFor(kv) {
			return false, nil
		}
	}
	return true, nil
}

// head is a key's numbers as the index has them, without its record; zero if
// the key does not exist.
func (x *txn) head(key []byte) KeyValue {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	h, ok := x.s.index.find(key)
	if !ok || h.newest.tombstone() {
		return KeyValue{}
	}
	return KeyValue{CreateRevision: h.create, ModRevision: h.newest.main, Version: h.count}
}

func (c *Compare) holdsFor(kv KeyValue) bool {
	var d int
	switch c.Target {
	case TargetValue:
		d = bytes.Compare(kv.Value, c.Value)
	case TargetVersion:
		d = cmp.Compare(kv.Version, c.Int)
	case TargetCreate:
		d = cmp.Compare(kv.CreateRevision, c.Int)
	case TargetMod:
		d = cmp.Compare(kv.ModRevision, c.Int)
	case TargetLease:
		d = cmp.Compare(kv.Lease, c.Int)
	}
	switch c.Relation {
	case Equal:
		return d == 0
	case NotEqual:
		return d != 0
	case Greater:
		return d > 0
	}
	return d < 0
}

// runDeclared runs the branches that path chose and returns the rest of path.
func (x *txn) runDeclared(t *Txn, path []bool) (TxnResult, []bool, error) {
	res := TxnResult{Succeeded: path[0]}
	path = path[1:]
	branch := t.branch(res.Succeeded)
	for i := range branch {
		op := &branch[i]
		r := OpResult{Type: op.Type}
		var err error
		switch op.Type {
		case OpRange:
			r.Range, err = x.rangeKeys(op.Key, op.End, op.Range)
		case OpPut:
			r.Prev, err = x.putDeclared(op)
		case OpDeleteRange:
			r.Deleted, r.Prev, err = x.deleteDeclared(op)
		case OpTxn:
			var nested TxnResult
			nested, path, err = x.runDeclared(op.Txn, path)
			r.Txn = &nested
		}
		if err != nil {
			return TxnResult{}, nil, err
		}
		res.Results = append(res.Results, r)
	}
	return res, path, nil
}

func (x *txn) putDeclared(op *Op) (prev []KeyValue, err error) {
	value, lease := op.Value, op.Lease
	if op.IgnoreValue || op.IgnoreLease || op.PrevKV {
		old, ok, err := first(x.rangeKeys(op.Key, nil, RangeOptions{}))
		switch {
		case err != nil:
			return nil, err
		case !ok && (op.IgnoreValue || op.IgnoreLease):
			return nil, fmt.Errorf("key %q: %w", op.Key, ErrKeyMissing)
		case ok && op.PrevKV:
			prev = []KeyValue{old}
		}
		if op.IgnoreValue {
			value = old.Value
		}
		if op.IgnoreLease {
			lease = old.Lease
		}
	}
	return prev, x.put(op.Key, value, lease)
}

func (x *txn) deleteDeclared(op *Op) (deleted int64, prev []KeyValue, err error) {
	if op.PrevKV {
		res, err := x.rangeKeys(op.Key, op.End, RangeOptions{})
		if err != nil {
			return 0, nil, err
		}
		prev = res.KVs
	}
	deleted, err = x.deleteRange(op.Key, op.End)
	return deleted, prev, err
}
