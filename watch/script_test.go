package watch

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// TestScripts runs testdata/script: stories of a store and a hub whose
// goroutines stand still, so that each step happens when the story says so.
// Run with -rewrite to take the present output as the wanted one.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/script", func(t *testing.T, path string) {
		s := &script{t: t, streams: map[string]*Stream{}}
		t.Cleanup(s.close)
		datadriven.RunTest(t, path, s.run)
	})
}

type script struct {
	t       *testing.T
	store   *mvcc.Store
	hub     *Hub
	reader  *reader
	streams map[string]*Stream
}

// run carries out one command; an error is part of the output.
func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	if s.hub == nil && d.Cmd != "hub" {
		s.open(&datadriven.TestData{})
	}
	var b strings.Builder
	var err error
	switch d.Cmd {
	case "hub":
		s.open(d)
	case "put":
		err = s.put(&b, d)
	case "fill":
		err = s.fill(&b, d)
	case "delete":
		err = s.del(&b, d)
	case "compact":
		err = s.store.Compact(context.Background(), s.num(d, "to", 0))
	case "watch":
		err = s.watch(&b, d)
	case "cancel":
		err = s.stream(d).Cancel(s.num(d, "id", 0))
	case "close":
		err = s.stream(d).Close()
	case "progress":
		err = s.stream(d).RequestProgress()
	case "step":
		err = s.step(d)
	case "recv":
		err = s.recv(&b, d)
	case "state":
		s.state(&b)
	case "stats":
		s.stats(&b, d)
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	if b.Len() == 0 {
		return "ok\n"
	}
	return b.String()
}

// open makes the store and the hub; arguments: outbox, bytes, response,
// watches, per-stream, recent.
func (s *script) open(d *datadriven.TestData) {
	s.close()
	engine, err := mem.Open("", backend.Options{})
	require.NoError(s.t, err)
	s.store, err = mvcc.Open(engine, mvcc.Config{RecentBytes: s.num(d, "recent", 0)})
	require.NoError(s.t, err)
	s.hub = newHub(s.store, Config{
		OutboxResponses: int(s.num(d, "outbox", 0)), OutboxBytes: s.num(d, "bytes", 0),
		MaxResponseBytes: int(s.num(d, "response", 0)), Shards: 1,
		MaxWatches: int(s.num(d, "watches", 0)), MaxWatchesPerStream: int(s.num(d, "per-stream", 0)),
	})
	s.reader, s.streams = &reader{}, map[string]*Stream{}
}

func (s *script) close() {
	if s.hub == nil {
		return
	}
	require.NoError(s.t, s.hub.Close())
	require.NoError(s.t, s.store.Close())
	s.hub = nil
}

func (s *script) num(d *datadriven.TestData, name string, def int64) int64 {
	for _, a := range d.CmdArgs {
		if a.Key == name && len(a.Vals) == 1 {
			n, err := strconv.ParseInt(a.Vals[0], 10, 64)
			require.NoError(s.t, err, d.Pos)
			return n
		}
	}
	return def
}

func (s *script) arg(d *datadriven.TestData, name, def string) string {
	for _, a := range d.CmdArgs {
		if a.Key == name && len(a.Vals) == 1 {
			return unescape(a.Vals[0])
		}
	}
	return def
}

// unescape reads NUL as the byte 0x00.
func unescape(v string) string { return strings.ReplaceAll(v, "NUL", "\x00") }

func (s *script) stream(d *datadriven.TestData) *Stream {
	name := s.arg(d, "stream", "s")
	if s.streams[name] == nil {
		st, err := s.hub.NewStream(name)
		require.NoError(s.t, err)
		s.streams[name] = st
	}
	return s.streams[name]
}

// put writes its arguments k=v in one transaction; k alone deletes.
func (s *script) put(b *strings.Builder, d *datadriven.TestData) error {
	rev, err := s.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
		for _, a := range d.CmdArgs {
			var err error
			if len(a.Vals) == 0 {
				_, err = tx.DeleteRange([]byte(a.Key), nil)
			} else {
				err = tx.Put([]byte(a.Key), []byte(strings.Join(a.Vals, ",")), 0)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Fprintf(b, "revision %d\n", rev)
	return err
}

// fill puts n revisions of key k, values of size bytes.
func (s *script) fill(b *strings.Builder, d *datadriven.TestData) error {
	value := strings.Repeat("x", int(s.num(d, "size", 1)))
	for range s.num(d, "n", 1) {
		rev, err := s.store.Put(context.Background(), []byte(s.arg(d, "key", "k")), []byte(value))
		if err != nil {
			return err
		}
		b.Reset()
		fmt.Fprintf(b, "revision %d\n", rev)
	}
	return nil
}

func (s *script) del(b *strings.Builder, d *datadriven.TestData) error {
	r, err := s.store.DeleteRange(context.Background(), []byte(s.arg(d, "key", "")), []byte(s.arg(d, "end", "")))
	fmt.Fprintf(b, "revision %d deleted %d\n", r.Rev, r.Deleted)
	return err
}

func (s *script) watch(b *strings.Builder, d *datadriven.TestData) error {
	r := Request{
		ID: s.num(d, "id", 0), Key: []byte(s.arg(d, "key", "")), End: []byte(s.arg(d, "end", "")),
		StartRevision: s.num(d, "from", 0), PrevKV: d.HasArg("prevkv"), Progress: d.HasArg("progress"),
		NoPut: d.HasArg("noput"), NoDelete: d.HasArg("nodelete"),
		MaxLagRevisions: s.num(d, "lag", 0), MaxLagBytes: s.num(d, "lag-bytes", 0),
	}
	switch s.arg(d, "policy", "") {
	case "cancel":
		r.Policy = Cancel
	case "latest":
		r.Policy = Latest
	}
	id, err := s.stream(d).Watch(r)
	if err == nil {
		fmt.Fprintf(b, "id %d\n", id)
	}
	return err
}

// step does one step of dispatch, or rounds of catch-up until there is
// nothing to read ("catch-up") or just one ("catch-up once"), or a tick, or
// puts to rest what may be.
func (s *script) step(d *datadriven.TestData) error {
	sh, ctx := s.hub.shards[0], context.Background()
	switch d.CmdArgs[0].Key {
	case "dispatch":
		for sh.offered < s.store.Rev() {
			sh.dispatchOnce(ctx)
		}
	case "catch-up":
		for sh.catchUpOnce(ctx, s.reader) && !d.HasArg("once") {
		}
	case "tick":
		sh.tick()
	case "rest":
		sh.restIdle()
	default:
		return errors.New("no such step")
	}
	return nil
}

// recv prints what is in the outbox of a stream now.
func (s *script) recv(b *strings.Builder, d *datadriven.TestData) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		rs, err := s.stream(d).Recv(ctx)
		if errors.Is(err, context.Canceled) {
			if b.Len() == 0 {
				b.WriteString("nothing\n")
			}
			return nil
		}
		if err != nil {
			return err
		}
		for i := range rs {
			printResponse(b, &rs[i], d.HasArg("brief"))
		}
	}
}

func printResponse(b *strings.Builder, r *Response, brief bool) {
	fmt.Fprintf(b, "%d", r.WatchID)
	for _, f := range []struct {
		is   bool
		name string
	}{{r.Created, "created"}, {r.Canceled, "canceled"}, {r.CaughtUp, "caught-up"}, {r.Conflated, "conflated"}, {r.Progress(), "progress"}} {
		if f.is {
			b.WriteString(" " + f.name)
		}
	}
	fmt.Fprintf(b, " rev=%d", r.Revision)
	if r.CompactRevision != 0 {
		fmt.Fprintf(b, " compact=%d", r.CompactRevision)
	}
	if r.Err != nil {
		fmt.Fprintf(b, " err=%q", r.Err)
	}
	if n := len(r.Events); brief && n > 0 {
		fmt.Fprintf(b, ": %d events %d..%d", n, r.Events[0].KV.ModRevision, r.Events[n-1].KV.ModRevision)
		b.WriteByte('\n')
		return
	}
	for i, e := range r.Events {
		b.WriteString(map[bool]string{true: ": ", false: ", "}[i == 0])
		fmt.Fprintf(b, "%s %s", e.Type, e.KV.Key)
		if e.Type == mvcc.EventPut {
			fmt.Fprintf(b, "=%s", e.KV.Value)
		}
		fmt.Fprintf(b, "@%d", e.KV.ModRevision)
		if e.Prev != nil {
			fmt.Fprintf(b, " (was %s@%d)", e.Prev.Value, e.Prev.ModRevision)
		}
	}
	b.WriteByte('\n')
}

func (s *script) state(b *strings.Builder) {
	infos := s.hub.Watches()
	sort.Slice(infos, func(i, j int) bool {
		if infos[i].Stream != infos[j].Stream {
			return infos[i].Stream < infos[j].Stream
		}
		return infos[i].ID < infos[j].ID
	})
	for _, w := range infos {
		fmt.Fprintf(b, "%s/%d %s next=%d\n", w.StreamName, w.ID, w.State, w.Next)
	}
	if len(infos) == 0 {
		b.WriteString("no watches\n")
	}
}

// stats prints the figures named.
func (s *script) stats(b *strings.Builder, d *datadriven.TestData) {
	st := s.hub.Stats()
	all := map[string]int64{
		"synced": int64(st.Synced), "unsynced": int64(st.Unsynced), "victims": int64(st.Victims), "victims-ever": st.VictimsEver,
		"offers": st.Offers, "dispatched": st.EventsDispatched, "pending": st.PendingBytes, "prev-missing": st.PrevKVMissing,
		"memory": st.CatchUp[WayMemory].Events, "index": st.CatchUp[WayIndex].Events, "scan": st.CatchUp[WayScan].Events,
		"chunks": st.ChunksRead, "plans-index": st.PlansIndex, "plans-scan": st.PlansScan, "streams": int64(st.Streams),
		"victim-next": st.VictimNext, "unsynced-next": st.UnsyncedNext,
		"groups": int64(s.hub.shards[0].groups.count), "awake": int64(s.hub.shards[0].groups.first.Len()),
	}
	for _, a := range d.CmdArgs {
		n, ok := all[a.Key]
		require.True(s.t, ok, a.Key)
		fmt.Fprintf(b, "%s %d\n", a.Key, n)
	}
}
