package target_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/peers/etcd"
)

// serveCommand, with a directory after it, makes this test program an etcd
// server, in a process of its own that can be killed. It ends with its stdin.
const serveCommand = "serve"

var program string // watchbench

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == serveCommand {
		serve(os.Args[2])
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "watchbench-target-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "watchbench")
	build := exec.Command("go", "build", "-o", program, "./cmd/watchbench")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build watchbench: %v\n%s", err, out))
	}
	return m.Run()
}

func serve(dir string) {
	server, err := etcd.Start(context.Background(), etcd.Config{Dir: dir, NoFsync: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.Endpoint())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Stop()
}

// startServer is a server in this process, for as long as the test.
func startServer(t *testing.T, c etcd.Config) *etcd.Server {
	c.Dir, c.NoFsync = t.TempDir(), true
	server, err := etcd.Start(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

// ran is one call of watchbench that is over.
type ran struct {
	code        int
	out, errOut string
	command     string
}

// small is a load that a slow machine bears, and that ends soon.
var small = []string{"-w", "40", "--streams", "8", "-r", "200", "--keys", "40", "--value-size", "64", "--seed", "7", "--no-keep"}

// watchbench runs to its end. env are variables beside those of this process.
func watchbench(t *testing.T, env []string, args ...string) ran {
	cmd := command(t, env, args...)
	require.NoError(t, cmd.Start())
	return wait(t, cmd)
}

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "LC_ALL=C.UTF-8", "ETCDCTL_USER=", "ETCDCTL_PASSWORD=", "ETCDCTL_CACERT=")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout, cmd.Stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return cmd
}

func wait(t *testing.T, cmd *exec.Cmd) ran {
	err := cmd.Wait()
	r := ran{code: cmd.ProcessState.ExitCode(), out: fmt.Sprint(cmd.Stdout), errOut: fmt.Sprint(cmd.Stderr), command: strings.Join(cmd.Args[1:], " ")}
	if err != nil && r.code < 0 {
		require.NoError(t, err, r)
	}
	return r
}

func (r ran) String() string {
	return fmt.Sprintf("watchbench %s\nexit %d\n--- stdout\n%s--- stderr\n%s", r.command, r.code, r.out, r.errOut)
}

// last is the last line of stderr: what went wrong.
func (r ran) last() string {
	lines := strings.Split(strings.TrimSpace(r.errOut), "\n")
	return lines[len(lines)-1]
}

// resultOf reads a result file.
func resultOf(t *testing.T, file string) *bench.Result {
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var res bench.Result
	require.NoError(t, json.Unmarshal(data, &res))
	return &res
}

// left are the keys under the prefix of all runs.
func left(t *testing.T, client *clientv3.Client) int64 {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	r, err := client.Get(ctx, "watchbench/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	return r.Count
}

// checked is how often a rule could have broken, over all runs.
func checked(res *bench.Result, rule string) (n int64) {
	for _, run := range res.Runs {
		n += checkedIn(run, rule)
	}
	return n
}

func checkedIn(run bench.Run, rule string) (n int64) {
	for _, p := range run.Promises {
		if p.Rule == rule {
			n += p.Checked
		}
	}
	return n
}
