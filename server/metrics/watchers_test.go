package metrics_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/watch"
)

// ask asks for the page of watches.
func ask(t *testing.T, m *metrics.Metrics, query string) metrics.Watchers {
	t.Helper()
	w := httptest.NewRecorder()
	m.WatchersPage().ServeHTTP(w, httptest.NewRequest("GET", metrics.WatchersPath+query, nil))
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	var page metrics.Watchers
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&page))
	require.Equal(t, metrics.WatchersSchema, page.Schema)
	return page
}

// some has three watches on two streams, one of them of a client.
func some() *metrics.Metrics {
	var infos []watch.WatchInfo
	m := metrics.New(metrics.Config{
		Identity: metrics.Identity{Program: "watchd 1.2.3", Engine: "bolt", Durability: "sync", MemberID: 0xabc},
		Sources: metrics.Sources{
			Store: func() mvcc.Stats { return mvcc.Stats{Rev: 100, Applied: 99, CompactRev: 3} },
			Hub: func() watch.Stats {
				return watch.Stats{Streams: 2, Synced: 1, Unsynced: 1, Victims: 1, VictimNext: 21, PendingBytes: 77}
			},
			Watches: func() []watch.WatchInfo { return infos },
		},
	})
	ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 99}})
	s := m.OpenStream(metadata.NewIncomingContext(ctx, metadata.Pairs("user-agent", "grpc-go/1.80")))
	s.Sent(12)
	infos = []watch.WatchInfo{
		{Stream: 1, StreamName: s.Name(), ID: 4, Key: []byte("registry/pods/"), End: []byte("registry/pods0"), State: watch.Victim, Next: 21, Lag: 80, LagBytes: 8000, QueuedBytes: 77},
		{Stream: 2, StreamName: "embedded", ID: 0, Key: []byte("a"), State: watch.Synced, Next: 101},
		{Stream: 1, StreamName: s.Name(), ID: 5, Key: []byte{0}, End: []byte{0}, State: watch.Unsynced, Next: 91, Lag: 10, QueuedBytes: 77, Policy: watch.Latest},
	}
	return m
}

func TestWatchers_FurthestBehindFirst(t *testing.T) {
	page := ask(t, some(), "")
	assert.Equal(t, metrics.Server{Program: "watchd 1.2.3", Engine: "bolt", Durability: "sync", MemberID: "abc"}, page.Server)
	assert.Equal(t, metrics.Total{
		Revision: 100, CompactRevision: 3, AppliedRevision: 99, Streams: 2, Watches: 3, Synced: 1, Unsynced: 1, Victims: 1,
		LagRevisions: 80, QueuedBytes: 77, EventsSent: 12,
	}, page.Total)
	require.Len(t, page.Watches, 3)
	assert.Equal(t, 3, page.Matching)
	first := page.Watches[0]
	assert.NotNil(t, first.Opened)
	first.Opened = nil
	assert.Equal(t, metrics.Watch{
		State: "victim", Stream: 1, ID: 4, Range: "registry/pods/*", Key: []byte("registry/pods/"), End: []byte("registry/pods0"),
		Next: 21, Lag: 80, LagBytes: 8000, Queued: 77, Policy: "wait", Client: "10.0.0.7:99", UserAgent: "grpc-go/1.80", Sent: 12,
	}, first)
	assert.Equal(t, "unsynced", page.Watches[1].State)
	assert.Equal(t, "*", page.Watches[1].Range)
	assert.Equal(t, "latest", page.Watches[1].Policy)
	assert.Equal(t, "embedded", page.Watches[2].Client)
	assert.Nil(t, page.Watches[2].Opened)
}

func TestWatchers_Asked(t *testing.T) {
	m := some()
	for query, want := range map[string]struct{ matching, shown int }{
		"?limit=1":                       {3, 1},
		"?limit=0":                       {3, 0},
		"?state=victim":                  {1, 1},
		"?state=synced":                  {1, 1},
		"?state=behind&limit=1":          {2, 1},
		"?match=pods":                    {1, 1},
		"?match=10.0.0.7&state=unsynced": {1, 1},
		"?match=nobody":                  {0, 0},
	} {
		page := ask(t, m, query)
		assert.Equal(t, want.matching, page.Matching, query)
		assert.Len(t, page.Watches, want.shown, query)
		assert.Equal(t, 3, page.Total.Watches, query)
	}
}

func TestWatchers_Mistakes(t *testing.T) {
	for _, row := range []struct {
		method, query, text string
		code                int
	}{
		{"GET", "?limit=-1", `limit "-1": from 0 to 10000 is possible`, 400},
		{"GET", "?limit=10001", `limit "10001"`, 400},
		{"GET", "?limit=all", `limit "all"`, 400},
		{"GET", "?state=slow", `state "slow": one of synced, unsynced, victim, behind`, 400},
		{"GET", "?sort=lag", `"sort": unknown parameter; known are limit, state and match`, 400},
		{"POST", "", "only GET", 405},
	} {
		w := httptest.NewRecorder()
		some().WatchersPage().ServeHTTP(w, httptest.NewRequest(row.method, metrics.WatchersPath+row.query, nil))
		assert.Equal(t, row.code, w.Code, row.query)
		assert.Contains(t, w.Body.String(), row.text)
	}
}

func TestRangeText(t *testing.T) {
	for _, row := range []struct{ key, end, want string }{
		{"a", "", "a"},
		{"a/", "a0", "a/*"},
		{"", "\x00", "*"},
		{"\x00", "\x00", "*"},
		{"k", "\x00", "k .."},
		{"a", "c", "a ..< c"},
		{"a\xff", "b", `a\xff*`},
		{"\xff\xff", "\x00", `\xff\xff ..`},
		{"tab\t\"", "", `tab\t\"`},
		{"grün", "", "grün"},
		{strings.Repeat("x", 200), "", strings.Repeat("x", 120) + "…"},
	} {
		assert.Equal(t, row.want, metrics.RangeText([]byte(row.key), []byte(row.end)), "%q %q", row.key, row.end)
	}
}
