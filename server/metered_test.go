package server_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/metrics"
)

// page reads the metrics: every line's value by its name and labels.
func page(t *testing.T, m *metrics.Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Page().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code)
	lines := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			lines[line[:i]] = strings.TrimSpace(line[i:])
		}
	}
	return lines
}

func TestMetrics_OfWhatWasServed(t *testing.T) {
	s := serve(t, server.Config{Metrics: metrics.Config{Extensive: true, Identity: metrics.Identity{Program: "watchd 9"}}})
	c, ctx := s.client(t), ctxOf(t)
	before := page(t, s.server.Metrics())
	assert.Equal(t, "0", before[`grpc_server_started_total{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}`], "every method stands there before its first call")
	assert.Equal(t, "0", before[`grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}`])
	for range 3 {
		_, err := c.Put(ctx, "a", "x", clientv3.WithPrevKV())
		require.NoError(t, err)
	}
	_, err := c.Delete(ctx, "a")
	require.NoError(t, err)
	_, err = c.Get(ctx, "")
	require.Error(t, err)
	lines := page(t, s.server.Metrics())
	for line, want := range map[string]string{
		`watchkv_info{durability="sync",engine="mem ` + runtime.Version() + `",program="watchd 9"}`: "1",
		`etcd_mvcc_put_total`:                  "3",
		`etcd_mvcc_range_total`:                "3",
		`etcd_mvcc_txn_total`:                  "3",
		`etcd_mvcc_delete_total`:               "1",
		`etcd_debugging_mvcc_keys_total`:       "0",
		`etcd_debugging_mvcc_current_revision`: "5",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}`:                "3",
		`grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"}`: "1",
		`grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}`:                      "3",
		`etcd_server_request_duration_seconds_count{success="true",type="Put"}`:                                                       "3",
		`etcd_server_client_requests_total{client_api_version="3.7",type="unary"}`:                                                    "5",
	} {
		assert.Equal(t, want, lines[line], line)
	}
}

// The page of watches tells whose a watch is, for as long as there is one.
func TestWatchersPage_OfAClient(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	read := func() (page metrics.Watchers) {
		w := httptest.NewRecorder()
		s.server.Metrics().WatchersPage().ServeHTTP(w, httptest.NewRequest("GET", metrics.WatchersPath, nil))
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
		return page
	}
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events := c.Watch(watching, "a/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	require.True(t, (<-events).Created)
	_, err := c.Put(ctx, "a/1", "x")
	require.NoError(t, err)
	require.Len(t, (<-events).Events, 1)
	require.Eventually(t, func() bool { // it is counted once it was sent
		page := read()
		return len(page.Watches) == 1 && page.Watches[0].Sent == 1 && page.Watches[0].Next == 3
	}, 30*time.Second, time.Millisecond)
	got := read().Watches[0]
	assert.Equal(t, "a/*", got.Range)
	assert.Equal(t, "synced", got.State)
	assert.Regexp(t, `^127\.0\.0\.1:\d+$`, got.Client)
	assert.Contains(t, got.UserAgent, "grpc-go")
	stop()
	require.Eventually(t, func() bool { return read().Total.Watches == 0 }, 30*time.Second, time.Millisecond)
	assert.Empty(t, read().Watches)
}

// C4: with an Authorizer the page is for those it lets be admins.
func TestWatchersPage_AsksTheAuthorizer(t *testing.T) {
	gate := &pageGate{}
	s := serve(t, server.Config{Authorizer: gate})
	ask := func(token string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "https://a"+metrics.WatchersPath, nil)
		r.Header.Set("Authorization", token)
		s.server.WatchersPage().ServeHTTP(w, r)
		return w
	}
	w := ask("Bearer stranger")
	assert.Equal(t, 403, w.Code)
	assert.Equal(t, "etcdserver: permission denied\n", w.Body.String())
	assert.Equal(t, server.Access{Method: metrics.WatchersPath, Action: server.ActionAdmin}, gate.asked)
	assert.Equal(t, 200, ask("root").Code)
	w = httptest.NewRecorder()
	serve(t, server.Config{}).server.WatchersPage().ServeHTTP(w, httptest.NewRequest("GET", metrics.WatchersPath, nil))
	assert.Equal(t, 200, w.Code)
}

// pageGate lets the token root in, over TLS.
type pageGate struct{ asked server.Access }

func (g *pageGate) Authorize(ctx context.Context, a server.Access) error {
	g.asked = a
	md, _ := metadata.FromIncomingContext(ctx)
	p, _ := peer.FromContext(ctx)
	if _, secure := p.AuthInfo.(credentials.TLSInfo); secure && slices.Equal(md.Get("token"), []string{"root"}) {
		return nil
	}
	return rpctypes.ErrGRPCPermissionDenied
}
