package verify

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// brokenCase is a store that breaks one rule, and the probe that must find it.
type brokenCase struct {
	rule, name string
	probe      string
	wire       bool
	by         spoiler
}

// each spoils the responses that want says, the n-th of each stream on.
func each(want func(s *spoiledStream, r *Response) bool, spoil func(s *spoiledStream, r Response) []Response) spoiler {
	return spoiler{responses: func(s *spoiledStream, r Response) []Response {
		if !want(s, &r) {
			return []Response{r}
		}
		return spoil(s, r)
	}}
}

func edit(want func(s *spoiledStream, r *Response) bool, change func(r *Response)) spoiler {
	return each(want, func(_ *spoiledStream, r Response) []Response {
		change(&r)
		return []Response{r}
	})
}

// Conditions.
func hasEvents(_ *spoiledStream, r *Response) bool { return len(r.Events) > 0 }
func isAnswer(_ *spoiledStream, r *Response) bool  { return r.WatchID == watch.NoWatch && r.Progress() }
func isCompacted(_ *spoiledStream, r *Response) bool {
	return r.Canceled && r.CompactRevision > 0
}

// revisions is how many different revisions a response has.
func revisions(r *Response) (n int) {
	last := int64(0)
	for i := range r.Events {
		if rev := r.Events[i].KV.ModRevision; rev != last {
			n, last = n+1, rev
		}
	}
	return n
}

func several(_ *spoiledStream, r *Response) bool { return revisions(r) >= 3 }

// together is a response that ends in two events of one revision.
func together(_ *spoiledStream, r *Response) bool {
	n := len(r.Events)
	return n >= 2 && r.Events[n-1].KV.ModRevision == r.Events[n-2].KV.ModRevision
}

// first of its stream that the condition holds for.
func once(want func(s *spoiledStream, r *Response) bool) func(s *spoiledStream, r *Response) bool {
	return func(s *spoiledStream, r *Response) bool { return want(s, r) && s.noted("once") == 0 }
}

func event(change func(e *mvcc.Event) bool) spoiler {
	return edit(hasEvents, func(r *Response) {
		for i := range r.Events {
			if change(&r.Events[i]) {
				return
			}
		}
	})
}

func dropped(*spoiledStream, Response) []Response { return nil }

// overtaking lets answers to requests for progress pass the events before
// them.
func overtaking() spoiler {
	return spoiler{responses: func(s *spoiledStream, r Response) []Response {
		switch {
		case len(r.Events) > 0:
			out := s.held
			s.held = []Response{r}
			return out
		case r.WatchID == watch.NoWatch && r.Progress():
			out := append([]Response{r}, s.held...)
			s.held = nil
			return out
		}
		return append(append([]Response(nil), s.release()...), r)
	}}
}

func (s *spoiledStream) release() []Response {
	out := s.held
	s.held = nil
	return out
}

func put(e *mvcc.Event) bool      { return e.Type == mvcc.EventPut }
func isUpdate(e *mvcc.Event) bool { return put(e) && e.KV.Version > 1 }

var brokenCases = []brokenCase{
	{rule: "G1", name: "two revisions swapped", probe: "catchup", by: edit(several, func(r *Response) {
		n := len(r.Events)
		r.Events[n-1], r.Events[n-2] = r.Events[n-2], r.Events[n-1]
	})},
	{rule: "G2", name: "an event twice", probe: "catchup", by: edit(several, func(r *Response) { r.Events = slices.Insert(r.Events, 1, r.Events[0]) })},
	{rule: "G3", name: "an event is missing", probe: "catchup", by: edit(several, func(r *Response) { r.Events = slices.Delete(r.Events, 1, 2) })},
	{rule: "G4", name: "a revision in two responses", probe: "live", by: each(together, func(_ *spoiledStream, r Response) []Response {
		n := len(r.Events) - 1
		second := r
		second.Events, second.Created, second.CaughtUp = r.Events[n:], false, false
		r.Events = r.Events[:n]
		return []Response{r, second}
	})},
	{rule: "G5", name: "what continues leaves out its first event", probe: "catchup", by: edit(once(func(s *spoiledStream, r *Response) bool {
		return len(r.Events) > 1 && s.requests[r.WatchID].StartRevision > 0 && len(s.requests) == 1
	}), func(r *Response) { r.Events = r.Events[1:] })},
	{rule: "G6", name: "progress overtakes an event", probe: "progress", by: overtaking()},
	{rule: "G8", name: "two operations swapped", probe: "live", by: edit(together, func(r *Response) {
		n := len(r.Events)
		r.Events[n-1], r.Events[n-2] = r.Events[n-2], r.Events[n-1]
	})},
	{rule: "G9", name: "another value", probe: "live", by: event(func(e *mvcc.Event) bool { e.KV.Value = []byte("spoiled"); return put(e) })},
	{rule: "G9", name: "a read that sees nothing", probe: "txn", by: spoiler{read: func(r *mvcc.RangeResult) { r.KVs = nil }}},
	{rule: "C1", name: "an empty key is everything", probe: "ranges", by: spoiler{create: func(r *Request) {
		if len(r.Key) == 0 && len(r.End) == 0 {
			r.Key, r.End = []byte{0}, []byte{0}
		}
	}}},
	{rule: "C2", name: "the end belongs to the range", probe: "ranges", by: spoiler{create: func(r *Request) {
		if len(r.End) > 1 && len(r.Key) > 1 {
			r.End = append(slices.Clone(r.End), 0)
		}
	}}},
	{rule: "C3", name: "an empty range is granted", probe: "ranges", by: spoiler{create: func(r *Request) {
		if len(r.End) > 1 && bytes.Compare(r.Key, r.End) >= 0 {
			r.End = nil
		}
	}}},
	{rule: "C6", name: "a negative start is granted", probe: "ranges", by: spoiler{create: func(r *Request) { r.StartRevision = max(0, r.StartRevision) }}},
	{rule: "C7", name: "Created says too much", probe: "live", by: edit(func(_ *spoiledStream, r *Response) bool { return r.Created && !r.Canceled }, func(r *Response) { r.Revision++ })},
	{rule: headerOfC7, name: "Created says too much", probe: "live", wire: true, by: edit(func(_ *spoiledStream, r *Response) bool { return r.Created && !r.Canceled }, func(r *Response) { r.Revision++ })},
	{rule: "C8", name: "a start in the future is now", probe: "starts", by: spoiler{create: func(r *Request) { r.StartRevision = 0 }}},
	{rule: "C9", name: "history begins late", probe: "catchup", by: spoiler{create: func(r *Request) {
		if r.StartRevision > 0 {
			r.StartRevision++
		}
	}}},
	{rule: "C10", name: "the compact revision itself is left out", probe: "compaction", by: spoiler{create: func(r *Request) {
		if r.StartRevision > 0 {
			r.StartRevision++
		}
	}}},
	{rule: "C11", name: "no compact revision", probe: "compaction", by: edit(isCompacted, func(r *Response) { r.CompactRevision = 0 })},
	{rule: headerOfC11, name: "revision 0", probe: "compaction", by: edit(isCompacted, func(r *Response) { r.Revision = 0 })},
	{rule: "C12", name: "told twice", probe: "overtaken", by: each(isCompacted, func(_ *spoiledStream, r Response) []Response { return []Response{r, r} })},
	{rule: "C13", name: "an id is not the lowest", probe: "ids", by: spoiler{create: func(r *Request) {
		if r.ID == 0 {
			r.ID = 100
		}
	}}},
	{rule: "C14", name: "a negative id is granted", probe: "ids", by: spoiler{create: func(r *Request) { r.ID = max(r.ID, -r.ID) }}},
	{rule: "C15", name: "progress before Created", probe: "live", by: each(func(_ *spoiledStream, r *Response) bool { return r.Created && !r.Canceled }, func(_ *spoiledStream, r Response) []Response {
		early := Response{}
		early.WatchID, early.Revision = r.WatchID, r.Revision
		return []Response{early, r}
	})},
	{rule: "C16", name: "the first response without previous values", probe: "options", by: edit(func(s *spoiledStream, r *Response) bool {
		return len(r.Events) > 0 && s.requests[r.WatchID].PrevKV
	}, func(r *Response) { r.Events[0].Prev = nil })},
	{rule: "C17", name: "an unknown filter filters", probe: "wire", wire: true, by: spoiler{create: func(r *Request) { r.NoPut = r.UnknownFilter }}},
	{rule: "C17", name: "an unknown filter is refused", probe: "wire", wire: true, by: spoiler{create: func(r *Request) {
		if r.UnknownFilter {
			r.ID = -1
		}
	}}},
	{rule: "C17", name: "an unknown request ends the stream", probe: "wire", wire: true, by: spoiler{unknown: (*spoiledStream).cut}},
	{rule: "C18", name: "a half-closed stream ends", probe: "wire", wire: true, by: spoiler{closeSend: (*spoiledStream).cut}},
	{rule: "X1", name: "Canceled twice", probe: "reuse", by: each(func(_ *spoiledStream, r *Response) bool { return r.Canceled && !r.Created }, func(_ *spoiledStream, r Response) []Response { return []Response{r, r} })},
	{rule: "X2", name: "a cancel of nothing is answered", probe: "ids", by: spoiler{cancel: func(s *spoiledStream, id int64) {
		if s.noted("cancel") > 0 {
			r := Response{}
			r.WatchID, r.Canceled = id, true
			s.waiting = append(s.waiting, r)
		}
	}}},
	{rule: "X3", name: "an event after Canceled", probe: "reuse", by: spoiler{responses: func(s *spoiledStream, r Response) []Response {
		if len(r.Events) > 0 {
			s.last[r.WatchID] = r
		}
		if late, ok := s.last[r.WatchID]; ok && r.Canceled && !r.Created {
			return []Response{r, late}
		}
		return []Response{r}
	}}},
	{rule: "X4", name: "a stream is not taken away", probe: "churn", by: spoiler{stats: func(s *spoiledSubject, st *watch.Stats) { st.Streams = len(s.streams) }}},
	{rule: "X5", name: "queued events under the new watch", probe: "reuse", by: spoiler{responses: func(s *spoiledStream, r Response) []Response {
		if len(r.Events) > 0 {
			s.held = []Response{r}
		}
		if r.Created && s.noted("created") == 1 && len(s.held) > 0 {
			return []Response{r, s.held[0]}
		}
		return []Response{r}
	}}},
	{rule: "E1", name: "a transaction at two revisions", probe: "live", by: edit(together, func(r *Response) { r.Events[len(r.Events)-1].KV.ModRevision++ })},
	{rule: "E2", name: "duplicate keys pass", probe: "txn", by: spoiler{txn: func(*mvcc.Txn, error) error { return nil }}},
	{rule: "E2", name: "overlapping deletes are refused", probe: "txn", by: spoiler{txn: func(t *mvcc.Txn, err error) error {
		if len(t.Then) == 2 && t.Then[0].Type == mvcc.OpDeleteRange && t.Then[1].Type == mvcc.OpDeleteRange {
			return mvcc.ErrDuplicateKey
		}
		return err
	}}},
	{rule: "E3", name: "a delete of nothing makes a revision", probe: "live", by: spoiler{delete: func(s *spoiledSubject, key []byte, r *mvcc.DeleteResult) {
		if r.Deleted == 0 {
			r.Rev, _ = s.Subject.Put(context.Background(), []byte("elsewhere"), nil, 0)
		}
	}}},
	{rule: "E4", name: "the version jumps", probe: "live", by: event(func(e *mvcc.Event) bool {
		if isUpdate(e) {
			e.KV.Version++
		}
		return isUpdate(e)
	})},
	{rule: "E5", name: "a delete with a value", probe: "live", by: event(func(e *mvcc.Event) bool {
		if !put(e) {
			e.KV.Value = []byte("was")
		}
		return !put(e)
	})},
	{rule: "E6", name: "a create revision before the create", probe: "live", by: event(func(e *mvcc.Event) bool { e.KV.CreateRevision--; return true })},
	{rule: "E7", name: "keys not sorted", probe: "leases", wire: true, by: spoiler{revoke: func(s *spoiledSubject, keys [][]byte) {
		_, _ = s.Subject.Txn(context.Background(), mvcc.Txn{Then: deletes(keys)})
	}}},
	{rule: "E7", name: "two revisions", probe: "leases", wire: true, by: spoiler{revoke: func(s *spoiledSubject, keys [][]byte) {
		slices.SortFunc(keys, slices.Compare)
		_, _ = s.Subject.Txn(context.Background(), mvcc.Txn{Then: deletes(keys[:2])})
		_, _ = s.Subject.Txn(context.Background(), mvcc.Txn{Then: deletes(keys[2:])})
	}}},
	{rule: "E8", name: "an event for what compaction removed", probe: "compaction", by: each(once(isAnswer), func(s *spoiledStream, r Response) []Response {
		gone := Response{}
		gone.WatchID, gone.Revision = 0, r.Revision
		gone.Events = []mvcc.Event{{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: s.requests[0].Key, ModRevision: r.Revision}}}
		return []Response{gone, r}
	})},
	{rule: "P1", name: "another previous value", probe: "live", by: event(func(e *mvcc.Event) bool {
		if e.Prev == nil {
			return false
		}
		was := *e.Prev
		was.Value = []byte("spoiled")
		e.Prev = &was
		return true
	})},
	{rule: "P2", name: "a previous value is missing", probe: "live", by: event(func(e *mvcc.Event) bool {
		had := e.Prev != nil
		e.Prev = nil
		return had
	})},
	{rule: "F1", name: "puts are not filtered", probe: "live", by: spoiler{create: func(r *Request) { r.NoPut = false }}},
	{rule: "F1", name: "deletes are not filtered", probe: "live", by: spoiler{create: func(r *Request) { r.NoDelete = false }}},
	{rule: "F2", name: "an empty response", probe: "live", by: each(hasEvents, func(s *spoiledStream, r Response) []Response {
		empty := Response{}
		empty.WatchID, empty.Revision = 6, r.Revision // the watch that filters everything
		return []Response{r, empty}
	})},
	{rule: "F3", name: "bytes that wait for ever", probe: "gauges", by: spoiler{stats: func(_ *spoiledSubject, st *watch.Stats) { st.PendingBytes = 7 }}},
	{rule: "S1", name: "fragments nobody asked for", probe: "sizes", wire: true, by: spoiler{create: func(*Request) {}, responses: func(s *spoiledStream, r Response) []Response {
		if s.requests[r.WatchID].Fragment || len(r.Events) < 2 {
			return []Response{r}
		}
		part, rest := r, r
		part.Events, part.Fragment, rest.Events = r.Events[:1], true, r.Events[1:]
		return []Response{part, rest}
	}}},
	{rule: "S2", name: "fragments of different revisions", probe: "sizes", wire: true, by: fragments(func(parts []Response) { parts[1].Revision++ })},
	{rule: "S3", name: "a fragment above the limit", probe: "sizes", wire: true, by: fragments(func(parts []Response) {
		if parts[0].Events[0].Prev != nil || len(parts[1].Events) > 0 && parts[1].Events[len(parts[1].Events)-1].Prev != nil {
			parts[0].Size = 3 << 20 // without previous values less was split
		}
	})},
	{rule: "S4", name: "something between fragments", probe: "sizes", wire: true, by: each(func(s *spoiledStream, r *Response) bool {
		return s.requests[r.WatchID].Fragment && len(r.Events) > 2
	}, func(_ *spoiledStream, r Response) []Response {
		part, rest, between := r, r, Response{}
		part.Events, part.Fragment, rest.Events = r.Events[:1], true, r.Events[1:]
		between.WatchID, between.Revision = r.WatchID+1, r.Revision
		return []Response{part, between, rest}
	})},
	{rule: "S5", name: "responses put together", probe: "sizes", by: spoiler{responses: func(s *spoiledStream, r Response) []Response {
		if len(r.Events) > 0 && sizeOf(r.Events) > 64<<10-1 && !s.requests[r.WatchID].Fragment && s.noted("joined") < 2 {
			s.held = append(s.held, r)
			return nil
		}
		for i := len(s.held) - 1; i >= 0 && len(r.Events) > 0; i-- {
			r.Events = append(slices.Clone(s.held[i].Events), r.Events...)
		}
		if len(r.Events) > 0 {
			s.held = nil
		}
		return []Response{r}
	}}},
	{rule: "N1", name: "periodic progress to others", probe: "periodic", by: each(func(s *spoiledStream, r *Response) bool { return r.Progress() && r.WatchID == 0 }, func(_ *spoiledStream, r Response) []Response {
		other := r
		other.WatchID = 1
		return []Response{r, other}
	})},
	{rule: "N2", name: "progress below Created", probe: "progress", by: edit(isAnswer, func(r *Response) { r.Revision = 1 })},
	{rule: "N3", name: "an answer that is too low", probe: "progress", by: edit(isAnswer, func(r *Response) { r.Revision-- })},
	{rule: "N3", name: "two answers", probe: "progress", by: each(isAnswer, func(_ *spoiledStream, r Response) []Response { return []Response{r, r} })},
	{rule: owedOfN3, name: "no answer while history is read", probe: "options", by: each(isAnswer, dropped)},
	{rule: "N4", name: "progress passes the queue", probe: "queue", by: overtaking()},
	{rule: "N5", name: "progress goes down", probe: "progress", by: each(isAnswer, func(_ *spoiledStream, r Response) []Response {
		lower := r
		lower.Revision--
		return []Response{r, lower}
	})},
	{rule: "N6", name: "no progress where nothing matches", probe: "progress", by: each(func(s *spoiledStream, r *Response) bool {
		return isAnswer(s, r) && bytes.Contains(s.requests[0].Key, []byte("quiet"))
	}, dropped)},
	{rule: "N7", name: "a header ahead of the events", probe: "catchup", by: edit(hasEvents, func(r *Response) { r.Revision += 50 })},
	{rule: "V1", name: "an event is lost behind a full queue", probe: "slow", by: edit(once(several), func(r *Response) { r.Events = slices.Delete(r.Events, 1, 2) })},
	{rule: "V2", name: "more waits than is allowed", probe: "slow", by: spoiler{stats: func(_ *spoiledSubject, st *watch.Stats) { st.PendingBytesMax = 1 << 30 }}},
	{rule: "V3", name: "events are jumped over", probe: "jumped", by: edit(several, func(r *Response) { r.Events = slices.Delete(r.Events, 1, 2) })},
	{rule: "V4", name: "a slow stream holds up another", probe: "slow", by: spoiler{recv: holdUp}},
	{rule: "V5", name: "no end of catch-up", probe: "catchup", by: each(func(_ *spoiledStream, r *Response) bool { return r.CaughtUp }, func(_ *spoiledStream, r Response) []Response {
		if r.CaughtUp = false; r.Created || len(r.Events) > 0 {
			return []Response{r}
		}
		return nil
	})},
	{rule: "V6", name: "nobody is cut off", probe: "policies", by: spoiler{create: func(r *Request) {
		if r.Policy == watch.Cancel {
			r.Policy = watch.Wait
		}
	}}},
	{rule: "V7", name: "a Created is dropped", probe: "slow", by: each(func(s *spoiledStream, r *Response) bool { return r.Created && r.WatchID == 100 }, dropped)},
}

// fragments spoils the parts of a response that is split in two.
func fragments(change func(parts []Response)) spoiler {
	return each(func(s *spoiledStream, r *Response) bool {
		return s.requests[r.WatchID].Fragment && len(r.Events) > 2
	}, func(_ *spoiledStream, r Response) []Response {
		parts := []Response{r, r}
		parts[0].Events, parts[0].Fragment, parts[1].Events = r.Events[:2], true, r.Events[2:]
		for i := range parts {
			parts[i].Size = sizeOf(parts[i].Events)
		}
		change(parts)
		return parts
	})
}

// holdUp gives nothing to the second stream until the first is read again.
func holdUp(s *spoiledStream) bool {
	first := s.subject.streams[0]
	first.mu.Lock()
	defer first.mu.Unlock()
	switch s.number {
	case 0:
		first.notes["read"]++
	case 1:
		if s.noted("created") == 0 {
			return false
		}
		if s.notes["base"] == 0 {
			s.notes["base"] = first.notes["read"] + 1
		}
		return first.notes["read"] < s.notes["base"]
	}
	return false
}

// Every rule that a probe looks at can be seen to be broken.
func TestRun_NamesTheBrokenRule(t *testing.T) {
	for _, c := range brokenCases {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			report := spoiledReport(t, c)
			i := slices.IndexFunc(report.Verdicts, func(v Verdict) bool { return v.Rule == c.rule })
			v := report.Verdicts[i]
			require.NotNil(t, v.Break, "%s %s", v.Outcome, v.Reason)
			want := Broken
			if c.wire && v.Class == "ours" {
				want = OursBroken
			}
			assert.Equal(t, want, v.Outcome)
			assert.NotEmpty(t, v.Break.Record)
			assert.LessOrEqual(t, len(v.Break.Record), maxRecord)
			t.Logf("%s %+v", v.Break.Detail, v.Break.Record)
		})
	}
}

// spoiledReport runs one probe on a spoiled store.
func spoiledReport(t *testing.T, c brokenCase) *Report {
	inner, err := Embedded(mem.Driver(), mvcc.Relaxed(time.Millisecond), t.TempDir())
	require.NoError(t, err)
	spoiled := &spoiledSubject{Subject: inner, by: c.by, wire: c.wire, leases: map[int64][][]byte{}}
	var subject Subject = spoiledInside{spoiled}
	if c.wire {
		subject = spoiled
	}
	r := &runner{subject: subject, facts: subject.Facts(), o: Options{Prefix: "p/", Compaction: true}, tally: newTally(), patience: time.Second}
	for _, p := range slices.Concat(probes, besides) {
		if p.name == c.probe {
			r.inTurn(t.Context(), []probe{p})
		}
	}
	report := r.report(time.Now())
	require.NoError(t, inner.Close())
	return report
}

// Nothing that a probe looks at is left out of the table.
func TestRun_EveryRuleCanBreak(t *testing.T) {
	for _, rule := range Rules() {
		if rule.away != "" {
			continue
		}
		assert.True(t, slices.ContainsFunc(brokenCases, func(c brokenCase) bool { return c.rule == rule.ID }), rule.ID)
	}
}
