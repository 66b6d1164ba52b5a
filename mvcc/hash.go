package mvcc

import (
	"context"
	"fmt"
	"hash/crc32"
	"runtime"
	"slices"
)

// HashKV hashes the history up to rev, 0 for the current revision, as etcd
// does: equal data give the figure that etcd's HashKV gives for them. It waits
// for a running compaction and holds off the next, and reads everything up to
// rev. Errors: *CompactedError, ErrFutureRevision, and those of History.
func (s *Store) HashKV(ctx context.Context, rev int64) (HashResult, error) {
	if err := s.takeToken(ctx); err != nil {
		return HashResult{}, err
	}
	defer s.giveToken()
	current := s.visible.Load()
	if rev <= 0 {
		rev = current
	}
	res := HashResult{Rev: current, CompactRev: s.compactRev.Load(), HashRev: rev}
	switch {
	case rev < res.CompactRev:
		return HashResult{}, &CompactedError{Requested: rev, Compact: res.CompactRev}
	case rev > current:
		return HashResult{}, fmt.Errorf("hash at revision %d, current is %d: %w", rev, current, ErrFutureRevision)
	}
	if s.applied.Load() < rev {
		if err := s.flush(rev); err != nil {
			return HashResult{}, err
		}
	}
	h := historyHash{compact: res.CompactRev, digest: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	h.keep, h.passing, h.anyAlive = s.survivors(rev, res.CompactRev)
	_, _ = h.digest.Write([]byte("key")) // a hash never fails
	from := []byte(nil)
	for more := true; more; {
		var err error
		if from, more, err = s.hashChunk(ctx, &h, from, rev); err != nil {
			return HashResult{}, err
		}
		runtime.Gosched()
	}
	res.Hash = h.digest.Sum32()
	if res.CompactRev == 0 {
		res.CompactRev = -1
	}
	return res, nil
}

// survivors lists, ascending, what a compaction at rev would keep, as far as
// it lies in the part that is compacted already; alive tells whether a
// compaction at rev would keep anything at all. passing are puts of the compact
// revision that it deleted again: etcd's compaction takes them, ours does not.
func (s *Store) survivors(rev, compact int64) (keep, passing []KeyRev, alive bool) {
	s.walkIndex(Span{}, func(h keyHistory) bool {
		if v, live := h.liveAt(rev); live {
			alive = true
			if v.main <= compact {
				keep = append(keep, v.keyRev())
			}
		}
		for i := h.search(compact); i+1 < h.len() && h.at(i).main == compact; i++ {
			if next := h.at(i + 1); next.main == compact && next.tombstone() {
				passing = append(passing, h.at(i).keyRev())
			}
		}
		return true
	})
	slices.SortFunc(keep, compareKeyRevs)
	return keep, passing, alive
}

// historyHash is etcd's hash in the making: CRC-32 (Castagnoli) over the name
// of the space and the bytes of records, but for those that some member of an
// etcd cluster may already have deleted.
type historyHash struct {
	compact  int64
	keep     []KeyRev // of the compacted part, what counts; ascending
	passing  []KeyRev // of the compact revision, what does not
	anyAlive bool
	digest   interface {
		Write(b []byte) (int, error)
		Sum32() uint32
	}
}

// add takes the next record, in revision order.
func (h *historyHash) add(kr KeyRev, key, value []byte) {
	if kr.Main <= h.compact && h.anyAlive {
		for len(h.keep) > 0 && h.keep[0].less(kr) {
			h.keep = h.keep[1:]
		}
		if len(h.keep) == 0 || h.keep[0] != kr {
			return
		}
	}
	if kr.Main == h.compact && (kr.Tombstone || slices.Contains(h.passing, kr)) {
		return
	}
	_, _ = h.digest.Write(key) // a hash never fails
	_, _ = h.digest.Write(value)
}

// hashChunkLen is how many records one view serves.
const hashChunkLen = 10_000

func (s *Store) hashChunk(ctx context.Context, h *historyHash, from []byte, rev int64) (next []byte, more bool, err error) {
	if err := s.readable(ctx); err != nil {
		return nil, false, err
	}
	view, err := s.engine.View()
	if err != nil {
		return nil, false, err
	}
	defer view.Close()
	n := 0
	var bad error
	err = s.scanRecords(view, from, firstKeyOf(rev+1), func(key, value []byte) bool {
		if n++; n > hashChunkLen {
			next, more = append([]byte(nil), key...), true
			return false
		}
		var kr KeyRev
		if kr, bad = parseRevKey(key); bad != nil {
			return false
		}
		h.add(kr, key, value)
		return true
	})
	if err == nil {
		err = bad
	}
	return next, more, err
}
