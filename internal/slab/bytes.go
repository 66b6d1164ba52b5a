package slab

import "encoding/binary"

// Bytes holds byte strings under numbers, 0 never among them, in pieces of
// memory in which the garbage collector finds nothing to follow. A string
// costs about 9 bytes beside its own, and what was let go of takes no more
// memory than what is there, and a piece. Not safe for concurrent use, except
// that several may read.
type Bytes struct {
	// Moved is told of strings that got another number, in any Add or Remove.
	// It is set before the first of those, and calls nothing of Bytes.
	Moved func(owner, number uint32)

	pieces []piece
	free   []uint32 // pieces that hold nothing
	open   uint32   // the piece being filled
	live   int      // bytes of all strings
}

// piece holds strings one behind the other: the owner or, of one that was let
// go of, 0; the length; the bytes; and padding up to a unit.
type piece struct {
	data []byte
	live int
}

const (
	unit      = 8
	pieceBits = 13
	pieceLen  = unit << pieceBits // little enough to be moved in one go
	largeLen  = pieceLen / 8      // a string that takes more has a piece of its own
	maxPieces = 1 << (32 - pieceBits)
	// One string may take a piece of its own, and two more to move others to.
	sparePieces = 4
)

// Full reports whether there may be no number left for another string: after
// 32 GiB, or 4 GiB of strings of more than 8 KiB.
func (b *Bytes) Full() bool { return len(b.pieces)-len(b.free) > maxPieces-sparePieces }

// Add stores the parts as one string and returns its number. The owner, not
// 0, is whom Moved is told of.
func (b *Bytes) Add(owner uint32, parts ...[]byte) uint32 {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	var head [4 + binary.MaxVarintLen64]byte
	binary.LittleEndian.PutUint32(head[:], owner)
	used := 4 + binary.PutUvarint(head[4:], uint64(n))
	size := padded(used + n)
	at := b.room(size)
	p := &b.pieces[at]
	number := at<<pieceBits | uint32(len(p.data)/unit)
	p.data = append(p.data, head[:used]...)
	for _, part := range parts {
		p.data = append(p.data, part...)
	}
	var padding [unit]byte
	p.data = append(p.data, padding[:size-used-n]...)
	p.live += size
	b.live += size
	return number + 1
}

func padded(n int) int { return (n + unit - 1) &^ (unit - 1) }

// room returns a piece that has room for a string of a size.
func (b *Bytes) room(size int) uint32 {
	switch {
	case size > largeLen:
		return b.newPiece(size)
	case len(b.pieces) == 0:
		b.open = b.newPiece(size) // grows as it is used: many that hold little stay small
	case len(b.pieces[b.open].data)+size > pieceLen:
		full := b.open
		b.open = b.newPiece(pieceLen)
		b.tidy(full)
	}
	return b.open
}

func (b *Bytes) newPiece(size int) uint32 {
	p := piece{data: make([]byte, 0, size)}
	if n := len(b.free); n > 0 {
		at := b.free[n-1]
		b.free = b.free[:n-1]
		b.pieces[at] = p
		return at
	}
	b.pieces = append(b.pieces, p)
	return uint32(len(b.pieces) - 1)
}

// tidy moves what is in a piece if that is less than half of it, and lets go
// of the piece then.
func (b *Bytes) tidy(at uint32) {
	p := b.pieces[at]
	if at == b.open || 2*p.live >= len(p.data) {
		return
	}
	for start := 0; p.live > 0; {
		owner, s, size := p.record(start)
		if owner != 0 {
			p.live -= size
			b.live -= size
			b.Moved(owner, b.Add(owner, s))
		}
		start += size
	}
	b.pieces[at] = piece{}
	b.free = append(b.free, at)
}

// record reads the string that begins at a place, and what it takes.
func (p *piece) record(start int) (owner uint32, s []byte, size int) {
	d := p.data[start:]
	n, used := uint64(d[4]), 1
	if n >= 0x80 {
		n, used = binary.Uvarint(d[4:])
	}
	used += 4
	end := used + int(n)
	return binary.LittleEndian.Uint32(d), d[used:end:end], padded(end)
}

// place is where a string is.
func place(number uint32) (at uint32, start int) {
	number--
	return number >> pieceBits, int(number%(1<<pieceBits)) * unit
}

// At returns a string, which must not be modified, until the next Add or
// Remove.
func (b *Bytes) At(number uint32) []byte {
	at, start := place(number)
	_, s, _ := b.pieces[at].record(start)
	return s
}

// Remove lets go of a string. With the last one goes all memory.
func (b *Bytes) Remove(number uint32) {
	at, start := place(number)
	p := &b.pieces[at]
	_, _, size := p.record(start)
	binary.LittleEndian.PutUint32(p.data[start:], 0)
	p.live -= size
	b.live -= size
	if b.live == 0 {
		*b = Bytes{Moved: b.Moved}
		return
	}
	b.tidy(at)
}
