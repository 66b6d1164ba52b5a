package watchd

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clientTimeout bounds one script, and getting npm's package.
const clientTimeout = 2 * time.Minute

// Clients of other languages do their work: python3-etcd3 as Debian has it.
func TestClient_Python(t *testing.T) {
	runClient(t, func(t *testing.T, port int, _ string) *exec.Cmd {
		return exec.Command("/usr/bin/python3", filepath.Join("clients", "python.py"), strconv.Itoa(port))
	})
}

// And etcd3 for Node, as npm has it.
func TestClient_Node(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "etcd3@1.1.2")
	out, err := install.CombinedOutput()
	require.NoError(t, err, "npm: %s", out)
	script, err := filepath.Abs(filepath.Join("clients", "node.js"))
	require.NoError(t, err)
	runClient(t, func(t *testing.T, _ int, endpoint string) *exec.Cmd {
		cmd := exec.Command("node", script, endpoint)
		cmd.Env = append(cmd.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
		return cmd
	})
}

// runClient runs a script against a real etcd, which shows that the script is
// right, and against watchd.
func runClient(t *testing.T, command func(t *testing.T, port int, endpoint string) *exec.Cmd) {
	on := engines
	if !*whole {
		on = engines[:1]
	}
	for _, name := range append([]string{"etcd"}, on...) {
		t.Run(name, func(t *testing.T) {
			server := serveEtcd
			if name != "etcd" {
				server = servedBy(name)
			}
			s := server(t)
			cmd := command(t, s.Port, s.Endpoint())
			timeout := time.AfterFunc(clientTimeout, func() { _ = cmd.Process.Kill() })
			defer timeout.Stop()
			// Python's client complains on stderr of being closed.
			var errOut bytes.Buffer
			cmd.Stderr = &errOut
			out, err := cmd.Output()
			require.NoError(t, err, "%s", errOut.String())
			require.Equal(t, "ok\n", string(out))
		})
	}
}
