package gateway_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/server/gateway"
)

// ask makes a request of the guard and returns the answer; the page behind it
// answers with the path that it saw.
func ask(access gateway.Access, r *http.Request) *httptest.ResponseRecorder {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) })
	w := httptest.NewRecorder()
	gateway.Guard(page, access, nil).ServeHTTP(w, r)
	return w
}

func TestGuardHosts(t *testing.T) {
	listed := gateway.Access{Hosts: []string{"db.example.com"}}
	at := func(host string) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/version", nil)
		r.Host = host
		return r
	}
	require.Equal(t, 200, ask(gateway.Access{}, at("anything")).Code)
	require.Equal(t, 200, ask(gateway.Access{Hosts: []string{"*"}}, at("anything")).Code)
	require.Equal(t, 200, ask(listed, at("db.example.com:2379")).Code)
	refused := ask(listed, at("evil.example.com:2379"))
	require.Equal(t, http.StatusMisdirectedRequest, refused.Code)
	require.Contains(t, refused.Body.String(), `watchd --host-whitelist "evil.example.com"`)
	secure := at("evil.example.com")
	secure.TLS = &tls.ConnectionState{}
	require.Equal(t, 200, ask(listed, secure).Code)
}

func TestGuardOrigins(t *testing.T) {
	listed := gateway.Access{Origins: []string{"https://good.example.com"}}
	from := func(method, origin string) *http.Request {
		r := httptest.NewRequest(method, "/v3/kv/range", nil)
		r.Header.Set("Origin", origin)
		return r
	}
	const key = "Access-Control-Allow-Origin"
	require.Equal(t, "*", ask(gateway.Access{}, from("POST", "https://a")).Header().Get(key))
	require.Equal(t, "https://good.example.com", ask(listed, from("POST", "https://good.example.com")).Header().Get(key))
	require.Empty(t, ask(listed, from("POST", "https://evil.example.com")).Header().Get(key))
	options := ask(gateway.Access{}, from(http.MethodOptions, "https://a"))
	require.Equal(t, 200, options.Code)
	require.Empty(t, options.Body.String())
	require.Equal(t, "POST, GET, OPTIONS, PUT, DELETE", options.Header().Get("Access-Control-Allow-Methods"))
	require.Equal(t, "accept, content-type, authorization", options.Header().Get("Access-Control-Allow-Headers"))
}

func TestGuardOldPaths(t *testing.T) {
	require.Equal(t, "/v3/kv/put", ask(gateway.Access{}, httptest.NewRequest("POST", "/v3beta/kv/put", nil)).Body.String())
}
