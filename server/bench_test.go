package server_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

// A put of a 64-byte key and a 256-byte value, durable, by 1 and by 64 clients
// with a connection each.
func BenchmarkPutOverGRPC(b *testing.B) {
	for _, engine := range []string{"mem", "pebble", "bolt"} {
		for _, clients := range []int{1, 64} {
			b.Run(engine+"/"+map[int]string{1: "one", 64: "many"}[clients], func(b *testing.B) { benchmarkPut(b, engine, clients) })
		}
	}
}

func benchmarkPut(b *testing.B, name string, clients int) {
	driver, ok := engines.Lookup(name)
	require.True(b, ok)
	engine, err := driver.Open(b.TempDir(), backend.Options{})
	require.NoError(b, err)
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(b, err)
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(b, err)
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub}, server.Config{})
	require.NoError(b, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	served := make(chan error, 1) // one send, by the goroutine that serves
	go func() { served <- g.Serve(listener) }()
	defer func() {
		require.NoError(b, srv.Close())
		g.Stop()
		require.NoError(b, <-served)
		require.NoError(b, hub.Close())
		require.NoError(b, store.Close())
		require.NoError(b, engine.Close())
	}()

	conns := make([]pb.KVClient, clients)
	for i := range conns {
		conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(b, err)
		defer conn.Close()
		conns[i] = pb.NewKVClient(conn)
		_, err = conns[i].Put(context.Background(), putOf("warm", 1))
		require.NoError(b, err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan error, clients)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range conns {
		go func() {
			r := putOf(string(make([]byte, 64)), 256)
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				r.Key[0], r.Key[1], r.Key[2] = byte(i), byte(n), byte(n>>8)
				if _, err := conns[i].Put(context.Background(), r); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range conns {
		require.NoError(b, <-done)
	}
}
