package metrics

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/watchkv/watchkv/watch"
)

// WatchersPath is where the page of watches is served.
const WatchersPath = "/debug/watchers"

// WatchersSchema names the layout of the page; a change that readers must
// know of raises the number.
const WatchersSchema = "watchkv.watchers/1"

// Watchers is the page of watches: who watches what, and how far behind.
type Watchers struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	Server Server    `json:"server"`
	Total  Total     `json:"total"`
	// Matching watches had the state and text that were asked for; Watches are
	// the first of them, the furthest behind first.
	Matching int     `json:"matching"`
	Limit    int     `json:"limit"`
	Watches  []Watch `json:"watches"`
}

// Server is who answers.
type Server struct {
	Program    string `json:"program"`
	Engine     string `json:"engine,omitempty"`
	Durability string `json:"durability,omitempty"`
	MemberID   string `json:"member_id"`
}

// Total is of all watches, whatever was asked for.
type Total struct {
	Revision        int64 `json:"revision"`
	CompactRevision int64 `json:"compact_revision"`
	AppliedRevision int64 `json:"applied_revision"` // durable
	OfferedRevision int64 `json:"offered_revision"` // to every watch that follows closely

	Streams  int `json:"streams"`
	Watches  int `json:"watches"`
	Synced   int `json:"synced"`
	Unsynced int `json:"unsynced"`
	Victims  int `json:"victims"`

	LagRevisions   int64 `json:"lag_revisions"` // of the slowest watch
	QueuedBytes    int64 `json:"queued_bytes"`
	QueuedBytesMax int64 `json:"queued_bytes_max"` // the most one stream ever had
	QueuedEvents   int64 `json:"queued_events"`
	PinnedBytes    int64 `json:"pinned_bytes"` // of the newest events
	VictimsEver    int64 `json:"victims_ever"`
	Offers         int64 `json:"offers"`
	EventsSent     int64 `json:"events_sent"` // on all streams there ever were
	LiveEvents     int64 `json:"live_events"` // offered as they happened, per watch
	MemoryEvents   int64 `json:"catchup_memory_events"`
	IndexEvents    int64 `json:"catchup_index_events"`
	ScanEvents     int64 `json:"catchup_scan_events"`
	PrevKVsMissing int64 `json:"prev_kvs_missing"`
}

// Watch is one watch.
type Watch struct {
	State     string `json:"state"`
	Stream    int64  `json:"stream"`
	ID        int64  `json:"id"`
	Range     string `json:"range"` // for people; see RangeText
	Key       []byte `json:"key"`
	End       []byte `json:"end,omitempty"` // as etcd has it; none is the single key, one zero byte is no end
	Next      int64  `json:"next"`          // first revision it still wants
	Lag       int64  `json:"lag_revisions"`
	LagBytes  int64  `json:"lag_bytes"`    // written meanwhile, as far as known
	Queued    int64  `json:"queued_bytes"` // in its stream, for all its watches
	Policy    string `json:"policy"`
	Client    string `json:"client,omitempty"` // address
	UserAgent string `json:"user_agent,omitempty"`
	// Sent events of its stream, for all its watches, and since when.
	Sent   int64      `json:"stream_events_sent"`
	Opened *time.Time `json:"stream_opened,omitempty"`
}

// The most watches that are shown, unless less is asked for.
const (
	defaultLimit = 100
	mostLimit    = 10_000
)

// ask is what a request wants to see.
type ask struct {
	limit int
	state string // empty: every
	text  string // part of the range or client; empty: every
}

// WatchersPage is the handler of WatchersPath. Parameters: limit, at most
// 10000; state, one of synced, unsynced, victim and behind; match, a part of
// the range or of the client's address.
func (m *Metrics) WatchersPage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		a, err := asked(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		_ = out.Encode(m.watchers(a)) // the reader has gone: nobody to tell
	})
}

// behind is both states that are not synced.
const behind = "behind"

// states that may be asked for.
var states = []string{watch.Synced.String(), watch.Unsynced.String(), watch.Victim.String(), behind}

func asked(q url.Values) (a ask, err error) {
	for name := range q {
		if name != "limit" && name != "state" && name != "match" {
			return a, fmt.Errorf("%q: unknown parameter; known are limit, state and match", name)
		}
	}
	a = ask{limit: defaultLimit, state: q.Get("state"), text: q.Get("match")}
	if text := q.Get("limit"); text != "" {
		if a.limit, err = strconv.Atoi(text); err != nil || a.limit < 0 || a.limit > mostLimit {
			return a, fmt.Errorf("limit %q: from 0 to %d is possible", text, mostLimit)
		}
	}
	if a.state != "" && !slices.Contains(states, a.state) {
		return a, fmt.Errorf("state %q: one of %s", a.state, strings.Join(states, ", "))
	}
	return a, nil
}

func (a ask) wantsState(s watch.State) bool {
	switch a.state {
	case "":
		return true
	case behind:
		return s != watch.Synced
	}
	return a.state == s.String()
}

// watchers is the page as asked for.
func (m *Metrics) watchers(a ask) *Watchers {
	page := &Watchers{
		Schema: WatchersSchema, At: time.Now().UTC(), Limit: a.limit, Watches: []Watch{},
		Server: Server{
			Program: m.cfg.Identity.Program, Engine: m.cfg.Identity.Engine,
			Durability: m.cfg.Identity.Durability, MemberID: hexID(m.cfg.Identity.MemberID),
		},
		Total: m.total(),
	}
	all := m.cfg.Sources.Watches()
	slices.SortFunc(all, func(a, b watch.WatchInfo) int {
		return cmp.Or(-cmp.Compare(a.Lag, b.Lag), -cmp.Compare(a.State, b.State),
			-cmp.Compare(a.QueuedBytes, b.QueuedBytes), cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.ID, b.ID))
	})
	for i := range all {
		info := &all[i]
		if !a.wantsState(info.State) {
			continue
		}
		if a.text == "" && len(page.Watches) == a.limit {
			page.Matching++ // what is not shown need not be made readable
			continue
		}
		w := describe(info)
		m.addClient(&w, info.StreamName)
		if a.text != "" && !strings.Contains(w.Range, a.text) && !strings.Contains(w.Client, a.text) {
			continue
		}
		page.Matching++
		if len(page.Watches) < a.limit {
			page.Watches = append(page.Watches, w)
		}
	}
	return page
}

func (m *Metrics) total() Total {
	store, hub := m.cfg.Sources.Store(), m.cfg.Sources.Hub()
	return Total{
		Revision: store.Rev, CompactRevision: store.CompactRev, AppliedRevision: store.Applied, OfferedRevision: hub.OfferedRevision,
		Streams: hub.Streams, Watches: hub.Synced + hub.Unsynced + hub.Victims,
		Synced: hub.Synced, Unsynced: hub.Unsynced, Victims: hub.Victims,
		LagRevisions: int64(lag(&moment{store: store, hub: hub})),
		QueuedBytes:  hub.PendingBytes, QueuedBytesMax: hub.PendingBytesMax, QueuedEvents: hub.PendingEvents,
		PinnedBytes: store.RecentBytes, VictimsEver: hub.VictimsEver, Offers: hub.Offers,
		EventsSent: m.eventsSent.Load(), LiveEvents: hub.EventsDispatched,
		MemoryEvents: hub.CatchUp[watch.WayMemory].Events, IndexEvents: hub.CatchUp[watch.WayIndex].Events,
		ScanEvents: hub.CatchUp[watch.WayScan].Events, PrevKVsMissing: hub.PrevKVMissing,
	}
}

func describe(info *watch.WatchInfo) Watch {
	return Watch{
		State: info.State.String(), Stream: info.Stream, ID: info.ID,
		Range: RangeText(info.Key, info.End), Key: info.Key, End: info.End,
		Next: info.Next, Lag: info.Lag, LagBytes: info.LagBytes, Queued: info.QueuedBytes,
		Policy: info.Policy.String(),
	}
}

// addClient says whose stream it is, if it is one of a client.
func (m *Metrics) addClient(w *Watch, stream string) {
	m.mu.Lock()
	s := m.open[stream]
	m.mu.Unlock()
	if s == nil {
		w.Client = stream
		return
	}
	w.Client, w.UserAgent, w.Sent, w.Opened = s.peer, s.userAgent, s.events.Load(), &s.opened
}

// textMost is the longest text of a key that is shown.
const textMost = 120

// RangeText is a range for people: a key, "prefix*", "from ..< end", or "*"
// for all keys. What cannot be printed is escaped as in Go; long keys are cut.
func RangeText(key, end []byte) string {
	switch {
	case len(end) == 0:
		return keyText(key)
	case len(end) == 1 && end[0] == 0:
		if len(key) == 0 || len(key) == 1 && key[0] == 0 {
			return "*"
		}
		return keyText(key) + " .."
	case slices.Equal(prefixEnd(key), end):
		return keyText(key) + "*"
	}
	return keyText(key) + " ..< " + keyText(end)
}

func keyText(key []byte) string {
	cut := ""
	if len(key) > textMost {
		key, cut = key[:textMost], "…"
	}
	text := string(key)
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		quoted := strconv.Quote(text)
		text = quoted[1 : len(quoted)-1]
	}
	return text + cut
}

// prefixEnd is the end of the range of all keys that begin with p.
func prefixEnd(p []byte) []byte {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] < 0xff {
			end := slices.Clone(p[:i+1])
			end[i]++
			return end
		}
	}
	return []byte{0}
}
