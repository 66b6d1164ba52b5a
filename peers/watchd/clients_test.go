package watchd

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nodeClient is what the script for Node is written for.
const nodeClient = "etcd3@1.1.2"

// debianPython is the interpreter that knows Debian's python3-etcd3; another
// one may stand before it in PATH.
const debianPython = "/usr/bin/python3"

// Clients in other languages, written for etcd: each script checks its answers
// itself. What they use of the API has nothing to do with Go's client.
func TestOtherLanguages(t *testing.T) {
	for name, prepare := range map[string]func(ctx context.Context, t *testing.T) []string{"python": python, "node": node} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			command := prepare(ctx, t)
			server := serveWatchd(t, "pebble")
			command = append(command, server.Endpoint())
			out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput()
			require.NoError(t, err, "%s", out)
			for _, check := range []string{"kv", "txn", "watch", "lease", "lock"} {
				assert.Contains(t, string(out), "ok "+check+"\n")
			}
		})
	}
}

func python(ctx context.Context, t *testing.T) []string {
	if out, err := exec.CommandContext(ctx, debianPython, "-c", "import etcd3").CombinedOutput(); err != nil {
		t.Skipf("SKIP: no Python with a client of etcd: apt-get install python3-etcd3: %v %s", err, out)
	}
	return []string{debianPython, "clients/client.py"}
}

// node puts the script beside its library, from the registry of npm.
func node(ctx context.Context, t *testing.T) []string {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIP: no Node: apt-get install nodejs npm: %v", err)
		}
	}
	dir := t.TempDir()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", nodeClient)
	out, err := install.CombinedOutput()
	require.NoError(t, err, "%s", out)
	script, err := os.ReadFile("clients/client.mjs")
	require.NoError(t, err)
	path := filepath.Join(dir, "client.mjs")
	require.NoError(t, os.WriteFile(path, script, 0o644))
	return []string{"node", path}
}
