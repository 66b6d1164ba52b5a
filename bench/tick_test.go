package bench_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// ticks measures a plan until enough of them came.
func ticks(t *testing.T, kind bench.Kind, plan bench.Plan, until func(bench.Tick) bool) []bench.Tick {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var all []bench.Tick
	_, err := bench.Measure(ctx, plan, bench.Options{Kind: kind, Dir: t.TempDir(), Observe: func(tick bench.Tick) {
		all = append(all, tick)
		if until(tick) {
			stop()
		}
	}})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func TestTicksOfAStall(t *testing.T) {
	plan := small(t, bench.Slow)
	sc := &plan.Scenarios[0]
	sc.Duration, sc.Stall, sc.Keys = time.Hour, time.Hour-time.Second, 400
	sc.Watchers, sc.Streams, sc.StalledStreams = 400, 2, 1 // an outbox holds the events of 128 watches
	plan.Count = 2
	stalled := func(tick bench.Tick) bool { return tick.Victims > 0 && tick.Second && tick.VictimBehind > 0 }
	all := ticks(t, bench.Embedded{Driver: mem.Driver(), Durability: mvcc.Sync()}, plan, stalled)
	last := all[len(all)-1]
	require.True(t, stalled(last), "%+v", last)
	assert.Equal(t, "slow", last.Scenario)
	assert.Equal(t, 0, last.Planned)
	assert.Equal(t, 1, last.Repetition)
	assert.Equal(t, "1 of 2 streams stalled", last.Stage)
	assert.Equal(t, time.Hour+sc.Warmup, last.Length)
	assert.Equal(t, 403, last.Synced+last.Unsynced+last.Victims, "with the probes")
	assert.GreaterOrEqual(t, last.VictimsSoFar, int64(last.Victims))
	assert.Positive(t, last.Checked)
	assert.Positive(t, last.MemoryBytes)
	assert.Positive(t, last.Puts)
	assert.InDelta(t, 500, last.Intended, 0)
	assert.Zero(t, last.Errors)
	for i, tick := range all {
		assert.Equal(t, i%2 == 1, tick.Second, "every other one ends a second")
	}
}

// pausing stops in the middle of its filling, and its streams before their
// first events, until somebody has seen it.
type pausing struct {
	bench.Kind
	filling, reading chan struct{} // closed when it was seen
}

type pausingTarget struct {
	bench.Target
	bench.Inspector
	kind pausing
}

type pausingStream struct {
	bench.Stream
	reading chan struct{}
}

func (k pausing) Open(dir string) (bench.Target, error) {
	target, err := k.Kind.Open(dir)
	if err != nil {
		return nil, err
	}
	return pausingTarget{target, target.(bench.Inspector), k}, nil
}

func (t pausingTarget) Fill(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(int64, []byte, []byte)) error {
	return t.Target.(bench.Filler).Fill(ctx, n, next, func(rev int64, key, value []byte) {
		wrote(rev, key, value)
		if rev == n/2 {
			<-t.kind.filling
		}
	})
}

func (t pausingTarget) NewStream(name string) (bench.Stream, error) {
	stream, err := t.Target.NewStream(name)
	return pausingStream{stream, t.kind.reading}, err
}

func (s pausingStream) Recv(ctx context.Context) ([]watch.Response, error) {
	responses, err := s.Stream.Recv(ctx)
	for _, r := range responses {
		if len(r.Events) > 0 {
			<-s.reading
		}
	}
	return responses, err
}

func TestTicksOfCatchUp(t *testing.T) {
	plan := small(t, bench.CatchUp)
	plan.Scenarios = plan.Scenarios[:1]
	plan.Scenarios[0].History, plan.Scenarios[0].ValueBytes = 20_000, 1024 // an outbox holds 1 MiB
	kind := pausing{bench.Embedded{Driver: mem.Driver(), Durability: mvcc.Sync()}, make(chan struct{}), make(chan struct{})}
	filling, reading := sync.OnceFunc(func() { close(kind.filling) }), sync.OnceFunc(func() { close(kind.reading) })
	all := ticks(t, kind, plan, func(tick bench.Tick) bool {
		filling()
		if tick.Stage == "" {
			reading()
		}
		return tick.Stage == ""
	})
	assert.Equal(t, "writing history", all[0].Stage)
	assert.Equal(t, -1, all[0].Synced, "nobody looks into a store that is being filled")
	assert.Positive(t, all[0].Done)
	assert.LessOrEqual(t, all[0].Done, 0.51)
	last := all[len(all)-1]
	require.Empty(t, last.Stage)
	assert.GreaterOrEqual(t, last.Done, 0.0)
	assert.Less(t, last.Done, 1.0)
	assert.Zero(t, last.Length, "until all are synced")
	assert.Positive(t, last.CatchUp[0]+last.CatchUp[1]+last.CatchUp[2])
	assert.Equal(t, 20, last.Unsynced+last.Victims)
	assert.Greater(t, max(last.UnsyncedBehind, last.VictimBehind), int64(10_000))
}

// What a server does not show is -1, never 0.
func TestTicksOfAServer(t *testing.T) {
	plan := small(t, bench.Notify)
	plan.Scenarios = plan.Scenarios[:1]
	plan.Scenarios[0].Duration = time.Hour
	last := ticks(t, &fakeKind{}, plan, func(tick bench.Tick) bool { return tick.P99 > 0 })
	tick := last[len(last)-1]
	assert.Equal(t, -1, tick.Synced)
	assert.Equal(t, -1, tick.Unsynced)
	assert.Equal(t, -1, tick.Victims)
	assert.Equal(t, int64(-1), tick.VictimsSoFar)
	assert.Equal(t, int64(-1), tick.VictimBehind)
	assert.Equal(t, int64(-1), tick.OutboxBytes)
	assert.InDelta(t, -1, tick.Live, 0)
	assert.Equal(t, [3]float64{-1, -1, -1}, tick.CatchUp)
	assert.Positive(t, tick.Events)
	assert.Positive(t, tick.P50)
	assert.GreaterOrEqual(t, tick.Max, tick.P99)
}
