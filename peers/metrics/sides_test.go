// Package metrics_test runs one script against a real etcd and the server, and
// holds their metrics pages against each other.
package metrics_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/peers/etcd"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

// families are a page, by name.
type families map[string]*dto.MetricFamily

func parse(t *testing.T, text []byte) families {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	page, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	require.NoError(t, err)
	return page
}

// side is one of the two servers.
type side struct {
	name   string
	client *clientv3.Client
	conn   *grpc.ClientConn // plain, says no version of a client
	get    func(path string) (code int, text []byte)
}

// page reads the metrics.
func (s *side) page(t *testing.T) families {
	code, text := s.get("/metrics")
	require.Equal(t, http.StatusOK, code)
	return parse(t, text)
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20))) // etcd catches a slow watch up in one response
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

func startEtcd(t *testing.T) *side {
	s, err := etcd.Start(t.Context(), etcd.Config{Dir: t.TempDir(), NoFsync: true, QuotaBytes: quota})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Stop()) })
	return &side{name: "etcd", client: s.Client, conn: dial(t, s.Endpoint()), get: func(path string) (int, []byte) {
		r, err := http.Get("http://" + s.Endpoint() + path)
		require.NoError(t, err)
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		return r.StatusCode, text
	}}
}

// quota of both; etcd's own default.
const quota = 2 << 30

func startOurs(t *testing.T) *side {
	engine, err := bolt.Driver().Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	store, err := mvcc.Open(engine, mvcc.Config{QuotaBytes: quota})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, hub.Close()) })
	lessor, err := lease.Open(store, lease.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, lessor.Close()) })
	srv, err := server.New(server.Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, server.Config{})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(srv.GRPCOptions()...)
	srv.Register(g)
	served := make(chan error, 1) // one send, by the goroutine that serves
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, srv.Close())
		g.Stop()
		assert.NoError(t, <-served)
	})
	address := listener.Addr().String()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, Logger: zap.NewNop(), Context: context.Background()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	pages := http.NewServeMux()
	pages.Handle("/metrics", srv.Metrics().Page())
	for path, page := range srv.HealthPages() {
		pages.Handle(path, page)
	}
	return &side{name: "watchkv", client: client, conn: dial(t, address), get: func(path string) (int, []byte) {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.Bytes()
	}}
}
