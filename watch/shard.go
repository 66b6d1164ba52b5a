package watch

import (
	"container/heap"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/internal/slab"
	"github.com/watchkv/watchkv/mvcc"
)

// shard is a part of the hub: some of its streams, with all their watches.
type shard struct {
	hub    *Hub
	source Source

	// work wakes the catch-up goroutine; room for one signal, sent by kick,
	// never closed.
	work chan struct{}

	ended atomic.Bool // failed is set; lets Recv look without the lock

	mu       sync.Mutex // guards all below; before any outbox.mu
	offered  int64      // last revision dispatched; only grows
	written  int64      // bytes of the records dispatched
	groups   groupIndex
	streams  map[*Stream]struct{}
	numbered slab.Slab[*Stream]             // the same, as heads name them
	waiting  waitingHeap                    // watches whose start is above offered+1
	left     int                            // cancelled ones that are still in it
	admitted bool                           // some were let in for the revision above offered, before it is
	marks    []*watcher                     // synced or waiting, CaughtUp owed once offered reaches created
	unsynced []*seat                        // the catch-up's work, in no order
	lagging  map[*seat]struct{}             // behind under Policy Cancel, caught up before
	progress map[*watcher]int64             // revision offered at the last tick
	owed     map[*Stream]int64              // RequestProgress: revision the answer must reach
	prevs    map[*mvcc.Event]*mvcc.KeyValue // previous values found for the current batch
	pastGone bool                           // the store is closed: what is behind stays so
	failed   error                          // the store ended; nothing above offered comes
	stats    Stats

	live liveBatch // the dispatch goroutine's
}

func newShard(h *Hub, source Source) *shard {
	return &shard{
		hub: h, source: source, work: make(chan struct{}, 1), offered: source.Rev(),
		streams: map[*Stream]struct{}{}, lagging: map[*seat]struct{}{}, progress: map[*watcher]int64{},
		owed: map[*Stream]int64{}, prevs: map[*mvcc.Event]*mvcc.KeyValue{},
	}
}

// kick wakes the catch-up goroutine.
func (sh *shard) kick() {
	select {
	case sh.work <- struct{}{}:
	default:
	}
}

// placeLocked puts a new watch where its next revision belongs. One whose
// start the store has not reached yet (later) waits for it and is not synced
// before, so that no progress is told to it.
func (sh *shard) placeLocked(w *watcher, g *group, s *Stream, next int64, later bool) {
	switch {
	case next > sh.offered+1 || later:
		w.seat = &seat{group: g, stream: s, state: parked}
		heap.Push(&sh.waiting, waiting{w, next, later})
		s.behind++
	case next == sh.offered+1:
		sh.joinSyncedLocked(w, g, s)
	default:
		sh.joinUnsyncedLocked(w, g, s, next)
	}
}

func (sh *shard) joinSyncedLocked(w *watcher, g *group, s *Stream) {
	st := g.synced.of(s)
	if st == nil {
		st = &seat{group: g, stream: s}
		g.synced.add(st)
	}
	w.seat = st
	st.members = append(st.members, w)
	sh.stats.Synced++
}

func (sh *shard) joinUnsyncedLocked(w *watcher, g *group, s *Stream, next int64) {
	st := s.reading[g]
	if st == nil || st.gone || st.state != Unsynced || st.behind.next != next || g.policy == Latest {
		st = &seat{group: g, stream: s, state: Unsynced, behind: &behind{next: next, writtenAt: sh.written}}
		if g.policy == Latest {
			st.behind.pass.start = w.start
		} else {
			s.reading[g] = st
		}
		sh.listLocked(st)
		sh.kick()
	}
	w.seat = st
	st.members = append(st.members, w)
	st.behind.markRev = max(st.behind.markRev, w.created)
	s.behind++
	sh.stats.Unsynced++
}

// releaseWaitingLocked lets the watches in whose start is the next revision:
// all of them, if that revision is about to be offered.
func (sh *shard) releaseWaitingLocked(offering bool) {
	for len(sh.waiting) > 0 {
		f := sh.waiting[0]
		if !f.w.dead() && (f.start > sh.offered+1 || f.start == sh.offered+1 && f.later && !offering) {
			return
		}
		heap.Pop(&sh.waiting)
		if f.w.dead() {
			sh.left--
			continue
		}
		at := f.w.seat
		at.stream.behind--
		sh.placeLocked(f.w, at.group, at.stream, f.start, false)
		sh.restLocked(at.group) // it was offered nothing yet
	}
}

// leaveWaitingLocked notes that a waiting watch was cancelled. Its place is
// kept until half of the places are such, so that a cancel costs little and
// the heap follows the watches there are.
func (sh *shard) leaveWaitingLocked() {
	if sh.left++; 2*sh.left <= len(sh.waiting) {
		return
	}
	sh.waiting = slices.DeleteFunc(sh.waiting, func(f waiting) bool { return f.w.dead() })
	heap.Init(&sh.waiting)
	sh.left = 0
}

// demoteLocked makes victims of a seat whose outbox had no room for what
// begins at revision next.
func (sh *shard) demoteLocked(st *seat, next int64) {
	sh.stats.VictimsEver += int64(st.live())
	sh.waitForRoomLocked(st, next)
}

// postpone makes victims of an unsynced seat whose stream has no room at all,
// so that nothing is read for it in vain. No event met a full outbox: this
// counts in no VictimsEver.
func (sh *shard) postpone(st *seat) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if st.gone || st.state != Unsynced {
		return true
	}
	if !st.stream.box.refuses() {
		return false
	}
	st.leave()
	sh.waitForRoomLocked(st, st.behind.next)
	return true
}

// waitForRoomLocked takes a seat out until its consumer has taken what is
// queued.
func (sh *shard) waitForRoomLocked(st *seat, next int64) {
	n := st.live()
	if st.state == Synced {
		st.group.synced.remove(st)
		st.behind = &behind{once: true, writtenAt: sh.written}
		st.stream.behind += n
		sh.stats.Synced -= n
		sh.unmarkLocked(st)
	} else {
		sh.stats.Unsynced -= n
	}
	sh.stats.Victims += n
	st.state, st.behind.next = Victim, next
	if st.group.policy == Cancel && st.behind.once {
		sh.lagging[st] = struct{}{}
	}
	if st.group.policy == Latest {
		sh.splitByStartLocked(st)
		return
	}
	st.stream.victims = append(st.stream.victims, st)
}

// splitByStartLocked gives the members of a victim seat that started at
// different revisions seats of their own: what "last delivered" means for
// Policy Latest depends on it.
func (sh *shard) splitByStartLocked(st *seat) {
	byStart := map[int64]*seat{}
	for _, w := range st.members {
		if w.dead() {
			continue
		}
		part := byStart[w.start]
		if part == nil {
			b := *st.behind
			if b.pass.start != w.start {
				b.pass = pass{start: w.start}
			}
			part = &seat{group: st.group, stream: st.stream, state: Victim, behind: &b, lastRev: st.lastRev}
			byStart[w.start] = part
			st.stream.victims = append(st.stream.victims, part)
		}
		w.seat = part
		part.members = append(part.members, w)
	}
	st.members, st.dead, st.gone = nil, 0, true
}

// unmarkLocked hands the CaughtUp marks owed to members of a seat that just
// fell behind over to the seat.
func (sh *shard) unmarkLocked(st *seat) {
	kept := sh.marks[:0]
	for _, w := range sh.marks {
		if w.seat == st {
			st.behind.markRev = max(st.behind.markRev, w.created)
		} else {
			kept = append(kept, w)
		}
	}
	sh.marks = kept
}

// promoteLocked makes a seat synced whose next revision is offered+1: exact,
// because dispatch holds the same lock while it offers and moves offered.
func (sh *shard) promoteLocked(st *seat) {
	n := st.live()
	sh.stats.Unsynced -= n
	sh.stats.Synced += n
	st.stream.behind -= n
	if st.behind.markRev > 0 { // created above offered
		for _, w := range st.members {
			if !w.caughtUp {
				sh.marks = append(sh.marks, w)
			}
		}
	}
	st.state, st.behind = Synced, nil
	delete(sh.lagging, st)
	if st.stream.reading[st.group] == st {
		delete(st.stream.reading, st.group)
	}
	if there := st.group.synced.of(st.stream); there != nil {
		there.take(st)
	} else {
		st.group.synced.add(st)
	}
	sh.answerOwedLocked(st.stream)
	if sh.failed != nil {
		st.stream.box.poke()
	}
}

// listLocked gives an unsynced seat to the catch-up goroutine.
func (sh *shard) listLocked(st *seat) {
	if !st.listed {
		st.listed = true
		sh.unsynced = append(sh.unsynced, st)
	}
}

// drained makes the victims of a stream unsynced: its consumer took what was
// in the outbox.
func (sh *shard) drained(s *Stream) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, st := range s.victims {
		if st.gone {
			continue
		}
		st.state = Unsynced
		sh.stats.Victims -= st.live()
		sh.stats.Unsynced += st.live()
		sh.listLocked(st)
	}
	clear(s.victims)
	s.victims = s.victims[:0]
	sh.answerOwedLocked(s)
	sh.kick()
}

// markLocked tells the members of a seat that they have caught up with their
// creation, once the seat has passed it.
func (sh *shard) markLocked(st *seat) {
	b := st.behind
	if b == nil || b.markRev == 0 || st.behind.next <= b.markRev {
		return
	}
	b.markRev = 0
	for _, w := range st.members {
		if !w.caughtUp && !w.dead() {
			w.caughtUp = true
			st.stream.box.tell(Response{WatchID: w.id, CaughtUp: true, Revision: st.behind.next - 1})
		}
	}
}

// markSyncedLocked is markLocked for watches that never had to read history
// but were created above offered.
func (sh *shard) markSyncedLocked() {
	kept := sh.marks[:0]
	for _, w := range sh.marks {
		switch {
		case w.dead() || w.caughtUp:
		case w.created > sh.offered || w.seat.state == parked:
			kept = append(kept, w)
		case w.seat.state == Synced:
			w.caughtUp = true
			w.seat.stream.box.tell(Response{WatchID: w.id, CaughtUp: true, Revision: sh.offered})
		default:
			w.seat.behind.markRev = max(w.seat.behind.markRev, w.created)
		}
	}
	clear(sh.marks[len(kept):])
	sh.marks = kept
}

// endLocked ends a watch. With tell its stream gets r as the last response.
func (sh *shard) endLocked(s *Stream, w *watcher, r Response, tell bool) {
	if w.dead() {
		return
	}
	s.watches.remove(w.id)
	delete(sh.progress, w)
	sh.hub.watches.Add(-1)
	at := int64(math.MaxInt64) // of a stream that ends, what Recv has taken is received still
	if tell {
		r.WatchID, r.Canceled = w.id, true
		at = s.box.tell(r)
	}
	w.ended.Store(at)
	st := w.seat
	sh.countLocked(st.state, -1)
	if st.state != Synced {
		s.behind--
	}
	if st.state == parked {
		sh.leaveWaitingLocked()
	} else if st.drop(); st.live() == 0 {
		sh.removeSeatLocked(st)
	}
	st.group.watches--
	if st.group.watches == 0 {
		sh.groups.remove(st.group)
	}
	sh.answerOwedLocked(s)
}

func (sh *shard) countLocked(state State, n int) {
	switch state {
	case Synced:
		sh.stats.Synced += n
	case Unsynced:
		sh.stats.Unsynced += n
	case Victim:
		sh.stats.Victims += n
	}
}

// removeSeatLocked takes an empty seat out. Lists of seats that are not
// synced drop it when they meet it.
func (sh *shard) removeSeatLocked(st *seat) {
	st.gone = true
	delete(sh.lagging, st)
	if st.state == Synced {
		st.group.synced.remove(st)
	}
	if st.stream.reading[st.group] == st {
		delete(st.stream.reading, st.group)
	}
}

// endSeatLocked ends all watches of a seat with the same response.
func (sh *shard) endSeatLocked(st *seat, r Response) {
	for _, w := range append([]*watcher(nil), st.members...) {
		if !w.dead() {
			sh.endLocked(st.stream, w, r, true)
		}
	}
}

// compactedLocked ends a seat that needs history which is gone. The revision
// is read here: read before the lock, it could be below that of a Created.
func (sh *shard) compactedLocked(st *seat, compact int64) {
	sh.endSeatLocked(st, Response{
		CompactRevision: compact, Revision: sh.source.Rev(),
		Err: &mvcc.CompactedError{Requested: st.behind.next, Compact: compact},
	})
}

// waiting is a watch whose start revision is not next yet.
type waiting struct {
	w     *watcher
	start int64
	later bool // asked for by number, above what the store had
}

// waitingHeap orders them by start, those that wait for the store itself
// last, for container/heap.
type waitingHeap []waiting

func (h waitingHeap) Len() int { return len(h) }
func (h waitingHeap) Less(i, j int) bool {
	if h[i].start != h[j].start {
		return h[i].start < h[j].start
	}
	return !h[i].later && h[j].later
}
func (h waitingHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *waitingHeap) Push(x any)   { *h = append(*h, x.(waiting)) }
func (h *waitingHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = waiting{}
	*h = old[:len(old)-1]
	return last
}
