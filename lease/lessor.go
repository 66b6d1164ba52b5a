package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// Lease is a lease as it was granted.
type Lease struct {
	ID  int64
	TTL int64 // seconds
}

// Info is a lease with what is left of it.
type Info struct {
	Lease
	// Remaining is negative for a lease whose time is over and that is not
	// revoked yet.
	Remaining time.Duration
}

// Stats are figures of a Lessor since it was opened.
type Stats struct {
	Leases  int   // there now
	Granted int64 // by Grant
	Revoked int64 // by Revoke or by time
	Renewed int64
	Expired int64 // of those revoked, by time
	// Checkpoints are records of what is left that were written.
	Checkpoints int64
	TTLs        float64 // sum of the seconds granted
}

// Lessor has the leases of a store. All methods may be called from any
// goroutine.
type Lessor struct {
	store *mvcc.Store
	cfg   Config

	ctx     context.Context // ends when Close begins
	cancel  context.CancelFunc
	running sync.WaitGroup
	wake    chan struct{}

	observer atomic.Pointer[func(keys int)]

	granted, revoked, renewed, expired, checkpoints, ttls atomic.Int64

	mu     sync.Mutex // leaf
	leases map[int64]*record
	// Those whose grant, and those whose revoke, is not known to be durable.
	granting, ending map[int64]*record
	queue            queue // those whose time runs, the next end first
	failure          error // of the store: no lease ends any more
	closed           bool
}

// record is a lease. Guarded by Lessor.mu.
type record struct {
	stored
	live   bool      // its grant is durable: listed, and its time runs
	expiry time.Time // end of its time
	due    time.Time // when expiry looks at it: at its end, or to try again
	place  int       // in the queue; -1: not in it
	ended  chan struct{}
	keys   int   // that its end deletes
	gone   int64 // the revision that does; 0: none
}

// Open reads the leases of a store, which stays the caller's: close the Lessor
// first. One Lessor at a time may be open on a store. Every lease has its full
// time again, or what the last checkpoint left it. Errors: mvcc.ErrDamaged for
// a record that does not read, and those of the store.
func Open(store *mvcc.Store, cfg Config) (*Lessor, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &Lessor{
		store: store, cfg: cfg,
		wake:   make(chan struct{}, 1),
		leases: make(map[int64]*record), granting: make(map[int64]*record), ending: make(map[int64]*record),
	}
	if err := l.read(); err != nil {
		return nil, fmt.Errorf("opening the leases: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if _, readOnly := store.ReadOnly(); !readOnly {
		l.running.Add(1)
		go func() {
			defer l.running.Done()
			l.runExpiry()
		}()
	}
	return l, nil
}

func (l *Lessor) read() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var bad error
	err := l.store.ScanBeside(backend.SpaceLease, func(key, value []byte) bool {
		var s stored
		if s, bad = decode(key, value); bad != nil {
			return false
		}
		s.ttl = min(max(s.ttl, l.cfg.MinTTL), mostTTL)
		le := &record{stored: s, place: -1}
		l.leases[s.id] = le
		left := s.ttl
		if s.remaining > 0 {
			left = min(left, s.remaining)
		}
		l.beginLocked(le, now, left)
		return true
	})
	return errors.Join(err, bad)
}

// Verify reads every lease of a store and returns how many there are. The
// first that is none is an error that wraps mvcc.ErrDamaged and names its
// place.
func Verify(store *mvcc.Store) (leases int, err error) {
	var bad error
	err = store.ScanBeside(backend.SpaceLease, func(key, value []byte) bool {
		_, bad = decode(key, value)
		leases++
		return bad == nil
	})
	return leases, errors.Join(err, bad)
}

// Close ends the expiry of leases and waits for its goroutines; nothing is
// revoked. A second Close answers ErrClosed.
func (l *Lessor) Close() error {
	if !l.refuse() {
		return ErrClosed
	}
	l.cancel()
	l.running.Wait()
	return nil
}

func (l *Lessor) refuse() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.closed
	l.closed = true
	return !before
}

// beginLocked lets the time of a lease run, seconds from now on; first tells
// that it ends before all others.
func (l *Lessor) beginLocked(le *record, now time.Time, seconds int64) (first bool) {
	le.live = true
	le.expiry = now.Add(time.Duration(seconds) * time.Second)
	le.due = le.expiry
	return l.queue.set(le)
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// settle calls done with the outcome of a transaction whose caller left.
func (l *Lessor) settle(done func(err error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return // nobody looks any more
	}
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		// One that reads waits for all that was staged before it.
		_, err := l.store.Update(l.ctx, func(tx *mvcc.WriteTx) error {
			tx.LeaseKeys(0)
			return nil
		})
		done(err)
	}()
}

// Exists reports whether a lease is there for a transaction: call it inside
// the closure of an Update or as mvcc.Txn.CheckLease. A lease whose time is
// over is there until it is revoked.
func (l *Lessor) Exists(id int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leases[id] != nil
}

// TimeToLive tells what is left of a lease; ErrNotFound if there is none.
func (l *Lessor) TimeToLive(id int64) (Info, error) {
	l.notice(id)
	l.mu.Lock()
	defer l.mu.Unlock()
	le := l.visibleLocked(id)
	if le == nil {
		return Info{}, fmt.Errorf("lease %d: %w", id, ErrNotFound)
	}
	return Info{Lease{le.id, le.ttl}, time.Until(le.expiry)}, nil
}

// visibleLocked is the durable lease with this id, nil if there is none.
func (l *Lessor) visibleLocked(id int64) *record {
	if le := l.leases[id]; le != nil && le.live {
		return le
	}
	// Whoever saw its keys go does not see it any more.
	if le := l.ending[id]; le != nil && le.live && (le.gone == 0 || l.store.Rev() < le.gone) {
		return le
	}
	return nil
}

// Keys lists the keys attached to a lease, sorted, as mvcc.Store.LeaseKeys.
func (l *Lessor) Keys(id int64) [][]byte { return l.store.LeaseKeys(id) }

// Leases lists the leases that are there, the next end first.
func (l *Lessor) Leases() []Lease {
	all := l.records()
	slices.SortFunc(all, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Remaining, b.Remaining), cmp.Compare(a.ID, b.ID))
	})
	out := make([]Lease, len(all))
	for i := range all {
		out[i] = all[i].Lease
	}
	return out
}

func (l *Lessor) records() []Info {
	l.notice(0)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	out := make([]Info, 0, len(l.leases)+len(l.ending))
	for _, set := range [...]map[int64]*record{l.leases, l.ending} {
		for id, le := range set {
			if l.visibleLocked(id) == le {
				out = append(out, Info{Lease{le.id, le.ttl}, le.expiry.Sub(now)})
			}
		}
	}
	return out
}

// Observe lets ended know of each lease that ends from here on, how many keys
// that deleted. It is called by whoever ended the lease, and must not wait.
func (l *Lessor) Observe(ended func(keys int)) { l.observer.Store(&ended) }

// Stats reads the figures.
func (l *Lessor) Stats() Stats {
	l.mu.Lock()
	n := len(l.leases)
	l.mu.Unlock()
	return Stats{
		Leases: n, Granted: l.granted.Load(), Revoked: l.revoked.Load(), Renewed: l.renewed.Load(),
		Expired: l.expired.Load(), Checkpoints: l.checkpoints.Load(), TTLs: float64(l.ttls.Load()),
	}
}
