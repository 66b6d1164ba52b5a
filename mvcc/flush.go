package mvcc

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// errNoRoom sends a writer to wait; it never leaves the package.
var errNoRoom = errors.New("mvcc: no room for another transaction")

// background owns the store's goroutines.
type background struct {
	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// dirty says that something waits to be made durable, early that it is
	// much. Sent by the writer, received by the flusher, never closed; one
	// place each, because a second token would say nothing new.
	dirty, early chan struct{}
}

func (b *background) start() {
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.dirty = make(chan struct{}, 1)
	b.early = make(chan struct{}, 1)
}

// run starts fn on a goroutine that Close waits for; its ctx ends then.
func (b *background) run(fn func(ctx context.Context)) {
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		fn(b.ctx)
	}()
}

// pendingGrew tells the flusher what a put made to wait.
func (b *background) pendingGrew(before, after, bound int64) {
	if before == 0 {
		poke(b.dirty)
	}
	if after > bound/2 {
		poke(b.early)
	}
}

func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// roomLocked reports whether one more revision may be assigned. Needs writer.
func (s *Store) roomLocked() bool {
	if s.paused {
		return false
	}
	if !s.relaxed() || s.next > maxRevision { // there waiting would not end
		return true
	}
	pending := s.tail.pending()
	if s.next >= s.ceiling || pending+s.beside.waiting.Load() >= s.cfg.PendingBytes || s.pendingFillsLocked(pending) {
		poke(s.background.dirty)
		poke(s.background.early)
		return false
	}
	return true
}

// hasRoom is what a waiting writer asks: whether to try again.
func (s *Store) hasRoom() bool {
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.refusal() != nil || s.roomLocked()
}

// runFlusher makes what Relaxed showed durable, each time before the oldest of
// it is one interval old, or earlier when it is much.
func (s *Store) runFlusher(ctx context.Context) {
	interval := s.cfg.Durability.interval
	lead := time.Duration(0) // how long a flush takes
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for ctx.Err() == nil && s.failure.Load() == nil {
		if !s.owes(s.visible.Load()) && !s.ceilingLow() {
			select {
			case <-s.background.dirty:
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(max(interval-2*lead, interval/2))
		select {
		case <-timer.C:
		case <-s.background.early:
		case <-ctx.Done():
			return
		}
		start := time.Now()
		if err := s.flush(s.visible.Load()); err != nil {
			// Every later writer is told too, but there may be none.
			s.cfg.Logger.Error("making revisions durable", "error", err)
		}
		lead = time.Since(start)
	}
}

// owes reports whether something staged up to rev is not durable.
func (s *Store) owes(rev int64) bool {
	return s.applied.Load() < rev || s.beside.owes(besideDue{rev, math.MaxInt64})
}

// flush makes every revision up to end durable, and raises the ceiling when
// half of what it reserved is used.
func (s *Store) flush(end int64) error {
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	var meta []backend.Op
	ceiling := int64(0)
	if s.relaxed() && s.ceilingLow() {
		ceiling = s.ceilingAbove(s.visible.Load())
		meta = append(meta, putNumber(metaCeiling, ceiling))
	}
	if _, err := s.applyThroughLocked(end, meta); err != nil {
		return err
	}
	if ceiling > 0 {
		s.setCeiling(ceiling)
	}
	return nil
}

// ceilingLow reports whether the ceiling is to be raised.
func (s *Store) ceilingLow() bool {
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.ceiling <= maxRevision && s.ceiling-s.next < s.tuning.ceilingStep/2
}

func (s *Store) setCeiling(ceiling int64) {
	s.writer.Lock()
	s.ceiling = ceiling
	s.writer.Unlock()
	s.room.wake()
}
