package target_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/peers/etcd"
)

// Every scenario that makes sense from outside, while somebody else writes to
// the same server: all promises kept, every event compared, nothing left, and
// nothing of others touched.
func TestRun_EveryScenarioBesideANeighbour(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	mine, err := server.Client.Put(t.Context(), "registry/mine", "untouched")
	require.NoError(t, err)
	over := make(chan struct{})
	neighbour := make(chan int)
	go func() {
		n := 0
		defer func() { neighbour <- n }()
		for {
			select {
			case <-over:
				return
			default:
			}
			if _, err := server.Client.Put(t.Context(), fmt.Sprintf("registry/noise-%d", n%10), "x"); err != nil {
				return
			}
			n++
		}
	}()
	file := filepath.Join(t.TempDir(), "out.json")
	r := watchbench(t, nil, slices.Concat([]string{
		"run", "--target", "etcd://" + server.Endpoint(), "-s", "notify,catchup,slow,interference,storm,churn,compaction,mixed",
		"-d", "900ms", "--warmup", "0s", "--history", "300", "--json", file, "--allow-compaction",
		// etcd reads the revision of Created after it made the watch, so that a
		// put between the two comes at or below it: seldom, and by now known.
		"--allow-broken", "C7", "--server-metrics", server.Client.Endpoints()[0] + "/metrics",
	}, small)...)
	close(over)
	require.Equal(t, 0, r.code, r)
	require.Positive(t, <-neighbour)
	assert.Regexp(t, "all promises kept( but C7)?\n", r.out)
	assert.Contains(t, r.errOut, "writes   at most about", r)
	res := resultOf(t, file)
	assert.True(t, res.Complete)
	assert.Equal(t, "etcd 3.7.3", res.Target.Name())
	// Watches that end in the middle may leave a few events uncompared.
	assert.Positive(t, checked(res, "G3"))
	assert.Greater(t, float64(checked(res, "G3")), 0.9*float64(checked(res, "G1")))
	for _, run := range res.Runs {
		if name, _, _ := strings.Cut(run.Scenario, "/"); name == bench.Notify || name == bench.CatchUp || name == bench.Slow {
			assert.Equal(t, checkedIn(run, "G1"), checkedIn(run, "G3"), "%s: every event was compared with what was written", run.Scenario)
		}
		for _, p := range run.Promises {
			if p.Rule != "C7" {
				assert.NotEqual(t, "broken", p.Verdict, "%s %s", run.Scenario, p.Rule)
			}
		}
		assert.NotContains(t, run.Metrics, "victims", run.Scenario)
		assert.Equal(t, "not visible from outside", run.NotMeasured["victims"], run.Scenario)
		assert.Positive(t, run.Metrics["server.memory_max_bytes"], run.Scenario)
	}
	assert.Zero(t, left(t, server.Client))
	got, err := server.Client.Get(t.Context(), "registry/mine")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.Equal(t, mine.Header.Revision, got.Kvs[0].ModRevision)
	noise, err := server.Client.Get(t.Context(), "registry/noise-", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	assert.Equal(t, int64(10), noise.Count)
}

// A plan asks for the status and does nothing else.
func TestPlan_WritesNothing(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	before, err := server.Client.Get(t.Context(), "x")
	require.NoError(t, err)
	r := watchbench(t, nil, "run", "--target", "etcd://"+server.Endpoint(), "--plan", "-s", "slow", "--allow-compaction")
	require.Equal(t, 0, r.code, r)
	assert.Contains(t, r.out, "only the server's status was asked for")
	assert.Contains(t, r.out, "deleted keys keep their space until compaction and defragmentation")
	assert.Contains(t, r.out, "of 2 GiB quota used")
	after, err := server.Client.Get(t.Context(), "x")
	require.NoError(t, err)
	assert.Equal(t, before.Header.Revision, after.Header.Revision)
	assert.Equal(t, before.Header.RaftTerm, after.Header.RaftTerm)
}

// No more than a tenth of the free quota, unless it is allowed, and no more
// than that.
func TestRun_Quota(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{QuotaBytes: 64 << 20})
	target := []string{"run", "--target", "etcd://" + server.Endpoint(), "--no-keep", "-q"}
	r := watchbench(t, nil, append(target, "-s", "catchup", "--history", "100k")...)
	require.Equal(t, 3, r.code, r)
	assert.Regexp(t, `^watchbench: would write \S+ MiB, over 10% of 64\.0 MiB free quota; allow by --allow-write \d+MiB$`, r.last())
	assert.Zero(t, left(t, server.Client))

	r = watchbench(t, nil, append(target, "-s", "notify", "--shape", "one-key", "-w", "20", "-r", "max", "--writers", "8", "-d", "30s", "--warmup", "0s", "--allow-write", "300KiB")...)
	require.Equal(t, 3, r.code, r)
	assert.Contains(t, r.last(), "all that may be written has been written")
	status, err := server.Client.Status(t.Context(), server.Client.Endpoints()[0])
	require.NoError(t, err)
	assert.Less(t, status.DbSizeInUse, int64(1<<20))
	assert.Zero(t, left(t, server.Client))
}

// What a run is said to write is about what it writes.
func TestRun_Estimate(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	file := filepath.Join(t.TempDir(), "out.json")
	r := watchbench(t, nil, "run", "--target", "etcd://"+server.Endpoint(), "--no-keep", "-s", "catchup", "--shape", "one-key",
		"--history", "20k", "-w", "10", "--keys", "1000", "--json", file)
	require.Equal(t, 0, r.code, r)
	status, err := server.Client.Status(t.Context(), server.Client.Endpoints()[0])
	require.NoError(t, err)
	grown := float64(status.DbSizeInUse)
	var said float64
	_, err = fmt.Sscanf(r.errOut[indexOf(t, r.errOut, "at most about ")+len("at most about "):], "%f MiB", &said)
	require.NoError(t, err, r)
	t.Logf("said %.1f MiB, used %.1f MiB", said, grown/(1<<20))
	assert.Less(t, grown, said*(1<<20)*1.05)
	assert.Greater(t, grown, said*(1<<20)/2)
	assert.IsType(t, &bench.Result{}, resultOf(t, file))
}
