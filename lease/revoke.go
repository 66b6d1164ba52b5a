package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// Revoke ends a lease and deletes its keys, in order, at one revision, which
// it returns: the current one if there were no keys. Errors: ErrNotFound and
// those of mvcc.Store.Update.
func (l *Lessor) Revoke(ctx context.Context, id int64) (rev int64, err error) {
	return l.revokeIf(ctx, id, anyKeys)
}

func anyKeys([][]byte) error { return nil }

// RevokeOnly is Revoke if the lease has no keys but these, which must ascend.
// Otherwise nothing happens and the error is a *KeysError. For who must ask
// somebody about each key, which takes longer than a transaction may: between
// asking and the transaction keys may have been attached.
func (l *Lessor) RevokeOnly(ctx context.Context, id int64, keys [][]byte) (rev int64, err error) {
	return l.revokeIf(ctx, id, func(attached [][]byte) error {
		for _, key := range attached {
			if _, ok := slices.BinarySearchFunc(keys, key, bytes.Compare); !ok {
				return &KeysError{Keys: attached}
			}
		}
		return nil
	})
}

// KeysError is the answer of RevokeOnly: the lease has other keys too.
type KeysError struct {
	Keys [][]byte // all that were attached, ascending; the caller's
}

func (e *KeysError) Error() string {
	return fmt.Sprintf("lease: other keys than those named are attached, %d in all", len(e.Keys))
}

func (l *Lessor) revokeIf(ctx context.Context, id int64, may func(keys [][]byte) error) (rev int64, err error) {
	if err := l.open(); err != nil {
		return 0, err
	}
	rev, err = l.revoke(ctx, id, may)
	if err != nil {
		return 0, fmt.Errorf("revoking lease %d: %w", id, err)
	}
	return rev, nil
}

func (l *Lessor) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	return nil
}

func (l *Lessor) revoke(ctx context.Context, id int64, may func(keys [][]byte) error) (rev int64, err error) {
	var le *record
	rev, err = l.store.Update(ctx, func(tx *mvcc.WriteTx) (err error) {
		if err = may(tx.LeaseKeys(id)); err == nil {
			le, err = l.revokeIn(tx, id)
		}
		return err
	})
	l.revokeEnds(le, err)
	return rev, err
}

// revokeIn ends a lease as a part of tx. The outcome is for revokeEnds.
func (l *Lessor) revokeIn(tx *mvcc.WriteTx, id int64) (*record, error) {
	keys := tx.LeaseKeys(id)
	le := l.stageRevoke(id, len(keys), tx.Rev())
	if le == nil {
		return nil, ErrNotFound
	}
	err := tx.DeleteBeside(backend.SpaceLease, recordKey(id))
	for i := 0; i < len(keys) && err == nil; i++ {
		_, err = tx.DeleteRange(keys[i], nil)
	}
	if err != nil {
		l.undoRevoke(le)
		return nil, err
	}
	return le, nil
}

// stageRevoke makes the lease one that transactions do not see any more; nil
// if they did not before.
func (l *Lessor) stageRevoke(id int64, keys int, rev int64) *record {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.leases[id]
	if le == nil {
		return nil
	}
	delete(l.leases, id)
	le.keys, le.gone = keys, 0
	if keys > 0 {
		le.gone = rev
	}
	l.ending[id] = le
	l.queue.drop(le)
	return le
}

// undoRevoke is called in the transaction that staged it.
func (l *Lessor) undoRevoke(le *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leases[le.id] = le
	delete(l.ending, le.id)
	if le.live {
		l.queue.set(le)
	}
}

// revokeEnds notes the outcome of a transaction that staged the end of le;
// nil if it did not.
func (l *Lessor) revokeEnds(le *record, err error) {
	switch {
	case le == nil:
	case err == nil:
		l.revokeDone(le)
	case errors.Is(err, mvcc.ErrUncertain):
		l.settle(func(err error) {
			if err == nil {
				l.revokeDone(le)
			} else {
				l.failed(err)
			}
		})
	default:
		// Nothing takes it back: the store has ended writing, or is closing.
		l.failed(err)
	}
}

func (l *Lessor) revokeDone(le *record) {
	l.revoked.Add(1)
	keys := l.dropRevoked(le)
	if observe := l.observer.Load(); observe != nil {
		(*observe)(keys)
	}
}

func (l *Lessor) dropRevoked(le *record) (keys int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending[le.id] == le {
		delete(l.ending, le.id)
	}
	le.endLocked()
	return le.keys
}

// endLocked lets those go on who wait for the end of the lease.
func (le *record) endLocked() {
	if le.ended != nil {
		close(le.ended)
		le.ended = nil
	}
}

// failed notes that no lease ends any more.
func (l *Lessor) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil || !errors.Is(err, mvcc.ErrFailed) {
		return
	}
	l.failure = err
	for _, set := range [...]map[int64]*record{l.leases, l.ending} {
		for _, le := range set {
			le.endLocked()
		}
	}
}

// Renew lets the time of a lease begin anew and returns it in seconds. For a
// lease whose time is over it waits until that is revoked, and answers
// ErrNotFound. Further errors: ctx.Err(), ErrClosed, and those of
// mvcc.Store.Update if a checkpoint has to be taken back or the lease cannot
// be revoked.
func (l *Lessor) Renew(ctx context.Context, id int64) (ttlSeconds int64, err error) {
	le, ended, err := l.renew(id)
	if err != nil {
		return 0, fmt.Errorf("renewing lease %d: %w", id, err)
	}
	if ended != nil {
		select {
		case <-ended:
			err = l.whyEnded()
		case <-ctx.Done():
			err = ctx.Err()
		case <-l.ctx.Done():
			err = ErrClosed
		}
		return 0, fmt.Errorf("renewing lease %d: %w", id, err)
	}
	if le.remaining > 0 {
		if err := l.clearCheckpoint(ctx, id); err != nil {
			return 0, fmt.Errorf("renewing lease %d: %w", id, err)
		}
	}
	l.renewed.Add(1)
	return le.ttl, nil
}

// renew returns a copy of the lease renewed, or what to wait for.
func (l *Lessor) renew(id int64) (s stored, ended <-chan struct{}, err error) {
	l.notice(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return s, nil, ErrClosed
	}
	le := l.visibleLocked(id)
	if le == nil {
		return s, nil, ErrNotFound
	}
	now := time.Now()
	if now.Before(le.expiry) && l.leases[id] == le {
		l.beginLocked(le, now, le.ttl)
		return le.stored, nil, nil
	}
	if l.failure != nil {
		return s, nil, l.failure
	}
	if _, readOnly := l.store.ReadOnly(); readOnly {
		return s, nil, mvcc.ErrReadOnly
	}
	if le.ended == nil {
		le.ended = make(chan struct{})
	}
	return s, le.ended, nil
}

// whyEnded is the answer to who waited to renew.
func (l *Lessor) whyEnded() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		return l.failure
	}
	return ErrNotFound
}
