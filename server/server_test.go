package server_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

// serving is a server on a real socket, for one test.
type serving struct {
	store   *mvcc.Store
	server  *server.Server
	address string
}

// serve starts a server over an engine in memory and stops it with the test.
func serve(t *testing.T, cfg server.Config) *serving {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	return serveOver(t, engine, cfg)
}

// serveOver is serve over an engine, which it closes with the test.
func serveOver(t *testing.T, engine backend.Engine, cfg server.Config) *serving {
	return serveStore(t, engine, mvcc.Config{}, cfg)
}

func serveStore(t *testing.T, engine backend.Engine, storing mvcc.Config, cfg server.Config) *serving {
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	store, err := mvcc.Open(engine, storing)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := store.Close(); store.Stats().Failed == "" { // else Close says it again
			assert.NoError(t, err)
		}
	})
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, hub.Close()) })
	lessor, err := lease.Open(store, lease.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, lessor.Close()) })
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, cfg)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, srv.Close())
		g.Stop()
		if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // stopped before it served
			assert.NoError(t, err)
		}
	})
	return &serving{store: store, server: srv, address: listener.Addr().String()}
}

// client dials the server.
func (s *serving) client(t *testing.T) *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.address}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// conn is a bare connection to the server.
func (s *serving) conn(t *testing.T, opts ...grpc.DialOption) *grpc.ClientConn {
	c, err := grpc.NewClient(s.address, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

func ctxOf(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestServer_ServesTheOfficialClient(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)

	events := c.Watch(ctx, "a", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	created := <-events
	require.NoError(t, created.Err())
	require.True(t, created.Created)

	put, err := c.Put(ctx, "a1", "x")
	require.NoError(t, err)
	assert.EqualValues(t, 2, put.Header.Revision)
	got, err := c.Get(ctx, "a1")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	assert.Equal(t, "x", string(got.Kvs[0].Value))
	txn, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value("a1"), "=", "x")).
		Then(clientv3.OpPut("a2", "y"), clientv3.OpDelete("a1")).Commit()
	require.NoError(t, err)
	assert.True(t, txn.Succeeded)

	first, second := <-events, <-events
	require.Len(t, first.Events, 1)
	assert.Equal(t, "a1", string(first.Events[0].Kv.Key))
	require.Len(t, second.Events, 2, "one response for one revision")
	assert.Equal(t, "a2", string(second.Events[0].Kv.Key))
	assert.Equal(t, clientv3.EventTypeDelete, second.Events[1].Type)
	assert.EqualValues(t, 3, second.Header.Revision)
}
