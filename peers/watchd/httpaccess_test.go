package watchd

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/peers/process"
)

// Who may use HTTP, and by which name, is the same.
func TestHTTP_AccessAsEtcd(t *testing.T) {
	flags := []string{"--cors", "https://good.example.com:8443", "--host-whitelist", "127.0.0.1"}
	theirs, ours := serveEtcd(t, flags...), serveWatchd(t, "mem", flags...)
	from := func(method, origin string) webRequest {
		return webRequest{method: method, path: "/v3/kv/range", body: `{"key":"YQ=="}`, header: http.Header{"Origin": {origin}}}
	}
	for _, r := range []webRequest{
		from("POST", "https://good.example.com:8443"), from("POST", "https://evil.example.com"), from("OPTIONS", "https://good.example.com:8443"),
		from("OPTIONS", "https://evil.example.com"), page("/version"),
	} {
		want, got := askWeb(t, theirs, r), askWeb(t, ours, r)
		require.Equal(t, want, got, r.String())
	}
	var statuses []int
	for _, s := range []*process.Server{theirs, ours} {
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/version", s.Port), nil)
		require.NoError(t, err)
		q.Host = "evil.example.com"
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(q)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		statuses = append(statuses, res.StatusCode)
	}
	require.Equal(t, []int{http.StatusMisdirectedRequest, http.StatusMisdirectedRequest}, statuses)
}

// A watch over a websocket says the same message by message.
func TestHTTP_WebsocketAsEtcd(t *testing.T) {
	theirs, ours := serveEtcd(t), serveWatchd(t, "pebble")
	var said [][]string
	for _, s := range []*process.Server{theirs, ours} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/v3/watch", s.Port), nil)
		require.NoError(t, err)
		defer conn.CloseNow()
		var messages []string
		next := func() {
			kind, text, err := conn.Read(ctx)
			require.NoError(t, err)
			messages = append(messages, fmt.Sprint(kind, anonymousWeb(string(text))))
		}
		for _, text := range []string{
			call("", `{"create_request":{"key":'a',"prev_kv":true}}`).body, call("", `{"create_request":{"key":'b',"start_revision":"-1"}}`).body,
		} {
			require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(text)))
			next()
		}
		for _, value := range []string{"1", "2"} {
			askWeb(t, s, call("/v3/kv/put", `{"key":'a',"value":'`+value+`'}`))
			next()
		}
		require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(`{"cancel_request":{}}`)))
		next()
		said = append(said, messages)
	}
	require.Equal(t, said[0], said[1])
	require.True(t, strings.Contains(said[0][2], `"events"`), said[0][2])
}
