package bench_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

// A result of any older schema stays readable, and shows what it showed. The
// files were written when their schema was new and are never written again.
func TestOlderResultsStayReadable(t *testing.T) {
	files, err := filepath.Glob("testdata/result-*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		results, err := bench.ReadFile(file)
		require.NoError(t, err)
		require.Len(t, results, 1)
		name := strings.TrimSuffix(filepath.Base(file), ".json") + ".txt"
		golden(t, name, report(t, results[0], bench.ReportOptions{Verbose: true}))
	}
}

func TestUnreadable(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "is empty",
		" \n":                                "is empty",
		"\x1f\x8b\x08":                       "no result of watchbench (first bytes 1f 8b); is it still gzipped?",
		"<!DOCTYPE html><title>":             "is a page; get the results out of it by watchbench report --extract",
		"[]":                                 "no result of watchbench: not JSON",
		`{"a": 1}`:                           `no result of watchbench: "schema" is missing`,
		`{"schema": null}`:                   `no result of watchbench: "schema" is missing`,
		`{"schema": 1}`:                      `damaged at byte 12: "schema" cannot be a number`,
		`{"schema": "watchbench.result/0"}`:  `no result of watchbench: schema "watchbench.result/0"`,
		`{"schema": "watchbench.result/2"}`:  "schema watchbench.result/2 is newer than this program (1); update watchbench",
		`{"schema": "watchbench.other/1"}`:   "schema watchbench.other/1 is no result",
		`{"schema": "watchbench.result/1"`:   "ends in the middle, after 32 bytes; the file is not whole",
		`{"schema": "watchbench.result/1"}}`: "damaged at byte 34: invalid character '}' after top-level value",
		`{"schema": "watchbench.result/1", "runs": [{}]}`:                                              "damaged: run 0 is of scenario 0, the plan has 0",
		`{"schema": "watchbench.result/1", "runs": [{}], "plan": {"scenarios": [{"name": "replay"}]}}`: `damaged: run 0 replays a history that "source" does not describe`,
		`{"schema": "watchbench.result/1", "runs": [{"metrics": {"a": "b"}}]}`:                         `damaged at byte 64: "runs.metrics" cannot be a string`,
		`{"schema": "watchbench.result/1", "started": "yesterday"}`:                                    `damaged: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`,
	} {
		_, err := bench.ReadResult(strings.NewReader(text))
		var unreadable *bench.Unreadable
		require.ErrorAs(t, err, &unreadable, text)
		assert.Equal(t, want, unreadable.Problem, text)
	}
}

// Whatever can be read can be shown.
func FuzzReadResult(f *testing.F) {
	for _, file := range []string{"testdata/result-1.json", "testdata/result-1-full.json", "testdata/result-1-broken.json"} {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add([]byte(`{"schema": "watchbench.result/1", "cut_short": {"after_ns": -1}, "target": {"outbox_bytes": -9223372036854775808}, "runs": [{}],
		"plan": {"count": 2, "scenarios": [{"name": "slow", "duration_ns": -9223372036854775808}]}}`))
	f.Add([]byte(`{"schema": "watchbench.result/1", "source": {}, "runs": [{"metrics": {"notify.p99_ns": 1e300, "catchup.events_per_s": -1e300, "catchup.scan_ratio": 0}}],
		"plan": {"scenarios": [{"name": "replay"}]}}`))
	f.Add([]byte(`{"schema": "watchbench.comparison/1", "results": [{"schema": "watchbench.result/1"}, null]}`))
	f.Add([]byte(`{"schema": "watchbench.result/1", "broken": {"record": [""]}, "runs": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		results, err := bench.ReadResults(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, res := range results {
			for _, o := range []bench.ReportOptions{{}, {Color: true, Blank: true, Verbose: true, Again: "again"}} {
				require.NoError(t, bench.Report(io.Discard, res, o))
			}
			require.NoError(t, res.WriteJSON(io.Discard), "what was read can be written")
		}
	})
}
