package view_test

import (
	"bytes"
	"encoding/csv"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/perf/benchfmt"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/view"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// encoded is a histogram of a few values, as a result has it.
func encoded(t *testing.T, values ...int64) string {
	t.Helper()
	h := hdrhistogram.New(1, int64(time.Hour), 3)
	for _, v := range values {
		require.NoError(t, h.RecordValue(v))
	}
	text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	require.NoError(t, err)
	return string(text)
}

// result of one engine, two repetitions of notify and one catchup cut short.
func result(t *testing.T, engine string) *bench.Result {
	t.Helper()
	run := func(rep int, p99 float64) bench.Run {
		return bench.Run{
			Scenario: "notify/one-key", Repetition: rep, Began: time.Duration(rep) * 10 * time.Second,
			Metrics: map[string]float64{
				"notify.p99_ns": p99, "notify.events_per_s": 2000.5, "put.rate_per_s": 2000, "victims": 0,
				"memory.heap_max_bytes": 96 << 20, "ack_to_event.negative_ratio": 0.033, "measured_ns": 4e9,
			},
			NotMeasured: map[string]string{"pinned_bytes": "this target does not show its outboxes, nor its \"state\""},
			Histograms: map[string]bench.Histogram{
				"notify_ns":       {HDR: encoded(t, 312_000, 1_840_000, int64(p99))},
				"ack_to_event_ns": {Signed: true, Negative: encoded(t, 3_000), Positive: encoded(t, 36_000, 305_000)},
			},
		}
	}
	return &bench.Result{
		Schema: bench.Schema, Complete: true, Started: time.Date(2026, 11, 22, 14, 5, 7, 0, time.UTC),
		MadeBy:  bench.MadeBy{Watchbench: "0.1.0", Go: "go1.26.8"},
		Target:  bench.TargetFacts{Kind: "embedded", Engine: engine, Durability: "sync"},
		Machine: bench.Machine{CPU: "AMD EPYC 9354", Cores: 16, OS: "linux 6.18"},
		Plan: bench.Plan{Seed: 7, Count: 2, Scenarios: []bench.Scenario{
			{Name: bench.Notify, Shape: bench.OneKey, Watchers: 5000, Streams: 50, RatePerS: 2000, Writers: 64, Keys: 5000, ValueBytes: 256, Warmup: time.Second, Duration: 4 * time.Second},
			{Name: bench.CatchUp, Shape: bench.Prefix, Watchers: 1000, Streams: 50, Keys: 10_000, ValueBytes: 256, History: 20_000},
		}},
		Runs: []bench.Run{run(1, 1_840_000), run(2, 1_860_000), {
			Scenario: "catchup/whole", Repetition: 1, Planned: 1, CutShort: true,
			Metrics: map[string]float64{"catchup.events_per_s": 11.2e6, "catchup.bytes_per_s": 4.14e9, "catchup.synced_ns": 1.79e9},
		}},
	}
}

func broken(t *testing.T) *bench.Result {
	res := result(t, "badger")
	res.Complete = false
	res.Broken = &bench.Broken{Rule: "G6", Name: "bookmarkable", Scenario: "notify/one-key", Detail: "progress at revision 4218 ran ahead"}
	res.Runs = res.Runs[:1]
	res.Runs[0].Metrics, res.Runs[0].Histograms, res.Runs[0].NotMeasured = nil, nil, nil
	return res
}

func inputs(t *testing.T) []view.Input {
	return []view.Input{{"main.json", result(t, "pebble")}, {"main.json", result(t, "bolt")}, {"bad.json", broken(t)}}
}

func TestBench(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, view.Bench(&out, inputs(t)))
	golden(t, "all.bench", out.String())
}

// Which way is better is what the rest of the program says of the metrics, and
// nothing where metrics of one unit disagree.
func TestBenchUnitsAreBetterAsTheirMetrics(t *testing.T) {
	res := result(t, "pebble")
	res.Plan.Scenarios[0].Name = bench.Mixed
	res.Runs[0].Metrics = map[string]float64{
		"mixed.deletes_per_s": 1, "mixed.gets_per_s": 1, "server.fsyncs_per_s": 1, "mixed.object_bytes": 1, "disk.data_bytes": 1,
		"done_ratio": 1, "events_per_s": 1, "mixed.events_per_s": 1, "victims_per_s": 1, "mixed.victims_per_s": 1,
	}
	res.Runs = res.Runs[:1]
	require.NotEqual(t, bench.Better("victims_per_s"), bench.Better("mixed.victims_per_s"), "they share a unit")
	var out bytes.Buffer
	require.NoError(t, view.Bench(&out, []view.Input{{File: "main.json", Result: res}}))
	var units []string
	for line := range strings.Lines(out.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "Unit "); ok {
			units = append(units, text)
		}
	}
	assert.Equal(t, []string{"disk-data-B better=lower", "done-ratio better=higher", "events/s better=higher", "gets/s better=higher"}, units)
}

// benchstat's own reader understands every line, finds what -col /engine asks
// for, and the figures.
func TestBenchIsReadByBenchfmt(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, view.Bench(&out, inputs(t)))
	r := benchfmt.NewReader(&out, "main.txt")
	p99 := map[string][]float64{}
	loads := map[string]int{}
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Fatalf("%v", rec)
		case *benchfmt.Result:
			_, parts := rec.Name.Parts()
			var engine string
			for _, part := range parts {
				if v, ok := strings.CutPrefix(string(part), "/engine="); ok {
					engine = v
				}
			}
			require.NotEmpty(t, engine)
			assert.Equal(t, "-16", string(parts[len(parts)-1]))
			assert.Equal(t, "linux", rec.GetConfig("goos"))
			loads[rec.GetConfig("load")]++
			if string(rec.Name.Base()) == "Notify" {
				v, ok := rec.Value("p99-sec")
				require.True(t, ok)
				p99[engine] = append(p99[engine], v)
				v, ok = rec.Value("events/s")
				require.True(t, ok)
				assert.Equal(t, 2000.5, v)
			}
		}
	}
	require.NoError(t, r.Err())
	assert.Equal(t, map[string][]float64{"pebble": {1.84e-3, 1.86e-3}, "bolt": {1.84e-3, 1.86e-3}}, p99)
	assert.Len(t, loads, 2, "one for each scenario: %v", loads)
	assert.Equal(t, "lower", r.Units().Get("p99-sec", "better").Value)
	assert.Equal(t, "higher", r.Units().Get("events/s", "better").Value)
}

func TestCSV(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, view.CSV(&out, inputs(t)))
	golden(t, "all.csv", out.String())
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, view.Columns(), rows[0])
	value, reason := 11, 12
	for _, row := range rows[1:] {
		assert.True(t, (row[value] == "") != (row[reason] == ""), "a figure or its reason: %v", row)
	}
}

// What is written is read back by HdrHistogram's own reader, each value of it.
func TestHDR(t *testing.T) {
	dir := t.TempDir()
	files, err := view.HDR(dir, inputs(t))
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, len(files))
	assert.Contains(t, files, "20261122T140507Z-pebble-sync-multi-7.hlog")
	assert.Contains(t, files, "20261122T140507Z-bolt-sync-multi-7.notify-one-key.2.ack_to_event_ns.negative.hgrm")

	f, err := os.Open(filepath.Join(dir, "20261122T140507Z-pebble-sync-multi-7.hlog"))
	require.NoError(t, err)
	defer f.Close()
	log := hdrhistogram.NewHistogramLogReader(f)
	counts, largest := map[string]int64{}, map[string]int64{}
	for {
		h, err := log.NextIntervalHistogram()
		require.NoError(t, err)
		if h == nil {
			break
		}
		counts[h.Tag()], largest[h.Tag()] = h.TotalCount(), h.Max()
		assert.Equal(t, int64(4000), h.EndTimeMs()-h.StartTimeMs(), h.Tag())
	}
	assert.Equal(t, map[string]int64{
		"notify/one-key:1:notify_ns": 3, "notify/one-key:1:ack_to_event_ns.negative": 1, "notify/one-key:1:ack_to_event_ns.positive": 2,
		"notify/one-key:2:notify_ns": 3, "notify/one-key:2:ack_to_event_ns.negative": 1, "notify/one-key:2:ack_to_event_ns.positive": 2,
	}, counts)
	assert.InEpsilon(t, 1_860_000, largest["notify/one-key:2:notify_ns"], 0.001)

	percentiles, err := os.ReadFile(filepath.Join(dir, "20261122T140507Z-pebble-sync-multi-7.notify-one-key.1.notify_ns.hgrm"))
	require.NoError(t, err)
	golden(t, "notify.hgrm", string(percentiles))
}

func TestHDRIntoNowhere(t *testing.T) {
	_, err := view.HDR(filepath.Join(t.TempDir(), "none"), inputs(t))
	require.Error(t, err)
}

// Whatever can be read as a result can be written in every form, and
// benchstat's reader takes every line of it.
func FuzzViews(f *testing.F) {
	for _, file := range []string{"../testdata/result-1.json", "../testdata/result-1-full.json", "../testdata/result-1-broken.json"} {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"schema": "watchbench.result/1", "machine": {"cores": -1, "cpu": "\n"}, "plan": {"scenarios": [{"name": "é /x\u0000", "shape": " "}]},
		"runs": [{"scenario": ",\n", "metrics": {"": 1, " _ns": -1e300, "_per_s": 5e-324}, "histograms": {"a/../b": {"hdr_v2_base64": "x"}}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		results, err := bench.ReadResults(bytes.NewReader(data))
		if err != nil {
			return
		}
		var in []view.Input
		for _, res := range results {
			in = append(in, view.Input{File: "x", Result: res})
		}
		var out bytes.Buffer
		require.NoError(t, view.Bench(&out, in))
		r := benchfmt.NewReader(&out, "x")
		for r.Scan() {
			if bad, ok := r.Result().(*benchfmt.SyntaxError); ok {
				t.Fatalf("%v", bad)
			}
		}
		require.NoError(t, view.CSV(io.Discard, in))
		dir := t.TempDir()
		_, _ = view.HDR(dir, in) // may say that a histogram is damaged
	})
}
