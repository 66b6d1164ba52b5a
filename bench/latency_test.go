package bench

import (
	"bytes"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func histogramOf(values ...int64) *hdrhistogram.Histogram {
	h := newHistogram()
	for _, v := range values {
		_ = h.RecordValue(v)
	}
	return h
}

// Amounts below zero count below zero: nothing is clamped.
func TestSignedLatency(t *testing.T) {
	both := signedLatency{negative: histogramOf(1000, 2000, 3000), positive: histogramOf(500, 600, 700, 800, 900, 1000, 1100)}
	assert.Equal(t, int64(10), both.count())
	assert.InDelta(t, -3000, float64(both.quantile(0)), 5)
	assert.InDelta(t, -1000, float64(both.quantile(30)), 5)
	assert.InDelta(t, 1100, float64(both.quantile(100)), 5)
	assert.InDelta(t, 600, float64(both.quantile(50)), 5)

	below := signedLatency{negative: histogramOf(1000, 2000)}
	assert.InDelta(t, -1000, float64(below.quantile(100)), 5)
	above := signedLatency{positive: histogramOf(1000)}
	assert.InDelta(t, 1000, float64(above.quantile(1)), 5)
}

func TestPhases(t *testing.T) {
	p := newPhases()
	assert.Equal(t, 0, p.at(1<<60), "all is warm-up until a mark is set")
	p.begin(1, 100)
	p.begin(2, 200)
	for at, want := range map[int64]int{99: 0, 100: 1, 199: 1, 200: 2, 1 << 60: 2} {
		assert.Equal(t, want, p.at(at), "at %d", at)
	}
}

// A put is in the phase of its due time, its answer in that of the answer.
func TestRecorderPut(t *testing.T) {
	r := newRecorder()
	r.phases.begin(1, 100)
	r.phases.begin(2, 200)
	l := r.lane(0)
	r.put(l, 50, 150, 10)  // due in the warm-up, answered in phase 1
	r.put(l, 150, 250, 20) // due in phase 1, answered in phase 2
	r.put(l, 160, 170, lateBusy)
	put := r.merged(func(l *lane) *hdrhistogram.Histogram { return l.put[1] })
	assert.Equal(t, int64(2), put.TotalCount())
	assert.Equal(t, int64(100), put.Max())
	assert.Equal(t, int64(2), r.total(func(l *lane) int64 { return l.acked[1] }))
	assert.Equal(t, int64(1), r.total(func(l *lane) int64 { return l.acked[2] }))
	assert.Equal(t, int64(1), r.total(func(l *lane) int64 { return l.backlogged }))
	late := r.merged(func(l *lane) *hdrhistogram.Histogram { return l.late })
	assert.Equal(t, int64(1), late.TotalCount(), "the warm-up's is not counted")
	second, spare := newSecond(), newSecond()
	r.takeSecond(&second, &spare)
	assert.Equal(t, int64(3), second.puts)
	assert.Equal(t, int64(2), second.late.TotalCount())
	r.takeSecond(&second, &spare)
	assert.Zero(t, second.puts, "a second is taken once")
	assert.Zero(t, second.late.TotalCount())
}

func TestLatencyTooLongIsCounted(t *testing.T) {
	l := &lane{}
	var h *hdrhistogram.Histogram
	l.record(&h, 2*time.Hour, 3)
	assert.Equal(t, int64(3), l.outOfRange)
	assert.Zero(t, h.TotalCount())
}

func TestAnswers(t *testing.T) {
	a := newAnswers()
	_, _, j := a.get(5)
	assert.Equal(t, notYet, j)
	a.put(5, 10, 20)
	due, acked, j := a.get(5)
	assert.Equal(t, []int64{10, 20}, []int64{due, acked})
	assert.Equal(t, found, j)
	a.put(5+answerSlots, 30, 40)
	_, _, j = a.get(5)
	assert.Equal(t, forgotten, j)
}

// The same seed gives the same keys and values, another one others.
func TestWorkload(t *testing.T) {
	sc := Scenario{Keys: 100, ValueBytes: 32}
	one, same, other := newWorkload(7, sc, defaultPrefix, false), newWorkload(7, sc, defaultPrefix, false), newWorkload(8, sc, defaultPrefix, false)
	differ := 0
	seen := map[string]bool{}
	for n := range int64(2000) {
		require.Equal(t, one.key(n), same.key(n))
		require.Equal(t, one.appendValue(nil, n, 42), same.appendValue(nil, n, 42))
		if !bytes.Equal(one.key(n), other.key(n)) {
			differ++
		}
		seen[string(one.key(n))] = true
	}
	assert.Greater(t, differ, 1900)
	assert.Len(t, seen, 100, "every key is put")
	for _, key := range one.keys {
		assert.Len(t, key, keyBytes)
	}

	due, ok := stamp(one.appendValue(nil, 1, 42))
	assert.True(t, ok)
	assert.Equal(t, int64(42), due)
	tiny := newWorkload(7, Scenario{Keys: 1, ValueBytes: 7}, defaultPrefix, false)
	_, ok = stamp(tiny.appendValue(nil, 1, 42))
	assert.False(t, ok, "no room for the time")
}

// Ranges cover every key once, a prefix covers all.
func TestWatchRanges(t *testing.T) {
	w := newWorkload(7, Scenario{Keys: 10}, defaultPrefix, false)
	covered := 0
	for i := range 4 {
		lo, hi := w.watchRange(Ranges, i, 4)
		for _, key := range w.keys {
			if bytes.Compare(key, lo) >= 0 && bytes.Compare(key, hi) < 0 {
				covered++
			}
		}
	}
	assert.Equal(t, 10, covered)
	lo, hi := w.watchRange(Prefix, 0, 4)
	for _, key := range w.keys {
		assert.True(t, bytes.Compare(key, lo) >= 0 && bytes.Compare(key, hi) < 0)
	}
	key, end := w.watchRange(OneKey, 13, 20)
	assert.Equal(t, w.keys[3], key)
	assert.Nil(t, end)
}

func TestGrowth(t *testing.T) {
	grew, ok := growth([]int64{900, 10, 10, 10, -1, 10, 15, 15, 15, 15}, 1)
	assert.True(t, ok)
	assert.InDelta(t, .5, grew, .001)
	_, ok = growth([]int64{1, 2, 3}, 0)
	assert.False(t, ok, "too few to say")
}

func TestMeasureFsync(t *testing.T) {
	dir := t.TempDir()
	f, err := MeasureFsync(dir)
	require.NoError(t, err)
	assert.Greater(t, f.Samples, 0)
	assert.LessOrEqual(t, f.P50, f.P99)
	n, err := diskBytes(dir)
	require.NoError(t, err)
	assert.Zero(t, n, "the file is removed")
	_, err = MeasureFsync(dir + "/none")
	assert.Error(t, err)
}
