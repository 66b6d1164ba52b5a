// Package examples_test runs the examples as a user would.
package examples_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/engines"
)

const printed = "revision 2: PUT k = hello\nrevision 3: PUT k = again\n"

// Every engine has an example under 40 lines that runs and leaves nothing
// behind.
func TestExamples(t *testing.T) {
	for _, engine := range engines.All() {
		t.Run(engine.Name, func(t *testing.T) {
			dir := "embed-" + engine.Name
			source, err := os.ReadFile(filepath.Join(dir, "main.go"))
			require.NoError(t, err)
			assert.Less(t, bytes.Count(source, []byte("\n")), 40)

			left := t.TempDir()
			cmd := exec.Command("go", "run", "./"+dir)
			cmd.Env = append(os.Environ(), "TMPDIR="+left, "TMP="+left, "TEMP="+left)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			require.NoError(t, err, stderr.String())
			assert.Equal(t, printed, string(out))
			entries, err := filepath.Glob(filepath.Join(left, "embed-*"))
			require.NoError(t, err)
			assert.Empty(t, entries, "the example removes its directory")
		})
	}
}

// The example of the README is the one for pebble.
func TestExamples_README(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	require.NoError(t, err)
	source, err := os.ReadFile(filepath.Join("embed-pebble", "main.go"))
	require.NoError(t, err)
	_, body, found := strings.Cut(string(source), "func main() {\n")
	require.True(t, found)
	body = strings.TrimSuffix(body, "}\n")
	assert.Contains(t, string(readme), "```go\n"+strings.ReplaceAll(strings.TrimPrefix(body, "\t"), "\n\t", "\n")+"```")
}
