package mvcc

import (
	"container/heap"
	"slices"
)

// VersionAt is the newest version of key with main <= rev that the index
// knows, tombstones included. It looks at the index alone and checks rev
// against nothing: a revision above Rev may not be visible yet.
func (s *Store) VersionAt(key []byte, rev int64) (kr KeyRev, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.index.find(key)
	if !ok {
		return KeyRev{}, false
	}
	v, ok := h.versionAt(rev)
	return v.keyRev(), ok
}

// Revisions appends the versions of the keys in span with from <= main <= to,
// tombstones included, from the index alone. They ascend within a key and are
// not sorted across keys. visited counts keys looked at; cut tells that a
// bound of lim ended the walk before the last key.
func (s *Store) Revisions(dst []KeyRev, span Span, from, to int64, lim RevLimits) (revs []KeyRev, cut bool, visited int) {
	bound := len(dst) + lim.MaxRevs
	inKey := false
	more := s.walkIndex(span, func(h keyHistory) bool {
		visited++
		for i := h.search(from); i < h.len() && h.at(i).main <= to; i++ {
			if lim.MaxRevs > 0 && len(dst) == bound {
				inKey = true
				return false
			}
			dst = append(dst, h.at(i).keyRev())
		}
		return lim.MaxKeys <= 0 || visited < lim.MaxKeys
	})
	return dst, more || inKey, visited
}

// CountRevisions counts the versions of the keys in span with main >= from,
// visible or not. It stops at maxKeys keys or maxRevs versions (each 0: no
// bound) and then answers exact false.
func (s *Store) CountRevisions(span Span, from int64, maxKeys, maxRevs int) (n int, exact bool) {
	visited := 0
	over := false
	more := s.walkIndex(span, func(h keyHistory) bool {
		visited++
		n += h.len() - h.search(from)
		over = maxRevs > 0 && n > maxRevs
		return !over && (maxKeys <= 0 || visited < maxKeys)
	})
	return n, !more && !over
}

// Newest appends, for every key of span whose newest version at revision to
// has main >= from, that version; of these the keep smallest, ascending. cut
// tells that more exist above the last one returned. Memory is bounded by
// keep; a keep of 0 or less answers nothing.
func (s *Store) Newest(dst []KeyRev, span Span, from, to int64, keep int) (revs []KeyRev, cut bool) {
	if keep <= 0 {
		return dst, false
	}
	var smallest revHeap
	s.walkIndex(span, func(h keyHistory) bool {
		v, ok := h.versionAt(to)
		if !ok || v.main < from {
			return true
		}
		kr := v.keyRev()
		switch {
		case len(smallest) < keep:
			heap.Push(&smallest, kr)
		case kr.less(smallest[0]):
			smallest[0] = kr
			heap.Fix(&smallest, 0)
			cut = true
		default:
			cut = true
		}
		return true
	})
	slices.SortFunc(smallest, compareKeyRevs)
	return append(dst, smallest...), cut
}

// revHeap has its greatest version on top, so that the smallest remain.
type revHeap []KeyRev

func (h revHeap) Len() int           { return len(h) }
func (h revHeap) Less(i, j int) bool { return h[j].less(h[i]) }
func (h revHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is part of heap.Interface.
func (h *revHeap) Push(x any) { *h = append(*h, x.(KeyRev)) }

// Pop is part of heap.Interface.
func (h *revHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
