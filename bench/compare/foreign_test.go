package compare_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
)

// named is a comparison of six runs of two targets that are called so.
func named(t testing.TB, first, second string) string {
	t.Helper()
	plan := planOf(6, 7, bench.CatchUp)
	var results []*bench.Result
	for i, name := range []string{first, second} {
		res := &bench.Result{Schema: bench.Schema, Plan: plan, Target: bench.TargetFacts{Engine: name}}
		for rep := range plan.Count {
			res.Runs = append(res.Runs, bench.Run{
				Scenario: bench.CatchUp, Repetition: rep + 1,
				Metrics: map[string]float64{"catchup.events_per_s": float64(1000*i + rep + 1)},
			})
		}
		results = append(results, res)
	}
	data, err := json.Marshal(bench.NewComparison(results...))
	require.NoError(t, err)
	return string(data)
}

func foreign(t testing.TB) []string {
	return []string{
		`{"schema":"watchbench.comparison/1","results":[{"schema":"watchbench.result/1"},{"schema":"watchbench.result/1"}]}`,
		named(t, "", ""), named(t, "/", "/"), named(t, " ", "bolt"), named(t, "pebble", "bolt"),
	}
}

// A file that can be read can be shown, whatever it calls its targets.
func TestTextOfForeignFiles(t *testing.T) {
	for _, file := range foreign(t) {
		results, err := bench.ReadResults(strings.NewReader(file))
		require.NoError(t, err, file)
		for _, verbose := range []bool{false, true} {
			var out bytes.Buffer
			require.NoError(t, compare.Text(&out, results, compare.TextOptions{Verbose: verbose}))
			require.NotEmpty(t, out.String())
		}
	}
}

func FuzzText(f *testing.F) {
	for _, file := range foreign(f) {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		results, err := bench.ReadResults(bytes.NewReader(file))
		if err != nil {
			return
		}
		for _, verbose := range []bool{false, true} {
			require.NoError(t, compare.Text(io.Discard, results, compare.TextOptions{Verbose: verbose}))
		}
	})
}
