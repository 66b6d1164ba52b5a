package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

const (
	// stepLeases is how many leases one step ends at most.
	stepLeases = 500
	// togetherLeases is how many leases without keys end in one transaction.
	togetherLeases = 50
	// atOnce is how many leases with keys end at the same time, each at a
	// revision of its own: so they share the store's batches.
	atOnce = 32
	// retryAfter is when a lease that could not be ended is tried again.
	retryAfter = 3 * time.Second
	// checkpointBatch is how many checkpoints one transaction writes.
	checkpointBatch = 100
)

// runExpiry ends leases when their time is over.
func (l *Lessor) runExpiry() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	checkpoint := time.Now().Add(l.cfg.CheckpointInterval)
	for !l.over() {
		timer.Reset(l.untilDue(checkpoint))
		select {
		case <-timer.C:
		case <-l.wake:
		case <-l.ctx.Done():
			return
		}
		for l.expireStep(l.ctx, time.Now()) {
		}
		if now := time.Now(); l.cfg.CheckpointInterval > 0 && !now.Before(checkpoint) {
			l.checkpoint(l.ctx, now)
			checkpoint = now.Add(l.cfg.CheckpointInterval)
		}
	}
}

// over reports whether nothing can end any more.
func (l *Lessor) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || l.failure != nil
}

// untilDue is how long nothing is to be done.
func (l *Lessor) untilDue(checkpoint time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := time.Duration(mostTTL) * time.Second
	if l.cfg.CheckpointInterval > 0 {
		next = time.Until(checkpoint)
	}
	if len(l.queue) > 0 {
		next = min(next, time.Until(l.queue[0].due))
	}
	return max(next, 0)
}

// expireStep ends some of the leases that are due and reports whether there
// may be more.
func (l *Lessor) expireStep(ctx context.Context, now time.Time) (more bool) {
	due := l.takeDue(now, stepLeases)
	var left []*record
	for rest := due; len(rest) > 0; {
		n := min(len(rest), togetherLeases)
		left = append(left, l.expireTogether(ctx, rest[:n])...)
		rest = rest[n:]
	}
	l.expireEach(ctx, left)
	return len(due) == stepLeases && ctx.Err() == nil
}

// takeDue takes leases out of the queue that are due. Their time is over, so
// nobody renews them.
func (l *Lessor) takeDue(now time.Time, most int) []*record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []*record
	for len(due) < most && len(l.queue) > 0 && !now.Before(l.queue[0].due) {
		le := l.queue[0]
		l.queue.drop(le)
		due = append(due, le)
	}
	return due
}

// expireTogether ends those of the leases that have no keys in one
// transaction, which makes no revision, and returns the others.
func (l *Lessor) expireTogether(ctx context.Context, due []*record) (left []*record) {
	var ending []*record
	_, err := l.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		for _, le := range due {
			if len(tx.LeaseKeys(le.id)) > 0 {
				left = append(left, le)
				continue
			}
			ended, err := l.revokeIn(tx, le.id)
			switch {
			case err == nil:
				ending = append(ending, ended)
			case !errors.Is(err, ErrNotFound): // revoked since it was due
				for i := len(ending) - 1; i >= 0; i-- {
					l.undoRevoke(ending[i])
				}
				ending = nil
				return err
			}
		}
		return nil
	})
	for _, le := range ending {
		l.revokeEnds(le, err)
		l.countExpired(err)
	}
	if err != nil && len(ending) == 0 {
		l.again(err, due)
		return nil
	}
	return left
}

// expireEach ends leases with keys, each in a transaction of its own.
func (l *Lessor) expireEach(ctx context.Context, due []*record) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, atOnce)
	for _, le := range due {
		slots <- struct{}{}
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() { <-slots }()
			_, err := l.revoke(ctx, le.id, anyKeys)
			l.countExpired(err)
			if err != nil {
				l.again(err, []*record{le})
			}
		}()
	}
}

func (l *Lessor) countExpired(err error) {
	if err == nil {
		l.expired.Add(1)
	}
}

// again puts leases that could not be ended back, to be tried later, and tells
// why.
func (l *Lessor) again(err error, due []*record) {
	if errors.Is(err, mvcc.ErrFailed) {
		l.failed(err)
	}
	if l.ctx.Err() != nil || errors.Is(err, ErrNotFound) {
		return
	}
	l.cfg.Logger.Error("ending leases", "lease", due[0].id, "leases", len(due), "error", err, "again after", retryAfter)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, le := range due {
		if l.leases[le.id] == le {
			le.due = time.Now().Add(retryAfter)
			l.queue.set(le)
		}
	}
}

// checkpoint writes what is left of the leases that have much left and were
// not renewed for a while.
func (l *Lessor) checkpoint(ctx context.Context, now time.Time) {
	ids := l.toCheckpoint(now)
	for len(ids) > 0 && ctx.Err() == nil {
		n := min(len(ids), checkpointBatch)
		written := 0
		_, err := l.store.Update(ctx, func(tx *mvcc.WriteTx) error {
			for _, id := range ids[:n] {
				s, ok := l.stageCheckpoint(id, now)
				if !ok {
					continue
				}
				if err := tx.PutBeside(backend.SpaceLease, recordKey(id), s.encode()); err != nil {
					return err
				}
				written++
			}
			return nil
		})
		if err != nil { // there will be others
			l.cfg.Logger.Warn("writing what is left of leases", "error", err)
			return
		}
		l.checkpoints.Add(int64(written))
		ids = ids[n:]
	}
}

// toCheckpoint lists the leases that have more than an interval left, and at
// least half of one less than is written.
func (l *Lessor) toCheckpoint(now time.Time) []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []int64
	for id, le := range l.leases {
		if le.live && l.wantsCheckpointLocked(le, now) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (l *Lessor) wantsCheckpointLocked(le *record, now time.Time) bool {
	written := le.ttl
	if le.remaining > 0 {
		written = le.remaining
	}
	left := le.expiry.Sub(now)
	return left > l.cfg.CheckpointInterval && left < time.Duration(written)*time.Second-l.cfg.CheckpointInterval/2
}

// stageCheckpoint notes what is left of a lease, unless it was renewed or
// revoked meanwhile.
func (l *Lessor) stageCheckpoint(id int64, now time.Time) (stored, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.leases[id]
	if le == nil || !le.live || !l.wantsCheckpointLocked(le, now) {
		return stored{}, false
	}
	le.remaining = int64((le.expiry.Sub(now) + time.Second - 1) / time.Second)
	return le.stored, true
}

// clearCheckpoint takes back what a checkpoint wrote of a lease that is
// renewed.
func (l *Lessor) clearCheckpoint(ctx context.Context, id int64) error {
	_, err := l.store.Update(ctx, func(tx *mvcc.WriteTx) error {
		tx.LeaseKeys(id)
		s, err := l.stageClear(id)
		if err != nil {
			return err
		}
		if err := tx.PutBeside(backend.SpaceLease, recordKey(id), s.encode()); err != nil {
			return err
		}
		l.cleared(id)
		return nil
	})
	if errors.Is(err, mvcc.ErrNoSpace) || errors.Is(err, mvcc.ErrFailed) {
		return nil // it is renewed until the next start; the next Renew tries again
	}
	return err
}

// stageClear is the lease without what the checkpoint wrote.
func (l *Lessor) stageClear(id int64) (stored, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.leases[id]
	if le == nil {
		return stored{}, ErrNotFound
	}
	return stored{id: id, ttl: le.ttl}, nil
}

func (l *Lessor) cleared(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if le := l.leases[id]; le != nil {
		le.remaining = 0
	}
}
