package mvcc

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// attachments is which key is attached to which lease, for keys that have
// one. It stands as the last staged transaction left it; what readers may not
// see yet is taken back from their copy by changes. Only who holds
// Store.writer changes it, so that one reads it without mu.
type attachments struct {
	mu      sync.Mutex                    // leaf
	of      map[string]int64              // key -> lease
	keys    map[int64]map[string]struct{} // lease -> its keys
	changes []attachChange                // oldest first; also the undo log of who stages
}

// attachChange is a key that went from one lease to another at a revision; 0
// is none.
type attachChange struct {
	rev      int64
	key      string
	from, to int64
}

// attach notes that key is attached to lease since rev, 0 for no lease.
// visible is the last revision that readers see. It answers whether that is a
// change. Needs writer.
func (a *attachments) attach(key []byte, lease, rev, visible int64) bool {
	if lease == 0 && len(a.of) == 0 {
		return false
	}
	from := a.of[string(key)]
	if from == lease {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(visible)
	name := string(key)
	a.move(name, from, lease)
	a.changes = append(a.changes, attachChange{rev, name, from, lease})
	return true
}

// forget drops the changes that everybody sees.
func (a *attachments) forget(visible int64) {
	n := 0
	for n < len(a.changes) && a.changes[n].rev <= visible {
		n++
	}
	if n == len(a.changes) && cap(a.changes) > undoKeep {
		a.changes = nil
		return
	}
	a.changes = slices.Delete(a.changes, 0, n)
}

func (a *attachments) move(key string, from, to int64) {
	if keys := a.keys[from]; keys != nil {
		if delete(keys, key); len(keys) == 0 {
			delete(a.keys, from)
		}
	}
	if to == 0 {
		delete(a.of, key)
		return
	}
	if a.of == nil {
		a.of, a.keys = make(map[string]int64), make(map[int64]map[string]struct{})
	}
	a.of[key] = to
	keys := a.keys[to]
	if keys == nil {
		keys = make(map[string]struct{})
		a.keys[to] = keys
	}
	keys[key] = struct{}{}
}

// takeBack undoes what was changed at rev, the newest. Needs writer.
func (a *attachments) takeBack(rev int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n := len(a.changes); n > 0 && a.changes[n-1].rev == rev; n-- {
		c := a.changes[n-1]
		a.changes = a.changes[:n-1]
		a.move(c.key, c.to, c.from)
	}
}

// staged lists the keys of a lease, sorted, as who holds writer sees them.
func (a *attachments) staged(lease int64) [][]byte { return sortedKeys(a.keys[lease]) }

// visible lists the keys of a lease, sorted, as a reader sees them at the
// revision that rev answers.
func (a *attachments) visible(lease int64, rev func() int64) [][]byte {
	return sortedKeys(a.copyAt(lease, rev))
}

func (a *attachments) copyAt(lease int64, rev func() int64) map[string]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	keys := maps.Clone(a.keys[lease])
	if keys == nil {
		keys = make(map[string]struct{})
	}
	at := rev() // under mu: what was forgotten is below it
	for n := len(a.changes); n > 0 && a.changes[n-1].rev > at; n-- {
		c := a.changes[n-1]
		if c.to == lease {
			delete(keys, c.key)
		}
		if c.from == lease {
			keys[c.key] = struct{}{}
		}
	}
	return keys
}

func sortedKeys(set map[string]struct{}) [][]byte {
	out := make([][]byte, 0, len(set))
	for key := range set {
		out = append(out, []byte(key))
	}
	slices.SortFunc(out, bytes.Compare)
	return out
}

// restore takes in records found on disk, in their order.
func (a *attachments) restore(c *restoreChunk) {
	if !c.leased && len(a.of) == 0 {
		return
	}
	keys := c.keys
	for i := range c.records {
		r := &c.records[i]
		key := keys[:r.keyLen]
		keys = keys[r.keyLen:]
		if from := a.of[string(key)]; from != r.lease {
			a.move(string(key), from, r.lease)
		}
	}
}

// LeaseKeys lists the keys that are attached to a lease at the visible
// revision, sorted. They are the caller's.
func (s *Store) LeaseKeys(id int64) [][]byte { return s.attached.visible(id, s.visible.Load) }
