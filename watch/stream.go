package watch

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
)

// recvResponses bounds what one Recv returns, so that a hand-over to many
// watches does not become a slice as long as there are watches.
const recvResponses = 128

// keptEntries is the longest queue whose memory a stream keeps for the next
// one: idle streams that once made thousands of watches must not hold it.
const keptEntries = 256

// Stream is one consumer: many watches and one bounded outbox. Its methods
// may be called from any goroutine, but Recv from one at a time.
type Stream struct {
	number   int64
	numbered uint32 // in shard.numbered
	name     string
	shard    *shard
	box      outbox

	// The consumer's own, used in Recv only.
	out     []Response
	taking  []entry // taken from the outbox, not handed out yet
	takenAt int64   // place of the first of them, in outbox.taken numbering
	at      place   // in taking
	events  bool    // some of them were events

	// Guarded by shard.mu.
	watches watchTable
	nextID  int64
	victims []*seat          // waiting for Recv
	reading map[*group]*seat // the newest unsynced seat of a group
	behind  int              // watches that are not synced, or wait for their start
	closed  bool
}

// place is where Recv stands in the entries it took.
type place struct{ entry, member, run int }

// Watch begins a watch and returns its id. Its first response is Created;
// nothing with its id comes before. A refused watch (ErrEmptyRange,
// ErrDuplicateID, ErrNegativeID, ErrTooManyWatches, mvcc.ErrCompacted for a
// negative start) is both an error here and a response, Created and Canceled,
// with id NoWatch; the stream's other watches go on. A start below the
// compact revision is not refused: the watch is created, and then canceled
// with the revision it could start from. After Close: ErrStreamClosed.
func (s *Stream) Watch(r Request) (id int64, err error) {
	if r.StartRevision > 0 {
		err = s.shard.source.CheckStart(r.StartRevision)
	}
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return 0, ErrStreamClosed
	}
	current := sh.source.Rev()
	if refused := s.refuseLocked(&r); refused != nil {
		s.refusedLocked(refused, current)
		return 0, refused
	}
	id = r.ID
	if id == 0 {
		id = s.pickIDLocked()
	}
	next := r.StartRevision
	if next == 0 {
		next = current + 1
	}
	created := Response{WatchID: id, Created: true, Revision: current, CaughtUp: next > current}
	if err != nil {
		s.refuseHistoryLocked(created, err)
		return id, nil
	}
	sh.hub.watches.Add(1)
	if bar, owed := sh.owed[s]; owed {
		sh.owed[s] = max(bar, current) // never below the Created of a watch it speaks for
	}
	s.box.tell(created)
	keys, o := rangeOf(r.span()), r.options()
	if r.StartRevision == 0 && current == sh.offered && !r.Progress && sh.restNewLocked(s, id, keys, &o) {
		return id, nil
	}
	w := &watcher{id: id, created: current, start: next, progress: r.Progress, caughtUp: created.CaughtUp}
	g := sh.groupLocked(keys, o)
	g.watches++
	s.watches.setAwake(w)
	if w.progress {
		sh.progress[w] = current
	}
	sh.placeLocked(w, g, s, next, r.StartRevision > current)
	if !w.caughtUp && (w.seat.state == parked || w.seat.state == Synced) {
		sh.marks = append(sh.marks, w)
	}
	return id, nil
}

// Refuse answers a request for a watch that the caller refuses: Created and
// Canceled, with id NoWatch and err, in order with all other responses. After
// Close: ErrStreamClosed.
func (s *Stream) Refuse(err error) error {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return ErrStreamClosed
	}
	s.refusedLocked(err, sh.source.Rev())
	return nil
}

func (s *Stream) refusedLocked(err error, current int64) {
	s.box.tell(Response{WatchID: NoWatch, Created: true, Canceled: true, Revision: current, Err: err})
}

// refuseLocked returns why a request makes no watch, or nil.
func (s *Stream) refuseLocked(r *Request) error {
	cfg := &s.shard.hub.cfg
	switch {
	case r.span().Empty():
		return ErrEmptyRange
	case r.ID < 0:
		return ErrNegativeID
	case r.StartRevision < 0:
		return mvcc.ErrCompacted
	case r.ID != 0 && s.watches.ref(r.ID) != 0:
		return ErrDuplicateID
	case cfg.MaxWatchesPerStream > 0 && s.watches.len() >= cfg.MaxWatchesPerStream:
		return fmt.Errorf("%w: %d on this stream, the bound", ErrTooManyWatches, s.watches.len())
	case s.shard.groups.heads.full():
		return fmt.Errorf("%w: %d ranges and their keys are all there can be", ErrTooManyWatches, s.shard.groups.heads.len())
	case cfg.MaxWatches > 0 && s.shard.hub.watches.Load() >= int64(cfg.MaxWatches):
		return fmt.Errorf("%w: %d in all, the bound", ErrTooManyWatches, cfg.MaxWatches)
	}
	return nil
}

// refuseHistoryLocked creates and cancels a watch whose start is gone.
func (s *Stream) refuseHistoryLocked(created Response, err error) {
	created.CaughtUp = false
	s.box.tell(created)
	canceled := Response{WatchID: created.WatchID, Canceled: true, Revision: created.Revision, Err: err}
	if c, ok := asCompacted(err); ok {
		canceled.CompactRevision = c.Compact
	}
	s.box.tell(canceled)
}

// pickIDLocked returns the next id that no watch of the stream has.
func (s *Stream) pickIDLocked() int64 {
	for s.watches.ref(s.nextID) != 0 {
		s.nextID++
	}
	id := s.nextID
	s.nextID++
	return id
}

// groupLocked finds or makes the group of a range and options.
func (sh *shard) groupLocked(keys keyRange, o options) *group {
	at := sh.groups.heads.find(keys)
	if at == 0 {
		return sh.groups.add(keys, o)
	}
	first := sh.firstLocked(at)
	g := first
	for g != nil && g.options != o {
		g = g.sibling
	}
	if g == nil {
		g = &group{keys: first.keys, options: o, sibling: first.sibling}
		first.sibling = g
		sh.groups.count++
	}
	return g
}

// Cancel ends a watch: one Canceled response, and nothing of that id after
// it. An id that is not there is ErrNoWatch and makes no response. The id may
// be used again at once.
func (s *Stream) Cancel(id int64) error {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return ErrStreamClosed
	}
	at := s.watches.ref(id)
	if at == 0 {
		return fmt.Errorf("%w: id %d", ErrNoWatch, id)
	}
	r := Response{Revision: sh.source.Rev()}
	if w := s.watches.watcher(at); w != nil {
		sh.endLocked(s, w, r, true)
	} else {
		sh.endRestingLocked(s, id, rangeRef(at), r, true)
	}
	return nil
}

// Recv waits until there is something for the stream and returns it: at least
// one response, in order. The slice is valid until the next Recv, the events
// in it stay valid. One caller at a time. A ctx that has ended does not keep
// it from returning what is there, nor does a Close what it has taken before.
// Errors: ctx's; ErrStreamClosed or ErrHubClosed; and, once everything that is visible was delivered, the
// store's own ErrFailed or ErrClosed, for then no event can follow.
func (s *Stream) Recv(ctx context.Context) ([]Response, error) {
	clear(s.out)
	s.out = s.out[:0]
	for {
		s.expand()
		if len(s.out) > 0 {
			return s.out, nil
		}
		if clear(s.taking); len(s.taking) > 0 && !s.events {
			s.out, s.taking = nil, nil // who only made watches may be idle for long
		} else if cap(s.taking) > keptEntries {
			s.taking = nil
		}
		s.at, s.events = place{}, false
		queue, at, victims, err := s.box.take(s.taking[:0])
		s.taking, s.takenAt = queue, at
		switch {
		case err != nil:
			return nil, err
		case victims:
			s.shard.drained(s)
		case len(queue) == 0:
			if err := s.wait(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// wait parks until the outbox signals. take has said that the consumer parks.
func (s *Stream) wait(ctx context.Context) error {
	if s.shard.ended.Load() {
		if err := s.shard.exhausted(s); err != nil {
			s.box.unpark()
			return err
		}
	}
	select {
	case <-s.box.wake:
		return nil
	case <-ctx.Done():
		s.box.unpark()
		return ctx.Err()
	}
}

// exhausted returns the store's error once nothing can come any more.
func (sh *shard) exhausted(s *Stream) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.failed == nil || !s.box.idle() || s.behind > sh.waitingOf(s) && !sh.pastGone {
		return nil
	}
	return fmt.Errorf("watch: no revision can follow %d: %w", sh.offered, sh.failed)
}

// waitingOf counts the watches of a stream that wait for their start.
func (sh *shard) waitingOf(s *Stream) int {
	n := 0
	for _, f := range sh.waiting {
		if f.w.seat.stream == s && !f.w.dead() {
			n++
		}
	}
	return n
}

// expand turns taken entries into responses, up to recvResponses.
func (s *Stream) expand() {
	if s.out == nil && len(s.taking) > 0 {
		s.out = make([]Response, 0, min(len(s.taking), recvResponses))
	}
	for s.at.entry < len(s.taking) && len(s.out) < recvResponses {
		e := &s.taking[s.at.entry]
		if e.control != nil {
			s.out = append(s.out, *e.control)
			s.at = place{entry: s.at.entry + 1}
			continue
		}
		s.expandMembers(e)
	}
}

func (s *Stream) expandMembers(e *entry) {
	s.events = true
	for ; s.at.member < len(e.members); s.at.member++ {
		w := e.members[s.at.member]
		if end := w.ended.Load(); end != 0 && s.takenAt+int64(s.at.entry) >= end {
			s.at.run = 0
			continue
		}
		for ; s.at.run <= len(e.more); s.at.run++ {
			if len(s.out) >= recvResponses {
				return
			}
			r := e.run(s.at.run)
			s.out = append(s.out, Response{
				WatchID: w.id, Events: r.events, Revision: r.rev, Conflated: r.conflated, MaySplit: r.maySplit, shared: r.shared,
			})
		}
		s.at.run = 0
	}
	s.at = place{entry: s.at.entry + 1}
}

// Close ends the stream and all its watches; a Recv that waits answers
// ErrStreamClosed. A second Close does nothing.
func (s *Stream) Close() error {
	s.end(ErrStreamClosed)
	return nil
}

func (s *Stream) end(err error) {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return
	}
	for id, at := range s.watches.all() {
		if w := s.watches.watcher(at); w != nil {
			sh.endLocked(s, w, Response{}, false)
		} else {
			sh.endRestingLocked(s, id, rangeRef(at), Response{}, false)
		}
	}
	s.closed = true
	s.victims, s.reading = nil, nil
	delete(sh.streams, s)
	sh.numbered.Remove(s.numbered)
	delete(sh.owed, s)
	_, peak, _ := s.box.pending()
	sh.stats.PendingBytesMax = max(sh.stats.PendingBytesMax, peak)
	s.box.close(err)
}
