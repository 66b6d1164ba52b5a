package watch

import (
	"hash/maphash"
	"math/bits"

	"github.com/watchkv/watchkv/internal/slab"
)

// keyTable maps single keys and prefixes to values: a hash table of chains
// that grows chain by chain with its entries, so that no add waits for a larger
// table to be filled. An entry costs 16 bytes and its value, and its key and 9
// bytes. Not
// safe for concurrent use, except that several may read.
type keyTable[V any] struct {
	seed    maphash.Seed
	chains  []uint32 // the first entry of each
	entries slab.Slab[keyEntry[V]]
	texts   slab.Bytes // the keys of the entries
}

type keyEntry[V any] struct {
	text  uint32 // in texts
	hash  uint32 // its lowest bit tells prefixes from single keys
	next  uint32 // in its chain; 0 ends
	value V
}

func (e *keyEntry[V]) shape() shape {
	if e.hash&1 != 0 {
		return prefix
	}
	return single
}

// shaped makes of a hash what the entries of one shape have.
func shaped(hash uint64, s shape) uint32 {
	if s == prefix {
		return uint32(hash) | 1
	}
	return uint32(hash) &^ 1
}

// chain returns the chain that a hash belongs to: of as many as the next
// power of two, those that do not exist yet are still part of the chain half
// way down.
func (t *keyTable[V]) chain(hash uint32) *uint32 {
	n := uint32(len(t.chains))
	size := uint32(1) << bits.Len32(n-1)
	at := hash >> 1 & (size - 1)
	if at >= n {
		at -= size / 2
	}
	return &t.chains[at]
}

// find returns the number of an entry, 0 if there is none.
func (t *keyTable[V]) find(key []byte, s shape) uint32 {
	if len(t.chains) == 0 {
		return 0
	}
	h := shaped(maphash.Bytes(t.seed, key), s)
	i := *t.chain(h)
	for i != 0 {
		e := t.entries.At(i)
		if e.hash == h && string(t.texts.At(e.text)) == string(key) {
			break
		}
		i = e.next
	}
	return i
}

// key returns the key of an entry, until the next add or remove.
func (t *keyTable[V]) key(i uint32) []byte { return t.texts.At(t.entries.At(i).text) }

// add makes an entry for a copy of a key that has none.
func (t *keyTable[V]) add(key []byte, s shape, v V) uint32 {
	if len(t.chains) == 0 {
		t.seed = maphash.MakeSeed()
		t.texts.Moved = func(i, text uint32) { t.entries.At(i).text = text }
	}
	if t.entries.Len() >= len(t.chains) {
		t.grow()
	}
	h := shaped(maphash.Bytes(t.seed, key), s)
	chain := t.chain(h)
	i := t.entries.Add(keyEntry[V]{hash: h, next: *chain, value: v})
	t.entries.At(i).text = t.texts.Add(i, key)
	*chain = i
	return i
}

// grow adds a chain and moves to it what belongs there.
func (t *keyTable[V]) grow() {
	t.chains = append(t.chains, 0)
	n := uint32(len(t.chains))
	if n == 1 {
		return
	}
	added := n - 1
	link := &t.chains[added-1<<(bits.Len32(added)-1)]
	for *link != 0 {
		i := *link
		e := t.entries.At(i)
		to := t.chain(e.hash)
		if to != &t.chains[added] {
			link = &e.next
			continue
		}
		*link = e.next
		e.next, *to = *to, i
	}
}

// remove takes out an entry. The chains stay, for the entries to come, until
// the last one is gone.
func (t *keyTable[V]) remove(i uint32) {
	e := t.entries.At(i)
	link := t.chain(e.hash)
	for *link != i {
		link = &t.entries.At(*link).next
	}
	*link = e.next
	t.texts.Remove(e.text)
	t.entries.Remove(i)
	if t.entries.Len() == 0 {
		t.chains = nil
	}
}
