package metrics_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/server/metrics"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md anew")

// The tables of names are those of the page.
func TestDoc_HasEveryName(t *testing.T) {
	const path = "../../docs/metrics.md"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var theirs, ours strings.Builder
	for _, f := range metrics.New(metrics.Config{}).Families() {
		to := &theirs
		if strings.HasPrefix(f.Name, "watchkv_") {
			to = &ours
		}
		name := f.Name
		if len(f.Labels) > 0 {
			name += "{" + strings.Join(f.Labels, ",") + "}"
		}
		fmt.Fprintf(to, "| `%s` | %s | %s |\n", name, f.Type, strings.TrimSuffix(f.Help, "."))
	}
	want := between(t, string(text), "<!-- etcd -->\n", theirs.String())
	want = between(t, want, "<!-- ours -->\n", ours.String())
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, string(text), "go test ./server/metrics -run TestDoc -update")
}

// between puts a table's rows behind a mark.
func between(t *testing.T, text, mark, rows string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, mark)
	require.True(t, ok, mark)
	_, after, ok := strings.Cut(rest, "<!-- end -->")
	require.True(t, ok, mark)
	return before + mark + "\n| name | type | |\n|---|---|---|\n" + rows + "\n<!-- end -->" + after
}
