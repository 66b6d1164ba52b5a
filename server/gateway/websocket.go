package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// wantsWebsocket reports whether r asks to go on as a websocket.
func wantsWebsocket(r *http.Request) bool {
	return headerHas(r.Header, "Connection", "upgrade") && headerHas(r.Header, "Upgrade", "websocket")
}

func headerHas(h http.Header, key, word string) bool {
	for _, line := range h.Values(key) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}
	}
	return false
}

// serveWebsocket makes a call of which each message is a message of the
// websocket, both ways. It is what etcd's clients in browsers speak: a token
// comes as Sec-WebSocket-Protocol "Bearer, TOKEN" or as the cookie "token".
func (w *Gateway) serveWebsocket(rw http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{
		Subprotocols: []string{"Bearer"},
		// An origin beyond the list must be the server's own.
		InsecureSkipVerify: w.access.originAllowed(r.Header.Get("Origin")),
	})
	if err != nil {
		w.log.Debug("no websocket", "remote-addr", r.RemoteAddr, "error", err)
		return
	}
	conn.SetReadLimit(w.limit)
	ctx, cancel := context.WithCancel(r.Context())
	defer context.AfterFunc(w.closing, cancel)()
	body, feed := io.Pipe()
	read := make(chan struct{}) // closed by the goroutine that reads
	go func() {
		defer close(read)
		defer cancel() // a client that is gone wants no answer
		err := readInto(ctx, conn, feed, takesMany(r.URL.Path))
		feed.Close()
		w.log.Debug("websocket read to its end", "remote-addr", r.RemoteAddr, "reason", err)
	}()
	out := &websocketWriter{ctx: ctx, conn: conn, header: make(http.Header)}
	w.mux.ServeHTTP(out, websocketRequest(ctx, r, body))
	if err := errors.Join(out.finish(), ctx.Err()); err == nil {
		conn.Close(websocket.StatusNormalClosure, "")
	}
	cancel()
	body.Close()
	conn.CloseNow()
	<-read
}

// takesMany reports whether the call of a path takes many messages. All others
// wait for the end of the first.
func takesMany(path string) bool {
	return path == Prefix+"watch" || path == Prefix+"lease/keepalive"
}

// readInto writes what comes to feed, a line for each message, until the
// client leaves. If the call takes one message, feed ends with it, and the
// client is read on only to see that it leaves.
func readInto(ctx context.Context, conn *websocket.Conn, feed *io.PipeWriter, many bool) error {
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		if _, err := feed.Write(append(message, '\n')); err != nil && many {
			return err
		}
		if !many {
			feed.Close()
		}
	}
}

// websocketRequest is the call behind r.
func websocketRequest(ctx context.Context, r *http.Request, body io.ReadCloser) *http.Request {
	call := r.Clone(ctx)
	call.Method, call.Body, call.ContentLength = http.MethodPost, body, -1
	call.Header = make(http.Header)
	for _, key := range []string{"Authorization", "Origin", "Referer"} {
		if value := r.Header.Get(key); value != "" {
			call.Header.Set(key, value)
		}
	}
	if _, token, ok := strings.Cut(r.Header.Get("Sec-Websocket-Protocol"), "Bearer,"); ok {
		call.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	}
	if cookie, err := r.Cookie("token"); err == nil {
		call.Header.Set("Authorization", "Bearer "+cookie.Value)
	}
	return call
}

// websocketWriter sends each line of an answer as one message. The answer's
// header has nowhere to go.
type websocketWriter struct {
	ctx     context.Context
	conn    *websocket.Conn
	header  http.Header
	pending []byte // a line that has not ended yet
}

func (w *websocketWriter) Header() http.Header { return w.header }
func (w *websocketWriter) WriteHeader(int)     {}
func (w *websocketWriter) Flush()              {}

func (w *websocketWriter) Write(p []byte) (int, error) {
	rest := p
	for {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if !ended {
			w.pending = append(w.pending, rest...)
			return len(p), nil
		}
		w.pending = append(w.pending, line...)
		rest = after
		if err := w.finish(); err != nil {
			return len(p) - len(rest), err
		}
	}
}

// finish sends what is pending.
func (w *websocketWriter) finish() error {
	if len(w.pending) == 0 {
		return nil
	}
	err := w.conn.Write(w.ctx, websocket.MessageText, w.pending)
	w.pending = w.pending[:0]
	return err
}
