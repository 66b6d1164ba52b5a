package watch

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestChoose(t *testing.T) {
	c := costs{entry: 100, get: 5000}
	counted := func(n, matches int) []demand {
		return slices.Repeat([]demand{{matches, true}}, n)
	}
	for _, row := range []struct {
		name    string
		entries int64
		demands []demand
		want    Way
	}{
		{"nobody", 1000, nil, WayIndex},
		{"few matches in a long history", 1_000_000, []demand{{10, true}}, WayIndex},
		{"many matches in a long history", 1_000_000, []demand{{50_000, true}}, WayScan},
		{"uncounted", 1_000_000, []demand{{10, false}}, WayScan},
		{"each is cheap, all together are not", 10_000, []demand{{80, true}, {80, true}, {80, true}}, WayScan},
		{"all together still cheap", 10_000, []demand{{80, true}, {80, true}}, WayIndex},
		{"one who needs a scan takes the others along", 1_000_000, []demand{{1, true}, {1, true}, {9, false}}, WayScan},
		{"short history", 10, []demand{{5, true}}, WayScan},
		{"many who match nothing", 100_000, counted(5, 0), WayIndex},
		{"looking at the index counts too", 100, counted(200, 0), WayScan},
	} {
		t.Run(row.name, func(t *testing.T) {
			assert.Equal(t, row.want, choose(c, row.entries, row.demands))
		})
	}
}

func TestBounds(t *testing.T) {
	keys, matches := bounds(costs{entry: 100, get: 5000}, 10_000)
	assert.Equal(t, 10_001, keys, "a key costs as much to look at as an entry to scan")
	assert.Equal(t, 201, matches, "a get costs as much as 50 entries")
	keys, matches = bounds(costs{entry: 100, get: 5000}, 0)
	assert.Equal(t, 1, keys)
	assert.Equal(t, 1, matches)
}
