package watch

import (
	"github.com/watchkv/watchkv/internal/interval"
	"github.com/watchkv/watchkv/mvcc"
)

// rangeIndex maps spans to values and finds the values of all spans that
// hold a key. Single keys and prefixes are found by hash, one table for each
// length of prefix; only other ranges need the interval tree. So the cost of
// a look-up follows the shapes of the spans there are, not their number.
// Not safe for concurrent use.
type rangeIndex[V comparable] struct {
	keys     map[string]V
	prefixes []prefixTable[V] // ascending by length, none empty
	ranges   interval.Tree[V]
	others   map[spanKey]*interval.Node[V] // the spans in ranges

	hits    []V     // what collect gathers
	collect func(V) // made once, so that a look-up allocates nothing
}

// prefixTable holds the spans that are all keys with a prefix of one length.
// Length 0 is the whole keyspace.
type prefixTable[V comparable] struct {
	length int
	values map[string]V
}

// spanKey is a Span as a map key.
type spanKey struct {
	lo, hi string
	open   bool // no end
}

func keyOf(s mvcc.Span) spanKey {
	return spanKey{lo: string(s.Lo), hi: string(s.Hi), open: s.Hi == nil}
}

// prefixOf returns the prefix whose keys are exactly those of the span.
func prefixOf(s mvcc.Span) (prefix []byte, ok bool) {
	if s.Hi == nil && len(s.Lo) == 1 && s.Lo[0] == 0 {
		return nil, true // a key has at least one byte, so this is every key
	}
	// The end of a prefix is the prefix with its last byte that can grow
	// grown by one, and cut behind it.
	n := len(s.Lo)
	for n > 0 && s.Lo[n-1] == 0xff {
		n--
	}
	if n == 0 {
		return s.Lo, s.Hi == nil // only bytes 0xff: the keys from it on, without an end
	}
	if len(s.Hi) != n || s.Hi[n-1] != s.Lo[n-1]+1 || string(s.Hi[:n-1]) != string(s.Lo[:n-1]) {
		return nil, false
	}
	return s.Lo, true
}

func (x *rangeIndex[V]) get(s mvcc.Span) (v V, ok bool) {
	if s.Single() {
		v, ok = x.keys[string(s.Lo)]
		return v, ok
	}
	if p, isPrefix := prefixOf(s); isPrefix {
		for i := range x.prefixes {
			if x.prefixes[i].length == len(p) {
				v, ok = x.prefixes[i].values[string(p)]
				return v, ok
			}
		}
		return v, false
	}
	node, ok := x.others[keyOf(s)]
	if ok {
		v = node.Value()
	}
	return v, ok
}

// set stores v for the span, replacing what was there.
func (x *rangeIndex[V]) set(s mvcc.Span, v V) {
	if s.Single() {
		if x.keys == nil {
			x.keys = map[string]V{}
		}
		x.keys[string(s.Lo)] = v
		return
	}
	if p, isPrefix := prefixOf(s); isPrefix {
		x.prefixTable(len(p)).values[string(p)] = v
		return
	}
	k := keyOf(s)
	if old, ok := x.others[k]; ok {
		x.ranges.Delete(old)
	}
	if x.others == nil {
		x.others = map[spanKey]*interval.Node[V]{}
		x.collect = func(v V) { x.hits = append(x.hits, v) }
	}
	x.others[k] = x.ranges.Insert(s.Lo, s.Hi, v)
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

func (x *rangeIndex[V]) delete(s mvcc.Span) {
	if s.Single() {
		delete(x.keys, string(s.Lo))
		return
	}
	if p, isPrefix := prefixOf(s); isPrefix {
		for i := range x.prefixes {
			if x.prefixes[i].length != len(p) {
				continue
			}
			delete(x.prefixes[i].values, string(p))
			if len(x.prefixes[i].values) == 0 {
				x.prefixes = append(x.prefixes[:i], x.prefixes[i+1:]...)
			}
			return
		}
		return
	}
	k := keyOf(s)
	if old, ok := x.others[k]; ok {
		x.ranges.Delete(old)
		delete(x.others, k)
	}
}

// match appends to dst the values of all spans that hold key.
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

// holds reports whether any span holds key.
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
