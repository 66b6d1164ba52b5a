package slab

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A slab against a map, over the edge of a chunk.
func TestSlabModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Slab[int]
		model := map[uint32]int{}
		some := func(t *rapid.T) (i uint32, ok bool) {
			if len(model) == 0 {
				return 0, false
			}
			n := uint32(rapid.IntRange(0, int(s.End())).Draw(t, "near"))
			for d := range s.End() {
				if _, ok := model[(n+d)%s.End()]; ok {
					return (n + d) % s.End(), true
				}
			}
			t.Fatal("no number below End is there")
			return 0, false
		}
		add := func(v int) {
			i := s.Add(v)
			_, there := model[i]
			require.False(t, there || i == 0, "number %d", i)
			model[i] = v
		}
		for v := range rapid.SampledFrom([]int{0, 3, chunkLen - 2, 2*chunkLen - 1}).Draw(t, "first") {
			add(v)
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) { add(rapid.Int().Draw(t, "v")) },
			"change": func(t *rapid.T) {
				if i, ok := some(t); ok {
					*s.At(i), model[i] = -1, -1
				}
			},
			"remove": func(t *rapid.T) {
				if i, ok := some(t); ok {
					s.Remove(i)
					delete(model, i)
				}
			},
			"remove all": func(t *rapid.T) {
				for i := range model {
					s.Remove(i)
				}
				clear(model)
				require.Zero(t, s.End())
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), s.Len())
				for i, v := range model {
					require.Less(t, i, s.End())
					require.Equal(t, v, *s.At(i))
				}
			},
		})
	})
}
