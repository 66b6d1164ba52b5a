package mvcc

import (
	"bytes"
	"hash/maphash"

	"github.com/watchkv/watchkv/internal/slab"
)

// walkChunk bounds the keys looked at in one hold of Store.mu, so that a
// walk over many keys never holds up a put for long.
const walkChunk = 1024

// index maps a key to its history. A hash table finds single keys, a list in
// blocks keeps their order; a put of a known key touches the table only. What
// it has of a key holds no pointer: the garbage collector passes over it,
// however many keys there are. A key is known by an id, 0 is none; ids and
// memory of keys that are gone are used again. Guarded by Store.mu.
type index struct {
	seed      maphash.Seed
	hashMask  uint32            // all ones, but in tests of keys with the same hash
	byHash    map[uint32]uint32 // the first key with this hash; keyEntry.next goes on
	entries   [][]keyEntry      // by id, in chunks that never move
	ids       uint32            // given out
	freed     []uint32          // of these, free again
	keys      pool[byte]
	versions  pool[version]
	blocks    slab.Slab[block]
	order     keyOrder
	revisions int64
	live      int // keys whose newest version is a put
}

// entryChunk is 72 KiB.
const entryChunk = 1 << 10

func newIndex() *index {
	x := &index{
		seed:     maphash.MakeSeed(),
		hashMask: 1<<32 - 1,
		byHash:   make(map[uint32]uint32),
		keys:     pool[byte]{unit: 8, chunk: 4 << 10}, // 32 KiB
		versions: pool[version]{unit: 1, chunk: 1 << 10},
		ids:      1,
	}
	x.order.key = func(id uint32) []byte { return x.at(id).key() }
	return x
}

// at returns the history with this id.
func (x *index) at(id uint32) keyHistory {
	return keyHistory{x: x, id: id, keyEntry: &x.entries[id/entryChunk][id%entryChunk]}
}

// len is the number of keys.
func (x *index) len() int { return int(x.ids) - 1 - len(x.freed) }

func (x *index) hash(key []byte) uint32 { return uint32(maphash.Bytes(x.seed, key)) & x.hashMask }

// find returns the history of key; ok is false if there is none.
func (x *index) find(key []byte) (h keyHistory, ok bool) { return x.findHashed(key, x.hash(key)) }

func (x *index) findHashed(key []byte, hash uint32) (h keyHistory, ok bool) {
	for id := x.byHash[hash]; id != 0; id = h.next {
		if h = x.at(id); bytes.Equal(h.key(), key) {
			return h, true
		}
	}
	return keyHistory{}, false
}

// history returns the history of key, a new and empty one if there is none.
// The caller adds a version to it before it releases the lock.
func (x *index) history(key []byte) keyHistory {
	hash := x.hash(key)
	h, ok := x.findHashed(key, hash)
	if !ok {
		h = x.add(key, hash)
		x.order.insert(h.id, key)
	}
	return h
}

// add takes in a key that is not there, but for its order.
func (x *index) add(key []byte, hash uint32) keyHistory {
	id := x.ids
	if last := len(x.freed) - 1; last >= 0 {
		id = x.freed[last]
		x.freed = x.freed[:last]
	} else {
		if int(id/entryChunk) == len(x.entries) {
			x.entries = append(x.entries, make([]keyEntry, entryChunk))
		}
		x.ids++
	}
	h := x.at(id)
	*h.keyEntry = keyEntry{keyLen: uint32(len(key)), next: x.byHash[hash]}
	h.keyRun, _ = x.keys.alloc(len(key))
	copy(h.key(), key)
	x.byHash[hash] = id
	return h
}

// remove takes a key out.
func (x *index) remove(h keyHistory) {
	x.order.remove(h.key())
	x.unlink(h)
	h.dropOlder()
	x.keys.release(h.keyRun, int(h.keyLen))
	*h.keyEntry = keyEntry{}
	x.freed = append(x.freed, h.id)
}

// unlink takes h out of the keys with its hash.
func (x *index) unlink(h keyHistory) {
	hash := x.hash(h.key())
	first := x.byHash[hash]
	switch {
	case first != h.id:
		before := x.at(first)
		for before.next != h.id {
			before = x.at(before.next)
		}
		before.next = h.next
	case h.next != 0:
		x.byHash[hash] = h.next
	default:
		delete(x.byHash, hash)
	}
}

// undo takes back the newest version of h.
func (x *index) undo(h keyHistory, l life) {
	h.undo(l)
	x.revisions--
	if h.empty() {
		x.remove(h)
	}
}

// walk visits up to limit keys of span from `from` on (which is in the span)
// in ascending order, until visit answers false. next is the key to go on at
// and more whether there is one.
func (x *index) walk(span Span, from []byte, limit int, visit func(h keyHistory) bool) (next []byte, more bool) {
	if span.Single() {
		if h, ok := x.find(span.Lo); ok {
			visit(h)
		}
		return nil, false
	}
	stopped := false
	x.order.ascend(from, func(id uint32) bool {
		h := x.at(id)
		if span.Hi != nil && bytes.Compare(h.key(), span.Hi) >= 0 {
			return false
		}
		if stopped || limit == 0 {
			next, more = bytes.Clone(h.key()), true
			return false
		}
		limit--
		stopped = !visit(h)
		return true
	})
	return next, more
}

// walkIndex visits the keys of span in ascending order until visit answers
// false; cut tells that keys were left. It takes Store.mu for at most
// walkChunk keys at a time, so keys may come and go meanwhile: what a reader
// at one revision sees does not change by that, unless that revision is
// compacted.
func (s *Store) walkIndex(span Span, visit func(h keyHistory) bool) (cut bool) {
	if span.Empty() {
		return false
	}
	stopped := false
	step := func(h keyHistory) bool {
		stopped = !visit(h)
		return !stopped
	}
	for next, more := span.Lo, true; more; {
		next, more = s.walkChunk(span, next, step)
		if stopped {
			return more
		}
	}
	return false
}

func (s *Store) walkChunk(span Span, from []byte, visit func(h keyHistory) bool) (next []byte, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.walk(span, from, walkChunk, visit)
}
