package watch

import "sync/atomic"

// watcher is one watch. All fields but ended are guarded by the shard's lock
// or never change.
type watcher struct {
	id      int64
	seat    *seat
	created int64 // revision of its Created response
	start   int64 // the first revision it asked for

	caughtUp bool
	progress bool

	// ended is the place in the outbox, in outbox.taken numbering, behind
	// which nothing is the watch's any more; 0 while it is open. Recv reads it
	// without the lock.
	ended atomic.Int64
}

func (w *watcher) dead() bool { return w.ended.Load() != 0 }

// seat is the watchers of one group on one stream that stand at the same
// place: one offer serves them all. A synced seat has been offered everything
// up to the shard's offered revision; any other keeps the next one it needs.
//
//	            next <= offered              next > offered
//	Watch ──► unsynced ─────────────────────────────────────► synced
//	            ▲  │ outbox full                                │ outbox full
//	            │  └────────────► victim ◄──────────────────────┘
//	            └── taken from ─────┘
//
// An unsynced seat or a victim whose next falls below the compact revision
// ends with its watches. A watch whose start revision is not next yet has a
// seat of its own without members, parked. All fields are guarded by the
// shard's lock; what behind points to is written by the catch-up goroutine
// alone while the seat is unsynced, which may so read it without.
type seat struct {
	group   *group
	stream  *Stream
	members []*watcher // only appended to; a removal makes a new slice
	dead    int32      // cancelled members still in the slice
	index   int32      // in group.synced while synced
	state   State
	gone    bool // no longer anybody's; whoever holds it must drop it
	listed  bool // in shard.unsynced

	lastEntry int64   // outbox.taken numbering; 0 none
	lastRev   int64   // revision of the last events offered and taken
	behind    *behind // nil while synced
}

// behind is what a seat carries while it is not synced.
type behind struct {
	next      int64 // the first revision still needed
	markRev   int64 // CaughtUp is owed to members once next is above it; 0 none
	once      bool  // it was synced before, so being behind is slowness
	writtenAt int64 // shard.written when next was the newest: for lag in bytes
	plan      plan
	scan      *scan // the sweep it takes part in; the catch-up goroutine's
	pass      pass  // Policy Latest
}

// leave takes a seat that is still behind out of its sweep.
func (st *seat) leave() {
	if st.behind != nil {
		st.behind.scan = nil
	}
}

func (st *seat) live() int { return len(st.members) - int(st.dead) }

// only returns the one live member there is.
func (st *seat) only() *watcher {
	i := 0
	for st.members[i].dead() {
		i++
	}
	return st.members[i]
}

// drop removes a member. The slice may be in outbox entries: it is left as it
// is until half of it is dead, then replaced.
func (st *seat) drop() {
	st.dead++
	if int(st.dead)*2 <= len(st.members) {
		return
	}
	alive := make([]*watcher, 0, st.live())
	for _, w := range st.members {
		if !w.dead() {
			alive = append(alive, w)
		}
	}
	st.members, st.dead = alive, 0
}

// take moves the members of another seat of the same group and stream here.
func (st *seat) take(from *seat) {
	for _, w := range from.members {
		if !w.dead() {
			w.seat = st
			st.members = append(st.members, w)
		}
	}
	st.lastRev = max(st.lastRev, from.lastRev)
	from.members, from.dead, from.gone = nil, 0, true
}
