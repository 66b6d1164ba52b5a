package gateway_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/gateway"
	"github.com/watchkv/watchkv/server/listen"
	"github.com/watchkv/watchkv/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a server with its gateway on a socket.
type bench struct {
	store *mvcc.Store
	hub   *watch.Hub
	url   string
	stop  func() // ends the serving; the test's end calls it too
	mu    sync.Mutex
	md    metadata.MD // of the last call
}

func open(t *testing.T, access gateway.Access) *bench {
	t.Helper()
	b := &bench{}
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	b.store, err = mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.store.Close()) })
	b.hub, err = watch.NewHub(b.store, watch.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.hub.Close()) })
	lessor, err := lease.Open(b.store, lease.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, lessor.Close()) })
	srv, err := server.New(server.Parts{Engine: engine, Store: b.store, Hub: b.hub, Lessor: lessor}, server.Config{MaxRequestBytes: 64 << 10})
	require.NoError(t, err)
	g := grpc.NewServer(append(srv.GRPCOptions(), grpc.Creds(listen.Credentials()), grpc.ChainUnaryInterceptor(b.note))...)
	srv.Register(g)
	w, err := gateway.New(g, gateway.Config{MaxRequestBytes: 64 << 10, Access: access})
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(gateway.Prefix, w)
	for path, page := range srv.HealthPages() {
		mux.Handle(path, page)
	}
	mux.Handle("/version", srv.VersionPage())
	front := httptest.NewServer(gateway.Guard(mux, access, nil))
	b.url = front.URL
	b.stop = sync.OnceFunc(func() {
		srv.EndStreams()
		g.GracefulStop()
		assert.NoError(t, w.Close())
		front.Close()
		assert.NoError(t, srv.Close())
	})
	t.Cleanup(b.stop)
	return b
}

// note keeps the metadata of a call.
func (b *bench) note(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	b.mu.Lock()
	b.md, _ = metadata.FromIncomingContext(ctx)
	b.mu.Unlock()
	return next(ctx, req)
}

func (b *bench) sent(key string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.md.Get(key)
}

// client is without idle connections that outlive the test.
func client(t *testing.T) *http.Client {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// post makes a call and returns status and answer.
func (b *bench) post(t *testing.T, path, body string, header ...string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client(t).Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	answer := make(map[string]any)
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &answer), "%s", text)
	return res.StatusCode, answer
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestKV(t *testing.T) {
	b := open(t, gateway.Access{})
	code, put := b.post(t, "/v3/kv/put", `{"key":"`+b64("foo")+`","value":"`+b64("bar")+`"}`)
	require.Equal(t, 200, code)
	require.Equal(t, "2", put["header"].(map[string]any)["revision"], "64-bit numbers are strings")
	code, got := b.post(t, "/v3/kv/range", `{"key":"`+b64("foo")+`","unheard_of":1}`)
	require.Equal(t, 200, code)
	require.Equal(t, []any{map[string]any{
		"key": b64("foo"), "value": b64("bar"), "create_revision": "2", "mod_revision": "2", "version": "1",
	}}, got["kvs"])
	code, txn := b.post(t, "/v3beta/kv/txn", `{"compare":[{"target":"VERSION","key":"`+b64("foo")+`","version":"1"}],
		"success":[{"request_delete_range":{"key":"`+b64("foo")+`"}}]}`)
	require.Equal(t, 200, code)
	require.Equal(t, true, txn["succeeded"])
}

// TestErrors: etcd's codes and texts, as the gateway's JSON.
func TestErrors(t *testing.T) {
	b := open(t, gateway.Access{})
	for _, c := range []struct {
		path, body string
		status     int
		code       float64
		text       string
	}{
		{"/v3/kv/put", `{}`, 400, 3, "etcdserver: key is not provided"},
		{"/v3/kv/range", `{"key":"` + b64("a") + `","revision":"99"}`, 400, 11, "etcdserver: mvcc: required revision is a future revision"},
		{"/v3/kv/put", `{"key":`, 400, 3, "unexpected EOF"},
		{"/v3/kv/put", `{"key":7}`, 400, 3, "proto: (line 1:8): invalid value for bytes field key: 7"},
		{"/v3/nothing", `{}`, 404, 5, "Not Found"},
		{"/v3/kv/put", `{"key":"` + b64("a") + `","value":"` + b64(strings.Repeat("x", 65<<10)) + `"}`, 400, 3, "etcdserver: request is too large"},
		{"/v3/kv/put", `{"key":"` + b64(strings.Repeat("x", 2<<20)) + `"}`, 400, 3, "the request is larger than 1179648 bytes of JSON"},
	} {
		status, answer := b.post(t, c.path, c.body)
		require.Equal(t, c.status, status, "%s %v", c.path, answer)
		require.Equal(t, c.code, answer["code"], "%v", answer)
		require.Equal(t, c.text, strings.ReplaceAll(answer["message"].(string), "\u00a0", " "))
	}
	r, err := client(t).Get(b.url + "/v3/kv/range")
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, http.StatusNotImplemented, r.StatusCode)
}

// TestToken: the token of an Authorization header is the call's.
func TestToken(t *testing.T) {
	b := open(t, gateway.Access{})
	b.post(t, "/v3/kv/range", `{"key":"YQ=="}`, "Authorization", "Bearer secret")
	require.Equal(t, []string{"secret"}, b.sent("token"))
	require.Equal(t, []string{"Bearer secret"}, b.sent("authorization"))
	b.post(t, "/v3/kv/range", `{"key":"YQ=="}`)
	require.Empty(t, b.sent("token"))
}

// TestWatch: a watch is a line for each response, and goes on after the
// request's body has ended (C18).
func TestWatch(t *testing.T) {
	b := open(t, gateway.Access{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/v3/watch", strings.NewReader(`{"create_request":{"key":"`+b64("foo")+`"}}`))
	require.NoError(t, err)
	res, err := client(t).Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "application/json", res.Header.Get("Content-Type"))
	lines := bufio.NewReader(res.Body)
	require.Equal(t, true, nextResult(t, lines)["created"])
	_, err = b.store.Put(t.Context(), []byte("foo"), []byte("bar"))
	require.NoError(t, err)
	require.Equal(t, []any{map[string]any{"kv": map[string]any{
		"key": b64("foo"), "value": b64("bar"), "create_revision": "2", "mod_revision": "2", "version": "1",
	}}}, nextResult(t, lines)["events"])
}

func nextResult(t *testing.T, lines *bufio.Reader) map[string]any {
	t.Helper()
	line, err := lines.ReadBytes('\n')
	require.NoError(t, err)
	var chunk struct{ Result map[string]any }
	require.NoError(t, json.Unmarshal(line, &chunk))
	require.NotNil(t, chunk.Result, "%s", line)
	return chunk.Result
}

// TestLeaseLockElection: what is made of leases and keys.
func TestLeaseLockElection(t *testing.T) {
	b := open(t, gateway.Access{})
	code, granted := b.post(t, "/v3/lease/grant", `{"TTL":"60","ID":"77"}`)
	require.Equal(t, 200, code, "%v", granted)
	require.Equal(t, "77", granted["ID"])
	code, locked := b.post(t, "/v3/lock/lock", `{"name":"`+b64("door")+`","lease":"77"}`)
	require.Equal(t, 200, code, "%v", locked)
	require.NotEmpty(t, locked["key"])
	code, unlocked := b.post(t, "/v3/lock/unlock", `{"key":"`+locked["key"].(string)+`"}`)
	require.Equal(t, 200, code, "%v", unlocked)
	code, elected := b.post(t, "/v3/election/campaign", `{"name":"`+b64("boss")+`","value":"`+b64("me")+`","lease":"77"}`)
	require.Equal(t, 200, code, "%v", elected)
	code, leader := b.post(t, "/v3/election/leader", `{"name":"`+b64("boss")+`"}`)
	require.Equal(t, 200, code)
	require.Equal(t, b64("me"), leader["kv"].(map[string]any)["value"])
	code, kept := b.post(t, "/v3/lease/keepalive", `{"ID":"77"}`)
	require.Equal(t, 200, code)
	require.Equal(t, "60", kept["result"].(map[string]any)["TTL"])
	code, revoked := b.post(t, "/v3/kv/lease/revoke", `{"ID":"77"}`)
	require.Equal(t, 200, code, "%v", revoked)
}

// TestStopEndsWatches: a stop waits for no watch of the gateway, and tells it.
func TestStopEndsWatches(t *testing.T) {
	b := open(t, gateway.Access{})
	res, err := client(t).Post(b.url+"/v3/watch", "application/json", strings.NewReader(`{"create_request":{"key":"YQ=="}}`))
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	nextResult(t, lines)
	b.stop()
	rest, err := io.ReadAll(lines)
	require.NoError(t, err)
	require.Contains(t, string(rest), `"code":14`)
}

func TestPagesBesideIt(t *testing.T) {
	b := open(t, gateway.Access{})
	for path, want := range map[string]string{
		"/health":  `{"health":"true","reason":""}`,
		"/version": `{"etcdserver":"3.7.3","etcdcluster":"3.7.0","storage":"3.7.0"}`,
		"/readyz":  "ok\n",
	} {
		res, err := client(t).Get(b.url + path)
		require.NoError(t, err)
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		res.Body.Close()
		require.Equal(t, want, string(text))
	}
}
