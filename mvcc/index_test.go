package mvcc

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// FuzzIndex holds an index against a map of lists, over random puts, deletes,
// undos and compactions of few and of many keys.
func FuzzIndex(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(checkIndex))
}

func TestIndex_AgainstMap(t *testing.T) { rapid.Check(t, checkIndex) }

// naiveIndex is the obvious one.
type naiveIndex map[string][]KeyRev

func checkIndex(t *rapid.T) {
	x := newIndex()
	if rapid.Bool().Draw(t, "collide") {
		x.hashMask = 3 // nearly all keys have the hash of others
	}
	naive := naiveIndex{}
	keys := rapid.IntRange(1, 2000).Draw(t, "keys")
	key := func() []byte {
		k := rapid.IntRange(0, keys-1).Draw(t, "key")
		return []byte(fmt.Sprintf("%0*d", 1+k%40, k)) // of many lengths
	}
	rev, compact := int64(1), int64(0)
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		switch op := rapid.IntRange(0, 9).Draw(t, "op"); {
		case op == 0:
			compact = rapid.Int64Range(compact, rev).Draw(t, "compact")
			naive.compact(compact)
			compactIndex(x, compact)
		case op < 3: // a transaction that is taken back
			rev++
			h := x.history(key())
			before := life{h.create, h.count}
			h.put(KeyRev{Main: rev})
			x.revisions++
			x.undo(h, before)
		case op < 5:
			rev++
			k := key()
			if list := naive[string(k)]; len(list) > 0 && !list[len(list)-1].Tombstone {
				h, _ := x.find(k)
				h.delete(KeyRev{Main: rev, Tombstone: true})
				x.revisions++
				naive[string(k)] = append(list, KeyRev{Main: rev, Tombstone: true})
			}
		default:
			first, n := rapid.IntRange(0, keys-1).Draw(t, "first"), rapid.IntRange(1, keys).Draw(t, "n")
			for i := range n {
				rev++
				k := []byte(fmt.Sprintf("%0*d", 1+(first+i*7)%keys%40, (first+i*7)%keys))
				x.history(k).put(KeyRev{Main: rev})
				x.revisions++
				naive[string(k)] = append(naive[string(k)], KeyRev{Main: rev})
			}
		}
		naive.require(t, x)
	}
}

func compactIndex(x *index, rev int64) {
	s := &Store{index: x}
	for next, more := []byte(nil), true; more; {
		next, more = s.trimChunk(next, rev)
	}
}

func (n naiveIndex) compact(rev int64) {
	for k, list := range n {
		if n[k] = naiveCompact(list, rev); len(n[k]) == 0 {
			delete(n, k)
		}
	}
}

// require holds x against n: all of it in order, and a stretch of it.
func (n naiveIndex) require(t *rapid.T, x *index) {
	sorted := make([]string, 0, len(n))
	revisions := 0
	for k, list := range n {
		sorted = append(sorted, k)
		revisions += len(list)
	}
	slices.Sort(sorted)
	var found []string
	next, more := x.walk(Span{}, nil, len(n)+1, func(h keyHistory) bool {
		found = append(found, string(h.key()))
		require.Equal(t, n[string(h.key())], versionsOf(h))
		return true
	})
	require.Empty(t, next)
	require.False(t, more)
	require.Equal(t, sorted, append([]string{}, found...))
	require.Equal(t, len(n), x.len())
	require.EqualValues(t, revisions, x.revisions)
	for _, block := range x.order.blocks {
		require.NotEmpty(t, block)
		require.LessOrEqual(t, len(block), orderBlock)
	}
	if len(sorted) == 0 {
		return
	}
	at := rapid.IntRange(0, len(sorted)-1).Draw(t, "from")
	limit := rapid.IntRange(0, 20).Draw(t, "limit")
	found = found[:0]
	next, more = x.walk(Span{Lo: []byte(sorted[at])}, []byte(sorted[at]), limit, func(h keyHistory) bool {
		found = append(found, string(h.key()))
		return true
	})
	end := min(at+limit, len(sorted))
	require.Equal(t, sorted[at:end], append([]string{}, found...))
	require.Equal(t, end < len(sorted), more)
	if more {
		require.Equal(t, sorted[end], string(next))
	}
	_, ok := x.find([]byte("no such key"))
	require.False(t, ok)
}

func versionsOf(h keyHistory) []KeyRev {
	var list []KeyRev
	for i := range h.len() {
		list = append(list, h.at(i).keyRev())
	}
	return list
}

// The order that opening makes is that of keys taken in one by one.
func TestKeyOrder_Build(t *testing.T) {
	for _, n := range []int{0, 1, sortedBlock, sortedBlock + 1, 5 * sortPart} {
		x := newIndex()
		for i := range n {
			key := []byte(fmt.Sprintf("/registry/%d/%d", i*7919%n%3, i*7919%n))
			h := x.add(key, x.hash(key))
			h.put(KeyRev{Main: int64(i + 2)})
		}
		x.restoreOrder()
		var last []byte
		visited := 0
		x.walk(Span{}, nil, n+1, func(h keyHistory) bool {
			require.Negative(t, bytes.Compare(last, h.key()))
			last = h.key()
			visited++
			return true
		})
		require.Equal(t, n, visited)
	}
}

// What is given back is handed out again, and large runs are let go.
func TestPool_UsesAgain(t *testing.T) {
	p := pool[byte]{unit: 8, chunk: 64}
	lengths := []int{1, 8, 9, 64, 65, 127, 128, 129, 500, 5000}
	var runs []run
	for _, n := range lengths {
		r, room := p.alloc(n)
		require.GreaterOrEqual(t, room, n)
		for i := range p.at(r, room) {
			p.at(r, room)[i] = byte(n)
		}
		runs = append(runs, r)
	}
	for i, n := range lengths {
		for _, b := range p.at(runs[i], n) {
			require.Equal(t, byte(n), b, "nobody else has it")
		}
		p.release(runs[i], n)
	}
	chunks := len(p.chunks)
	for range 100 {
		for _, n := range lengths {
			r, _ := p.alloc(n)
			p.release(r, n)
		}
	}
	require.Len(t, p.chunks, chunks)
}

func TestClassOf(t *testing.T) {
	last := -1
	size := 0
	for n := 1; n < 100_000; n++ {
		c, s := classOf(n)
		if n > size {
			require.Equal(t, last+1, c)
			last, size = c, s
		}
		require.Equal(t, size, s)
		require.GreaterOrEqual(t, s, n)
		require.LessOrEqual(t, s, n+n/4+1)
	}
}
