package watch

import (
	"slices"

	"github.com/watchkv/watchkv/internal/interval"
)

// rangeIndex maps ranges of keys to values and finds the values of all ranges
// that hold a key. Single keys and prefixes are found by hash, with one
// look-up for each length of prefix; only other ranges need the interval
// tree. So the cost of a look-up follows the shapes of the ranges there are,
// not their number. Not safe for concurrent use.
type rangeIndex[V any] struct {
	keys     keyTable[V]
	prefixes []prefixLength // ascending, none without a prefix
	singles  int
	ranges   interval.Tree[V]

	hits    []V     // what collect gathers
	collect func(V) // made once, so that a look-up allocates nothing
}

// prefixLength counts the prefixes of one length. Length 0 is the whole
// keyspace.
type prefixLength struct{ length, count int }

// rangeRef is the handle of a range in its index, 0 for none: a number in the
// table of keys or, with inTree, in the tree.
type rangeRef uint32

const inTree rangeRef = 1 << 30

// maxRanges bounds what an index may hold, so that two more bits of a handle
// stay free.
const maxRanges = 1<<30 - 1<<20

// full reports whether there is no room for another range.
func (x *rangeIndex[V]) full() bool {
	return x.len() >= maxRanges || x.keys.texts.Full() || x.ranges.Full()
}

// len returns the number of ranges.
func (x *rangeIndex[V]) len() int { return x.keys.entries.Len() + x.ranges.Len() }

// find returns the handle of a range, or 0.
func (x *rangeIndex[V]) find(r keyRange) rangeRef {
	if r.hashed() {
		return rangeRef(x.keys.find(r.lo, r.shape))
	}
	s := r.span()
	if i := x.ranges.Find(s.Lo, s.Hi); i != 0 {
		return inTree | rangeRef(i)
	}
	return 0
}

// at returns where the value of a range is, until the next add or remove.
func (x *rangeIndex[V]) at(i rangeRef) *V {
	if i&inTree == 0 {
		return &x.keys.entries.At(uint32(i)).value
	}
	return x.ranges.Value(interval.Ref(i &^ inTree))
}

// rangeAt returns the range of a handle, good until the next add or remove.
func (x *rangeIndex[V]) rangeAt(i rangeRef) keyRange {
	if i&inTree == 0 {
		return keyRange{lo: x.keys.key(uint32(i)), shape: x.keys.entries.At(uint32(i)).shape()}
	}
	lo, hi := x.ranges.Range(interval.Ref(i &^ inTree))
	if hi == nil {
		return keyRange{lo: lo, shape: open}
	}
	return keyRange{lo: lo, hi: hi, shape: bounded}
}

// add stores the value of a range that is not there.
func (x *rangeIndex[V]) add(r keyRange, v V) rangeRef {
	if r.hashed() {
		x.count(r.shape, len(r.lo), 1)
		return rangeRef(x.keys.add(r.lo, r.shape, v))
	}
	if x.collect == nil {
		x.collect = func(v V) { x.hits = append(x.hits, v) }
	}
	s := r.span()
	return inTree | rangeRef(x.ranges.Insert(s.Lo, s.Hi, v))
}

func (x *rangeIndex[V]) remove(i rangeRef) {
	if i&inTree != 0 {
		x.ranges.Delete(interval.Ref(i &^ inTree))
		return
	}
	x.count(x.keys.entries.At(uint32(i)).shape(), len(x.keys.key(uint32(i))), -1)
	x.keys.remove(uint32(i))
}

// count notes that there are n more single keys, or prefixes of a length.
func (x *rangeIndex[V]) count(s shape, length, n int) {
	if s == single {
		x.singles += n
		return
	}
	at, there := slices.BinarySearchFunc(x.prefixes, length, func(p prefixLength, l int) int { return p.length - l })
	if !there {
		x.prefixes = slices.Insert(x.prefixes, at, prefixLength{length: length})
	}
	if x.prefixes[at].count += n; x.prefixes[at].count == 0 {
		x.prefixes = slices.Delete(x.prefixes, at, at+1)
	}
}

// single returns the number of a single key in the table, or 0.
func (x *rangeIndex[V]) single(key []byte) uint32 {
	if x.singles == 0 {
		return 0
	}
	return x.keys.find(key, single)
}

// match appends to dst the values of all ranges that hold key.
func (x *rangeIndex[V]) match(dst []V, key []byte) []V {
	if i := x.single(key); i != 0 {
		dst = append(dst, x.keys.entries.At(i).value)
	}
	for i := range x.prefixes {
		n := x.prefixes[i].length
		if n > len(key) {
			break
		}
		if i := x.keys.find(key[:n], prefix); i != 0 {
			dst = append(dst, x.keys.entries.At(i).value)
		}
	}
	if x.ranges.Len() > 0 {
		x.hits = dst
		x.ranges.Stab(key, x.collect)
		dst, x.hits = x.hits, nil
	}
	return dst
}

// holds reports whether any range holds key.
func (x *rangeIndex[V]) holds(key []byte) bool {
	if x.single(key) != 0 {
		return true
	}
	for i := range x.prefixes {
		n := x.prefixes[i].length
		if n > len(key) {
			break
		}
		if x.keys.find(key[:n], prefix) != 0 {
			return true
		}
	}
	if x.ranges.Len() == 0 {
		return false
	}
	x.hits = x.hits[:0]
	x.ranges.Stab(key, x.collect)
	return len(x.hits) > 0
}
