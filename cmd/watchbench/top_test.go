package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/watch"
)

// watchd is a server with two watches; the pages are the real ones.
func watchd(t *testing.T) *httptest.Server {
	m := metrics.New(metrics.Config{
		Identity: metrics.Identity{Program: "watchd 0.3.0", Engine: "bbolt v1.5.0", Durability: "sync"},
		Sources: metrics.Sources{
			Store: func() mvcc.Stats { return mvcc.Stats{Rev: 100} },
			Hub: func() watch.Stats {
				return watch.Stats{Streams: 1, Synced: 1, Victims: 1, VictimNext: 21, PendingBytes: 77, VictimsEver: 5}
			},
			Watches: func() []watch.WatchInfo {
				return []watch.WatchInfo{
					{Stream: 1, StreamName: "10.0.0.7:99", ID: 4, Key: []byte("pods/"), End: []byte("pods0"), State: watch.Victim, Next: 21, Lag: 80, QueuedBytes: 77},
					{Stream: 1, StreamName: "10.0.0.7:99", ID: 5, Key: []byte("\x1b[31m"), State: watch.Synced, Next: 101},
				}
			},
		},
	})
	pages := http.NewServeMux()
	pages.Handle("/metrics", m.Page())
	pages.Handle(metrics.WatchersPath, m.WatchersPage())
	s := httptest.NewServer(pages)
	t.Cleanup(s.Close)
	return s
}

// onePage is a server with one page.
func onePage(t *testing.T, path string, code int, text string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}))
	t.Cleanup(s.Close)
	return s
}

// runTop runs the command without a terminal.
func runTop(args ...string) (code int, out, err string) {
	var o, e strings.Builder
	code = execute(&terminal{out: &o, err: &e, rawOut: &o}, append([]string{"watchbench", "top"}, args...))
	return code, o.String(), e.String()
}

func TestTop_Table(t *testing.T) {
	s := watchd(t)
	for _, args := range [][]string{{"--target", "etcd://" + s.Listener.Addr().String()}, {"--url", s.URL}, {"--url", s.URL + "/debug/watchers", "--once"}} {
		code, out, err := runTop(args...)
		require.Equal(t, 0, code, err)
		assert.Empty(t, err)
		assert.Contains(t, out, "watchd 0.3.0 bbolt v1.5.0/sync")
		assert.Contains(t, out, "2 watches, 1 behind")
		assert.Regexp(t, `victim +1 +4 pods/\* +80 +77 B its reader 10\.0\.0\.7:99`, out)
		assert.Contains(t, out, `\x1b[31m`)
		assert.NotContains(t, out, "\x1b")
	}
	_, out, _ := runTop("--url", s.URL, "--state", "victim", "--match", "pods", "--limit", "1")
	assert.Contains(t, out, "pods/*")
	assert.NotContains(t, out, "31m")
}

func TestTop_JSON(t *testing.T) {
	code, out, _ := runTop("--url", watchd(t).URL, "--json", "--state", "synced")
	require.Equal(t, 0, code)
	var page metrics.Watchers
	require.NoError(t, json.Unmarshal([]byte(out), &page))
	require.Len(t, page.Watches, 1)
	assert.Equal(t, metrics.WatchersSchema, page.Schema)
	assert.Equal(t, watchersSchema, page.Schema)
	assert.Equal(t, watchersPath, metrics.WatchersPath)
}

// An etcd tells totals only.
func TestTop_Etcd(t *testing.T) {
	s := onePage(t, "/metrics", 200, `# TYPE etcd_debugging_mvcc_watcher_total gauge
etcd_debugging_mvcc_watcher_total 5000
# TYPE etcd_debugging_mvcc_slow_watcher_total gauge
etcd_debugging_mvcc_slow_watcher_total 14
# TYPE etcd_server_version gauge
etcd_server_version{server_version="3.7.3"} 1
`)
	code, out, _ := runTop("--url", s.URL)
	require.Equal(t, 0, code)
	assert.Contains(t, out, "etcd 3.7.3")
	assert.Regexp(t, `watches +5,000`, out)
	assert.Regexp(t, `slow +14`, out)
	assert.Contains(t, out, "etcd does not tell about single watches")
	code, _, err := runTop("--url", s.URL, "--json")
	assert.Equal(t, 3, code)
	assert.Contains(t, err, "no page /debug/watchers: is it a watchd")
}

func TestTop_Mistakes(t *testing.T) {
	gone := onePage(t, "/", 200, "")
	gone.Close()
	for _, row := range []struct {
		args string
		code int
		text string
	}{
		{"", 2, "top needs a server; name one by --target etcd://HOST:PORT"},
		{"--target etcd://a:1 --url http://a:1", 2, "--target with --url: both name the server"},
		{"--target 127.0.0.1:2379", 2, `--target "127.0.0.1:2379": scheme is missing`},
		{"--target etcd://a:1,b:2", 2, "watches are of one server; name one of the 2"},
		{"--url ftp://a", 2, `--url "ftp://a": not a URL`},
		{"--url http://a --state slow", 2, `--state "slow": one of victim, unsynced, synced, behind`},
		{"--url http://a --limit 0", 2, `--limit "0": at least 1 is needed`},
		{"--url http://a --limit 20k", 2, `--limit "20k": at most 10000 are possible`},
		{"--url http://a --interval 1", 2, `--interval "1": unit is missing`},
		{"--url http://a --interval 1ms", 2, `--interval "1ms": at least 100ms is needed`},
		{"--url http://a --color red", 2, `--color "red": one of auto, always, never`},
		{"--url http://a zz", 2, `top takes no argument "zz"`},
		{"--url http://a --cert c.pem", 2, "--cert without --key"},
		{"--url " + gone.URL, 3, "connection refused; is watchd running there?"},
		{"--url " + onePage(t, "/nothing", 200, "").URL, 3, "no page /debug/watchers: is it a watchd"},
		{"--url " + onePage(t, watchersPath, 503, "busy\x1b[1m").URL, 3, "the answer is 503 Service Unavailable: busy?[1m"},
		{"--url " + onePage(t, watchersPath, 200, "<html>").URL, 3, "/debug/watchers is no JSON"},
		{"--url " + onePage(t, watchersPath, 200, `{"schema":"watchkv.watchers/9"}`).URL, 3, `has the schema "watchkv.watchers/9", this program knows watchkv.watchers/1; update watchbench`},
	} {
		code, out, err := runTop(strings.Fields(row.args)...)
		assert.Equal(t, row.code, code, row.args)
		assert.Empty(t, out, row.args)
		assert.Contains(t, err, row.text, row.args)
		assert.Equal(t, 1, strings.Count(err, "\n"), "%s: one line: %q", row.args, err)
	}
}

func TestTop_NoAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ctx.Done() }))
	t.Cleanup(func() { cancel(); s.Close() })
	code, _, err := runTop("--url", s.URL, "--command-timeout", "50ms")
	assert.Equal(t, 3, code)
	assert.Contains(t, err, "no answer in time")
}
