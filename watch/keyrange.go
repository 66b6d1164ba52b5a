package watch

import "github.com/watchkv/watchkv/mvcc"

// keyRange is a set of keys in the form the indexes want it: its shape known,
// and no more bytes than it takes. Two of them are equal if and only if they
// are the same set. Its bytes are somebody else's.
type keyRange struct {
	lo, hi []byte
	shape  shape
}

// shape tells how a keyRange is to be read.
type shape uint8

const (
	single  shape = iota // the key lo
	prefix               // the keys that begin with lo; all keys if that is empty
	bounded              // the keys from lo to below hi
	open                 // the keys from lo on
)

func rangeOf(s mvcc.Span) keyRange {
	if s.Single() {
		return keyRange{lo: s.Lo, shape: single}
	}
	if p, ok := prefixOf(s); ok {
		return keyRange{lo: p, shape: prefix}
	}
	if s.Hi == nil {
		return keyRange{lo: s.Lo, shape: open}
	}
	return keyRange{lo: s.Lo, hi: s.Hi, shape: bounded}
}

// prefixOf returns the prefix whose keys are exactly those of the span.
func prefixOf(s mvcc.Span) (p []byte, ok bool) {
	if s.Hi == nil && len(s.Lo) == 1 && s.Lo[0] == 0 {
		return nil, true // a key has at least one byte, so this is every key
	}
	n := growing(s.Lo)
	switch {
	case n == 0:
		return s.Lo, s.Hi == nil
	case len(s.Hi) != n || s.Hi[n-1] != s.Lo[n-1]+1:
		return nil, false
	}
	return s.Lo, string(s.Lo[:n-1]) == string(s.Hi[:n-1])
}

// growing is the length of a key up to its last byte that can grow.
func growing(p []byte) int {
	n := len(p)
	for n > 0 && p[n-1] == 0xff {
		n--
	}
	return n
}

// clone returns the range with bytes of its own.
func (r keyRange) clone() keyRange {
	both := append(append(make([]byte, 0, len(r.lo)+len(r.hi)), r.lo...), r.hi...)
	r.lo, r.hi = both[:len(r.lo):len(r.lo)], both[len(r.lo):]
	return r
}

// prefixEnd is the first key behind those that begin with p: its last byte
// that can grow grown by one, and cut behind it. nil: there is none.
func prefixEnd(p []byte) []byte {
	n := growing(p)
	if n == 0 {
		return nil
	}
	end := append(make([]byte, 0, n), p[:n]...)
	end[n-1]++
	return end
}

// whole reports whether every key is in the range.
func (r keyRange) whole() bool { return r.shape == prefix && len(r.lo) == 0 }

// hashed reports whether an index finds the range by hash.
func (r keyRange) hashed() bool { return r.shape <= prefix }

// span is the range for the store.
func (r keyRange) span() mvcc.Span {
	switch {
	case r.shape == single:
		return mvcc.SpanOf(r.lo, nil)
	case r.whole():
		return mvcc.Span{Lo: []byte{0}}
	case r.shape == prefix:
		return mvcc.Span{Lo: r.lo, Hi: prefixEnd(r.lo)}
	case r.shape == open:
		return mvcc.Span{Lo: r.lo}
	}
	return mvcc.Span{Lo: r.lo, Hi: r.hi}
}

// end is the range's end as etcd writes it.
func (r keyRange) end() []byte {
	s := r.span()
	switch {
	case r.shape == single:
		return nil
	case s.Hi == nil:
		return []byte{0}
	}
	return s.Hi
}
