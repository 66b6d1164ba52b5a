package etcdmvcc_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/watch"

	"github.com/watchkv/watchkv/peers/etcdmvcc"
)

// etcd's own store keeps etcd's guarantees in every scenario, and the checker
// looks at what it delivers.
func TestKeepsWhatEtcdPromises(t *testing.T) {
	base := bench.Scenario{Watchers: 20, Streams: 4, Keys: 40, ValueBytes: 64, Writers: 4, RatePerS: 500, Warmup: 50 * time.Millisecond, Duration: 600 * time.Millisecond}
	for _, c := range []struct {
		name  string
		shape bench.Shape
		set   func(*bench.Scenario)
	}{
		{bench.Notify, bench.Prefix, func(*bench.Scenario) {}},
		{bench.Notify, bench.OneKey, func(sc *bench.Scenario) { sc.RatePerS, sc.FullSpeed, sc.Duration = 0, true, 200*time.Millisecond }},
		{bench.CatchUp, bench.Prefix, func(sc *bench.Scenario) { sc.History = 1500 }},
		{bench.CatchUp, bench.OneKey, func(sc *bench.Scenario) { sc.History = 1500 }},
		{bench.CatchUp, bench.Ranges, func(sc *bench.Scenario) { sc.History = 1500 }},
		{bench.Slow, bench.OneKey, func(sc *bench.Scenario) { sc.StalledStreams, sc.Stall = 1, 200*time.Millisecond }},
		{bench.Interference, bench.Prefix, func(sc *bench.Scenario) { sc.History, sc.Bystanders = 300, 10 }},
		{bench.Storm, bench.OneKey, func(sc *bench.Scenario) { sc.History, sc.Bystanders, sc.Duration = 1500, 5, 400*time.Millisecond }},
		{bench.Churn, bench.OneKey, func(sc *bench.Scenario) { sc.ChurnPerS, sc.Visitors = 200, 10 }},
		{bench.Compaction, bench.OneKey, func(sc *bench.Scenario) {
			// few enough for etcd, whose channel holds 128 responses of 1,000 events
			sc.History, sc.Behind, sc.Cuts, sc.Duration = 3000, 200, 2, 900*time.Millisecond
		}},
		{bench.Mixed, bench.Prefix, func(sc *bench.Scenario) { sc.Keys, sc.History, sc.Watchers = 100, 100, 10 }},
		{bench.FanOut, bench.Prefix, func(sc *bench.Scenario) {
			// more watches on a stream than its channel holds responses
			sc.Watchers, sc.RatePerS, sc.FullSpeed, sc.Puts, sc.Duration = 1200, 0, true, 30, 50*time.Millisecond
		}},
		{bench.Register, bench.OneKey, func(sc *bench.Scenario) { sc.Watchers, sc.Keys = 500, 500 }},
		{bench.Reopen, bench.OneKey, func(sc *bench.Scenario) { sc.History, sc.Opens = 200, 2 }},
	} {
		sc := base
		sc.Name, sc.Shape = c.name, c.shape
		c.set(&sc)
		t.Run(sc.Title(), func(t *testing.T) {
			plan := bench.Plan{Seed: 3, Count: 1, Scenarios: []bench.Scenario{sc}}
			res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: etcdmvcc.Kind{}, Dir: t.TempDir(), NoProbes: true})
			require.NoError(t, err)
			require.Nil(t, res.Broken)
			assert.True(t, res.Complete)
			assert.Equal(t, 128, res.Target.OutboxResponses)
			if sc.Name == bench.Register || sc.Name == bench.Reopen {
				return // the checker is not in these
			}
			verdicts := map[string]bench.Promise{}
			for _, p := range res.Runs[0].Promises {
				verdicts[p.Rule] = p
			}
			assert.Equal(t, "kept", verdicts["G3"].Verdict)
			assert.Greater(t, verdicts["G9"].Checked, int64(0))
			assert.Equal(t, "not promised", verdicts["N7"].Verdict)
		})
	}
}

// A commit for each put is durable before the answer, the other kind later.
func TestCommitEach(t *testing.T) {
	assert.Equal(t, "relaxed:100ms", etcdmvcc.Kind{}.Facts().Durability)
	target, err := etcdmvcc.Kind{CommitEach: true}.Open(t.TempDir())
	require.NoError(t, err)
	defer func() { assert.NoError(t, target.Close()) }()
	rev, err := target.Put(t.Context(), []byte("k"), []byte("v"))
	require.NoError(t, err)
	assert.Equal(t, int64(2), rev)
}

// Keys and values are the caller's again when Put returns.
func TestPutCopies(t *testing.T) {
	target, err := etcdmvcc.Kind{}.Open(t.TempDir())
	require.NoError(t, err)
	defer func() { assert.NoError(t, target.Close()) }()
	stream, err := target.NewStream("s")
	require.NoError(t, err)
	_, err = stream.Watch(watch.Request{ID: 1, Key: []byte("k")})
	require.NoError(t, err)
	key, value := []byte("k"), []byte("value")
	_, err = target.Put(t.Context(), key, value)
	require.NoError(t, err)
	copy(key, "x")
	copy(value, "xxxxx")
	var got []watch.Response
	for len(got) < 2 {
		responses, err := stream.Recv(t.Context())
		require.NoError(t, err)
		got = append(got, responses...)
	}
	assert.True(t, got[0].Created, "before any event")
	assert.Equal(t, "k", string(got[1].Events[0].KV.Key))
	assert.Equal(t, "value", string(got[1].Events[0].KV.Value))
	require.NoError(t, stream.Close())
	_, err = stream.Recv(context.Background())
	assert.Error(t, err)
}

// What scenarios need beyond puts and watches is there, as etcd's server has it.
func TestAbilities(t *testing.T) {
	target, err := etcdmvcc.Kind{}.Open(t.TempDir())
	require.NoError(t, err)
	defer func() { assert.NoError(t, target.Close()) }()
	for _, key := range []string{"a", "b", "c"} {
		_, err := target.Put(t.Context(), []byte(key), []byte("12"))
		require.NoError(t, err)
	}
	keys, bytes, err := target.(bench.Reader).Read(t.Context(), []byte("a"), []byte{0}, 2)
	require.NoError(t, err)
	assert.Equal(t, []int64{2, 6}, []int64{keys, bytes})
	keys, _, err = target.(bench.Reader).Read(t.Context(), []byte("b"), nil, 0)
	require.NoError(t, err)
	assert.Equal(t, int64(1), keys)

	rev, err := target.(bench.Deleter).Delete(t.Context(), []byte("b"))
	require.NoError(t, err)
	assert.Equal(t, int64(5), rev)
	rev, err = target.(bench.Deleter).Delete(t.Context(), []byte("b"))
	require.NoError(t, err)
	assert.Zero(t, rev, "nothing was there")

	require.NoError(t, target.(bench.Compactor).Compact(t.Context(), 4))
	stream, err := target.NewStream("s")
	require.NoError(t, err)
	for id, from := range []int64{0, 3, 0} {
		_, err = stream.Watch(watch.Request{ID: int64(id), Key: []byte("a"), StartRevision: from})
		require.NoError(t, err)
	}
	require.NoError(t, stream.(bench.Canceler).Cancel(2))
	assert.Error(t, stream.(bench.Canceler).Cancel(2))
	_, err = target.Put(t.Context(), []byte("a"), []byte("34"))
	require.NoError(t, err)
	got := map[int64][]watch.Response{}
	for len(got[0]) < 2 || len(got[1]) < 2 {
		responses, err := stream.Recv(t.Context())
		require.NoError(t, err)
		for _, r := range responses {
			got[r.WatchID] = append(got[r.WatchID], r)
		}
	}
	assert.Equal(t, int64(4), got[1][1].CompactRevision)
	require.Len(t, got[2], 2, "created and cancelled, and no event after it")
	assert.True(t, got[2][1].Canceled)
	require.NoError(t, stream.Close())
}
