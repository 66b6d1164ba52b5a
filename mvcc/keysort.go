package mvcc

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
)

// sortedBlock is how full a block is after opening: keys that come later find
// room without a split.
const sortedBlock = orderBlock * 3 / 4

// build fills an empty order with ids, which it takes over.
func (o *keyOrder) build(ids []uint32) {
	o.sort(ids)
	for block := range slices.Chunk(ids, sortedBlock) {
		o.blocks = append(o.blocks, append(make([]uint32, 0, orderBlock), block...))
	}
}

// prefixed is an id with the bytes of its key that most likely tell it from
// others, so that most comparisons touch no key.
type prefixed struct {
	prefix uint64
	id     uint32
}

func (o *keyOrder) sort(ids []uint32) {
	common := o.commonPrefix(ids)
	pairs := make([]prefixed, len(ids))
	for i, id := range ids {
		var head [8]byte
		copy(head[:], o.key(id)[common:])
		pairs[i] = prefixed{binary.BigEndian.Uint64(head[:]), id}
	}
	pairs = sortInParts(pairs, runtime.GOMAXPROCS(0), func(a, b prefixed) int {
		if c := cmp.Compare(a.prefix, b.prefix); c != 0 {
			return c
		}
		return bytes.Compare(o.key(a.id), o.key(b.id))
	})
	for i := range pairs {
		ids[i] = pairs[i].id
	}
}

// commonPrefix is the number of bytes that all keys begin with.
func (o *keyOrder) commonPrefix(ids []uint32) int {
	if len(ids) == 0 {
		return 0
	}
	common := o.key(ids[0])
	for _, id := range ids[1:] {
		key := o.key(id)
		n := min(len(common), len(key))
		if bytes.Equal(common[:n], key[:n]) {
			common = common[:n]
			continue
		}
		for i := range n {
			if common[i] != key[i] {
				common = common[:i]
				break
			}
		}
	}
	return len(common)
}

// sortPart is the least that is worth a goroutine.
const sortPart = 1 << 14

// sortInParts sorts on as many processors as procs says and returns the
// result, in s or in other memory.
func sortInParts[E any](s []E, procs int, compare func(a, b E) int) []E {
	if procs < 2 || len(s) < 2*sortPart {
		slices.SortFunc(s, compare)
		return s
	}
	lower, upper := s[:len(s)/2], s[len(s)/2:]
	sorted := make(chan []E, 1)
	go func() { sorted <- sortInParts(lower, procs/2, compare) }()
	upper = sortInParts(upper, procs-procs/2, compare)
	return merge(<-sorted, upper, compare)
}

func merge[E any](a, b []E, compare func(a, b E) int) []E {
	out := make([]E, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
