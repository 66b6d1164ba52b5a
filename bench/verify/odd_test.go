package verify

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// What another probe compacts is not somebody else's doing; what others
// compact is.
func TestScene_StrangersCompacted(t *testing.T) {
	inner, err := Embedded(mem.Driver(), mvcc.Relaxed(time.Millisecond), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, inner.Close()) }()
	compact := func(s *scene) { s.compact(s.put("a", "1")) }
	var beside *scene
	r := &runner{subject: inner, facts: Facts{EtcdRules: true, Wire: true}, o: Options{Prefix: "p/"}, tally: newTally(), patience: time.Second}
	require.NoError(t, r.probe(t.Context(), &probe{name: "beside", run: func(s *scene) {
		beside = s
		s.put("a", "1")
		require.NoError(t, r.probe(t.Context(), &probe{name: "other", run: compact}, nil))
		s.broke("E7", "a break")
	}}, nil))
	assert.True(t, r.tally.isBroken("E7"))

	rev, err := inner.Put(t.Context(), []byte("q"), nil, 0)
	require.NoError(t, err)
	require.NoError(t, inner.Compact(t.Context(), rev))
	beside.broke("G3", "a break")
	assert.False(t, r.tally.isBroken("G3"))
	assert.ErrorIs(t, beside.failure(), errStrangers)
}

// A server that pauses and then answers again keeps its promise.
func TestRun_PausedAndBack(t *testing.T) {
	t.Parallel()
	report := spoiledReport(t, brokenCase{probe: "progress", wire: true, by: each(func(s *spoiledStream, r *Response) bool {
		return isAnswer(s, r) && bytes.Contains(s.requests[0].Key, []byte("quiet")) && s.noted("answer") < silentTries
	}, dropped)})
	i := slices.IndexFunc(report.Verdicts, func(v Verdict) bool { return v.Rule == "N6" })
	assert.Equal(t, Kept, report.Verdicts[i].Outcome, "%s %+v", report.Verdicts[i].Reason, report.Verdicts[i].Break)
}

// A server that keeps a probe waiting gets no more writes than it may.
func TestScene_MostWrites(t *testing.T) {
	t.Parallel()
	inner, err := Embedded(mem.Driver(), mvcc.Relaxed(time.Millisecond), t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, inner.Close()) }()
	subject := &spoiledSubject{Subject: inner, wire: true, by: each(hasEvents, dropped)}
	r := &runner{subject: subject, facts: Facts{EtcdRules: true, Wire: true}, o: Options{Prefix: "p/"}, tally: newTally(), patience: time.Second}
	const most = 500
	err = r.probe(t.Context(), &probe{name: "fromnow", rules: []string{"C8"}, most: most, run: probeFromNow}, nil)
	require.ErrorIs(t, err, errNotProvoked)
	assert.Equal(t, "could not be provoked within 500 writes", r.tally.lacks["C8"])
	got, err := inner.Range(t.Context(), []byte("p/fromnow/k"), nil, mvcc.RangeOptions{})
	require.NoError(t, err)
	assert.LessOrEqual(t, got.KVs[0].Version, int64(most))
}

// A server with another limit than etcd's default keeps its promises too.
func TestRun_OtherLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int
		lacks []string
	}{
		{"some is split", 3 << 20, []string{"S3", "S5"}},
		{"nothing is split", 9 << 20, []string{"S1", "S2", "S3", "S4", "S5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			report := spoiledReport(t, brokenCase{probe: "sizes", wire: true, by: limited(c.limit)})
			for _, v := range report.Verdicts {
				require.Nil(t, v.Break, "%s %+v", v.Rule, v.Break)
				if slices.Contains(c.lacks, v.Rule) {
					assert.Equal(t, NotChecked, v.Outcome, v.Rule)
					assert.Contains(t, v.Reason, "another --max-request-bytes", v.Rule)
				} else if v.Rule[0] == 'S' {
					assert.Equal(t, Kept, v.Outcome, "%s %s", v.Rule, v.Reason)
				}
			}
		})
	}
}
