package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"watchd": main})
}

// TestScript runs the binary as people do, where it does not serve.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, Setup: func(env *testscript.Env) error {
		env.Setenv("GORACE", "atexit_sleep_ms=10")
		files, err := filepath.Abs("../../mvcc/testdata/etcd")
		env.Setenv("ETCDFILES", files) // written by a real etcd
		return err
	}})
}

// After kill -9 it is up again at once on the same directory and port, with
// all that was answered; SIGTERM tells the watches and ends well.
func TestLife(t *testing.T) {
	for _, engine := range engineNames() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "data")
			p := up(t, "--backend", engine, "--data-dir", dir, "--listen-client-urls", anyPort)
			put, err := p.client().Put(t.Context(), "k", "v")
			require.NoError(t, err)
			p.signal(syscall.SIGKILL)
			assert.Equal(t, -1, p.wait())

			p = up(t, "--backend", engine, "--data-dir", dir, "--listen-client-urls", "http://"+p.address)
			c := p.client()
			if engine != "mem" {
				got, err := c.Get(t.Context(), "k")
				require.NoError(t, err)
				require.Len(t, got.Kvs, 1)
				assert.Equal(t, "v", string(got.Kvs[0].Value))
				assert.Equal(t, put.Header.Revision, got.Kvs[0].ModRevision)
				info, err := os.Stat(dir)
				require.NoError(t, err)
				if runtime.GOOS != "windows" {
					assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
				}
			}
			watch, err := pb.NewWatchClient(c.ActiveConnection()).Watch(t.Context())
			require.NoError(t, err)
			require.NoError(t, watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("k")}}}))
			created, err := watch.Recv()
			require.NoError(t, err)
			require.True(t, created.Created)
			p.signal(syscall.SIGTERM)
			p.signal(syscall.SIGTERM) // as timeout(1) does
			_, err = watch.Recv()
			assert.Equal(t, rpctypes.ErrGRPCStopped.Error(), status.Convert(err).Err().Error())
			assert.Equal(t, exitStopped, p.wait())
			assert.Equal(t, "signal: terminated", p.find("stopping")[0]["reason"])
		})
	}
}

// Every kind of URL, TLS with a certificate made here, HTTP apart.
func TestDoors(t *testing.T) {
	dir, err := os.MkdirTemp("", "watchd-*") // a short path, which sockets need
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	socket := "unix://" + filepath.Join(dir, "s")
	p := up(t, "--backend", "mem", "--data-dir", dir, "--auto-tls", "--enable-pprof", "--listen-client-urls", "https://127.0.0.1:0,"+anyPort+","+socket,
		"--listen-client-http-urls", anyPort, "--listen-metrics-urls", anyPort, "--advertise-client-urls", "http://a:1,http://b:2")
	var addresses []string
	for _, line := range p.find("serving") {
		addresses = append(addresses, fmt.Sprint(line["address"]))
	}
	require.Len(t, addresses, 4, "the second http://127.0.0.1:0 of the clients' is both")
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(dir, "fixtures", "client", "cert.pem"))
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(pem))
	for _, c := range []clientv3.Config{
		{Endpoints: []string{"https://" + addresses[0]}, TLS: &tls.Config{RootCAs: pool}},
		{Endpoints: []string{"http://" + addresses[1]}},
		{Endpoints: []string{socket}},
	} {
		c.Logger = zap.NewNop()
		client, err := clientv3.New(c)
		require.NoError(t, err)
		_, err = client.Put(t.Context(), "k", "v")
		assert.NoError(t, err, c.Endpoints)
		members, err := client.MemberList(t.Context())
		if assert.NoError(t, err) {
			assert.Equal(t, []string{"http://a:1", "http://b:2"}, members.Members[0].ClientURLs)
		}
		require.NoError(t, client.Close())
	}
	for path, statuses := range map[string][2]int{"/metrics": {200, 200}, "/health": {200, 200}, "/readyz": {200, 200}, "/version": {200, 404}, "/v3/kv/range": {501, 404}, "/debug/watchers": {200, 200}, "/debug/pprof/": {200, 404}} {
		for i, want := range statuses {
			answer, err := http.Get("http://" + []string{addresses[1], addresses[3]}[i] + path)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			assert.Equal(t, want, answer.StatusCode, "%s at door %d", path, i)
		}
	}
	p.signal(syscall.SIGTERM)
	assert.Equal(t, exitStopped, p.wait())
	assert.NoFileExists(t, strings.TrimPrefix(socket, "unix://"))
}

// A call that does not end holds up the end, a second signal does not wait.
func TestLife_SecondSignal(t *testing.T) {
	p := up(t, "--backend", "mem", "--listen-client-urls", anyPort)
	conn, err := grpc.NewClient(p.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer conn.Close()
	// A call whose request never comes.
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/etcdserverpb.KV/Put")
	require.NoError(t, err)
	// The server knows of the call before it answers another one of the
	// same connection.
	_, err = p.client().Get(t.Context(), "k")
	require.NoError(t, err)
	other, err := conn.NewStream(t.Context(), &grpc.StreamDesc{}, "/etcdserverpb.KV/Nothing")
	require.NoError(t, err)
	require.Error(t, other.RecvMsg(nil))
	p.signal(syscall.SIGTERM)
	require.Eventually(t, func() bool { return len(p.find("stopping")) == 1 }, slow, time.Millisecond)
	// One that comes at once is the same; so they go on coming.
	require.Eventually(t, func() bool {
		select {
		case <-p.ended:
			return true
		default:
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone just now
			return false
		}
	}, slow, 20*time.Millisecond)
	assert.Equal(t, 143, p.wait())
	require.Error(t, stream.RecvMsg(nil))
	last := p.log()[len(p.log())-1]
	assert.Equal(t, "watchd: terminated again: ended at once", last["plain"])
}

// Lines of the log have etcd's keys; the banner says what runs; what is
// ignored is told once.
func TestLog_JSON(t *testing.T) {
	dir := t.TempDir()
	p, ready := launch(t, []string{"ETCD_SNAPSHOT_COUNT=5"}, "--backend=bolt", "-data-dir="+dir, "-listen-client-urls", anyPort, "--heartbeat-interval", "100",
		"--pre-vote", "--initial-cluster=a=http://h:1,b=http://i:1", "--durability", "relaxed:20ms", "--quota-backend-bytes=1048576")
	p.awaitReady(ready)
	p.signal(os.Interrupt)
	assert.Equal(t, exitStopped, p.wait())
	for _, line := range p.log() {
		for _, key := range []string{"ts", "level", "msg"} {
			assert.NotEmpty(t, line[key], "%v", line)
		}
		_, err := time.Parse(time.RFC3339Nano, fmt.Sprint(line["ts"]))
		assert.NoError(t, err)
	}
	told := p.find("settings of etcd that have no meaning here are ignored")
	require.Len(t, told, 1)
	assert.Equal(t, "--initial-cluster --heartbeat-interval --pre-vote ETCD_SNAPSHOT_COUNT", told[0]["ignored"])
	started := p.find("starting watchd")
	require.Len(t, started, 1)
	for key, want := range map[string]any{
		"level": "info", "watchd-version": version, "etcd-version": "3.7.3", "backend": "bolt", "durability": "relaxed:20ms", "data-dir": dir,
		"quota-bytes": float64(1 << 20), "name": "default",
	} {
		assert.Equal(t, want, started[0][key], key)
	}
}

// Text, to files, at a level.
func TestLog_Text(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	p, _ := launch(t, nil, "--backend", "mem", "--log-format", "console", "--log-outputs", file+",stdout", "--listen-client-urls", anyPort)
	var text []byte
	require.Eventually(t, func() bool {
		text, _ = os.ReadFile(file)
		return bytes.Contains(text, []byte("ready to serve"))
	}, slow, time.Millisecond)
	assert.Regexp(t, regexp.MustCompile(`(?m)^time=\S+ level=INFO msg="ready to serve client requests" address=127\.0\.0\.1:\d+$`), string(text))
	p.signal(syscall.SIGTERM)
	assert.Equal(t, exitStopped, p.wait())
	assert.Empty(t, p.log(), "nothing on stderr")
}

// systemd is told when it is ready and when it stops.
func TestNotify(t *testing.T) {
	dir, err := os.MkdirTemp("", "watchd-*") // a short path, which sockets need
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer socket.Close()
	require.NoError(t, socket.SetReadDeadline(time.Now().Add(slow)))
	receive := func() string {
		buffer := make([]byte, 100)
		n, err := socket.Read(buffer)
		require.NoError(t, err)
		return string(buffer[:n])
	}
	p, ready := launch(t, []string{"NOTIFY_SOCKET=" + path}, "--backend", "mem", "--listen-client-urls", anyPort)
	assert.Equal(t, "READY=1", receive())
	p.awaitReady(ready)
	p.signal(syscall.SIGTERM)
	assert.Equal(t, "STOPPING=1", receive())
	assert.Equal(t, exitStopped, p.wait())
}

// What keeps it from starting is one line, and exit code 1.
func TestStart_Fails(t *testing.T) {
	dir := t.TempDir()
	p := up(t, "--backend", "bolt", "--data-dir", filepath.Join(dir, "bolt"), "--listen-client-urls", anyPort)
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	member := filepath.Join(dir, "etcd", "member", "snap")
	require.NoError(t, os.MkdirAll(member, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(member, "db"), nil, 0o600))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"engine": {[]string{"--backend", "pebble", "--data-dir", filepath.Join(dir, "bolt")}, `holds the data of bolt, not of pebble; leave --backend out`},
		"locked": {[]string{"--data-dir", filepath.Join(dir, "bolt")}, `in use by another process \(bolt\); stop it`},
		"file":   {[]string{"--data-dir", file}, `not a directory`},
		"etcd":   {[]string{"--data-dir", filepath.Join(dir, "etcd")}, `the data of an etcd member; .* --from-etcd ` + regexp.QuoteMeta(filepath.Join(member, "db"))},
		"port":   {[]string{"--backend", "mem", "--listen-client-urls", "http://" + p.address}, `address already in use`},
	} {
		t.Run(name, func(t *testing.T) {
			args := c.args
			if name != "port" {
				args = append(args, "--listen-client-urls", anyPort)
			}
			cmd := exec.Command("watchd", append(args, "--log-level", "error")...)
			cmd.Env = append(os.Environ(), endsSoon)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.True(t, errors.As(err, &exit), "%v: %s", err, out)
			assert.Equal(t, exitFailed, exit.ExitCode())
			assert.Regexp(t, `^watchd: --.*`+c.want+`.*\n$`, string(out))
			assert.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
		})
	}
}

// A directory is opened with the engine that wrote it, wherever the engine's
// data stand in it.
func TestFindPlace(t *testing.T) {
	for _, engine := range engineNames() {
		dir := t.TempDir()
		at, err := findPlace(dir, engine)
		require.NoError(t, err)
		assert.True(t, at.fresh)
		if at.driver.Volatile {
			continue
		}
		opened, err := at.open(nil)
		require.NoError(t, err)
		require.NoError(t, opened.Close())
		for _, below := range []string{dir, at.path} {
			found, err := findPlace(below, "")
			require.NoError(t, err)
			assert.Equal(t, engine, found.driver.Name)
			assert.Equal(t, at.path, found.path)
			assert.False(t, found.fresh)
		}
	}
}
