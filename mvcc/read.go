package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// Get reads key at revision rev, 0 for the current one. Errors are those of
// Range.
func (s *Store) Get(key []byte, rev int64) (kv KeyValue, ok bool, err error) {
	return first(s.Range(key, nil, RangeOptions{Rev: rev, Limit: 1}))
}

// Range reads the keys of a range, written as for SpanOf, as they were at one
// revision. Errors: *CompactedError, ErrFutureRevision, ErrEmptyKey when both
// key and end are empty, ErrDamaged, ErrClosed and the engine's.
func (s *Store) Range(key, end []byte, o RangeOptions) (RangeResult, error) {
	if s.closed.Load() {
		return RangeResult{}, ErrClosed
	}
	for {
		current := s.visible.Load()
		res, err := s.rangeAt(key, end, o, current, nil)
		if o.Rev <= 0 && errors.Is(err, ErrCompacted) && s.overtook(current) {
			continue // the current revision of that moment is compacted by now
		}
		return res, err
	}
}

// overtook reports whether the visible revision has moved on from current. A
// Bump that has moved the compact revision is about to move the visible one:
// then it waits for that.
func (s *Store) overtook(current int64) bool {
	_ = s.shown.wait(context.Background(), func() bool { return s.visible.Load() >= s.compactRev.Load() })
	return s.visible.Load() > current
}

// rangeKeys is Range inside a transaction.
func (t *txn) rangeKeys(key, end []byte, o RangeOptions) (RangeResult, error) {
	t.read = true
	return t.s.rangeAt(key, end, o, t.current(), t)
}

// rangeAt reads for somebody whose current revision is current; own is the
// transaction that reads, if any.
func (s *Store) rangeAt(key, end []byte, o RangeOptions, current int64, own *txn) (RangeResult, error) {
	if len(key) == 0 && len(end) == 0 {
		return RangeResult{}, ErrEmptyKey
	}
	rev := o.Rev
	if rev <= 0 {
		rev = current
	}
	if rev > current {
		return RangeResult{}, fmt.Errorf("range at revision %d, current is %d: %w", rev, current, ErrFutureRevision)
	}
	found, count := s.liveVersions(SpanOf(key, end), rev, o)
	// After the look-up: the index may have been trimmed during it.
	if err := s.checkRead(rev); err != nil {
		return RangeResult{}, err
	}
	res := RangeResult{Count: count, Rev: current, More: !o.CountOnly && int64(len(found.revs)) < count}
	if o.KeysOnly {
		var err error
		res.KVs, err = s.readHeads(found, rev, own)
		return res, err
	}
	events, err := s.resolve(nil, found.revs, rev, own, o.MaxBytes)
	if err != nil {
		return RangeResult{}, err
	}
	if events = fitting(events, o.MaxBytes); len(events) < len(found.revs) {
		res.More = true
	}
	if len(events) > 0 {
		res.KVs = make([]KeyValue, len(events))
		for i := range events {
			res.KVs[i] = events[i].KV
		}
	}
	return res, nil
}

// readHeads makes the answer without values and leases: from the index, but
// for versions that are not their keys' newest.
func (s *Store) readHeads(found liveKeys, rev int64, own *txn) ([]KeyValue, error) {
	var unknown []KeyRev
	for i, kv := range found.heads {
		if kv.ModRevision == 0 {
			unknown = append(unknown, found.revs[i])
		}
	}
	events, err := s.resolve(nil, unknown, rev, own, 0)
	if err != nil {
		return nil, err
	}
	for i := range found.heads {
		if found.heads[i].ModRevision == 0 {
			found.heads[i] = events[0].KV
			found.heads[i].Value, found.heads[i].Lease = nil, 0
			events = events[1:]
		}
	}
	return found.heads, nil
}

// fitting cuts events behind the one whose record reaches maxBytes; 0: no
// bound.
func fitting(events []Event, maxBytes int) []Event {
	if maxBytes <= 0 {
		return events
	}
	bytes := 0
	for i := range events {
		if bytes += events[i].Size(); bytes >= maxBytes {
			return events[:i+1]
		}
	}
	return events
}

// liveKeys are keys as a reader sees them: their versions and, for KeysOnly,
// what the index has of them; zero where that is about a newer version.
type liveKeys struct {
	revs  []KeyRev
	heads []KeyValue
	bytes int // of the keys in heads
}

// add takes in a key whose version v is seen. Needs Store.mu.
func (l *liveKeys) add(h keyHistory, v version, o RangeOptions) {
	l.revs = append(l.revs, v.keyRev())
	if !o.KeysOnly {
		return
	}
	var kv KeyValue
	if v == h.newest {
		kv = KeyValue{Key: bytes.Clone(h.key()), CreateRevision: h.create, ModRevision: v.main, Version: h.count}
	}
	l.heads = append(l.heads, kv)
	l.bytes += len(h.key())
}

// full reports whether o wants no further key.
func (l *liveKeys) full(o RangeOptions) bool {
	return o.CountOnly || o.Limit > 0 && int64(len(l.revs)) >= o.Limit ||
		o.KeysOnly && o.MaxBytes > 0 && l.bytes >= o.MaxBytes
}

// liveVersions finds what a reader at rev sees in span: what is wanted by o,
// and the number of all as far as o lets it look.
func (s *Store) liveVersions(span Span, rev int64, o RangeOptions) (found liveKeys, count int64) {
	s.walkIndex(span, func(h keyHistory) bool {
		v, live := h.liveAt(rev)
		if !live {
			return true
		}
		count++
		if !found.full(o) {
			found.add(h, v, o)
			return true
		}
		return !o.NoCount || o.CountOnly // one more than wanted is known
	})
	return found, count
}

// resolve appends the events of the versions, in the order given: from the
// transaction that asks, from memory, or in one fresh view. at is the lowest
// revision somebody reads at: if it is compacted, the answer is that. Once the
// records read weigh maxBytes (0: no bound) the rest is left out.
func (s *Store) resolve(dst []Event, revs []KeyRev, at int64, own *txn, maxBytes int) ([]Event, error) {
	base := len(dst)
	dst = slices.Grow(dst, len(revs))[:base+len(revs)]
	found := dst[base:]
	clear(found)
	missing := 0
	for i, kr := range revs {
		if own != nil && kr.Main == own.rev {
			found[i] = own.events[kr.Sub]
		} else if e := s.tail.event(kr); e != nil {
			found[i] = *e
		} else {
			missing++
		}
	}
	if missing == 0 {
		return dst, nil
	}
	// What was not in memory was evicted, so it was applied before this view.
	view, err := s.engine.View()
	if err != nil {
		return nil, err
	}
	defer view.Close()
	if err := s.checkRead(at); err != nil {
		return nil, err
	}
	start := time.Now()
	p := pointReader{view: view, left: missing}
	bytes := 0
	for i, kr := range revs {
		if found[i].record != nil {
			continue
		}
		if found[i], err = p.read(kr); err != nil {
			// The view may lack it because a compaction was faster.
			if compacted := s.checkRead(at); compacted != nil {
				return nil, compacted
			}
			return nil, damaged(s.engine, err)
		}
		if bytes += len(found[i].record); maxBytes > 0 && bytes >= maxBytes {
			clear(found[i+1:])
			dst = dst[:base+i+1]
			break
		}
	}
	s.costs.get.add(time.Since(start)-p.yielded, p.done)
	return dst, nil
}

const (
	// pointBlock is the memory that point reads share; a record that does
	// not fit what is left of it gets its own.
	pointBlock = 16 << 10
	// pointYield is after how many point reads the processor is offered to
	// others.
	pointYield = 64
)

// pointReader reads single records of a view.
type pointReader struct {
	view    backend.View
	left    int // reads still to come
	done    int
	yielded time.Duration
	key     [tombstoneKeyLen]byte
	block   []byte
}

func (p *pointReader) read(kr KeyRev) (Event, error) {
	if p.done++; p.done%pointYield == 0 {
		start := time.Now()
		runtime.Gosched()
		p.yielded += time.Since(start)
	}
	// The last reads get memory of their own: nothing would share the block.
	if p.left--; p.left > 2 && cap(p.block)-len(p.block) < pointBlock/16 {
		p.block = make([]byte, 0, pointBlock)
	}
	free := p.block[len(p.block):]
	record, ok, err := p.view.Get(backend.SpaceKey, free, appendRevKey(p.key[:0], kr))
	if err != nil {
		return Event{}, fmt.Errorf("reading revision %d/%d: %w", kr.Main, kr.Sub, err)
	}
	if !ok {
		return Event{}, fmt.Errorf("space key: revision %d/%d is in the index and not in the engine: %w", kr.Main, kr.Sub, ErrDamaged)
	}
	if len(record) <= cap(free) {
		p.block = p.block[:len(p.block)+len(record)]
	}
	return eventOf(kr, record[:len(record):len(record)])
}
