package watchtest

import (
	"sort"
	"sync/atomic"

	"github.com/watchkv/watchkv/mvcc"
)

// entry is the digest of one event: 40 bytes.
type entry struct {
	rev    int64
	key    uint64 // hash of the key
	value  uint64 // hash or length of the value, with the lease mixed in
	create int64
	// version is 0 for a delete.
	version uint32
	prev    uint32 // position + 1 of the key's event before this one; 0: none
}

func (e *entry) deletes() bool { return e.version == 0 }

const chunkLen = 4096

type chunk [chunkLen]entry

// directory lists the chunks kept; first is the number of the oldest.
type directory struct {
	first  int64
	chunks []*chunk
}

// eventLog is append-only: one appender under History.mu, any number of
// readers without a lock. An entry is written before n counts it and never
// after. keep bounds the entries kept; 0 keeps all.
type eventLog struct {
	dir  atomic.Pointer[directory]
	n    atomic.Int64
	keep int64
}

func (l *eventLog) append(e entry) (pos int64) {
	pos = l.n.Load()
	if pos%chunkLen == 0 {
		l.grow()
	}
	d := l.dir.Load()
	d.chunks[pos/chunkLen-d.first][pos%chunkLen] = e
	l.n.Store(pos + 1)
	return pos
}

func (l *eventLog) grow() {
	next := &directory{}
	if d := l.dir.Load(); d != nil {
		drop := 0
		if spare := int64(len(d.chunks))*chunkLen - l.keep; l.keep > 0 && spare > 0 {
			drop = int(spare / chunkLen)
		}
		next.first = d.first + int64(drop)
		next.chunks = append(next.chunks, d.chunks[drop:]...)
	}
	next.chunks = append(next.chunks, new(chunk))
	l.dir.Store(next)
}

// at returns the entry at pos < n, or nil if it is forgotten.
func (l *eventLog) at(pos int64) *entry {
	d := l.dir.Load()
	i := pos/chunkLen - d.first
	if i < 0 {
		return nil
	}
	return &d.chunks[i][pos%chunkLen]
}

// oldest is the first position kept.
func (l *eventLog) oldest() int64 {
	if d := l.dir.Load(); d != nil {
		return d.first * chunkLen
	}
	return 0
}

// spanLog is the positions of the events of one span. Same discipline as
// eventLog.
type spanLog struct {
	span mvcc.Span
	list atomic.Pointer[positions]
	n    atomic.Int64
}

// positions holds those from number base on; older ones are forgotten.
type positions struct {
	base int64
	pos  []uint32
}

func (s *spanLog) append(pos, oldest int64) {
	n := s.n.Load()
	p := s.list.Load()
	if p == nil || n-p.base == int64(len(p.pos)) {
		next := &positions{}
		if p != nil {
			drop := sort.Search(len(p.pos), func(i int) bool { return int64(p.pos[i]) >= oldest })
			next.base = p.base + int64(drop)
			next.pos = make([]uint32, max(8, 2*(len(p.pos)-drop)))
			copy(next.pos, p.pos[drop:])
		} else {
			next.pos = make([]uint32, 8)
		}
		s.list.Store(next)
		p = next
	}
	p.pos[n-p.base] = uint32(pos)
	s.n.Store(n + 1)
}

// view reads the events of one watch's range: all of the log, or a span's.
type view struct {
	log  *eventLog
	span *spanLog // nil: every key
}

func (v view) len() int64 {
	if v.span == nil {
		return v.log.n.Load()
	}
	return v.span.n.Load()
}

// at returns the i-th entry, i < len, or nil if it is forgotten.
func (v view) at(i int64) *entry {
	pos := v.position(i)
	if pos < 0 {
		return nil
	}
	return v.log.at(pos)
}

// position is where the i-th entry is in the log, -1 if forgotten.
func (v view) position(i int64) int64 {
	if v.span == nil {
		return i
	}
	p := v.span.list.Load()
	if i < p.base {
		return -1
	}
	return int64(p.pos[i-p.base])
}

// search returns the first number in [lo, len) whose revision is at least
// rev; forgotten ones count as smaller.
func (v view) search(lo, rev int64) int64 {
	n := v.len()
	if lo >= n {
		return n
	}
	return lo + int64(sort.Search(int(n-lo), func(i int) bool {
		e := v.at(lo + int64(i))
		return e != nil && e.rev >= rev
	}))
}
