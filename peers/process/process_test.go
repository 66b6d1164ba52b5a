package process_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/peers/process"
)

// Both servers start, serve, die by SIGKILL, come back on their port with what
// was acknowledged, and stop in order.
func TestServers(t *testing.T) {
	bin := t.TempDir()
	watchd, err := process.Build(bin, process.Watchd)
	require.NoError(t, err)
	etcd, err := process.Build(bin, process.Etcd)
	require.NoError(t, err)
	for name, start := range map[string]func(process.Config) (*process.Server, error){
		"watchd": func(c process.Config) (*process.Server, error) {
			c.Program = watchd
			return process.StartWatchd(t.Context(), "bolt", c)
		},
		"etcd": func(c process.Config) (*process.Server, error) {
			c.Program = etcd
			return process.StartEtcd(t.Context(), c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			server, err := start(process.Config{Dir: dir})
			require.NoError(t, err)
			client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
			require.NoError(t, err)
			defer client.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			put, err := client.Put(ctx, "k", "v")
			require.NoError(t, err)
			server.Kill()

			server, err = start(process.Config{Dir: dir, Port: server.Port})
			require.NoError(t, err)
			get, err := client.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, put.Header.Revision, get.Header.Revision)
			require.Equal(t, "v", string(get.Kvs[0].Value))
			require.NoError(t, server.Stop())
		})
	}
}

// A server that cannot start says why.
func TestStart_SaysWhyItEnded(t *testing.T) {
	watchd, err := process.Build(t.TempDir(), process.Watchd)
	require.NoError(t, err)
	_, err = process.StartWatchd(t.Context(), "rocksdb", process.Config{Program: watchd, Dir: t.TempDir()})
	require.ErrorContains(t, err, `--backend`)
}
