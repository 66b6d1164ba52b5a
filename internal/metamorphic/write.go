package metamorphic

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

var errGivenUp = errors.New("the closure gives up")

// sentinels are the errors that the store and the model must agree on.
var sentinels = []error{mvcc.ErrCompacted, mvcc.ErrFutureRevision, mvcc.ErrDuplicateKey, errGivenUp}

// agree compares two errors by sentinel. It returns whether both failed.
func (r *runner) agree(got, want error) (failed bool, err error) {
	for _, s := range sentinels {
		if errors.Is(want, s) && errors.Is(got, s) {
			r.note("error", s)
			return true, nil
		}
	}
	if got == nil && want == nil {
		return false, nil
	}
	return true, fmt.Errorf("error %v, the model says %v", got, want)
}

// wrote does to the model what was done to the store, and tells the history
// once both agree.
func (r *runner) wrote(rev int64, err error, fn func(tx *model.Tx) error) error {
	before := r.model.Rev()
	want, modelErr := r.model.Update(fn)
	if failed, err := r.agree(err, modelErr); failed || err != nil {
		return err
	}
	if rev != want {
		return fmt.Errorf("revision %d, the model says %d", rev, want)
	}
	r.note("revision", rev)
	return r.acknowledge(before)
}

// acknowledge tells the history what the model committed above a revision.
func (r *runner) acknowledge(before int64) error {
	commits := r.model.Commits()
	if r.model.Rev() == before {
		return nil
	}
	c := commits[len(commits)-1]
	changes := make([]watchtest.Change, len(c.Events))
	for i, e := range c.Events {
		changes[i] = watchtest.Change{Type: e.Type, Key: e.KV.Key, Value: e.KV.Value, Lease: e.KV.Lease}
	}
	return r.history.Commit(c.Rev, changes...)
}

func (r *runner) delete(ctx context.Context, op *Op) error {
	got, err := r.store.DeleteRange(ctx, []byte(op.Key), []byte(op.End))
	deleted := 0
	if err := r.wrote(got.Rev, err, func(tx *model.Tx) error {
		deleted = len(tx.Delete(mvcc.SpanOf([]byte(op.Key), []byte(op.End))))
		return nil
	}); err != nil {
		return err
	}
	if got.Deleted != int64(deleted) {
		return fmt.Errorf("deleted %d keys, the model %d", got.Deleted, deleted)
	}
	return nil
}

func (r *runner) txn(ctx context.Context, op *Op) error {
	t := op.Txn.txn(r.model.Rev())
	before := r.model.Rev()
	got, gotErr := r.store.Txn(ctx, t)
	want, wantErr := r.model.Txn(t)
	if failed, err := r.agree(gotErr, wantErr); failed || err != nil {
		return err
	}
	if got.Rev != want.Rev {
		return fmt.Errorf("revision %d, the model says %d", got.Rev, want.Rev)
	}
	if g, w := txnText(got), txnText(want); g != w {
		return fmt.Errorf("result\n%s\nthe model says\n%s", g, w)
	}
	r.note("txn", got.Rev, txnText(got))
	return r.acknowledge(before)
}

func (r *runner) update(ctx context.Context, op *Op) error {
	var got, want []string // what the closures read
	rev, err := r.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		for _, w := range op.Writes {
			if err := updateStep(tx, w, &got); err != nil {
				return err
			}
		}
		if op.Fail {
			return errGivenUp
		}
		return nil
	})
	if err := r.wrote(rev, err, func(tx *model.Tx) error {
		for _, w := range op.Writes {
			if err := modelStep(tx, w, &want); err != nil {
				return err
			}
		}
		if op.Fail {
			return errGivenUp
		}
		return nil
	}); err != nil {
		return err
	}
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		return fmt.Errorf("the closure read %s, the model's %s", g, w)
	}
	return nil
}

func updateStep(tx *mvcc.WriteTx, w Op, read *[]string) error {
	switch w.Do {
	case "put":
		return tx.Put([]byte(w.Key), []byte(w.Value), w.Lease)
	case "delete":
		n, err := tx.DeleteRange([]byte(w.Key), []byte(w.End))
		if err == nil {
			*read = append(*read, fmt.Sprint("deleted ", n))
		}
		return err
	default:
		res, err := tx.Range([]byte(w.Key), []byte(w.End), mvcc.RangeOptions{})
		*read = append(*read, kvsText(res.KVs), fmt.Sprintf("%q", tx.LeaseKeys(1)))
		return err
	}
}

func modelStep(tx *model.Tx, w Op, read *[]string) error {
	switch w.Do {
	case "put":
		if tx.Written([]byte(w.Key)) {
			return mvcc.ErrDuplicateKey
		}
		tx.Put([]byte(w.Key), []byte(w.Value), w.Lease)
	case "delete":
		span := mvcc.SpanOf([]byte(w.Key), []byte(w.End))
		for _, kv := range tx.Keys(span) {
			if tx.Written(kv.Key) {
				return mvcc.ErrDuplicateKey
			}
		}
		*read = append(*read, fmt.Sprint("deleted ", len(tx.Delete(span))))
	default:
		*read = append(*read, kvsText(tx.Keys(mvcc.SpanOf([]byte(w.Key), []byte(w.End)))), fmt.Sprintf("%q", tx.LeaseKeys(1)))
	}
	return nil
}

func (r *runner) ranges(op *Op) error {
	o := mvcc.RangeOptions{Limit: int64(op.N), CountOnly: op.N == 3, KeysOnly: op.N == 2}
	if op.Back != 0 {
		o.Rev = max(1, r.model.Rev()-op.Back)
	}
	got, gotErr := r.store.Range([]byte(op.Key), []byte(op.End), o)
	want, wantErr := r.model.Range([]byte(op.Key), []byte(op.End), o)
	if failed, err := r.agree(gotErr, wantErr); failed || err != nil {
		return err
	}
	if g, w := rangeText(got), rangeText(want); g != w || got.Rev != want.Rev {
		return fmt.Errorf("range at %d\n%s at %d\nthe model says\n%s at %d", o.Rev, g, got.Rev, w, want.Rev)
	}
	r.note(rangeText(got))
	return nil
}

func (r *runner) compact(ctx context.Context, op *Op) error {
	rev := max(1, r.model.Rev()-op.Back)
	r.history.Compacting(min(rev, r.model.Rev()))
	_, err := r.agree(r.store.Compact(ctx, rev), r.model.Compact(rev))
	return err
}

func (r *runner) bump(ctx context.Context, op *Op) error {
	rev := r.model.Rev() + int64(op.N)
	r.history.Compacting(rev)
	if err := r.store.Bump(ctx, int64(op.N)); err != nil {
		return err
	}
	r.model.Bump(int64(op.N))
	return r.history.Skip(rev)
}
