package metamorphic_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/internal/metamorphic"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

var (
	opsFlag    = flag.Int("metamorphic.ops", 500, "operations in a list")
	seedFlag   = flag.Uint64("metamorphic.seed", 1, "the first seed")
	seedsFlag  = flag.Uint64("metamorphic.seeds", 2, "how many seeds")
	replayFlag = flag.String("metamorphic.replay", "", "a list as text to run instead of one from a seed")
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// Badger's logging of its own, started once for the process.
		goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"),
	)
}

// variants pairs every engine with both durabilities, and with memories and
// outboxes from tiny to plenty.
func variants() map[string]metamorphic.Variant {
	out := map[string]metamorphic.Variant{}
	hubs := []watch.Config{
		{Shards: 1, OutboxResponses: 2, OutboxBytes: 600, MaxResponseBytes: 200, ProgressInterval: 100 * time.Millisecond},
		{Shards: 3, OutboxResponses: 5, OutboxBytes: 4000, MaxResponseBytes: 1000},
		{Shards: 2},
	}
	recent := []int64{1, 1500, 0}
	for i, d := range engines.All() {
		for j, durability := range []mvcc.Durability{mvcc.Sync(), mvcc.Relaxed(20 * time.Millisecond)} {
			name := fmt.Sprintf("%s/%s", d.Name, []string{"sync", "relaxed"}[j])
			out[name] = metamorphic.Variant{
				Driver: d,
				Store:  mvcc.Config{Durability: durability, RecentBytes: recent[(i+2*j)%len(recent)]},
				Hub:    hubs[(i+j)%len(hubs)],
			}
		}
	}
	return out
}

// G1 to G9, C7 to C12, X1, X5, E1 to E6, P1, P2, F1, N2, N3, N5 to N7, V1 to
// V6, R2: whatever happens in whatever order, on every engine.
func TestRun_EqualHistories(t *testing.T) {
	for seed := *seedFlag; seed < *seedFlag+*seedsFlag; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			ops := metamorphic.Generate(seed, *opsFlag)
			if *replayFlag != "" {
				text, err := os.ReadFile(*replayFlag)
				require.NoError(t, err)
				ops, err = metamorphic.Parse(text)
				require.NoError(t, err)
			}
			var first metamorphic.Outcome
			firstName := ""
			var counts watchtest.Counts
			for name, v := range variants() {
				t.Run(name, func(t *testing.T) {
					out, err := metamorphic.Run(ops, v, t.TempDir())
					explain(t, seed, err)
					require.NoError(t, err)
					if firstName == "" {
						first, firstName = out, name
					}
					require.Len(t, out.Answers, len(first.Answers), "as many as on %s", firstName)
					for i := range out.Answers {
						require.Equal(t, first.Answers[i], out.Answers[i], "answer %d on %s, and here", i, firstName)
					}
					counts.Add(out.Counts)
					t.Logf("revision %d, %d events compared, %d victims, catch-up %v", out.Rev, out.Counts.Matched, out.Hub.VictimsEver, out.Hub.CatchUp)
				})
			}
			for _, v := range watchtest.Promises(watchtest.Verdicts(counts)) {
				t.Logf("%-12s %-11s %d", v.Name, v.Outcome, v.Checked)
			}
			assert.Zero(t, counts.Unmatched, "every event is compared")
		})
	}
}

// explain prints how to see a failure again, with only what it needed.
func explain(t *testing.T, seed uint64, err error) {
	if err == nil {
		return
	}
	var b *watchtest.Broken
	if errors.As(err, &b) {
		for _, line := range b.Record {
			t.Log("  ", line)
		}
	}
	n := *opsFlag
	var f *metamorphic.Failure
	if errors.As(err, &f) {
		n = f.Index + 1
	}
	t.Logf("again: go test ./internal/metamorphic -run '%s' -metamorphic.seed %d -metamorphic.seeds 1 -metamorphic.ops %d", t.Name(), seed, n)
}

// A list printed as text is the same list when read again.
func TestOps_Replay(t *testing.T) {
	ops := metamorphic.Generate(7, 2000)
	text := metamorphic.Format(ops)
	again, err := metamorphic.Parse(text)
	require.NoError(t, err)
	assert.Equal(t, string(text), string(metamorphic.Format(again)))
	assert.Equal(t, metamorphic.Format(ops[:100]), metamorphic.Format(metamorphic.Generate(7, 100)), "a longer list begins with the shorter")
	_, err = metamorphic.Parse([]byte("# a remark\n\n{\"do\":\"settle\"}\nput a b"))
	assert.ErrorContains(t, err, "line 4")
}

// FuzzRun lets the fuzzer choose lists; in memory, where they are quick.
func FuzzRun(f *testing.F) {
	f.Add(uint64(1), uint8(200))
	f.Add(uint64(42), uint8(60))
	all := variants()
	f.Fuzz(func(t *testing.T, seed uint64, n uint8) {
		_, err := metamorphic.Run(metamorphic.Generate(seed, int(n)), all[[]string{"mem/sync", "mem/relaxed"}[seed%2]], t.TempDir())
		explain(t, seed, err)
		require.NoError(t, err)
	})
}

// FuzzParse: any text is a list or an error.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"do":"put","key":"a","value":"b"}`))
	f.Add(metamorphic.Format(metamorphic.Generate(3, 20)))
	f.Fuzz(func(t *testing.T, text []byte) {
		ops, err := metamorphic.Parse(text)
		if err != nil {
			return
		}
		again, err := metamorphic.Parse(metamorphic.Format(ops))
		require.NoError(t, err)
		assert.Equal(t, string(metamorphic.Format(ops)), string(metamorphic.Format(again)))
	})
}
