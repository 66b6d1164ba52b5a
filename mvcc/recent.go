package mvcc

import "sync"

// tail is the newest part of history in memory, one entry per revision,
// without holes, in three stretches:
//
//	evicted < first ... applied ... visible ... last
//	          recent    | Relaxed:  | Sync: staged,
//	          log       | shown, not| not shown
//	                    | durable   |
//
// Only what is applied is evicted, and the newest revision never is. Entries
// are immutable. mu is a leaf.
type tail struct {
	limit int64 // bytes the applied stretch may weigh

	mu      sync.Mutex
	ring    []tailEntry // length a power of two
	head    int         // of first
	n       int
	first   int64 // oldest revision held; last is first+n-1
	applied int64 // last revision that may be evicted
	evicted int64 // sum of weights of all that ever left
	applyWt int64 // sum of weights of all up to applied
	total   int64 // sum of weights of all that ever came; written under Store.writer too
}

type tailEntry struct {
	events []Event
	upTo   int64 // sum of weights up to and with this entry
}

// eventOverhead is what an event weighs in memory beside its record.
const eventOverhead = 128

func (e *Event) weight() int64 { return int64(len(e.record)) + eventOverhead }

// recentAnswerBytes bounds one answer of Recent, in weight.
const recentAnswerBytes = 1 << 20

// reset empties the tail; the next entry will be revision next.
func (t *tail) reset(next int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring, t.head, t.n = make([]tailEntry, 64), 0, 0
	t.first, t.applied = next, next-1
	t.evicted, t.applyWt = t.total, t.total
}

// add appends the events of the next revision and returns the weight that
// waits to be applied, before and after.
func (t *tail) add(events []Event) (before, after int64) {
	weight := int64(0)
	for i := range events {
		weight += events[i].weight()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n == len(t.ring) {
		t.growLocked()
	}
	before = t.total - t.applyWt
	t.total += weight
	*t.slotLocked(t.n) = tailEntry{events: events, upTo: t.total}
	t.n++
	return before, t.total - t.applyWt
}

func (t *tail) growLocked() {
	ring := make([]tailEntry, 2*len(t.ring))
	k := copy(ring, t.ring[t.head:])
	copy(ring[k:], t.ring[:t.head])
	t.ring, t.head = ring, 0
}

func (t *tail) slotLocked(i int) *tailEntry { return &t.ring[(t.head+i)&(len(t.ring)-1)] }

// setApplied says that everything up to rev is durable, evicts what is above
// the limit and returns the weight that still waits.
func (t *tail) setApplied(rev int64) (pending int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applied = rev
	if i := int(rev - t.first); i >= 0 && i < t.n {
		t.applyWt = t.slotLocked(i).upTo
	}
	// Nothing is left to evict of the applied stretch once its weight is 0.
	for t.n > 1 && t.applyWt-t.evicted > t.limit {
		e := t.slotLocked(0)
		t.evicted = e.upTo
		*e = tailEntry{}
		t.head = (t.head + 1) & (len(t.ring) - 1)
		t.first++
		t.n--
	}
	return t.total - t.applyWt
}

// pending is the weight of what is not applied.
func (t *tail) pending() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total - t.applyWt
}

// appliedWeight is the part of total that is applied.
func (t *tail) appliedWeight() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.applyWt
}

func (t *tail) totalWeight() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// events returns the events of rev, nil if it is not held.
func (t *tail) events(rev int64) []Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.eventsLocked(rev)
}

func (t *tail) eventsLocked(rev int64) []Event {
	i := rev - t.first
	if i < 0 || i >= int64(t.n) {
		return nil
	}
	return t.slotLocked(int(i)).events
}

// event returns one event, nil if it is not held.
func (t *tail) event(kr KeyRev) *Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	events := t.eventsLocked(kr.Main)
	if kr.Sub < 0 || kr.Sub >= int64(len(events)) {
		return nil
	}
	return &events[kr.Sub]
}

// Recent appends to dst the visible commits from revision from on, ascending
// and without holes, shared and frozen: at most maxCommits, and about 1 MiB
// of records, but at least one. first is the oldest revision the recent log
// holds; ok is false if from is older than that. From above Rev it appends
// nothing and ok is true.
func (s *Store) Recent(dst []Commit, from int64, maxCommits int) (commits []Commit, first int64, ok bool) {
	visible := s.visible.Load()
	t := &s.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if from < t.first {
		return dst, t.first, false
	}
	// A Bump may have emptied the tail above the visible revision just read.
	last := min(visible, t.first+int64(t.n)-1)
	before := t.evicted
	if from > t.first && from <= last {
		before = t.slotLocked(int(from - t.first - 1)).upTo
	}
	for rev := from; rev <= last && maxCommits > 0; rev++ {
		e := t.slotLocked(int(rev - t.first))
		if rev > from && e.upTo-before > recentAnswerBytes {
			break
		}
		dst = append(dst, Commit{Rev: rev, Events: e.events})
		maxCommits--
	}
	return dst, t.first, true
}

// RecentFirst is the oldest revision that Recent can serve; Rev()+1 when the
// recent log is empty.
func (s *Store) RecentFirst() int64 {
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	return s.tail.first
}
