package mvcc

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

const (
	// scanYield is after how many entries a scan offers the processor to
	// others: a scan that never yields costs a put two orders of magnitude.
	scanYield = 128
	// arenaFirst and arenaMost bound the blocks of a chunk's memory, which
	// double as it grows.
	arenaFirst = 4 << 10
	arenaMost  = 256 << 10
)

// History reads the events of [q.From, q.To] that match, in one fresh view
// that it closes before it returns, up to the bounds of q. Chunk.Next is
// where to go on. Errors: a *CompactedError if From is below the compact
// revision, ErrClosed, ctx.Err() and the engine's; ErrDamaged for records that
// do not read and for a revision that has none, so that an engine that passes
// over what it cannot read costs no event in silence.
func (s *Store) History(ctx context.Context, q HistoryQuery) (Chunk, error) {
	if err := s.readable(ctx); err != nil {
		return Chunk{}, err
	}
	// Before the view, so that the view has all of it.
	last := min(q.To, s.applied.Load())
	view, err := s.engine.View()
	if err != nil {
		return Chunk{}, err
	}
	defer view.Close()
	// After the view: what this view may lack is below what is loaded here.
	if compact := s.compactRev.Load(); q.From < compact {
		return Chunk{}, &CompactedError{Requested: q.From, Compact: compact}
	}
	if last < q.From {
		return Chunk{Next: q.From}, nil
	}
	r := historyReader{ctx: ctx, q: q, last: last, seen: s.continuityFrom(q.From)}
	if n := q.expected(last); n > 0 {
		r.chunk.Events = make([]Event, 0, n)
	}
	start := time.Now()
	err = s.scanRecords(view, firstKeyOf(q.From), firstKeyOf(last+1), r.visit)
	if err == nil {
		err = r.err
	}
	if err == nil && r.chunk.Next == 0 {
		err = r.seen.reach(last)
	}
	if err != nil {
		return Chunk{}, fmt.Errorf("history from revision %d: %w", q.From, damaged(s.engine, err))
	}
	s.costs.scan.add(time.Since(start)-r.yielded, r.chunk.Scanned)
	if r.chunk.Next == 0 {
		r.chunk.Next = last + 1
	}
	return r.chunk, nil
}

// maxExpected bounds what is allocated before anything was read.
const maxExpected = 4096

// expected is how many events a chunk that ends at last or at a bound of the
// query will hold, at one a revision; 0 if that cannot be said.
func (q *HistoryQuery) expected(last int64) int {
	n := maxExpected
	switch {
	case q.Expect > 0:
		n = min(n, q.Expect)
	case q.Match != nil || q.MaxEvents <= 0 && q.MaxScan <= 0:
		return 0
	}
	for _, bound := range [2]int{q.MaxEvents, q.MaxScan} {
		if bound > 0 {
			n = min(n, bound)
		}
	}
	return int(min(int64(n), last-max(q.From, 1)+1))
}

// historyReader fills one chunk.
type historyReader struct {
	ctx     context.Context
	q       HistoryQuery
	last    int64
	chunk   Chunk
	arena   arena
	main    int64 // revision being read
	seen    continuity
	yielded time.Duration
	err     error
}

func (r *historyReader) visit(key, value []byte) bool {
	kr, err := parseRevKey(key)
	if err == nil {
		err = r.seen.add(kr) // before the chunk may end: it could end at a hole
	}
	if err != nil {
		r.err = err
		return false
	}
	if kr.Main != r.main {
		if r.main != 0 && r.full() {
			r.chunk.Next = kr.Main
			return false
		}
		r.main = kr.Main
	}
	r.chunk.Scanned++
	r.chunk.ScannedBytes += int64(len(key) + len(value))
	if r.chunk.Scanned%scanYield == 0 {
		if r.err = r.ctx.Err(); r.err != nil {
			return false
		}
		start := time.Now()
		runtime.Gosched()
		r.yielded += time.Since(start)
	}
	if r.q.Match != nil {
		name, err := recordKey(value)
		if err != nil {
			r.err = err
			return false
		}
		if !r.q.Match(name) {
			return true
		}
	}
	e, err := eventOf(kr, r.own(value))
	if err != nil {
		r.err = err
		return false
	}
	r.chunk.Events = append(r.chunk.Events, e)
	r.chunk.Bytes += int64(len(value))
	return true
}

// own copies a record to where its event shall keep it.
func (r *historyReader) own(record []byte) []byte {
	if r.q.Apart {
		return append(make([]byte, 0, len(record)), record...)
	}
	return r.arena.copy(record)
}

// full reports whether the chunk ends before the next revision.
func (r *historyReader) full() bool {
	return r.q.MaxEvents > 0 && len(r.chunk.Events) >= r.q.MaxEvents ||
		r.q.MaxScan > 0 && r.chunk.Scanned >= r.q.MaxScan ||
		r.q.MaxBytes > 0 && r.chunk.Bytes >= r.q.MaxBytes
}

// arena hands out copies from blocks that it never moves.
type arena struct {
	block []byte
	size  int // of the last block
}

func (a *arena) copy(b []byte) []byte {
	if cap(a.block)-len(a.block) < len(b) {
		a.size = min(max(2*a.size, arenaFirst), arenaMost)
		a.block = make([]byte, 0, max(a.size, len(b)))
	}
	start := len(a.block)
	a.block = append(a.block, b...)
	return a.block[start:len(a.block):len(a.block)]
}
