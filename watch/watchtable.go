package watch

import (
	"iter"

	"github.com/watchkv/watchkv/internal/slab"
)

// watchTable finds the watches of a stream by id, for 4 bytes each where the
// stream picks the ids, which are dense then.
type watchTable struct {
	dense []watchRef // by id
	odd   map[int64]watchRef
	awake slab.Slab[*watcher]
	count int
}

// watchRef says where a watch is, 0 for nowhere: one at rest by the handle of
// its range, with isAwake one by its number among the watchers of the stream.
type watchRef uint32

const isAwake watchRef = 1 << 31

// looseIDs is how many ids beyond twice the number of watches are still
// dense.
const looseIDs = 64

func (t *watchTable) len() int { return t.count }

// ref returns where the watch of an id is.
func (t *watchTable) ref(id int64) watchRef {
	if id >= 0 && id < int64(len(t.dense)) && t.dense[id] != 0 {
		return t.dense[id]
	}
	return t.odd[id]
}

// watcher returns what a ref names, nil if that is at rest.
func (t *watchTable) watcher(at watchRef) *watcher {
	if at&isAwake == 0 {
		return nil
	}
	return *t.awake.At(uint32(at &^ isAwake))
}

// setAwake makes w the watch of its id, new or known.
func (t *watchTable) setAwake(w *watcher) {
	t.set(w.id, isAwake|watchRef(t.awake.Add(w)))
}

// set says where the watch of an id is, new or known.
func (t *watchTable) set(id int64, at watchRef) {
	if was := t.ref(id); was == 0 {
		t.count++
	} else if was&isAwake != 0 {
		t.awake.Remove(uint32(was &^ isAwake))
	}
	if _, odd := t.odd[id]; odd || id >= int64(max(len(t.dense), 2*t.count+looseIDs)) {
		if t.odd == nil {
			t.odd = map[int64]watchRef{}
		}
		t.odd[id] = at
		return
	}
	for id >= int64(len(t.dense)) {
		t.dense = append(t.dense, 0)
	}
	t.dense[id] = at
}

// remove forgets the watch of an id. With the last one goes all memory.
func (t *watchTable) remove(id int64) {
	was := t.ref(id)
	if was == 0 {
		return
	}
	if was&isAwake != 0 {
		t.awake.Remove(uint32(was &^ isAwake))
	}
	if id < int64(len(t.dense)) {
		t.dense[id] = 0
	}
	delete(t.odd, id)
	if t.count--; t.count == 0 {
		*t = watchTable{}
	}
}

// all walks the watches there are; those it has come to may be changed or
// removed meanwhile.
func (t *watchTable) all() iter.Seq2[int64, watchRef] {
	return func(yield func(int64, watchRef) bool) {
		odd := t.odd
		for id, at := range t.dense {
			if at != 0 && !yield(int64(id), at) {
				return
			}
		}
		for id, at := range odd {
			if !yield(id, at) {
				return
			}
		}
	}
}
