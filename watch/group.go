package watch

import (
	"github.com/watchkv/watchkv/internal/slab"
	"github.com/watchkv/watchkv/mvcc"
)

// options are what besides the range decides which events a watch gets and in
// which form; watches with equal range and options form one group.
type options struct {
	prevKV          bool
	noPut, noDelete bool
	maySplit        bool
	policy          Policy
	maxLagRevisions int64
	maxLagBytes     int64
}

// drops reports whether the filters drop an event of type t.
func (o *options) drops(t mvcc.EventType) bool {
	if t == mvcc.EventDelete {
		return o.noDelete
	}
	return o.noPut
}

// group is all watches of a shard with the same range and options, on any
// stream and in any state. An event is matched and filtered once for it. All
// fields but the first two are guarded by the shard's lock.
type group struct {
	keys keyRange
	options

	sibling *group // same range, other options
	synced  seatSet
	watches int32 // of all seats, and those that wait for their start

	matched matched[*group]
}

// readyLocked makes runs what the watches of a group get.
func (sh *shard) readyLocked(g *group, runs []run) {
	share := g.watches > 1 && sh.hub.sharing.Load()
	for i := range runs {
		runs[i].maySplit = g.maySplit
		if share {
			runs[i].shared = &slot{}
		}
	}
}

// seatSet is the synced seats of a group, at most one for each stream. Most
// groups have just one: a set for it alone costs no memory of its own.
type seatSet struct {
	lone *seat
	many *seatList
}

type seatList struct {
	seats []*seat
	where map[*Stream]int32 // index in seats, once there are more than manySeats
}

// manySeats is the number of seats from which on a map finds the one of a
// stream: below it a walk costs less than the map's memory.
const manySeats = 16

func (x *seatSet) len() int {
	switch {
	case x.many != nil:
		return len(x.many.seats)
	case x.lone != nil:
		return 1
	}
	return 0
}

func (x *seatSet) at(i int) *seat {
	if x.many != nil {
		return x.many.seats[i]
	}
	return x.lone
}

// of returns the seat of a stream, or nil.
func (x *seatSet) of(s *Stream) *seat {
	if x.many != nil && x.many.where != nil {
		if i, ok := x.many.where[s]; ok {
			return x.many.seats[i]
		}
		return nil
	}
	for i := range x.len() {
		if st := x.at(i); st.stream == s {
			return st
		}
	}
	return nil
}

func (x *seatSet) add(st *seat) {
	if x.many == nil && x.lone == nil {
		x.lone, st.index = st, 0
		return
	}
	if x.many == nil {
		x.many, x.lone = &seatList{seats: []*seat{x.lone}}, nil
	}
	l := x.many
	st.index = int32(len(l.seats))
	l.seats = append(l.seats, st)
	switch {
	case l.where != nil:
		l.where[st.stream] = st.index
	case len(l.seats) > manySeats:
		l.where = make(map[*Stream]int32, 2*manySeats)
		for i, each := range l.seats {
			l.where[each.stream] = int32(i)
		}
	}
}

func (x *seatSet) remove(st *seat) {
	if x.many == nil {
		x.lone = nil
		return
	}
	l := x.many
	last := len(l.seats) - 1
	moved := l.seats[last]
	l.seats[st.index], l.seats[last] = moved, nil
	l.seats = l.seats[:last]
	moved.index = st.index
	if l.where != nil {
		l.where[moved.stream] = moved.index
		delete(l.where, st.stream)
	}
	if last == 0 {
		x.many = nil
	}
}

// groupIndex finds groups by range and options, and by a key.
type groupIndex struct {
	heads rangeIndex[head]
	first slab.Slab[*group] // of each range without a watch at rest; the others by sibling
	count int               // of groups, a watch at rest counted as one
	hits  []head            // what matched last
}

// add makes a group of a range that has none.
func (x *groupIndex) add(keys keyRange, o options) *group {
	g := &group{keys: keys.clone(), options: o}
	x.heads.add(keys, head{number: x.first.Add(g)})
	x.count++
	return g
}

func (x *groupIndex) remove(g *group) {
	x.count--
	at := x.heads.find(g.keys)
	number := x.heads.at(at).number
	link := x.first.At(number)
	for *link != g {
		link = &(*link).sibling
	}
	if *link = g.sibling; *x.first.At(number) == nil {
		x.first.Remove(number)
		x.heads.remove(at)
	}
}
