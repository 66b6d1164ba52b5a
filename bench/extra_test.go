package bench_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

func one(sc bench.Scenario) bench.Plan {
	return bench.Plan{Seed: 7, Count: 1, Scenarios: []bench.Scenario{sc}}
}

func inMemory() bench.Kind {
	return bench.Embedded{Driver: mem.Driver(), Durability: mvcc.Relaxed(20 * time.Millisecond)}
}

var fanOut = bench.Scenario{
	Name: bench.FanOut, Shape: bench.Prefix, Watchers: 30, Streams: 4, FullSpeed: true, Writers: 1, Keys: 20,
	ValueBytes: 32, Duration: 20 * time.Millisecond, Puts: 50,
}

// What a plan made by hand can ask for beyond the scenarios with a name.
func TestScenariosMadeByHand(t *testing.T) {
	for _, sc := range []bench.Scenario{
		fanOut,
		{Name: bench.Register, Shape: bench.OneKey, Watchers: 200, Streams: 3, Keys: 200, ValueBytes: 32},
		{Name: bench.Register, Shape: bench.Ranges, Watchers: 200, Streams: 3, Keys: 200, ValueBytes: 32},
		{Name: bench.Reopen, Shape: bench.OneKey, Keys: 20, ValueBytes: 32, History: 100, Opens: 2},
		{Name: bench.Notify, Shape: bench.OneKey, FullSpeed: true, Writers: 1, Keys: 20, ValueBytes: 32, Duration: 100 * time.Millisecond},
	} {
		t.Run(sc.Title(), func(t *testing.T) {
			kind := bench.Embedded{Driver: bolt.Driver(), Durability: mvcc.Relaxed(20 * time.Millisecond)}
			res, err := bench.Measure(t.Context(), one(sc), bench.Options{Kind: kind, Dir: t.TempDir(), NoProbes: true})
			require.NoError(t, err)
			require.Nil(t, res.Broken)
			require.Len(t, res.Runs, 1)
			m := res.Runs[0].Metrics
			for name := range m {
				assert.Contains(t, bench.MetricNames(), name, "every metric is explained")
			}
			switch sc.Name {
			case bench.FanOut:
				assert.Equal(t, float64(sc.Puts)*float64(sc.Watchers), m["fanout.events"])
				assert.Equal(t, 1.0, m["done_ratio"])
				assert.Greater(t, m["alone.put.p50_ns"], 0.0)
			case bench.Register:
				assert.Greater(t, m["register.watch_ns"], 0.0)
			case bench.Reopen:
				assert.Greater(t, m["open.median_ns"], 0.0)
				assert.Equal(t, 20.0, m["open.keys"])
			case bench.Notify:
				assert.Greater(t, m["put.rate_per_s"], 0.0)
				assert.Zero(t, m["notify.events_per_s"], "nobody watches")
			}
		})
	}
}

// A store that a run with Keep left serves later runs as their history, and
// they are checked as if they had written it.
func TestPreparedHistory(t *testing.T) {
	kind := bench.Embedded{Driver: bolt.Driver(), Durability: mvcc.Sync()}
	dir := t.TempDir()
	fill := bench.Scenario{Name: bench.Reopen, Shape: bench.OneKey, Keys: 30, ValueBytes: 32, History: 500}
	read := bench.Scenario{Name: bench.CatchUp, Shape: bench.OneKey, Watchers: 40, Streams: 4, Keys: 30, ValueBytes: 32, History: 500}
	_, err := bench.Measure(t.Context(), one(fill), bench.Options{Kind: kind, Dir: dir, Folder: "data", Keep: true})
	require.NoError(t, err)
	for range 2 {
		res, err := bench.Measure(t.Context(), one(read), bench.Options{Kind: kind, Dir: dir, Folder: "data", Keep: true, Prepared: true})
		require.NoError(t, err)
		require.Nil(t, res.Broken)
		assert.Equal(t, 1.0, res.Runs[0].Metrics["done_ratio"])
	}
	read.History++
	_, err = bench.Measure(t.Context(), one(read), bench.Options{Kind: kind, Dir: dir, Folder: "data", Keep: true, Prepared: true})
	assert.ErrorContains(t, err, "not prepared with 501 revisions")
}

func TestLongestCutsAndKeepsWhatItHas(t *testing.T) {
	sc := bench.Scenario{
		Name: bench.Notify, Shape: bench.Prefix, Watchers: 3, Streams: 1, RatePerS: 200, Writers: 2, Keys: 5, ValueBytes: 32, Duration: time.Hour,
	}
	res, err := bench.Measure(t.Context(), one(sc), bench.Options{Kind: inMemory(), Dir: t.TempDir(), Longest: 300 * time.Millisecond})
	require.NoError(t, err)
	require.NotNil(t, res.CutShort)
	assert.False(t, res.CutShort.GivenUp)
	require.Len(t, res.Runs, 1)
	assert.Greater(t, res.Runs[0].Metrics["notify.p50_ns"], 0.0)
	assert.Less(t, res.Runs[0].Metrics["done_ratio"], 0.01)
}

// A run without the checker says so wherever its figures go.
func TestUncheckedSaysSo(t *testing.T) {
	lose := func(rs []watch.Response) []watch.Response {
		for i := range rs {
			if n := len(rs[i].Events); n > 1 {
				rs[i].Events = rs[i].Events[:n-1]
			}
		}
		return rs
	}
	for _, o := range []bench.Options{{Unchecked: true}, {Unread: true}} {
		o.Kind, o.Dir = &fakeKind{spoil: lose}, t.TempDir()
		res, err := bench.Measure(t.Context(), small(t, bench.CatchUp), o)
		require.NoError(t, err, "nobody looks, so nobody finds the loss")
		assert.True(t, res.Unchecked)
		assert.Empty(t, res.Runs[0].Promises)
		assert.Greater(t, res.Runs[0].Metrics["catchup.events"], 0.0)
		var text bytes.Buffer
		require.NoError(t, bench.Report(&text, res, bench.ReportOptions{}))
		assert.Contains(t, text.String(), "NOT CHECKED")
		assert.NotContains(t, text.String(), "kept")
	}
}

// A target that stands still when its scenario is cut is given up: the put it
// did not answer counts with the time it waited.
func TestCutTargetThatDoesNotAnswer(t *testing.T) {
	release := make(chan struct{})
	kind := &stuckKind{Kind: inMemory(), from: 20, release: release, answered: make(chan struct{}, 2)}
	sc := bench.Scenario{
		Name: bench.Notify, Shape: bench.Prefix, Watchers: 3, Streams: 1, RatePerS: 100, Writers: 2, Keys: 5, ValueBytes: 32, Duration: time.Hour,
	}
	res, err := bench.Measure(t.Context(), one(sc), bench.Options{Kind: kind, Dir: t.TempDir(), Longest: 500 * time.Millisecond, NoProbes: true})
	require.NoError(t, err)
	require.NotNil(t, res.CutShort)
	assert.True(t, res.CutShort.GivenUp)
	require.Len(t, res.Runs, 1)
	assert.Greater(t, res.Runs[0].Metrics["put.max_ns"], 1e9, "it waited through the grace")
	close(release)
	for range sc.Writers {
		<-kind.answered
	}
	require.NoError(t, kind.target.Close())
}

// stuckKind opens a store whose puts, from one of them on, are not answered
// until they are released.
type stuckKind struct {
	bench.Kind
	from    int64
	release chan struct{}

	target   bench.Target
	n        atomic.Int64
	answered chan struct{} // one for each put that was released; of capacity for all
}

func (k *stuckKind) Open(dir string) (bench.Target, error) {
	target, err := k.Kind.Open(dir)
	k.target = target
	return stuckTarget{target, k}, err
}

type stuckTarget struct {
	bench.Target
	kind *stuckKind
}

func (s stuckTarget) Put(ctx context.Context, key, value []byte) (int64, error) {
	if s.kind.n.Add(1) > s.kind.from {
		<-s.kind.release
		defer func() { s.kind.answered <- struct{}{} }()
	}
	return s.Target.Put(ctx, key, value)
}

// What is replayed while the last puts are waited for is of no phase, and so
// in no rate.
func TestReplayedAfterThePhaseIsNotInItsRate(t *testing.T) {
	const part = 200 * time.Millisecond
	kind := &lateKind{Kind: inMemory(), from: 20, wait: 4 * part}
	sc := bench.Scenario{
		Name: bench.Interference, Shape: bench.Prefix, Watchers: 2, Streams: 1, Bystanders: 2, RatePerS: 200, Writers: 2, Keys: 20, ValueBytes: 32,
		History: 200, Duration: 2 * part,
	}
	res, err := bench.Measure(t.Context(), one(sc), bench.Options{Kind: kind, Dir: t.TempDir(), NoProbes: true})
	require.NoError(t, err)
	require.Nil(t, res.Broken)
	m := res.Runs[0].Metrics
	require.Contains(t, m, "replay.events_per_s")
	assert.Less(t, m["replay.events_per_s"]*part.Seconds(), 0.9*m["replay.passes"]*float64(sc.History)*float64(sc.Watchers))
}

// lateKind opens a store that is late with its answers from one put on.
type lateKind struct {
	bench.Kind
	from int64
	wait time.Duration
}

func (k *lateKind) Open(dir string) (bench.Target, error) {
	target, err := k.Kind.Open(dir)
	if err != nil {
		return nil, err
	}
	return &lateTarget{Target: target, Filler: target.(bench.Filler), kind: k}, nil
}

type lateTarget struct {
	bench.Target
	bench.Filler
	kind *lateKind
	n    atomic.Int64
}

func (l *lateTarget) Put(ctx context.Context, key, value []byte) (int64, error) {
	if l.n.Add(1) > l.kind.from {
		<-time.After(l.kind.wait) // a slow answer
	}
	return l.Target.Put(ctx, key, value)
}
