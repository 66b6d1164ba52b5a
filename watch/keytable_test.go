package watch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestKeyTableModel holds the table against a map, while it grows and shrinks.
func TestKeyTableModel(t *testing.T) {
	type name struct {
		key string
		s   shape
	}
	rapid.Check(t, func(t *rapid.T) {
		var x keyTable[int]
		model := map[name]int{}
		draw := func(t *rapid.T) name {
			return name{fmt.Sprint(rapid.IntRange(0, 300).Draw(t, "key")), shape(rapid.IntRange(0, 1).Draw(t, "shape"))}
		}
		set := func(n name, v int) {
			if i := x.find([]byte(n.key), n.s); i != 0 {
				x.entries.At(i).value = v
			} else {
				x.add([]byte(n.key), n.s, v)
			}
			model[n] = v
		}
		remove := func(n name) {
			if i := x.find([]byte(n.key), n.s); i != 0 {
				x.remove(i)
			}
			delete(model, n)
		}
		t.Repeat(map[string]func(*rapid.T){
			"set":    func(t *rapid.T) { set(draw(t), rapid.Int().Draw(t, "v")) },
			"remove": func(t *rapid.T) { remove(draw(t)) },
			"many": func(t *rapid.T) {
				for i := range rapid.IntRange(0, 300).Draw(t, "n") {
					set(name{fmt.Sprint(i), single}, i)
				}
			},
			"none": func(t *rapid.T) {
				for n := range model {
					remove(n)
				}
				require.Empty(t, x.chains)
			},
			"": func(t *rapid.T) {
				n := draw(t)
				i := x.find([]byte(n.key), n.s)
				v, there := model[n]
				require.Equal(t, there, i != 0)
				if there {
					e := x.entries.At(i)
					require.Equal(t, name{n.key, n.s}, name{string(x.key(i)), e.shape()})
					require.Equal(t, v, e.value)
				}
				require.Equal(t, len(model), x.entries.Len())
				require.Equal(t, len(model), inChains(t, &x))
			},
		})
	})
}

// inChains counts the entries, each of which is in the chain of its hash.
func inChains(t require.TestingT, x *keyTable[int]) (n int) {
	for c := range x.chains {
		for i := x.chains[c]; i != 0; n++ {
			e := x.entries.At(i)
			require.Same(t, &x.chains[c], x.chain(e.hash))
			i = e.next
		}
	}
	return n
}

func TestKeyTable_FindDoesNotAllocate(t *testing.T) {
	var x keyTable[int]
	key := make([]byte, 100)
	x.add(key, prefix, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if x.find(key, prefix) == 0 || x.find(key, single) != 0 {
			t.Fatal("not found")
		}
	}))
}
