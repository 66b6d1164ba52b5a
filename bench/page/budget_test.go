package page_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/page"
)

const (
	budgetWithoutData = 120_000
	budgetWithData    = 2_000_000
)

// withoutData is the page but for the result files in it.
func withoutData(t *testing.T, text string) string {
	t.Helper()
	before, rest, found := strings.Cut(text, `<script type="application/json" id="results">`)
	require.True(t, found)
	_, after, found := strings.Cut(rest, "</script>")
	require.True(t, found)
	return before + after
}

func TestPageIsSmall(t *testing.T) {
	text := written(t, sampled(t, "pebble", 6, 1), sampled(t, "bolt", 6, 1.1), sampled(t, "badger", 6, 2), sampled(t, "mem", 6, 0.5), served(t, 6))
	assert.Less(t, len(withoutData(t, text)), budgetWithoutData)
	assert.Less(t, len(text), budgetWithData)
}

// Series that would make the page too large keep 600 points, the smallest and
// the largest among them, in the drawing and in the enclosed results.
func TestLongSeriesAreThinned(t *testing.T) {
	const seconds = 50_000
	res := sampled(t, "pebble", 1, 1)
	res.Plan.Scenarios, res.Runs = res.Plan.Scenarios[:1], res.Runs[:1]
	series := res.Runs[0].Series
	rng := rand.New(rand.NewPCG(1, 2))
	*series = bench.Series{Interval: series.Interval, Parts: series.Parts}
	for range seconds {
		v := 1_000_000 + rng.Int64N(1_000_000)
		series.NotifyP50, series.NotifyP99, series.NotifyMax = append(series.NotifyP50, v/3), append(series.NotifyP99, v), append(series.NotifyMax, 3*v)
		series.PutsPerS, series.EventsPerS = append(series.PutsPerS, rng.Float64()), append(series.EventsPerS, rng.Float64())
		series.LateP99, series.HeapBytes = append(series.LateP99, v/7), append(series.HeapBytes, v*5)
	}
	series.NotifyP99[30_001], series.NotifyP99[40_003] = 77_777_777, 3
	text := written(t, res)
	assert.Less(t, len(text), budgetWithData)
	assert.Less(t, len(withoutData(t, text)), budgetWithoutData)
	says(t, text, "thinned to 600 points")

	files, err := page.Extract(strings.NewReader(text))
	require.NoError(t, err)
	got, err := bench.ReadResult(strings.NewReader(string(files[0].JSON)))
	require.NoError(t, err)
	thin := got.Runs[0].Series
	for _, n := range []int{len(thin.NotifyP50), len(thin.NotifyP99), len(thin.PutsPerS), len(thin.HeapBytes)} {
		assert.Equal(t, 600, n)
	}
	assert.Equal(t, int64(77_777_777), slices.Max(thin.NotifyP99))
	assert.Equal(t, int64(3), slices.Min(thin.NotifyP99))
	assert.InDelta(t, seconds, thin.Interval.Seconds()*600, 1)
	assert.Len(t, series.NotifyP99, seconds, "the result itself is not changed")

	doc, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	longest := 0
	for n := range doc.Descendants() {
		if n.Data == "path" {
			longest = max(longest, strings.Count(attr(n, "d"), "L"))
		}
	}
	assert.Greater(t, longest, 500, "the series is drawn")
	assert.LessOrEqual(t, longest, 602)
}
