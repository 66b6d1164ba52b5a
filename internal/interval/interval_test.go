package interval

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestStab(t *testing.T) {
	var tree Tree[string]
	add := func(lo, hi, name string) {
		var end []byte
		if hi != "∞" {
			end = []byte(hi)
		}
		tree.Insert([]byte(lo), end, name)
	}
	add("b", "d", "bd")
	add("b", "d", "bd again")
	add("a", "c", "ac")
	add("c", "∞", "c on")
	add("", "∞", "all")
	add("d", "d", "empty")
	add("e", "b", "reversed")
	add("", "", "before all")
	add("c\x00", "c\x01", "zero byte")
	require.Equal(t, 9, tree.Len())

	for _, row := range []struct {
		name, key string
		want      []string
	}{
		{"empty key", "", []string{"all"}},
		{"start is inside", "a", []string{"all", "ac"}},
		{"duplicates both answer", "b", []string{"all", "ac", "bd", "bd again"}},
		{"end is outside", "c", []string{"all", "bd", "bd again", "c on"}},
		{"next key after c", "c\x00", []string{"all", "bd", "bd again", "c on", "zero byte"}},
		{"empty range contains nothing", "d", []string{"all", "c on"}},
		{"highest bytes", "\xff\xff\xff", []string{"all", "c on"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, stab(&tree, []byte(row.key)))
		})
	}
}

func TestDelete(t *testing.T) {
	var tree, other Tree[int]
	first := tree.Insert([]byte("a"), nil, 1)
	second := tree.Insert([]byte("a"), nil, 2)
	other.Insert([]byte("a"), nil, 3)

	assert.False(t, tree.Delete(0), "none")
	assert.False(t, tree.Delete(second+1), "never given")
	assert.True(t, tree.Delete(first))
	assert.False(t, tree.Delete(first), "deleted before")
	assert.Equal(t, 1, tree.Len())
	assert.Equal(t, []int{2}, stab(&tree, []byte("b")), "its twin stays")
	assert.True(t, tree.Delete(second))
	assert.False(t, tree.Delete(second), "deleted before, and the tree empty")
	assert.Equal(t, 0, tree.Len())
	assert.Empty(t, stab(&tree, []byte("b")))
	assert.Equal(t, 1, other.Len())
}

func TestFind(t *testing.T) {
	var tree Tree[int]
	for i := range 500 {
		tree.Insert([]byte{byte(i * 7)}, []byte{byte(i * 13)}, i)
	}
	open := tree.Insert([]byte("a"), nil, -1)
	assert.Equal(t, open, tree.Find([]byte("a"), nil))
	assert.Zero(t, tree.Find([]byte("a"), []byte("zz")))
	assert.Zero(t, tree.Find([]byte("aa"), nil))
	for i := range 500 {
		n := tree.Find([]byte{byte(i * 7)}, []byte{byte(i * 13)})
		require.NotZero(t, n)
		lo, hi := tree.Range(n)
		require.Equal(t, []byte{byte(i * 7), byte(i * 13)}, append(slices.Clone(lo), hi...))
	}
	require.True(t, tree.Delete(open))
	assert.Zero(t, tree.Find([]byte("a"), nil))
}

func TestStabVisitsInOrderOfStart(t *testing.T) {
	var tree Tree[int]
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(1000) {
		tree.Insert([]byte(fmt.Sprintf("%04d", i)), nil, i)
	}
	got := stab(&tree, []byte("0499"))
	require.Len(t, got, 500)
	assert.True(t, slices.IsSorted(got))
}

// Ascending inserts would make a plain tree a list; the treap stays shallow.
func TestDepthStaysLogarithmic(t *testing.T) {
	var tree Tree[int]
	const n = 100_000
	for i := range n {
		key := []byte(fmt.Sprintf("%08d", i))
		tree.Insert(key, append(slices.Clone(key), 0), i)
	}
	deepest := 0
	eachNode(&tree, func(Ref, int) {}, &deepest)
	assert.Less(t, deepest, 80)
}

func TestEqualCallsGiveEqualShape(t *testing.T) {
	build := func() (priorities []uint32) {
		var tree Tree[int]
		for i := range 200 {
			n := tree.Insert([]byte{byte(i * 37)}, nil, i)
			if i%3 == 0 {
				tree.Delete(n)
			}
		}
		eachNode(&tree, func(n Ref, depth int) { priorities = append(priorities, tree.at(n).priority, uint32(depth)) }, new(int))
		return priorities
	}
	assert.Equal(t, build(), build())
}

func TestStabDoesNotAllocate(t *testing.T) {
	tree, key := benchTree(10_000)
	hits := 0
	visit := func(int) { hits++ }
	allocs := testing.AllocsPerRun(100, func() { tree.Stab(key(hits), visit) })
	assert.Zero(t, allocs)
	assert.NotZero(t, hits)
}

// The tree against a plain list of ranges, under random calls over few keys,
// so that equal and nested ranges are common.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		key := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 'b', 0xff}), 0, 3)
		t.Repeat(map[string]func(*rapid.T){
			"insert": func(t *rapid.T) {
				hi := key.Draw(t, "hi")
				if rapid.Bool().Draw(t, "unbounded") {
					hi = nil
				}
				m.insert(key.Draw(t, "lo"), hi)
			},
			"delete": func(t *rapid.T) {
				if len(m.entries) == 0 {
					return
				}
				require.True(t, m.delete(rapid.IntRange(0, len(m.entries)-1).Draw(t, "which")))
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(m.entries), m.tree.Len())
				k := key.Draw(t, "key")
				require.Equal(t, m.stab(k), sorted(stab(&m.tree, k)), "ranges that contain %q", k)
				require.Empty(t, broken(&m.tree))
			},
		})
	})
}

// FuzzTree reads its input as calls: a byte chooses, the next ones are the
// bounds.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x00ac\x01ba\x00b\xff\x02b\x03\x00"))
	f.Add([]byte("\x01aa\x01aa\x01aa\x03\x01\x02a\x03\x00\x02a"))
	f.Fuzz(func(t *testing.T, input []byte) {
		m := newModel()
		take := func() byte {
			if len(input) == 0 {
				return 0
			}
			b := input[0]
			input = input[1:]
			return b
		}
		for len(input) > 0 {
			switch op, a, b := take()%4, take(), take(); op {
			case 0:
				m.insert([]byte{a}, []byte{b})
			case 1:
				m.insert([]byte{a, b}, nil)
			case 2:
				require.Equal(t, m.stab([]byte{a}), sorted(stab(&m.tree, []byte{a})))
			case 3:
				if len(m.entries) > 0 {
					require.True(t, m.delete(int(a)%len(m.entries)))
				}
			}
		}
		require.Equal(t, len(m.entries), m.tree.Len())
		require.Empty(t, broken(&m.tree))
	})
}

// model is a tree and the plain list it must agree with.
type model struct {
	tree    Tree[int]
	entries []entry
	nextID  int
}

type entry struct {
	lo, hi []byte
	id     int
	node   Ref
}

func newModel() *model { return &model{} }

func (m *model) insert(lo, hi []byte) {
	m.nextID++
	m.entries = append(m.entries, entry{lo, hi, m.nextID, m.tree.Insert(lo, hi, m.nextID)})
}

func (m *model) delete(i int) bool {
	ok := m.tree.Delete(m.entries[i].node)
	m.entries = slices.Delete(m.entries, i, i+1)
	return ok
}

func (m *model) stab(key []byte) []int {
	ids := []int{}
	for _, e := range m.entries {
		if bytes.Compare(e.lo, key) <= 0 && (e.hi == nil || bytes.Compare(key, e.hi) < 0) {
			ids = append(ids, e.id)
		}
	}
	return sorted(ids)
}

func stab[V any](t *Tree[V], key []byte) []V {
	got := []V{}
	t.Stab(key, func(v V) { got = append(got, v) })
	return got
}

func sorted(ids []int) []int {
	slices.Sort(ids)
	return ids
}

// broken names the first invariant of the structure that does not hold.
func broken(t *Tree[int]) (fault string) {
	count := 0
	before := Ref(0)
	eachNode(t, func(i Ref, _ int) {
		n := t.at(i)
		count++
		lo, hi := t.Range(i)
		want := hi
		for _, at := range []Ref{n.left, n.right} {
			if at == 0 {
				continue
			}
			child := t.at(at)
			if child.parent != i || child.priority > n.priority {
				fault = "parent or priority"
			}
			if end := t.hi(child.last); endLess(want, end) {
				want = end
			}
		}
		if got := t.hi(n.last); (want == nil) != (got == nil) || !bytes.Equal(want, got) {
			fault = fmt.Sprintf("last end under [%q,%q): %q, want %q", lo, hi, got, want)
		}
		if before != 0 {
			if beforeLo, beforeHi := t.Range(before); rangeLess(lo, hi, beforeLo, beforeHi) {
				fault = "order"
			}
		}
		before = i
	}, new(int))
	if count != t.Len() {
		fault = "length"
	}
	return fault
}

// eachNode visits in order and notes the greatest depth.
func eachNode(t *Tree[int], visit func(n Ref, depth int), deepest *int) {
	var walk func(n Ref, depth int)
	walk = func(n Ref, depth int) {
		if n == 0 {
			return
		}
		*deepest = max(*deepest, depth)
		walk(t.at(n).left, depth+1)
		visit(n, depth)
		walk(t.at(n).right, depth+1)
	}
	walk(t.root, 1)
}

// benchTree holds n adjoining ranges of ten keys each, a wide one over every
// thousandth, and one over all.
func benchTree(n int) (tree *Tree[int], key func(i int) []byte) {
	tree = &Tree[int]{}
	at := func(i int) []byte { return []byte(fmt.Sprintf("/key/%010d", i)) }
	tree.Insert([]byte("/key/"), []byte("/key0"), -1)
	for i := range n - 1 {
		width := 10
		if i%1000 == 0 {
			width = 10_000
		}
		tree.Insert(at(i*10), at(i*10+width), i)
	}
	keys := make([][]byte, 1024)
	for i := range keys {
		keys[i] = at(int(uint64(i) * 2654435761 % uint64(n*10)))
	}
	return tree, func(i int) []byte { return keys[i%len(keys)] }
}

func BenchmarkStab(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("ranges=%d", n), func(b *testing.B) {
			tree, key := benchTree(n)
			hits := 0
			visit := func(int) { hits++ }
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				tree.Stab(key(i), visit)
			}
			b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
		})
	}
}

func BenchmarkInsertDelete(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("ranges=%d", n), func(b *testing.B) {
			tree, key := benchTree(n)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				tree.Delete(tree.Insert(key(i), nil, 0))
			}
		})
	}
}
