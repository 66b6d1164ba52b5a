package watch

import "github.com/watchkv/watchkv/mvcc"

// keyRange is a set of keys in the form the indexes want it: its shape known,
// and no more bytes than it takes. Two of them are equal if and only if they
// are the same set.
type keyRange struct {
	lo, hi string
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
		return keyRange{lo: string(s.Lo), shape: single}
	}
	if p, ok := prefixOf(s); ok {
		return keyRange{lo: string(p), shape: prefix}
	}
	if s.Hi == nil {
		return keyRange{lo: string(s.Lo), shape: open}
	}
	return keyRange{lo: string(s.Lo), hi: string(s.Hi), shape: bounded}
}

// prefixOf returns the prefix whose keys are exactly those of the span.
func prefixOf(s mvcc.Span) (p []byte, ok bool) {
	if s.Hi == nil && len(s.Lo) == 1 && s.Lo[0] == 0 {
		return nil, true // a key has at least one byte, so this is every key
	}
	end := prefixEnd(s.Lo)
	if (end == nil) != (s.Hi == nil) || string(end) != string(s.Hi) {
		return nil, false
	}
	return s.Lo, true
}

// prefixEnd is the first key behind those that begin with p: its last byte
// that can grow grown by one, and cut behind it. nil: there is none.
func prefixEnd(p []byte) []byte {
	n := len(p)
	for n > 0 && p[n-1] == 0xff {
		n--
	}
	if n == 0 {
		return nil
	}
	end := append(make([]byte, 0, n), p[:n]...)
	end[n-1]++
	return end
}

// whole reports whether every key is in the range.
func (r keyRange) whole() bool { return r.shape == prefix && r.lo == "" }

// hashed reports whether an index finds the range by hash.
func (r keyRange) hashed() bool { return r.shape <= prefix }

// span is the range for the store.
func (r keyRange) span() mvcc.Span {
	lo := []byte(r.lo)
	switch {
	case r.shape == single:
		return mvcc.SpanOf(lo, nil)
	case r.whole():
		return mvcc.Span{Lo: []byte{0}}
	case r.shape == prefix:
		return mvcc.Span{Lo: lo, Hi: prefixEnd(lo)}
	case r.shape == open:
		return mvcc.Span{Lo: lo}
	}
	return mvcc.Span{Lo: lo, Hi: []byte(r.hi)}
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
