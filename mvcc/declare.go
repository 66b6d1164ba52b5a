package mvcc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
)

// Txn runs a declarative transaction at one revision. All conditions, those of
// nested transactions too, are decided on the state before it; the operations
// of the branches chosen run in order and see what earlier ones did.
//
// It is refused whole, whatever branch would run, with ErrEmptyKey if a key is
// empty, and with ErrDuplicateKey if it could write a key twice, by etcd's
// rule: see checkWrites. Further errors are those of Update, ErrKeyMissing,
// and those of Range for OpRange.
//
// One without writes reads the visible revision and waits for nobody. So does
// one with writes on a store that takes none: if the branches chosen only
// read it answers, else with what refuses writing.
func (s *Store) Txn(ctx context.Context, t Txn) (TxnResult, error) {
	if err := t.check(); err != nil {
		return TxnResult{}, err
	}
	if refusal := s.refusal(); refusal != nil || !t.mayWrite() {
		return s.readTxn(ctx, &t, refusal)
	}
	var res TxnResult
	rev, err := s.write(ctx, func(x *txn) (err error) {
		x.rewrites = true
		res, err = x.declared(&t)
		return err
	})
	if err != nil {
		return TxnResult{}, err
	}
	res.setRev(rev)
	return res, nil
}

// Txn runs a declarative transaction as a part of this one, as Store.Txn does:
// on what was written before it, and with an answer whose revisions are the
// transaction's as far as it got. Only if nothing was written before it may
// it write a key twice where etcd lets it. After an error of it the whole
// transaction fails, whatever its closure returns.
func (tx *WriteTx) Txn(t Txn) (TxnResult, error) {
	if tx.t == nil {
		return TxnResult{}, ErrTxDone
	}
	x := tx.t
	if err := t.check(); err != nil {
		return TxnResult{}, err
	}
	x.rewrites = len(x.events) == 0
	defer func() { x.rewrites = false }()
	res, err := x.declared(&t)
	if err != nil {
		x.broken = err
		return TxnResult{}, err
	}
	res.setRev(x.current())
	return res, nil
}

// check answers what is wrong with t whatever the state.
func (t *Txn) check() error {
	if err := checkTxn(t); err != nil {
		return err
	}
	for _, branch := range [2][]Op{t.Then, t.Else} {
		if _, _, err := checkWrites(branch); err != nil {
			return err
		}
	}
	return nil
}

// mayWrite reports whether some branch puts or deletes.
func (t *Txn) mayWrite() bool {
	for _, branch := range [2][]Op{t.Then, t.Else} {
		for i := range branch {
			if op := &branch[i]; op.Type == OpPut || op.Type == OpDeleteRange || op.Type == OpTxn && op.Txn.mayWrite() {
				return true
			}
		}
	}
	return false
}

// readTxn runs t on the visible revision; refusal is the answer to its writes.
func (s *Store) readTxn(ctx context.Context, t *Txn, refusal error) (TxnResult, error) {
	for {
		if err := s.readable(ctx); err != nil {
			return TxnResult{}, err
		}
		current := s.visible.Load()
		x := txn{s: s, rev: current + 1, refusal: refusal}
		res, err := x.declared(t)
		if err == nil {
			err = s.checkRead(current) // what the index was asked for may have been trimmed
		}
		if errors.Is(err, ErrCompacted) && current < s.compactRev.Load() {
			s.overtook(current)
			continue
		}
		res.setRev(current)
		return res, err
	}
}

// declared decides t and runs the branches chosen.
func (x *txn) declared(t *Txn) (TxnResult, error) {
	path, err := x.decide(t, nil)
	if err != nil {
		return TxnResult{}, err
	}
	if _, err := x.checkBranches(t, path, t.CheckLease); err != nil {
		return TxnResult{}, err
	}
	res, _, err := x.runDeclared(t, path)
	return res, err
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
		if kv, ok := x.head(c.Key); ok {
			return c.holdsFor(kv), nil
		}
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
// the key does not exist. ok is false if its newest version is one that the
// transaction does not see.
func (x *txn) head(key []byte) (kv KeyValue, ok bool) {
	x.s.mu.Lock()
	defer x.s.mu.Unlock()
	h, found := x.s.index.find(key)
	switch {
	case !found || h.empty():
		return KeyValue{}, true
	case h.newest.main > x.current():
		return KeyValue{}, false
	case h.newest.tombstone():
		return KeyValue{}, true
	}
	return KeyValue{CreateRevision: h.create, ModRevision: h.newest.main, Version: h.count}, true
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
		case OpPut, OpDeleteRange:
			err = x.runWrite(op, &r)
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

func (x *txn) runWrite(op *Op, r *OpResult) (err error) {
	switch {
	case x.refusal != nil:
		return x.refusal
	case op.Type == OpPut:
		r.Prev, err = x.putDeclared(op)
	default:
		r.Deleted, r.Prev, err = x.deleteDeclared(op)
	}
	return err
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
