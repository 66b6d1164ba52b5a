package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/server/gateway"
)

// connect opens a websocket.
func (b *bench) connect(t *testing.T, path string, header http.Header, protocols ...string) (*websocket.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(b.url, "http")+path, &websocket.DialOptions{
		HTTPClient: client(t), HTTPHeader: header, Subprotocols: protocols,
	})
	if err == nil {
		t.Cleanup(func() { conn.CloseNow() })
		require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	}
	return conn, err
}

func say(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func hear(t *testing.T, conn *websocket.Conn) map[string]any {
	t.Helper()
	_, text, err := conn.Read(t.Context())
	require.NoError(t, err)
	answer := make(map[string]any)
	require.NoError(t, json.Unmarshal(text, &answer), "%s", text)
	return answer
}

func TestWebsocketWatch(t *testing.T) {
	b := open(t, gateway.Access{})
	conn, err := b.connect(t, "/v3/watch", nil)
	require.NoError(t, err)
	say(t, conn, `{"create_request":{"key":"`+b64("foo")+`","watch_id":"5"}}`)
	created := hear(t, conn)["result"].(map[string]any)
	require.Equal(t, true, created["created"])
	require.Equal(t, "5", created["watch_id"])
	_, err = b.store.Put(t.Context(), []byte("foo"), []byte("bar"))
	require.NoError(t, err)
	require.NotEmpty(t, hear(t, conn)["result"].(map[string]any)["events"])
	// The same stream, both ways.
	say(t, conn, `{"cancel_request":{"watch_id":"5"}}`)
	require.Equal(t, true, hear(t, conn)["result"].(map[string]any)["canceled"])
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
}

// TestWebsocketCall: a call with one answer ends its websocket, and carries the
// token of a browser.
func TestWebsocketCall(t *testing.T) {
	b := open(t, gateway.Access{})
	for _, c := range []struct {
		header    http.Header
		protocols []string
	}{
		{protocols: []string{"Bearer", "secret"}},
		{header: http.Header{"Cookie": {"token=secret"}}},
	} {
		conn, err := b.connect(t, "/v3/kv/range", c.header, c.protocols...)
		require.NoError(t, err)
		say(t, conn, `{"key":"`+b64("a")+`"}`)
		require.Contains(t, hear(t, conn), "header")
		_, _, err = conn.Read(t.Context())
		require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
		require.Equal(t, []string{"secret"}, b.sent("token"))
	}
}

// TestWebsocketOfAStrangePage: a page of an origin that is not allowed gets
// none.
func TestWebsocketOfAStrangePage(t *testing.T) {
	b := open(t, gateway.Access{Origins: []string{"https://good.example.com"}})
	_, err := b.connect(t, "/v3/watch", http.Header{"Origin": {"https://evil.example.com"}})
	require.ErrorContains(t, err, "403")
	_, err = b.connect(t, "/v3/watch", http.Header{"Origin": {"https://good.example.com"}})
	require.NoError(t, err)
}

// TestStopEndsWebsockets: no http server knows them, so the gateway ends them.
func TestStopEndsWebsockets(t *testing.T) {
	b := open(t, gateway.Access{})
	conn, err := b.connect(t, "/v3/watch", nil)
	require.NoError(t, err)
	say(t, conn, `{"create_request":{"key":"YQ=="}}`)
	hear(t, conn)
	b.stop()
	require.Contains(t, hear(t, conn), "error")
}

// TestClientsThatLeave: who drops a watch, over HTTP or a websocket, leaves
// nothing at the server, also while nothing happens.
func TestClientsThatLeave(t *testing.T) {
	b := open(t, gateway.Access{})
	var leave []func()
	for range 50 {
		res, err := client(t).Post(b.url+"/v3/watch", "application/json", strings.NewReader(`{"create_request":{"key":"YQ=="}}`))
		require.NoError(t, err)
		nextResult(t, bufio.NewReader(res.Body))
		conn, err := b.connect(t, "/v3/watch", nil)
		require.NoError(t, err)
		say(t, conn, `{"create_request":{"key":"YQ=="}}`)
		hear(t, conn)
		leave = append(leave, func() { res.Body.Close() }, func() { conn.CloseNow() })
	}
	require.Equal(t, 100, b.hub.Stats().Synced)
	for _, f := range leave {
		f()
	}
	require.Eventually(t, func() bool { return b.hub.Stats().Synced == 0 }, 30*time.Second, 5*time.Millisecond)
}
