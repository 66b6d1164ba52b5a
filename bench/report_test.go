package bench_test

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func ms(v float64) float64 { return math.Round(v * 1e6) }

// fixed is a result of the short form with invented figures.
func fixed(t *testing.T) *bench.Result {
	t.Helper()
	plan, err := bench.Settings{Seed: 7}.Plan()
	require.NoError(t, err)
	res := &bench.Result{
		Schema: bench.Schema, Complete: true, Started: time.Date(2026, 11, 22, 14, 5, 7, 0, time.UTC), Plan: plan,
		MadeBy:  bench.MadeBy{Watchbench: "0.1.0", Go: "go1.26.8"},
		Command: []string{"watchbench", "run"},
		Target:  bench.TargetFacts{Kind: "embedded", Engine: "pebble", Durability: "sync", OutboxResponses: 128, OutboxBytes: 1 << 20, RecentBytes: 32 << 20, CacheBytes: 64 << 20},
		Machine: bench.Machine{CPU: "AMD EPYC 9354", Cores: 16, OS: "linux 6.18", Fsync: &bench.Fsync{P50: 310_000, P99: 702_000, Samples: 200}},
	}
	metrics := map[string]map[string]float64{
		"notify/one-key": {
			"notify.p50_ns": ms(.312), "notify.p90_ns": ms(.64), "notify.p99_ns": ms(1.84), "notify.p999_ns": ms(4.1), "notify.max_ns": ms(9.72),
			"put.rate_per_s": 2000, "notify.events_per_s": 2000.4, "put.p50_ns": ms(.298), "put.p99_ns": ms(.69), "put.max_ns": ms(1.9),
			"ack_to_event.p50_ns": ms(.036), "ack_to_event.p99_ns": ms(.305), "ack_to_event.negative_ratio": .033,
			"victims": 0, "generator.late_p99_ns": ms(.038), "cpu.cores": 1.2, "memory.heap_max_bytes": 96 << 20, "memory.rss_max_bytes": 180 << 20,
		},
		"notify/prefix": {
			"notify.p50_ns": ms(1.02), "notify.p90_ns": ms(1.9), "notify.p99_ns": ms(3.71), "notify.p999_ns": ms(8.05), "notify.max_ns": ms(14.2),
			"put.rate_per_s": 200, "notify.events_per_s": 1e6, "put.p50_ns": ms(.3), "put.p99_ns": ms(.7), "put.max_ns": ms(2),
		},
		"notify/ranges": {
			"notify.p50_ns": ms(.328), "notify.p90_ns": ms(.655), "notify.p99_ns": ms(1.9), "notify.p999_ns": ms(4.31), "notify.max_ns": ms(9.9),
			"put.rate_per_s": 2000, "notify.events_per_s": 2000,
		},
		"catchup/whole": {
			"catchup.synced_ns": ms(1790), "catchup.events_per_s": 11.2e6, "catchup.bytes_per_s": 4.14e9, "catchup.history_bytes": 6.4e6,
			"catchup.memory_ratio": .08, "catchup.index_ratio": 0, "catchup.scan_ratio": .92, "memory.heap_max_bytes": 90 << 20,
		},
		"catchup/one-key": {
			"catchup.synced_ns": ms(18), "catchup.events_per_s": 111_000, "catchup.bytes_per_s": 41e6, "catchup.history_bytes": 6.4e6,
			"catchup.memory_ratio": .02, "catchup.index_ratio": .98, "catchup.scan_ratio": 0, "memory.heap_max_bytes": 60 << 20,
		},
		"slow": {
			"victims": 514, "victims_per_s": 128.5, "victims_ratio": .021, "slow.recovery_ns": ms(212), "pinned_bytes": 1.9 * (1 << 20),
			"notify.p99_ns": ms(1.83), "before.notify.p99_ns": ms(1.8), "put.p50_ns": ms(.3), "put.p99_ns": ms(.7), "put.max_ns": ms(2), "put.rate_per_s": 2000,
		},
		"interference": {
			"quiet.put.p50_ns": ms(.298), "quiet.put.p99_ns": ms(.69), "quiet.put.max_ns": ms(1.9), "quiet.notify.p99_ns": ms(1.84), "quiet.put.rate_per_s": 2000,
			"put.p50_ns": ms(.305), "put.p99_ns": ms(1.12), "put.max_ns": ms(38), "notify.p99_ns": ms(3.02), "put.rate_per_s": 1999,
			"replay.events_per_s": 8.31e6, "replay.passes": 2.5, "catchup.memory_ratio": .4, "catchup.index_ratio": 0, "catchup.scan_ratio": .6,
			"cpu.cores": 6.3, "memory.heap_max_bytes": 120 << 20, "memory.rss_max_bytes": 212 << 20, "disk.data_bytes": 80 << 20,
		},
	}
	for i, sc := range plan.Scenarios {
		require.Contains(t, metrics, sc.Title())
		res.Runs = append(res.Runs, bench.Run{
			Scenario: sc.Title(), Repetition: 1, Planned: i, Metrics: metrics[sc.Title()],
			Promises: []bench.Promise{
				{Rule: "G1", Name: "ordered", Class: "etcd", Verdict: "kept", Checked: 6_400_000},
				{Rule: "G3", Name: "reliable", Class: "etcd", Verdict: "kept", Checked: 6_400_000},
				{Rule: "X1", Name: "cancelled", Class: "etcd", Verdict: "not checked"},
			},
		})
	}
	return res
}

func report(t *testing.T, res *bench.Result, o bench.ReportOptions) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, bench.Report(&buf, res, o))
	for line := range strings.Lines(buf.String()) {
		if !o.Color && !strings.HasPrefix(line, "  again") {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
	return buf.String()
}

func TestReport(t *testing.T) {
	golden(t, "report.txt", report(t, fixed(t), bench.ReportOptions{Next: []string{"watchbench run -b bolt", "watchbench help run"}}))
}

func TestReportVerbose(t *testing.T) {
	golden(t, "report-verbose.txt", report(t, fixed(t), bench.ReportOptions{Verbose: true, Blank: true}))
}

// Colour is for meaning and never alone: without it the same words stand there.
func TestReportColor(t *testing.T) {
	res := fixed(t)
	res.Runs[0].Metrics["generator.late_p99_ns"] = ms(1)
	plain := report(t, res, bench.ReportOptions{})
	colored := report(t, res, bench.ReportOptions{Color: true})
	assert.Contains(t, colored, "\x1b[32mall promises kept\x1b[0m")
	assert.Contains(t, colored, "\x1b[33m! the client was the bottleneck")
	for _, code := range []string{"\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"} {
		colored = strings.ReplaceAll(colored, code, "")
	}
	assert.Equal(t, plain, colored)
}

func TestReportDoubtsAndAbsent(t *testing.T) {
	res := fixed(t)
	res.Runs[0].Metrics["generator.late_p99_ns"] = ms(1)
	res.Runs[2].Metrics["put.rate_per_s"] = 1500
	res.Runs[2].Metrics["generator.backlog_ratio"] = .4
	delete(res.Runs[0].Metrics, "victims")
	res.Runs[0].NotMeasured = map[string]string{"victims": "not visible from outside"}
	delete(res.Runs[5].Metrics, "slow.recovery_ns")
	res.Runs[5].NotMeasured = map[string]string{"slow.recovery_ns": "the run ended before all were synced again"}
	golden(t, "report-doubts.txt", report(t, res, bench.ReportOptions{}))
}

// Each doubt is told once, with its reason where it is known.
func TestDoubts(t *testing.T) {
	res := fixed(t)
	slow := res.Plan.Scenarios[5]
	require.Equal(t, bench.Slow, slow.Name)
	of := func(metrics map[string]float64, series *bench.Series) (texts []string) {
		for _, d := range bench.Doubts(slow, bench.Run{Metrics: metrics, Series: series}) {
			texts = append(texts, d.Text)
		}
		return texts
	}
	late := map[string]float64{"generator.late_p99_ns": ms(1), "notify.p99_ns": ms(2)}
	assert.Equal(t, []string{"the client was the bottleneck: generator late by 1.00 ms (p99), figures are a floor for the target"}, of(late, nil))
	late["cpu.busy_ratio"] = .97
	assert.Equal(t, []string{"the client was the bottleneck: generator late by 1.00 ms (p99), figures are a floor for the target; the processors here were busy for 97% of the time"}, of(late, nil))
	assert.Equal(t, []string{"prevKV absent after compaction: 12"}, of(map[string]float64{"prevkv.absent": 12}, nil))
	assert.Empty(t, of(map[string]float64{"prevkv.absent": 0}, nil))

	// Of a scenario in which something happens only the time before it counts.
	series := &bench.Series{
		Interval:  time.Second,
		NotifyP99: []int64{900, 10, 10, 10, 10, 10, 15, 15, 15, 15, 15, 5000, 5000, 5000},
		Parts:     []bench.Part{{Name: "before", From: 1010 * time.Millisecond, To: 10_010 * time.Millisecond}, {Name: "stalled", From: 10_010 * time.Millisecond, To: 14 * time.Second}},
	}
	assert.Equal(t, []string{"not steady: p99 grew 50% from first to second half"}, of(nil, series))
	series.Parts[0].To = 8 * time.Second
	assert.Empty(t, of(nil, series), "too few seconds")
}

func TestReportCutShort(t *testing.T) {
	res := fixed(t)
	res.Complete = false
	res.Runs = res.Runs[:2]
	res.Runs[1].CutShort = true
	res.Runs[1].Metrics["measured_ns"] = ms(4200)
	res.CutShort = &bench.CutShort{Scenario: "notify/prefix", After: 6200 * time.Millisecond, Of: 10 * time.Second, Measured: 4200 * time.Millisecond, NotRun: []string{"notify/ranges", "slow", "interference"}}
	golden(t, "report-cut.txt", report(t, res, bench.ReportOptions{}))
}

func TestReportBroken(t *testing.T) {
	res := fixed(t)
	res.Broken = &bench.Broken{
		Rule: "G6", Name: "bookmarkable", Detail: `PUT "registry/pods/a-0007" at revision 4217 came after progress at revision 4218`,
		Watch: `watch 17, key "registry/pods/" to "registry/pods0", from revision 1`, Stream: "stream 3", Scenario: "notify/one-key",
		RecordAt: []time.Duration{0, 1_200_000, 3_400_000}, Seen: 41,
		Responses: []bench.SeenResponse{{0, "created   4200"}, {5_000_000, "event     4215  PUT \"registry/pods/a-0031\""}, {6_200_000, "progress  4218"}, {8_400_000, "event     4217  PUT \"registry/pods/a-0007\""}},
		Record:    []string{"event     4215  PUT \"registry/pods/a-0031\"", "progress  4218", "event     4217  PUT \"registry/pods/a-0007\""},
	}
	o := bench.ReportOptions{Again: "watchbench run --backend bolt -s notify --seed 7", Evidence: "broken-20261122T140507Z.json"}
	golden(t, "report-broken.txt", report(t, res, o))
	o.Verbose = true
	golden(t, "report-broken-verbose.txt", report(t, res, o))
}

// With repetitions the figures are medians, and their spread is told.
func TestReportRepetitions(t *testing.T) {
	res := fixed(t)
	res.Plan.Count = 3
	res.Plan.Scenarios = res.Plan.Scenarios[:1]
	one := res.Runs[0]
	res.Runs = nil
	for rep, p99 := range []float64{1.9, 1.7, 1.8} {
		run := one
		run.Repetition = rep + 1
		run.Metrics = map[string]float64{}
		for name, v := range one.Metrics {
			run.Metrics[name] = v
		}
		run.Metrics["notify.p99_ns"] = ms(p99)
		res.Runs = append(res.Runs, run)
	}
	golden(t, "report-repeated.txt", report(t, res, bench.ReportOptions{}))
}

func TestResultFile(t *testing.T) {
	res := fixed(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	require.NoError(t, res.WriteFile(path))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing but the file")
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	back, err := bench.ReadResult(f)
	require.NoError(t, err)
	assert.Equal(t, res, back)

	require.Error(t, res.WriteFile(filepath.Join(dir, "none", "out.json")))
	_, err = bench.ReadResult(strings.NewReader(`{"schema": "watchbench.result/2"}`))
	require.ErrorContains(t, err, "watchbench.result/2")
}

// The form of a result: fields are added, never changed.
func TestResultJSON(t *testing.T) {
	res := fixed(t)
	res.Plan.Scenarios, res.Runs = res.Plan.Scenarios[:1], res.Runs[:1]
	var buf bytes.Buffer
	require.NoError(t, res.WriteJSON(&buf))
	golden(t, "result-1.json", buf.String())
}
