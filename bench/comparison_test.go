package bench_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

func TestComparisonFile(t *testing.T) {
	one, other := fixed(t), fixed(t)
	other.Target.Engine, other.Complete = "bolt", false
	c := bench.NewComparison(one, other)
	assert.False(t, c.Complete())
	path := filepath.Join(t.TempDir(), "all.json")
	require.NoError(t, c.WriteFile(path))
	document, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(document), "{\n \"schema\": \"watchbench.comparison/1\",\n \"results\": [\n  {\n"))
	back, err := bench.ReadResults(strings.NewReader(string(document)))
	require.NoError(t, err)
	assert.Equal(t, []*bench.Result{one, other}, back)
}

func TestReadResults(t *testing.T) {
	one := fixed(t)
	path := filepath.Join(t.TempDir(), "one.json")
	require.NoError(t, one.WriteFile(path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	back, err := bench.ReadResults(f)
	require.NoError(t, err)
	assert.Equal(t, []*bench.Result{one}, back)

	for name, c := range map[string]struct{ document, want string }{
		"no JSON":      {"BenchmarkNotify 1", "not JSON"},
		"list":         {"[]", "not JSON"},
		"newer":        {`{"schema": "watchbench.comparison/2", "results": []}`, "watchbench.comparison/2"},
		"none":         {`{"schema": "watchbench.comparison/1", "results": []}`, "without results"},
		"newer inside": {`{"schema": "watchbench.comparison/1", "results": [{"schema": "watchbench.result/9"}]}`, "target 1 of a comparison"},
		"other":        {`{"schema": "watchkv.compare/1"}`, "watchkv.compare/1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bench.ReadResults(strings.NewReader(c.document))
			require.ErrorContains(t, err, c.want)
		})
	}
}
