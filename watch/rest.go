package watch

import "math"

// head is what the index of a shard holds for a range: the first of its
// groups or, of a range with one watch that is at rest, all there is to know
// of that.
//
// A watch is at rest while it has no group, seat and watcher: it is the only
// one of its range, synced, owed nothing, and nothing of its is queued or in
// its consumer's hands. Most watches are so most of the time, and take a
// sixth of the memory. An event, another watch of its range, or anything else
// that concerns more than its end wakes it.
type head struct {
	stream uint32 // of the watch at rest, in shard.numbered
	number uint32 // its id, or where in groupIndex.first the group is
	form   form   // its options
}

func (h *head) resting() bool { return h.stream != 0 }

// form is options without bounds, in a byte.
type form uint8

const (
	formPrevKV form = 1 << iota
	formNoPut
	formNoDelete
	formCancel
	formMaySplit
)

// formOf returns the options as a form, if that has room for them. Policy
// Latest has to know where a watch started, and bounds are not small.
func formOf(o *options) (f form, ok bool) {
	for _, is := range [...]struct {
		yes bool
		bit form
	}{{o.prevKV, formPrevKV}, {o.noPut, formNoPut}, {o.noDelete, formNoDelete}, {o.policy == Cancel, formCancel}, {o.maySplit, formMaySplit}} {
		if is.yes {
			f |= is.bit
		}
	}
	return f, o.policy != Latest && o.maxLagRevisions == 0 && o.maxLagBytes == 0
}

func (f form) options() options {
	o := options{prevKV: f&formPrevKV != 0, noPut: f&formNoPut != 0, noDelete: f&formNoDelete != 0, maySplit: f&formMaySplit != 0}
	if f&formCancel != 0 {
		o.policy = Cancel
	}
	return o
}

// restNewLocked makes a new watch that would be synced one at rest, unless
// there is more to it or to its range.
func (sh *shard) restNewLocked(s *Stream, id int64, keys keyRange, o *options) bool {
	f, ok := formOf(o)
	if !ok || id > math.MaxUint32 || sh.groups.heads.find(keys) != 0 {
		return false
	}
	at := sh.groups.heads.add(keys, head{stream: s.numbered, number: uint32(id), form: f})
	s.watches.set(id, watchRef(at))
	sh.groups.count++
	sh.stats.Synced++
	return true
}

// restLocked puts the watch of a group to rest, if it may be. What the caller
// has to know is that no hand-over of its is queued or being received.
func (sh *shard) restLocked(g *group) {
	f, ok := formOf(&g.options)
	if !ok || g.watches != 1 || g.sibling != nil || g.synced.len() != 1 {
		return
	}
	st := g.synced.at(0)
	w := st.only()
	if !w.caughtUp || w.progress || w.id > math.MaxUint32 {
		return
	}
	at := sh.groups.heads.find(g.keys)
	h := sh.groups.heads.at(at)
	if *sh.groups.first.At(h.number) != g {
		return
	}
	sh.groups.first.Remove(h.number)
	*h = head{stream: st.stream.numbered, number: uint32(w.id), form: f}
	st.stream.watches.set(w.id, watchRef(at))
	delete(st.stream.reading, g)
	g.synced.remove(st)
	g.watches, st.gone = 0, true
}

// woken is what a watch at rest gets when it wakes, in one piece.
type woken struct {
	group   group
	seat    seat
	watcher watcher
	members [1]*watcher
}

// wakenLocked makes a group, a seat and a watcher for the watch that rests at
// a range.
func (sh *shard) wakenLocked(at rangeRef) *woken {
	h := sh.groups.heads.at(at)
	s := *sh.numbered.At(h.stream)
	n := &woken{group: group{keys: sh.groups.heads.rangeAt(at).clone(), options: h.form.options(), watches: 1}}
	n.seat.group, n.seat.stream = &n.group, s
	n.watcher.id, n.watcher.seat, n.watcher.caughtUp = int64(h.number), &n.seat, true
	n.members[0] = &n.watcher
	n.seat.members = n.members[:]
	n.group.synced.add(&n.seat)
	return n
}

// wakeLocked puts them in its place.
func (sh *shard) wakeLocked(at rangeRef) *group {
	n := sh.wakenLocked(at)
	*sh.groups.heads.at(at) = head{number: sh.groups.first.Add(&n.group)}
	n.seat.stream.watches.setAwake(&n.watcher)
	return &n.group
}

// firstLocked returns the first group of a range.
func (sh *shard) firstLocked(at rangeRef) *group {
	if h := sh.groups.heads.at(at); !h.resting() {
		return *sh.groups.first.At(h.number)
	}
	return sh.wakeLocked(at)
}

// endRestingLocked is endLocked for a watch at rest: nothing of its is on the
// way, so nobody has to be kept from receiving it.
func (sh *shard) endRestingLocked(s *Stream, id int64, at rangeRef, r Response, tell bool) {
	s.watches.remove(id)
	sh.groups.heads.remove(at)
	sh.groups.count--
	sh.hub.watches.Add(-1)
	sh.stats.Synced--
	if tell {
		r.WatchID, r.Canceled = id, true
		s.box.tell(r)
	}
	sh.answerOwedLocked(s)
}

// watcherLocked returns a watch of a stream, awake.
func (sh *shard) watcherLocked(s *Stream, id int64, at watchRef) *watcher {
	if at&isAwake == 0 {
		sh.wakeLocked(rangeRef(at))
		at = s.watches.ref(id)
	}
	return s.watches.watcher(at)
}

// groupsOfLocked appends to dst the first group of every range that holds key.
func (sh *shard) groupsOfLocked(dst []*group, key []byte) []*group {
	x := &sh.groups
	x.hits = x.heads.match(x.hits[:0], key)
	for i := range x.hits {
		h := &x.hits[i]
		if h.resting() {
			s := *sh.numbered.At(h.stream)
			dst = append(dst, sh.wakeLocked(rangeRef(s.watches.ref(int64(h.number)))))
		} else {
			dst = append(dst, *x.first.At(h.number))
		}
	}
	return dst
}

// restAtOnce is how many ranges restIdle looks at under the lock at once.
const restAtOnce = 1024

// restIdle puts to rest what can be: watches that woke and whose consumer has
// received all there was.
func (sh *shard) restIdle() {
	for from := uint32(1); from != 0; {
		from = sh.restSome(from)
	}
}

// restSome is restIdle for some of the groups from a number on. It returns
// where to go on, 0 at the end.
func (sh *shard) restSome(from uint32) (next uint32) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for n := from; n < from+restAtOnce; n++ {
		if n >= sh.groups.first.End() {
			return 0
		}
		if g := *sh.groups.first.At(n); g != nil && g.synced.len() == 1 && g.synced.at(0).stream.box.spent() {
			sh.restLocked(g)
		}
	}
	return from + restAtOnce
}
