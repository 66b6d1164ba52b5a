package mvcc

import (
	"bytes"
	"slices"
	"sort"
)

// orderBlock is the most ids in a block: an insert moves half of that, 1 KiB,
// and every 256th one also the list of blocks.
const orderBlock = 512

// keyOrder is ids in the order of their keys: a list of blocks that are never
// empty.
type keyOrder struct {
	blocks [][]uint32
	key    func(id uint32) []byte
}

// search finds the first id whose key is not below key: it stands, or would
// stand, in block b at i. i may be the end of the last block.
func (o *keyOrder) search(key []byte) (b, i int) {
	b = sort.Search(len(o.blocks), func(b int) bool { return bytes.Compare(o.key(o.blocks[b][0]), key) > 0 }) - 1
	if b < 0 {
		return 0, 0
	}
	block := o.blocks[b]
	i = sort.Search(len(block), func(i int) bool { return bytes.Compare(o.key(block[i]), key) >= 0 })
	if i == len(block) && b+1 < len(o.blocks) {
		return b + 1, 0
	}
	return b, i
}

// insert adds an id with a key that is not there yet.
func (o *keyOrder) insert(id uint32, key []byte) {
	if len(o.blocks) == 0 {
		o.blocks = append(o.blocks, []uint32{id})
		return
	}
	b, i := o.search(key)
	if i == 0 && b > 0 {
		b, i = b-1, len(o.blocks[b-1]) // between two blocks: the first one moves nothing
	}
	if block := o.blocks[b]; len(block) == orderBlock {
		half := orderBlock / 2
		if i == orderBlock && b == len(o.blocks)-1 {
			half = orderBlock // ascending keys fill blocks
		}
		o.blocks = slices.Insert(o.blocks, b+1, append(make([]uint32, 0, orderBlock), block[half:]...))
		o.blocks[b] = block[:half]
		if i > half || half == orderBlock {
			b, i = b+1, i-half
		}
	}
	o.blocks[b] = slices.Insert(o.blocks[b], i, id)
}

// remove takes out the id of a key that is there.
func (o *keyOrder) remove(key []byte) {
	b, i := o.search(key)
	o.blocks[b] = slices.Delete(o.blocks[b], i, i+1)
	if len(o.blocks[b]) == 0 {
		o.blocks = slices.Delete(o.blocks, b, b+1)
		return
	}
	for _, b := range [2]int{b - 1, b} {
		if b >= 0 && b+1 < len(o.blocks) && len(o.blocks[b])+len(o.blocks[b+1]) <= orderBlock/2 {
			o.blocks[b] = append(o.blocks[b], o.blocks[b+1]...)
			o.blocks = slices.Delete(o.blocks, b+1, b+2)
			return
		}
	}
}

// ascend visits ids from the first whose key is not below from, until visit
// answers false.
func (o *keyOrder) ascend(from []byte, visit func(id uint32) bool) {
	b, i := o.search(from)
	for ; b < len(o.blocks); b, i = b+1, 0 {
		for _, id := range o.blocks[b][i:] {
			if !visit(id) {
				return
			}
		}
	}
}
