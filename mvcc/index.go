package mvcc

import "github.com/google/btree"

const (
	// btreeDegree: 32 is etcd's and within noise of its neighbours here.
	btreeDegree = 32
	// walkChunk bounds the keys looked at in one hold of Store.mu, so that a
	// walk over many keys never holds up a put for long.
	walkChunk = 1024
)

// index maps a key to its history. A hash table finds single keys, a tree
// keeps their order; a put of a known key touches the table only. Guarded by
// Store.mu.
type index struct {
	byKey     map[string]*keyHistory
	ordered   *btree.BTreeG[*keyHistory]
	revisions int64
}

func newIndex() *index {
	return &index{
		byKey:   make(map[string]*keyHistory),
		ordered: btree.NewG(btreeDegree, func(a, b *keyHistory) bool { return a.key < b.key }),
	}
}

// history returns the history of key, a new and empty one if there is none.
// The caller adds a version to it before it releases the lock.
func (x *index) history(key []byte) *keyHistory {
	if h := x.byKey[string(key)]; h != nil {
		return h
	}
	h := &keyHistory{key: string(key)}
	x.byKey[h.key] = h
	x.ordered.ReplaceOrInsert(h)
	return h
}

// remove takes a key out.
func (x *index) remove(h *keyHistory) {
	delete(x.byKey, h.key)
	x.ordered.Delete(h)
}

// undo takes back the newest version of h.
func (x *index) undo(h *keyHistory, l life) {
	h.undo(l)
	x.revisions--
	if h.empty() {
		x.remove(h)
	}
}

// walk visits up to limit keys of span from `from` on (which is in the span)
// in ascending order, until visit answers false. next is the key to go on at
// and more whether there is one.
func (x *index) walk(span Span, from string, limit int, visit func(h *keyHistory) bool) (next string, more bool) {
	if span.Single() {
		if h := x.byKey[string(span.Lo)]; h != nil {
			visit(h)
		}
		return "", false
	}
	hi := string(span.Hi)
	stopped := false
	x.ordered.AscendGreaterOrEqual(&keyHistory{key: from}, func(h *keyHistory) bool {
		if span.Hi != nil && h.key >= hi {
			return false
		}
		if stopped || limit == 0 {
			next, more = h.key, true
			return false
		}
		limit--
		stopped = !visit(h)
		return true
	})
	return next, more
}

// walkIndex visits the keys of span in ascending order until visit answers
// false; cut tells that keys were left. It takes Store.mu for at most
// walkChunk keys at a time, so keys may come and go meanwhile: what a reader
// at one revision sees does not change by that, unless that revision is
// compacted.
func (s *Store) walkIndex(span Span, visit func(h *keyHistory) bool) (cut bool) {
	if span.Empty() {
		return false
	}
	stopped := false
	step := func(h *keyHistory) bool {
		stopped = !visit(h)
		return !stopped
	}
	for next, more := string(span.Lo), true; more; {
		next, more = s.walkChunk(span, next, step)
		if stopped {
			return more
		}
	}
	return false
}

func (s *Store) walkChunk(span Span, from string, visit func(h *keyHistory) bool) (next string, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.walk(span, from, walkChunk, visit)
}
