package versus

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/peers/job"
)

// The runs of these tests are children of the test binary.
func TestMain(m *testing.M) {
	if job.IsChild() {
		if err := job.Child(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(exitUnknown)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, v))
}

func TestContractMakesTableAndFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	var out, log bytes.Buffer
	code := Contract(t.Context(), []string{"--smoke", "--row", "P2,P6,P12", "--longest", "300ms", "--dir", dir, "--out", path}, &out, &log)
	require.Equal(t, exitMet, code, "%s%s", out.String(), log.String())
	for _, want := range []string{
		"\nP2 ", "\nP6 ", "\nP12 ", "  etcd cut at ", "% done\n", "LIMIT ", "unequal ", "recent log 32 MiB", "outbox 128 responses a stream, no bound in bytes",
		"copying one event: ", "without it ", "no promise broken",
	} {
		assert.Contains(t, out.String(), want)
	}
	assert.NotContains(t, out.String(), "\nP1 ")
	var f file
	readJSON(t, path, &f)
	assert.Equal(t, ContractSchema, f.Schema)
	assert.Equal(t, "smoke", f.Kind)
	assert.Len(t, f.Lines, 9)
	assert.True(t, f.Lines[0].EtcdCut)
	require.NotEmpty(t, f.Measurements["p12"].Sides["bolt"])
	assert.Equal(t, "sync", f.Measurements["p12"].Sides["bolt"][0].Facts.Durability)
	assert.Greater(t, f.Measurements["p6"].Sides["etcd"][0].Checked, int64(0))
	assert.NotEmpty(t, f.Measurements["p12"].Limits)
	left, err := filepath.Glob(filepath.Join(dir, "watchkv-*"))
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files are removed")
}

// Every row is there, and every measurement of its lines.
func TestTableIsWhole(t *testing.T) {
	for _, z := range []sizes{fullSizes, quickSizes, tinySizes} {
		measurements, lines := table(z)
		rows := map[string]bool{}
		for _, l := range lines {
			rows[l.row] = true
			m := measurements[l.of]
			require.NotNil(t, m, l.what)
			assert.Contains(t, m.engines, l.engine, l.what)
			if l.limit.job != "" {
				assert.Contains(t, m.limits, l.limit.job, l.what)
			}
		}
		assert.Len(t, rows, 18)
	}
}

func TestCompareMakesTableAndFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	var out, log bytes.Buffer
	code := Compare(t.Context(), []string{
		"-s", "notify,catchup", "--shape", "one-key", "-w", "20", "--streams", "4", "-r", "500", "--history", "300", "--keys", "50",
		"-d", "300ms", "--warmup", "50ms", "--pairs", "2", "-b", "bolt,mem", "--dir", dir, "--out", path,
	}, &out, &log)
	require.Equal(t, exitMet, code, "%s%s", out.String(), log.String())
	for _, want := range []string{"\nnotify p99 ", "\nuntil synced ", "UNCHECKED, ", "all that etcd promises kept", "unequal ", "recent log 32 MiB"} {
		assert.Contains(t, out.String(), want)
	}
	assert.Equal(t, 2, strings.Count(out.String(), "\nuntil synced "), "a line for each engine")
	var f compareFile
	readJSON(t, path, &f)
	assert.Equal(t, CompareSchema, f.Schema)
	require.Len(t, f.Scenarios, 2)
	assert.Len(t, f.Scenarios[0].Lines[0].Ratios, 2)
}

func TestMistakesAreTold(t *testing.T) {
	for _, args := range [][]string{{"--row", "P15"}, {"--pairs", "-1"}, {"fast"}} {
		var out, log bytes.Buffer
		assert.Equal(t, exitMisused, Contract(t.Context(), args, &out, &log), args)
		assert.NotEmpty(t, log.String(), args)
		assert.Empty(t, out.String(), args)
	}
	for _, args := range [][]string{{"-b", "rocksdb"}, {"--durability", "often"}, {"-s", "notfy"}, {"-d", "10"}, {"fast"}} {
		var out, log bytes.Buffer
		assert.Equal(t, exitMisused, Compare(t.Context(), args, &out, &log), args)
		assert.NotEmpty(t, log.String(), args)
		assert.Empty(t, out.String(), args)
	}
}

func TestGoals(t *testing.T) {
	none := math.NaN()
	for _, c := range []struct {
		name              string
		g                 goal
		less              bool
		own, ratio, limit float64
		want              outcome
	}{
		{"no goal", goal{}, false, 1, 1, none, ""},
		{"ratio met", goal{ratio: 8}, false, 80, 8, none, met},
		{"ratio missed", goal{ratio: 8}, false, 80, 7.9, none, missed},
		{"no ratio", goal{ratio: 8}, false, 80, none, none, unknown},
		{"figure met", goal{at: 500}, false, 500, none, none, met},
		{"figure missed", goal{at: 500}, false, 499, none, none, missed},
		{"less met", goal{at: 10}, true, 10, none, none, met},
		{"less missed", goal{at: 10}, true, 11, none, none, missed},
		{"none at all", goal{zero: true}, true, 0, none, none, met},
		{"one too many", goal{zero: true}, true, 1, none, none, missed},
		{"share met", goal{share: .6}, false, 60, none, 100, met},
		{"share missed", goal{share: .6}, false, 59, none, 100, missed},
		{"nothing measured", goal{at: 500}, false, none, none, none, unknown},
	} {
		assert.Equal(t, c.want, c.g.judge(c.less, c.own, c.ratio, c.limit), c.name)
	}
}

func runsOf(ours, etcd []float64) *runs {
	r := &runs{samples: map[string][]sample{}, limits: map[string]float64{}}
	add := func(side string, values []float64) {
		for _, v := range values {
			r.samples[side] = append(r.samples[side], sample{metrics: map[string]float64{"x": v}})
		}
	}
	add("bolt", ours)
	add(job.Etcd, etcd)
	return r
}

func TestRatioIsThatOfPairs(t *testing.T) {
	l := line{engine: "bolt", figure: metric("x"), show: rate, must: goal{ratio: 2}}
	v := judge(l, runsOf([]float64{10, 30, 50}, []float64{5, 10, 100}))
	assert.Equal(t, []float64{2, 3, 0.5}, v.ratios())
	assert.Equal(t, []float64{30, 10, 2, 0.5, 3}, []float64{v.own, v.peer, v.ratio, v.lowest, v.most})
	assert.Equal(t, met, v.musts)
	l.less = true
	assert.Equal(t, missed, judge(l, runsOf([]float64{10}, []float64{10})).musts)
	v = judge(l, runsOf([]float64{10, 10}, []float64{50}))
	assert.Equal(t, []float64{5, 5}, v.ratios(), "a peer that ran once stands against each")
	assert.Equal(t, unknown, judge(l, nil).musts, "a measurement that failed")
}

func TestExitCodes(t *testing.T) {
	l := line{of: "m", engine: "bolt", figure: metric("x"), show: rate, must: goal{ratio: 2}}
	for _, c := range []struct {
		name   string
		runs   *runs
		failed error
		want   int
	}{
		{"met", runsOf([]float64{20}, []float64{10}), nil, exitMet},
		{"missed", runsOf([]float64{19}, []float64{10}), nil, exitMissed},
		{"failed", nil, os.ErrInvalid, exitUnknown},
		{"broken", nil, &brokenError{"BROKEN"}, exitMissed},
	} {
		s := &session{failed: map[string]error{}, verdicts: []verdict{judge(l, c.runs)}}
		if c.failed != nil {
			s.failed["m"] = c.failed
		}
		assert.Equal(t, c.want, s.exitCode(), c.name)
	}
}

func TestTimeRunningOutIsTold(t *testing.T) {
	s := &session{options: options{budget: time.Minute}, began: time.Now().Add(-time.Hour), runner: &runner{pairs: 5}}
	s.hurry()
	assert.Equal(t, 1, s.runner.pairs)
	assert.Len(t, s.notes, 1)
}
