package watch

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestWatchTableModel holds the table against a map, with ids that are dense,
// far apart, and at the end of their range.
func TestWatchTableModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x watchTable
		model := map[int64]any{} // *watcher or watchRef
		id := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(60, 400), rapid.Int64Range(math.MaxInt64-3, math.MaxInt64))
		t.Repeat(map[string]func(*rapid.T){
			"awake": func(t *rapid.T) {
				w := &watcher{id: id.Draw(t, "id")}
				x.setAwake(w)
				model[w.id] = w
			},
			"at rest": func(t *rapid.T) {
				i, at := id.Draw(t, "id"), watchRef(rapid.IntRange(1, 1000).Draw(t, "at"))
				x.set(i, at)
				model[i] = at
			},
			"many": func(t *rapid.T) {
				for i := range rapid.Int64Range(0, 300).Draw(t, "n") {
					x.set(i, 5)
					model[i] = watchRef(5)
				}
			},
			"remove": func(t *rapid.T) {
				i := id.Draw(t, "id")
				x.remove(i)
				delete(model, i)
			},
			"remove all": func(t *rapid.T) {
				for i := range x.all() {
					x.remove(i)
				}
				clear(model)
				require.Empty(t, x.dense)
			},
			"": func(t *rapid.T) {
				require.Equal(t, len(model), x.len())
				seen := map[int64]any{}
				for i, at := range x.all() {
					require.Equal(t, at, x.ref(i))
					if w := x.watcher(at); w != nil {
						seen[i] = w
					} else {
						seen[i] = at
					}
				}
				require.Equal(t, model, seen)
				i := id.Draw(t, "absent")
				if _, there := model[i]; !there {
					require.Zero(t, x.ref(i))
				}
			},
		})
	})
}
