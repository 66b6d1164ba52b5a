package mvcc

import "math/bits"

// pool hands out runs of elements from large chunks, so that the garbage
// collector sees the chunks and nothing of what is in them. A run that was
// given back is handed out again to whoever asks for about its size; its
// chunk stays, unless it was large and had one of its own.
type pool[T any] struct {
	unit   int // elements: runs are whole units long
	chunk  int // units in a chunk
	chunks [][]T
	last   int     // chunk that runs are cut from, once there is one
	used   int     // units cut from it
	free   [][]run // by class
	gone   []int   // chunks of large runs, given back
}

// run is where elements stand in a pool.
type run struct{ chunk, start uint32 }

// alloc returns a run for n elements, whatever it holds, and for how many
// there is room.
func (p *pool[T]) alloc(n int) (r run, room int) {
	class, units := p.class(n)
	room = units * p.unit
	if class < len(p.free) && len(p.free[class]) > 0 {
		last := len(p.free[class]) - 1
		r = p.free[class][last]
		p.free[class] = p.free[class][:last]
		return r, room
	}
	if units > p.chunk/4 {
		return run{chunk: uint32(p.add(units))}, room
	}
	if len(p.chunks) == 0 || p.used+units > p.chunk {
		p.last, p.used = p.add(p.chunk), 0
	}
	r = run{uint32(p.last), uint32(p.used * p.unit)}
	p.used += units
	return r, room
}

// add makes a chunk.
func (p *pool[T]) add(units int) (chunk int) {
	c := make([]T, units*p.unit)
	if last := len(p.gone) - 1; last >= 0 {
		chunk = p.gone[last]
		p.gone = p.gone[:last]
		p.chunks[chunk] = c
		return chunk
	}
	p.chunks = append(p.chunks, c)
	return len(p.chunks) - 1
}

// release gives back a run that has room for n elements.
func (p *pool[T]) release(r run, n int) {
	class, units := p.class(n)
	if units > p.chunk/4 {
		p.chunks[r.chunk] = nil
		p.gone = append(p.gone, int(r.chunk))
		return
	}
	for class >= len(p.free) {
		p.free = append(p.free, nil)
	}
	p.free[class] = append(p.free[class], r)
}

// at returns the first n elements of a run.
func (p *pool[T]) at(r run, n int) []T {
	if n == 0 {
		return nil
	}
	return p.chunks[r.chunk][r.start : int(r.start)+n : int(r.start)+n]
}

// class is that of n elements, and the units in a run of it.
func (p *pool[T]) class(n int) (class, units int) {
	return classOf(max((n+p.unit-1)/p.unit, 1))
}

// classOf rounds a length up to one of 1 to 8, 10, 12, 14, 16, 20, 24 and so
// on, four to a doubling, and numbers them.
func classOf(n int) (class, size int) {
	if n <= 8 {
		return n - 1, n
	}
	shift := bits.Len(uint(n-1)) - 3
	quarters := (n + 1<<shift - 1) >> shift // 5 to 8
	return 4*shift + quarters - 1, quarters << shift
}
