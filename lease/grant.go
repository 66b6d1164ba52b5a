package lease

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// Grant makes a lease of ttl seconds, raised to Config.MinTTL; id 0 picks a
// random positive one. It returns when the lease is durable, by the store's
// Durability. Errors: ErrTTLTooLarge, ErrExists, ErrClosed and those of
// mvcc.Store.Update, of which mvcc.ErrUncertain means that the lease may come
// to be.
func (l *Lessor) Grant(ctx context.Context, id, ttl int64) (Lease, error) {
	if ttl > l.cfg.MaxTTL {
		return Lease{}, fmt.Errorf("%w: %d s, at most %d", ErrTTLTooLarge, ttl, l.cfg.MaxTTL)
	}
	le := &record{stored: stored{id: id, ttl: max(ttl, l.cfg.MinTTL)}, place: -1}
	var other *record
	_, err := l.store.Update(ctx, func(tx *mvcc.WriteTx) (err error) {
		tx.LeaseKeys(id) // so that ErrExists waits for what it rests on
		if other, err = l.stageGrant(le); err != nil {
			return err
		}
		err = tx.PutBeside(backend.SpaceLease, recordKey(le.id), le.encode())
		if err != nil {
			l.dropGrant(le)
		}
		return err
	})
	switch {
	case err == nil:
		l.grantDone(le)
	case errors.Is(err, mvcc.ErrUncertain):
		l.settle(func(err error) {
			if err != nil {
				l.dropGrant(le)
				return
			}
			l.grantDone(le)
		})
		return Lease{}, fmt.Errorf("granting lease %d: %w", le.id, err)
	case errors.Is(err, ErrExists):
		l.grantDone(other) // which the answer rests on
		fallthrough
	default:
		l.dropGrant(le)
		return Lease{}, fmt.Errorf("granting lease %d: %w", le.id, err)
	}
	return Lease{le.id, le.ttl}, nil
}

// stageGrant makes the lease one that transactions see; with ErrExists it
// returns the one that is.
func (l *Lessor) stageGrant(le *record) (other *record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	for le.id == 0 {
		if id := rand.Int64(); l.leases[id] == nil {
			le.id = id
		}
	}
	if other := l.leases[le.id]; other != nil {
		return other, ErrExists
	}
	l.leases[le.id], l.granting[le.id] = le, le
	return nil, nil
}

// dropGrant forgets a lease whose grant did not happen.
func (l *Lessor) dropGrant(le *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leases[le.id] == le {
		delete(l.leases, le.id)
	}
	l.forgetGrantLocked(le)
}

func (l *Lessor) forgetGrantLocked(le *record) {
	if l.granting[le.id] == le {
		delete(l.granting, le.id)
	}
}

// grantDone notes that the grant is durable.
func (l *Lessor) grantDone(le *record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if le.live {
		return // somebody noticed before
	}
	l.granted.Add(1)
	l.ttls.Add(le.ttl)
	l.forgetGrantLocked(le)
	first := l.beginLocked(le, time.Now(), le.ttl)
	if l.leases[le.id] != le { // it was revoked meanwhile
		l.queue.drop(le)
	} else if first {
		poke(l.wake)
	}
}

// notice looks whether a grant is durable before who made it says so: if one
// of its keys is visible, it is. id 0 is all leases.
func (l *Lessor) notice(id int64) {
	for _, le := range l.unnoticed(id) {
		if len(l.store.LeaseKeys(le.id)) > 0 {
			l.grantDone(le)
		}
	}
}

func (l *Lessor) unnoticed(id int64) (all []*record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id != 0 {
		if le := l.granting[id]; le != nil {
			all = append(all, le)
		}
		return all
	}
	for _, le := range l.granting {
		all = append(all, le)
	}
	return all
}
