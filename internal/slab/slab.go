// Package slab keeps many values or strings in few pieces of memory and
// names them by 32-bit numbers: half of a pointer, and nothing that the
// garbage collector has to follow where values refer to each other.
package slab

// Slab holds values under numbers, 0 never among them. The zero value is
// empty and ready. Not safe for concurrent use, except that several may read.
type Slab[T any] struct {
	chunks [][]T
	free   []uint32
	live   int
}

// A chunk has so many values: large enough that the chunks of a million
// values are few, small enough that a new one is made without a pause.
const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits
)

// Len returns the number of values.
func (s *Slab[T]) Len() int { return s.live }

// Add stores v and returns its number. What At returned before may be stale
// then.
func (s *Slab[T]) Add(v T) uint32 {
	s.live++
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		*s.At(i) = v
		return i
	}
	n := len(s.chunks)
	switch {
	case n == 0: // grows as it is used: many slabs stay tiny
		s.chunks = append(s.chunks, make([]T, 1, 4))
		n++
	case len(s.chunks[n-1]) == chunkLen:
		s.chunks = append(s.chunks, make([]T, 0, chunkLen))
		n++
	}
	last := &s.chunks[n-1]
	*last = append(*last, v)
	return uint32((n-1)<<chunkBits + len(*last) - 1)
}

// At returns where the value of a number is, until the next Add or Remove.
func (s *Slab[T]) At(i uint32) *T { return &s.chunks[i>>chunkBits][i%chunkLen] }

// Remove lets go of a value; its number may be given again. With the last
// value goes the memory of them all.
func (s *Slab[T]) Remove(i uint32) {
	var none T
	*s.At(i) = none
	if s.live--; s.live == 0 {
		*s = Slab[T]{}
		return
	}
	s.free = append(s.free, i)
}

// End is above every number there is: for walks over all, in steps.
func (s *Slab[T]) End() uint32 {
	n := len(s.chunks)
	if n == 0 {
		return 0
	}
	return uint32((n-1)<<chunkBits + len(s.chunks[n-1]))
}
