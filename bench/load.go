package bench

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// untimed is the due time in values that were written before the measurement.
const untimed = 0

// load puts by an open-loop schedule, or at full speed, until its end.
type load struct {
	session *session
	pacer   Pacer
	start   int64 // of the session's clock
	until   atomic.Int64
	puts    int64          // how many, if the load ends by their number; else 0
	next    atomic.Int64   // number of the next put
	waiting []atomic.Int64 // by writer: when the put was due whose answer it waits for; 0: none
	wg      sync.WaitGroup
	ended   sync.Once
	stop    func() // ends the metronome

	// request does the n-th request, which was due at a moment; late is how
	// long after it the generator began.
	request func(ctx context.Context, w *writer, n, due, late int64) error
}

// Values of a put's delay by the generator that are none.
const (
	lateBusy    = -1 // all writers were waiting for the target
	lateUnknown = -2 // at full speed no put is due before it begins
)

// startLoad begins to put at once. The writers share one schedule: whoever is
// free takes the next put and waits for its time, so a slow put holds up no
// other while there are writers left.
func (s *session) startLoad(ctx context.Context, start, until int64) *load {
	return s.startRequests(ctx, start, until, s.sc.RatePerS, s.putNext)
}

// startRequests is startLoad with requests of another kind, so many a second.
func (s *session) startRequests(ctx context.Context, start, until int64, perS float64, request func(ctx context.Context, w *writer, n, due, late int64) error) *load {
	l := &load{session: s, start: start, pacer: Pacer{PerS: perS}, stop: func() {}, request: request}
	l.until.Store(until)
	l.begin(ctx)
	return l
}

// untilTold is the end of a load that nobody knows when it begins.
const untilTold = math.MaxInt64

// endAt sets the moment from which on nothing is put.
func (l *load) endAt(until int64) { l.until.Store(until) }

// startPuts puts n times at full speed; first is the number of the first put.
func (s *session) startPuts(ctx context.Context, first, n int64) *load {
	l := &load{session: s, puts: first + n, stop: func() {}, request: s.putNext}
	l.until.Store(untilTold)
	l.next.Store(first)
	l.begin(ctx)
	return l
}

func (l *load) begin(ctx context.Context) {
	s := l.session
	l.waiting = make([]atomic.Int64, s.sc.Writers)
	if !s.sc.FullSpeed {
		l.stop = metronome(max(finestTick, l.pacer.Due(1)))
	}
	for i := range s.sc.Writers {
		l.wg.Go(func() {
			if err := l.write(ctx, i); err != nil && ctx.Err() == nil {
				s.fail(err)
			}
		})
	}
}

// finestTick is how often the clock is looked at, at most.
const finestTick = 100 * time.Microsecond

// wait returns when the last put was answered, or the target was given up. It
// may be called again.
func (l *load) wait() {
	defer l.ended.Do(l.stop)
	answered := make(chan struct{})
	go func() {
		l.wg.Wait()
		close(answered)
	}()
	select {
	case <-answered:
	case <-l.session.cut:
		select {
		case <-answered:
		case <-time.After(grace):
			l.giveUp()
		}
	}
}

// grace is how long a target may take to answer the puts under way when its
// scenario is cut.
const grace = 2 * time.Second

// giveUp counts the puts that are still not answered with the time they have
// waited, which is less than they would have taken.
func (l *load) giveUp() {
	s := l.session
	if s.givenUp.Swap(true) {
		return
	}
	now := s.clock.now()
	for i := range l.waiting {
		if due := l.waiting[i].Load(); due != 0 {
			s.rec.put(s.rec.lane(i), due, now, lateUnknown)
		}
	}
}

// writer is one of those that share a load.
type writer struct {
	lane    *lane
	waiting *atomic.Int64 // when it was due what it waits for; 0: nothing
	value   []byte        // of its put
}

func (l *load) write(ctx context.Context, number int) error {
	w := &writer{lane: l.session.rec.lane(number), waiting: &l.waiting[number]}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		n := l.next.Add(1) - 1
		due, late, ok := l.await(ctx, timer, n)
		if !ok || l.puts > 0 && n >= l.puts {
			return nil
		}
		if err := l.request(ctx, w, n, due, late); err != nil {
			return err
		}
		if l.session.givenUp.Load() {
			return nil
		}
	}
}

// putNext is the request of most loads.
func (s *session) putNext(ctx context.Context, w *writer, n, due, late int64) error {
	w.value = s.work.appendValue(w.value[:0], n, due)
	return s.put(ctx, w, s.work.key(n), w.value, n, due, late)
}

// put puts, and notes the answer. A put under way is let finish when the run
// is stopped: its outcome would be unknown otherwise, and stores answer faster
// without a context to watch.
func (s *session) put(ctx context.Context, w *writer, key, value []byte, n, due, late int64) error {
	w.waiting.Store(due)
	ticket := s.history.Begin()
	rev, err := s.target.Put(context.WithoutCancel(ctx), key, value)
	w.waiting.Store(0)
	acked := s.clock.now()
	if s.givenUp.Load() {
		return nil
	}
	if err != nil {
		if err := s.unwritten(ticket, err); err != nil {
			return fmt.Errorf("put %d: %w", n, err)
		}
		s.rec.failed(w.lane, due, acked)
		return nil
	}
	s.answers.put(rev, due, acked)
	s.noteRev(rev)
	if err := s.written(ticket, rev, key, value); err != nil {
		return err
	}
	s.rec.put(w.lane, due, acked, late)
	return nil
}

// delete is put of nothing. The target must be a Deleter.
func (s *session) delete(ctx context.Context, w *writer, key []byte, n, due, late int64) error {
	w.waiting.Store(due)
	ticket := s.history.Begin()
	rev, err := s.target.(Deleter).Delete(context.WithoutCancel(ctx), key)
	w.waiting.Store(0)
	acked := s.clock.now()
	if s.givenUp.Load() {
		return nil
	}
	if err != nil {
		if err := s.unwritten(ticket, err); err != nil {
			return fmt.Errorf("delete %d: %w", n, err)
		}
		s.rec.failed(w.lane, due, acked)
		return nil
	}
	if rev > 0 {
		s.answers.put(rev, due, acked)
		s.noteRev(rev)
	}
	if err := s.deleted(ticket, rev, key); err != nil {
		return err
	}
	s.rec.put(w.lane, due, acked, late)
	return nil
}

// await waits until put n is due. late is how long after that it returned, or
// lateBusy if the time had passed before a writer was free for it: that delay
// is the target's. ok is false once the load is over.
func (l *load) await(ctx context.Context, timer *time.Timer, n int64) (due, late int64, ok bool) {
	now := l.session.clock.now()
	if l.session.sc.FullSpeed {
		return now, lateUnknown, now < l.until.Load() && ctx.Err() == nil
	}
	due = l.start + int64(l.pacer.Due(n))
	// What is due and was not begun in time is not put at all: a target far
	// below the rate would keep the run going for long.
	if until := l.until.Load(); due >= until || now >= until || ctx.Err() != nil {
		return 0, 0, false
	}
	if now >= due {
		return due, lateBusy, true
	}
	timer.Reset(time.Duration(due - now))
	select {
	case <-timer.C:
		return due, max(0, l.session.clock.now()-due), due < l.until.Load()
	case <-ctx.Done():
		return 0, 0, false
	}
}
