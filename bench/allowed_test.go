package bench_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/watch"
)

// A promise that may break is named, and the figures stand.
func TestAllowedBreak(t *testing.T) {
	plan := small(t, bench.Notify)
	plan.Scenarios = plan.Scenarios[1:2] // the prefix: many events a watch
	var seen atomic.Int64
	kind := &fakeKind{spoil: func(rs []watch.Response) []watch.Response {
		for i := range rs {
			if len(rs[i].Events) > 0 && seen.Add(1) == 20 {
				return append(rs[:i:i], rs[i+1:]...)
			}
		}
		return rs
	}}
	res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: kind, Dir: t.TempDir(), Allowed: []string{"G3"}})
	require.NoError(t, err)
	require.Nil(t, res.Broken)
	assert.True(t, res.Complete)
	require.Len(t, res.Runs, 1)
	require.Len(t, res.Runs[0].Allowed, 1)
	a := res.Runs[0].Allowed[0]
	assert.Equal(t, "G3", a.Rule)
	assert.Equal(t, int64(1), a.Watches)
	assert.NotEmpty(t, a.Record)
	assert.Contains(t, res.Runs[0].Metrics, "notify.p99_ns")
	for _, p := range res.Runs[0].Promises {
		assert.Equal(t, p.Rule == "G3", p.Verdict == "broken", p.Rule)
	}
	var out bytes.Buffer
	require.NoError(t, bench.Report(&out, res, bench.ReportOptions{}))
	assert.Contains(t, out.String(), "all promises kept but G3")
	assert.Contains(t, out.String(), "  BROKEN       G3 reliable, allowed:")
	assert.Equal(t, 1, strings.Count(out.String(), "BROKEN"), "said once")

	doubts := bench.Doubts(plan.Scenarios[0], res.Runs[0])
	require.NotEmpty(t, doubts)
	assert.True(t, doubts[0].OfAllowed())
	assert.Contains(t, doubts[0].Text, "BROKEN G3 reliable, allowed: ")
	assert.Contains(t, doubts[0].Text, "; 1 watch")

	res.Complete, res.CutShort = false, &bench.CutShort{NotRun: []string{"slow"}}
	out.Reset()
	require.NoError(t, bench.Report(&out, res, bench.ReportOptions{Verbose: true}))
	assert.Contains(t, out.String(), "promises kept until then but G3")
	assert.Regexp(t, `(?m)^  G3 +reliable +etcd +broken `, out.String())
}

// A put that is not answered, or refused, ends nothing: it is counted, and
// said.
func TestPutsThatFail(t *testing.T) {
	for _, c := range []struct {
		err          error
		metric, said string
	}{
		{bench.ErrUnanswered, "put.unanswered", "were not answered"},
		{bench.ErrRefused, "put.refused", "the target refused"},
	} {
		plan := small(t, bench.Notify)
		plan.Scenarios = plan.Scenarios[:1]
		kind := &fakeKind{putErr: map[int64]error{20: fmt.Errorf("fake: put %w", c.err)}} // and all after it
		res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: kind, Dir: t.TempDir()})
		require.NoError(t, err)
		assert.True(t, res.Complete)
		assert.Positive(t, res.Runs[0].Metrics[c.metric])
		var out bytes.Buffer
		require.NoError(t, bench.Report(&out, res, bench.ReportOptions{}))
		assert.Contains(t, out.String(), c.said)
	}
}
