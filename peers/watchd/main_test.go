package watchd

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/peers/process"
)

var (
	update = flag.Bool("update", false, "write what a real etcd says into testdata")
	whole  = flag.Bool("whole", false, "every script on every engine, and the large forms")
)

// engines are those that watchd links; volatile is true where a stopped
// process leaves nothing.
var engines = []string{"pebble", "bolt", "badger", "mem"}

// bin holds the programs under test and etcd's own.
var bin struct{ watchd, etcd, etcdctl, etcdutl string }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "watchd-peers-*")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for program, path := range map[string]*string{
		process.Watchd: &bin.watchd, process.Etcd: &bin.etcd, process.Etcdctl: &bin.etcdctl, process.Etcdutl: &bin.etcdutl,
	} {
		if *path, err = process.Build(dir, program); err != nil {
			panic(err)
		}
	}
	return m.Run()
}

// serveWatchd runs watchd for as long as the test.
func serveWatchd(t *testing.T, engine string, args ...string) *process.Server {
	server, err := process.StartWatchd(context.Background(), engine, process.Config{Program: bin.watchd, Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	return stopping(t, server)
}

// serveEtcd runs a real etcd for as long as the test.
func serveEtcd(t *testing.T, args ...string) *process.Server {
	server, err := process.StartEtcd(context.Background(), process.Config{Program: bin.etcd, Dir: t.TempDir(), Args: args})
	require.NoError(t, err)
	stopping(t, server)
	// It serves before it has settled on the version of its storage, which it
	// tells in several places.
	require.Eventually(t, func() bool {
		res, err := http.Get("http://" + server.Endpoint() + "/version")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		var is struct{ Etcdcluster, Storage string }
		return json.NewDecoder(res.Body).Decode(&is) == nil && is.Storage == is.Etcdcluster
	}, time.Minute, 10*time.Millisecond)
	return server
}

func stopping(t *testing.T, server *process.Server) *process.Server {
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			log := server.Log()
			t.Logf("the end of the server's log:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return server
}

// servedBy is serveWatchd on an engine.
func servedBy(engine string) func(*testing.T, ...string) *process.Server {
	return func(t *testing.T, args ...string) *process.Server { return serveWatchd(t, engine, args...) }
}
