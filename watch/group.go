package watch

import (
	"github.com/watchkv/watchkv/mvcc"
)

// options are what besides the span decides which events a watch gets and in
// which form; watches with equal span and options form one group.
type options struct {
	prevKV          bool
	noPut, noDelete bool
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

// group is all watches of a shard with the same span and options, on any
// stream and in any state. An event is matched and filtered once for it. All
// fields but the first two are guarded by the shard's lock.
type group struct {
	span mvcc.Span
	options

	sibling *group          // same span, other options
	synced  []*seat         // at most one for each stream
	where   map[*Stream]int // index in synced, once there are many
	watches int             // of all seats, and those that wait for their start

	matched matched[*group]
}

// manySeats is the number of synced seats from which on a map finds the one
// of a stream: below it a walk over the slice costs less than the map's
// memory.
const manySeats = 16

// syncedSeat returns the synced seat of a stream, or nil.
func (g *group) syncedSeat(s *Stream) *seat {
	if g.where != nil {
		if i, ok := g.where[s]; ok {
			return g.synced[i]
		}
		return nil
	}
	for _, st := range g.synced {
		if st.stream == s {
			return st
		}
	}
	return nil
}

func (g *group) addSynced(st *seat) {
	st.index = len(g.synced)
	g.synced = append(g.synced, st)
	switch {
	case g.where != nil:
		g.where[st.stream] = st.index
	case len(g.synced) > manySeats:
		g.where = make(map[*Stream]int, 2*manySeats)
		for i, each := range g.synced {
			g.where[each.stream] = i
		}
	}
}

func (g *group) removeSynced(st *seat) {
	last := len(g.synced) - 1
	moved := g.synced[last]
	g.synced[st.index], g.synced[last] = moved, nil
	g.synced = g.synced[:last]
	moved.index = st.index
	if g.where != nil {
		g.where[moved.stream] = moved.index
		delete(g.where, st.stream)
	}
}

// groupIndex finds groups by span and options, and by a key.
type groupIndex struct {
	heads rangeIndex[*group] // the first of each span; the others by sibling
	count int
}

// find returns the group of a span and options, or nil.
func (x *groupIndex) find(span mvcc.Span, o options) *group {
	head, ok := x.heads.get(span)
	for g := head; ok && g != nil; g = g.sibling {
		if g.options == o {
			return g
		}
	}
	return nil
}

// add makes the group of a span and options that is not there yet. The
// span's slices become the group's.
func (x *groupIndex) add(span mvcc.Span, o options) *group {
	g := &group{span: span, options: o}
	if head, ok := x.heads.get(span); ok {
		g.sibling = head.sibling
		head.sibling = g
	} else {
		x.heads.set(span, g)
	}
	x.count++
	return g
}

func (x *groupIndex) remove(g *group) {
	head, _ := x.heads.get(g.span)
	x.count--
	if head != g {
		for head.sibling != g {
			head = head.sibling
		}
		head.sibling = g.sibling
		return
	}
	if g.sibling == nil {
		x.heads.delete(g.span)
		return
	}
	x.heads.set(g.span, g.sibling)
}
