package watchd

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/peers/process"
)

// webRequest is one of HTTP.
type webRequest struct {
	method, path, body string
	header             http.Header
}

func (r webRequest) String() string {
	return fmt.Sprintf("%s %s %v %s", r.method, r.path, r.header, r.body)
}

// post is a call of the gateway. In its body 'text' is text in base64.
func call(path, body string) webRequest {
	parts := strings.Split(body, "'")
	for i := 1; i < len(parts); i += 2 {
		parts[i] = `"` + base64.StdEncoding.EncodeToString([]byte(parts[i])) + `"`
	}
	return webRequest{method: http.MethodPost, path: path, body: strings.Join(parts, "")}
}

func page(path string) webRequest { return webRequest{method: http.MethodGet, path: path} }

// httpRequests are asked in this order.
var httpRequests = []webRequest{
	page("/health"), page("/health?serializable=true"), page("/health?exclude=NOSPACE"), page("/health/"), {method: "POST", path: "/health"},
	page("/livez"), page("/livez?verbose"), page("/livez/serializable_read"), page("/livez/data_corruption"), page("/livez?exclude=serializable_read&verbose"),
	page("/readyz"), page("/readyz?verbose"), page("/readyz?verbose&exclude=non_learner&exclude=nothing"), page("/readyz/data_corruption?verbose"),
	page("/readyz/serializable_read"), page("/readyz/linearizable_read"), page("/readyz/non_learner"), {method: "HEAD", path: "/readyz"}, {method: "PUT", path: "/livez"},
	page("/version"), {method: "POST", path: "/version"}, page("/nothing"), page("/"),
	{method: "OPTIONS", path: "/v3/kv/range", header: http.Header{"Origin": {"https://example.com"}}},
	{method: "GET", path: "/version", header: http.Header{"Origin": {"https://example.com"}}},

	call("/v3/kv/put", `{"key":'foo',"value":'bar'}`), call("/v3/kv/put", `{"key":'foo',"value":'baz',"prev_kv":true}`),
	call("/v3/kv/put", `{"key":'foo',"ignore_value":true}`), call("/v3/kv/put", `{}`), call("/v3/kv/put", ``), call("/v3/kv/put", `{"key":7}`),
	call("/v3/kv/put", `{"key":`), call("/v3/kv/put", `[]`), call("/v3/kv/put", `{"key":"*"}`), call("/v3/kv/put", `{"key":'a',"lease":"12345"}`),
	call("/v3/kv/put", `{"KEY":'a'}`), call("/v3/kv/put", `{"prevKv":true,"key":'camel',"unknown":{}}`),
	call("/v3/kv/range", `{"key":'foo'}`), call("/v3/kv/range", `{"key":'a',"range_end":'z',"limit":"1","sort_order":"DESCEND","sort_target":"MOD"}`),
	call("/v3/kv/range", `{"key":'foo',"revision":"1000"}`), call("/v3/kv/range", `{"key":'foo',"sort_order":"SIDEWAYS"}`), call("/v3/kv/range", `{"key":'x',"count_only":true}`),
	call("/v3/kv/txn", `{"compare":[{"target":"VERSION","key":'foo',"version":"3"}],"success":[{"request_put":{"key":'t',"value":'1'}}],"failure":[{"request_range":{"key":'foo'}}]}`),
	call("/v3/kv/txn", `{"success":[{"request_put":{"key":'t'}},{"request_put":{"key":'t'}}]}`), call("/v3/kv/txn", `{}`),
	call("/v3/kv/deleterange", `{"key":'foo',"prev_kv":true}`), call("/v3/kv/deleterange", `{"key":'foo'}`),
	call("/v3/kv/compaction", `{"revision":"3","physical":true}`), call("/v3/kv/compaction", `{"revision":"3"}`), call("/v3/kv/range", `{"key":'foo',"revision":"2"}`),
	call("/v3/lease/grant", `{"ID":"77","TTL":"600"}`), call("/v3/lease/grant", `{"ID":"77","TTL":"600"}`), call("/v3/lease/grant", `{"ID":"79","TTL":"-1"}`),
	call("/v3/kv/put", `{"key":'leased',"lease":"77"}`), call("/v3/lease/leases", `{}`), call("/v3/lease/keepalive", `{"ID":"77"}`), call("/v3/lease/keepalive", `{"ID":"78"}`),
	call("/v3/lease/revoke", `{"ID":"78"}`), call("/v3/kv/lease/timetolive", `{"ID":"78","keys":true}`), call("/v3/kv/lease/leases", `{}`), call("/v3/kv/lease/revoke", `{"ID":"77"}`),
	call("/v3/maintenance/alarm", `{}`), call("/v3/maintenance/alarm", `{"action":"ACTIVATE","alarm":"CORRUPT"}`), page("/health"), page("/readyz"), page("/readyz/data_corruption"),
	page("/livez"), page("/health?exclude=CORRUPT"), call("/v3/kv/put", `{"key":'a'}`),
	call("/v3/maintenance/alarm", `{"action":"DEACTIVATE","alarm":"CORRUPT"}`),
	call("/v3/maintenance/alarm", `{"action":"ACTIVATE","alarm":"NOSPACE"}`), page("/health"), page("/readyz?verbose"), call("/v3/kv/put", `{"key":'a'}`),
	call("/v3/maintenance/alarm", `{"action":"DEACTIVATE","alarm":"NOSPACE"}`), page("/health"),
	call("/v3/auth/status", `{}`), call("/v3/auth/user/list", `{}`), call("/v3/auth/authenticate", `{"name":"root","password":"x"}`),
	call("/v3/cluster/member/remove", `{"ID":"5"}`), call("/v3/cluster/member/nothing", `{}`),
	call("/v3/lock/lock", `{"name":'door',"lease":"4711"}`), call("/v3/lock/unlock", `{"key":'nothing'}`), call("/v3/election/leader", `{"name":'nobody'}`),
	page("/v3/kv/range"), page("/v3"), page("/v3/"), call("/v3beta/kv/range", `{"key":'t'}`), call("/v3alpha/kv/range", `{"key":'t'}`), call("/v2/keys", ``),
}

// Whatever is asked over HTTP, watchd and etcd say the same: status, headers and
// body but for who they are.
func TestHTTP_AnswersAsEtcd(t *testing.T) {
	theirs, ours := serveEtcd(t), serveWatchd(t, "pebble")
	for _, r := range httpRequests {
		want, got := askWeb(t, theirs, r), askWeb(t, ours, r)
		if want != got {
			t.Errorf("asked %s\n--- etcd says\n%s\n--- watchd says\n%s", r, want, got)
		}
	}
}

// ask sends r and returns the answer as text, without what differs between any
// two servers.
func askWeb(t *testing.T, s *process.Server, r webRequest) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, r.method, fmt.Sprintf("http://127.0.0.1:%d%s", s.Port, r.path), strings.NewReader(r.body))
	require.NoError(t, err)
	for key, values := range r.header {
		q.Header[key] = values
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(q)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	text := new(strings.Builder)
	fmt.Fprintln(text, res.StatusCode)
	for _, key := range slices.Sorted(maps.Keys(res.Header)) {
		if key != "Date" && key != "Content-Length" {
			fmt.Fprintln(text, key, res.Header[key])
		}
	}
	text.WriteString(anonymousWeb(string(body)))
	return text.String()
}

// anonymous takes who answered, and what varies on purpose, out of a body.
func anonymousWeb(body string) string {
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		var value map[string]any
		if json.Unmarshal([]byte(line), &value) == nil {
			forget(value)
			text, _ := json.Marshal(value)
			lines[i] = strings.ReplaceAll(string(text), "\u00a0", " ")
		}
	}
	if len(lines) > 2 && strings.HasPrefix(lines[0], "[") {
		sort.Strings(lines) // etcd's checks run in the order of a map
	}
	return strings.Join(lines, "\n")
}

func forget(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range []string{"cluster_id", "member_id", "memberID", "raft_term"} {
			delete(v, key)
		}
		for _, inner := range v {
			forget(inner)
		}
	case []any:
		for _, inner := range v {
			forget(inner)
		}
	}
}

// A watch over HTTP says the same line by line.
func TestHTTP_WatchesAsEtcd(t *testing.T) {
	theirs, ours := serveEtcd(t), serveWatchd(t, "bolt")
	var said [][]string
	for _, s := range []*process.Server{theirs, ours} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		r := call("/v3/watch", `{"create_request":{"key":'a',"range_end":'c',"prev_kv":true,"filters":["NODELETE"],"watch_id":"3"}}
			{"create_request":{"key":'c',"range_end":'a'}} {"create_request":{"key":'a',"watch_id":"3"}} {"cancel_request":{"watch_id":"9"}}`)
		q, err := http.NewRequestWithContext(ctx, r.method, fmt.Sprintf("http://127.0.0.1:%d%s", s.Port, r.path), strings.NewReader(r.body))
		require.NoError(t, err)
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		res, err := transport.RoundTrip(q)
		require.NoError(t, err)
		defer res.Body.Close()
		lines := []string{fmt.Sprint(res.StatusCode, res.Header["Content-Type"], res.TransferEncoding)}
		in := bufio.NewReader(res.Body)
		next := func() {
			line, err := in.ReadString('\n')
			require.NoError(t, err)
			lines = append(lines, anonymousWeb(line))
		}
		for range 3 {
			next()
		}
		for _, put := range []webRequest{
			call("/v3/kv/put", `{"key":'a',"value":'1'}`), call("/v3/kv/deleterange", `{"key":'a'}`), call("/v3/kv/put", `{"key":'b'}`), call("/v3/kv/put", `{"key":'b'}`),
		} {
			askWeb(t, s, put)
			if !strings.HasSuffix(put.path, "deleterange") {
				next()
			}
		}
		said = append(said, slices.Clone(lines))
	}
	require.Equal(t, said[0], said[1])
}
