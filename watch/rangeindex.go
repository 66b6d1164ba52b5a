package watch

import "github.com/watchkv/watchkv/internal/interval"

// rangeIndex maps ranges of keys to values and finds the values of all ranges
// that hold a key. Single keys and prefixes are found by hash, one table for
// each length of prefix; only other ranges need the interval tree. So the
// cost of a look-up follows the shapes of the ranges there are, not their
// number. Not safe for concurrent use.
type rangeIndex[V any] struct {
	keys     map[string]V
	mostKeys int              // since keys was made
	prefixes []prefixTable[V] // ascending by length, none empty
	ranges   interval.Tree[*V]

	hits    []V      // what collect gathers
	collect func(*V) // made once, so that a look-up allocates nothing
}

// keptKeys is the largest table of single keys that is kept once it is empty.
const keptKeys = 1024

// prefixTable holds the ranges that are prefixes of one length. Length 0 is
// the whole keyspace.
type prefixTable[V any] struct {
	length int
	values map[string]V
}

func (x *rangeIndex[V]) get(r keyRange) (v V, ok bool) {
	switch r.shape {
	case single:
		v, ok = x.keys[r.lo]
	case prefix:
		for i := range x.prefixes {
			if x.prefixes[i].length == len(r.lo) {
				v, ok = x.prefixes[i].values[r.lo]
			}
		}
	default:
		if node := x.find(r); node != nil {
			return *node.Value(), true
		}
	}
	return v, ok
}

func (x *rangeIndex[V]) find(r keyRange) *interval.Node[*V] {
	s := r.span()
	return x.ranges.Find(s.Lo, s.Hi)
}

// set stores v for the range, replacing what was there.
func (x *rangeIndex[V]) set(r keyRange, v V) {
	switch r.shape {
	case single:
		if x.keys == nil {
			x.keys = map[string]V{}
		}
		x.keys[r.lo] = v
		x.mostKeys = max(x.mostKeys, len(x.keys))
	case prefix:
		x.prefixTable(len(r.lo)).values[r.lo] = v
	default:
		if node := x.find(r); node != nil {
			*node.Value() = v
			return
		}
		if x.collect == nil {
			x.collect = func(v *V) { x.hits = append(x.hits, *v) }
		}
		s := r.span()
		x.ranges.Insert(s.Lo, s.Hi, &v)
	}
}

// prefixTable finds or makes the table for prefixes of a length.
func (x *rangeIndex[V]) prefixTable(length int) *prefixTable[V] {
	at := 0
	for at < len(x.prefixes) && x.prefixes[at].length < length {
		at++
	}
	if at == len(x.prefixes) || x.prefixes[at].length != length {
		x.prefixes = append(x.prefixes, prefixTable[V]{})
		copy(x.prefixes[at+1:], x.prefixes[at:])
		x.prefixes[at] = prefixTable[V]{length: length, values: map[string]V{}}
	}
	return &x.prefixes[at]
}

func (x *rangeIndex[V]) delete(r keyRange) {
	switch r.shape {
	case single:
		delete(x.keys, r.lo)
		if len(x.keys) == 0 && x.mostKeys > keptKeys { // a table never shrinks by itself
			x.keys, x.mostKeys = nil, 0
		}
	case prefix:
		for i := range x.prefixes {
			if x.prefixes[i].length != len(r.lo) {
				continue
			}
			delete(x.prefixes[i].values, r.lo)
			if len(x.prefixes[i].values) == 0 {
				x.prefixes = append(x.prefixes[:i], x.prefixes[i+1:]...)
			}
			return
		}
	default:
		x.ranges.Delete(x.find(r))
	}
}

// match appends to dst the values of all ranges that hold key.
func (x *rangeIndex[V]) match(dst []V, key []byte) []V {
	if v, ok := x.keys[string(key)]; ok {
		dst = append(dst, v)
	}
	for i := range x.prefixes {
		n := x.prefixes[i].length
		if n > len(key) {
			break
		}
		if v, ok := x.prefixes[i].values[string(key[:n])]; ok {
			dst = append(dst, v)
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
	if _, ok := x.keys[string(key)]; ok {
		return true
	}
	for i := range x.prefixes {
		n := x.prefixes[i].length
		if n > len(key) {
			break
		}
		if _, ok := x.prefixes[i].values[string(key[:n])]; ok {
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
