package mvcc

import "fmt"

// checkBranches answers what etcd refuses about the branches that path chose
// before any of them runs: in the order of their operations, and on the state
// before all of them. It returns the rest of path.
func (x *txn) checkBranches(t *Txn, path []bool, lease func(id int64) error) ([]bool, error) {
	branch := t.branch(path[0])
	path = path[1:]
	for i := range branch {
		op := &branch[i]
		var err error
		switch op.Type {
		case OpRange:
			err = x.checkRangeAt(op.Range.Rev)
		case OpPut:
			err = x.checkPut(op, lease)
		case OpTxn:
			path, err = x.checkBranches(op.Txn, path, lease)
		}
		if err != nil {
			return nil, err
		}
	}
	return path, nil
}

// checkRangeAt refuses what is not there before the transaction. Of negative
// revisions etcd lets -1 pass for the current one, while nothing is compacted.
func (x *txn) checkRangeAt(rev int64) error {
	current, compact := x.current(), x.s.compactRev.Load()
	switch {
	case rev == 0, rev == -1 && compact == 0:
		return nil
	case rev < 0:
		return &CompactedError{Requested: rev, Compact: compact}
	case rev > current:
		return fmt.Errorf("range at revision %d, current is %d: %w", rev, current, ErrFutureRevision)
	}
	return x.s.checkRead(rev)
}

func (x *txn) checkPut(op *Op, lease func(id int64) error) error {
	if op.Lease != 0 && lease != nil {
		if err := lease(op.Lease); err != nil {
			return err
		}
	}
	if !op.IgnoreValue && !op.IgnoreLease {
		return nil
	}
	res, err := x.rangeKeys(op.Key, nil, RangeOptions{CountOnly: true})
	if err == nil && res.Count == 0 {
		return fmt.Errorf("key %q: %w", op.Key, ErrKeyMissing)
	}
	return err
}
