package target_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/watchkv/watchkv/peers/etcd"
)

func indexOf(t *testing.T, text, part string) int {
	i := strings.Index(text, part)
	require.GreaterOrEqual(t, i, 0, "%q is not in:\n%s", part, text)
	return i
}

// wrote waits until a run has keys on the server, so that it is in the middle.
func wrote(t *testing.T, client *clientv3.Client) {
	require.Eventually(t, func() bool { return left(t, client) > 0 }, time.Minute, 20*time.Millisecond, "the run never wrote")
}

// Ctrl-C, in the middle: what was measured is printed, and nothing is left.
func TestRun_CtrlCCleansUp(t *testing.T) {
	t.Parallel()
	server := startServer(t, etcd.Config{})
	cmd := command(t, nil, slices.Concat([]string{"run", "--target", "etcd://" + server.Endpoint(), "-s", "notify", "--shape", "one-key", "-d", "5m", "--warmup", "0s"}, small)...)
	require.NoError(t, cmd.Start())
	wrote(t, server.Client)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	r := wait(t, cmd)
	assert.Equal(t, 130, r.code, r)
	assert.Contains(t, r.errOut, "stopping; press again to end at once")
	assert.Zero(t, left(t, server.Client), r)
}

// A server that dies: said in one line, with what the file keeps.
func TestRun_ServerKilled(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	process := exec.CommandContext(t.Context(), self, serveCommand, t.TempDir())
	stdin, err := process.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	endpoint := strings.TrimSpace(line)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	require.NoError(t, err)
	defer client.Close()

	file := filepath.Join(t.TempDir(), "out.json")
	cmd := command(t, nil, slices.Concat([]string{
		"run", "--target", "etcd://" + endpoint, "-s", "catchup,notify", "--history", "100", "--shape", "one-key", "-d", "5m", "--warmup", "0s",
		"--json", file, "--command-timeout", "1s", "--server-pid", fmt.Sprint(process.Process.Pid),
	}, small)...)
	require.NoError(t, cmd.Start())
	wroteTwice(t, client)
	require.NoError(t, process.Process.Kill())
	_ = process.Wait() // it was killed
	r := wait(t, cmd)
	assert.Equal(t, 3, r.code, r)
	assert.Regexp(t, `^watchbench: target died \S+ m?s into notify/one-key: .*; `+file+` keeps 1 of 2 scenarios, marked incomplete$`, lineWith(r.errOut, "target died"), r)
	res := resultOf(t, file)
	assert.False(t, res.Complete)
	require.Len(t, res.Runs, 1)
	assert.Equal(t, "catchup/one-key", res.Runs[0].Scenario)
	assert.Contains(t, res.Runs[0].Metrics, "server.cpu_cores")
}

// wroteTwice waits until the second scenario of a run writes.
func wroteTwice(t *testing.T, client *clientv3.Client) {
	require.Eventually(t, func() bool {
		r, err := client.Get(t.Context(), "watchbench/", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
		return err == nil && len(r.Kvs) > 0 && strings.Contains(string(r.Kvs[0].Key), "/2/")
	}, time.Minute, 20*time.Millisecond, "the second scenario never wrote")
}

func lineWith(text, part string) string {
	for line := range strings.SplitSeq(text, "\n") {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
