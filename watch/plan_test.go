package watch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
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

// Seats that come one after the other are each cheap by the index; once all
// who are there together are not, those who read already are taken along.
func TestPlanCold_IsRevisedWhenOthersJoin(t *testing.T) {
	const keys, revs = 100, 4000
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxBytes: 1 << 30, OutboxResponses: 1 << 20})
	for i := range revs {
		h.put(fmt.Sprint("k", i%keys))
	}
	h.shard.offered = h.store.Rev()
	ways := func() (n [WayCount]int) {
		for _, st := range h.shard.unsynced {
			n[st.behind.plan.way]++
		}
		return n
	}
	plan := func() {
		require.True(t, h.shard.classify(h.reader))
		h.shard.planCold(context.Background(), h.reader)
	}
	h.shard.source = priced{h.store, costs{entry: 10, get: 100}}
	for i := range 4 {
		h.watch(h.stream(), Request{Key: fmt.Append(nil, "k", i), StartRevision: 2})
	}
	plan()
	assert.Equal(t, [WayCount]int{WayIndex: 4}, ways())
	for i := 4; i < keys; i++ {
		h.watch(h.stream(), Request{Key: fmt.Append(nil, "k", i), StartRevision: 2})
	}
	plan()
	assert.Equal(t, [WayCount]int{WayScan: keys}, ways())
	stats := h.hub.Stats()
	assert.Equal(t, [3]int64{4, keys - 4, 4}, [3]int64{stats.PlansIndex, stats.PlansScan, stats.PlansRevised})
}

// Watches that arrive while those before them are waited for are planned with
// them; a few are not waited for, nor is anybody once no more come.
func TestCatchUp_AwaitsThoseWhoArriveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
		for i := range 100 {
			h.put(fmt.Sprint("k", i))
		}
		h.shard.offered = h.store.Rev()
		arrive := func(from, to int) {
			for i := from; i < to; i++ {
				h.watch(h.stream(), Request{Key: fmt.Append(nil, "k", i), StartRevision: 2})
			}
		}
		await := func() (waited time.Duration) {
			require.True(t, h.shard.classify(h.reader))
			start := time.Now()
			h.shard.awaitArrivals(t.Context(), h.reader)
			return time.Since(start)
		}
		arrive(0, manyTargets-1)
		assert.Zero(t, await(), "a few")
		arrive(manyTargets-1, manyTargets)
		go func() {
			time.Sleep(arrivalPause / 2)
			arrive(manyTargets, 2*manyTargets)
			time.Sleep(arrivalPause)
			arrive(2*manyTargets, 3*manyTargets)
		}()
		assert.Equal(t, 3*arrivalPause, await(), "as long as more came, and once in vain")
		assert.Equal(t, 3*manyTargets, h.reader.unplanned())

		h.shard.planCold(t.Context(), h.reader)
		assert.Zero(t, await(), "all have their plan")
	})
}

// priced is a store whose reads cost what the test says.
type priced struct {
	*mvcc.Store
	costs costs
}

func (p priced) Stats() mvcc.Stats {
	st := p.Store.Stats()
	st.ScanNanosPerEntry, st.GetNanosPerRead = p.costs.entry, p.costs.get
	return st
}
