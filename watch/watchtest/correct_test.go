package watchtest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// drawHistory writes a random history to the model alone.
func drawHistory(t *rapid.T, w *world) {
	keys := []string{"a", "b", "c", "d", "e"}
	for range rapid.IntRange(1, 30).Draw(t, "revisions") {
		_, err := w.model.Update(func(tx *model.Tx) error {
			for i, k := range rapid.Permutation(keys).Draw(t, "keys")[:rapid.IntRange(1, 3).Draw(t, "ops")] {
				if i > 0 && rapid.Bool().Draw(t, "delete") {
					tx.Delete(mvcc.SpanOf([]byte(k), nil))
				} else {
					tx.Put([]byte(k), []byte(fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "value"))), 0)
				}
			}
			return nil
		})
		require.NoError(t, err)
	}
}

func drawRequest(t *rapid.T, last int64) watch.Request {
	r := watch.Request{Key: []byte("a"), Progress: true}
	switch rapid.IntRange(0, 2).Draw(t, "range") {
	case 0:
		r.Key, r.End = []byte{0}, []byte{0}
	case 1:
		r.Key, r.End = []byte("b"), []byte("d")
	}
	r.StartRevision = rapid.Int64Range(0, last+2).Draw(t, "start")
	if r.StartRevision == 1 {
		r.StartRevision = 0
	}
	r.PrevKV = rapid.Bool().Draw(t, "prevkv")
	r.NoPut = rapid.IntRange(0, 4).Draw(t, "no put") == 0
	r.NoDelete = rapid.IntRange(0, 4).Draw(t, "no delete") == 0
	if rapid.IntRange(0, 2).Draw(t, "latest") == 0 {
		r.Policy = watch.Latest
	}
	return r
}

// delivery makes a right stream of responses for a request that was created
// while the store was at revision now.
func delivery(t *rapid.T, w *world, req watch.Request, now int64) []watch.Response {
	first := req.StartRevision
	if first == 0 {
		first = now + 1
	}
	var groups [][]mvcc.Event // the events of one revision each
	for _, e := range w.model.Events(mvcc.SpanOf(req.Key, req.End), first) {
		if e.Type == mvcc.EventPut && req.NoPut || e.Type == mvcc.EventDelete && req.NoDelete {
			continue
		}
		if !req.PrevKV {
			e.Prev = nil
		}
		if n := len(groups); n > 0 && groups[n-1][0].KV.ModRevision == e.KV.ModRevision {
			groups[n-1] = append(groups[n-1], e)
		} else {
			groups = append(groups, []mvcc.Event{e})
		}
	}
	out := []watch.Response{created(now)}
	told := false
	catchUp := func(next int64) {
		if !told && next > now {
			out = append(out, caughtUp(w.model.Rev()))
			told = true
		}
	}
	for i := 0; i < len(groups); {
		catchUp(groups[i][0].KV.ModRevision)
		n := rapid.IntRange(1, 4).Draw(t, "batch")
		var evs []mvcc.Event
		for ; n > 0 && i < len(groups); n, i = n-1, i+1 {
			if len(evs) > 0 && !told && groups[i][0].KV.ModRevision > now {
				break
			}
			evs = append(evs, groups[i]...)
		}
		r := events(evs...)
		safe := w.model.Rev()
		if i < len(groups) {
			safe = groups[i][0].KV.ModRevision - 1
		}
		r.Revision = rapid.Int64Range(r.Revision, safe).Draw(t, "resume point")
		out = append(out, r)
		if safe >= max(first, now) && rapid.IntRange(0, 3).Draw(t, "progress") == 0 {
			out = append(out, progress(safe))
		}
	}
	catchUp(now + 1)
	return out
}

// Every right stream is accepted, however it is cut and however late the
// writers are; and leaving any event out is noticed.
func TestWatch_AcceptsWhatIsRight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		drawHistory(rt, w)
		last := w.model.Rev()
		now := rapid.Int64Range(1, last).Draw(rt, "created at")
		req := drawRequest(rt, last)
		stream := delivery(rt, w, req, now)

		commits := w.model.Commits()
		order := rapid.Permutation(commits).Draw(rt, "acknowledged in order")
		if rapid.Bool().Draw(rt, "before the watch") {
			acknowledge(rt, w.history, order)
			order = nil
		}
		check := watchtest.NewWatch(req, watchtest.Options{History: w.history})
		for i := range stream {
			if n := rapid.IntRange(0, len(order)).Draw(rt, "acknowledge"); n > 0 {
				acknowledge(rt, w.history, order[:n])
				order = order[n:]
			}
			require.NoError(rt, check.Deliver(&stream[i]), "response %d of %v", i, stream)
		}
		acknowledge(rt, w.history, order)
		require.NoError(rt, check.Finish(last))
		total := 0
		for _, r := range stream {
			total += len(r.Events)
		}
		assert.Equal(rt, int64(total), check.Counts().Matched, "every event is compared with the history")

		if total == 0 {
			return
		}
		drop := rapid.IntRange(0, total-1).Draw(rt, "drop")
		check = watchtest.NewWatch(req, watchtest.Options{History: w.history})
		var err error
		for _, r := range without(stream, drop) {
			if err = check.Deliver(&r); err != nil {
				break
			}
		}
		if err == nil {
			err = check.Finish(last)
		}
		var b *watchtest.Broken
		if req.Policy != watch.Latest || !req.NoPut && !req.NoDelete && !needless(stream, drop) {
			require.ErrorAs(rt, err, &b, "event %d left out of %v", drop, stream)
		}
	})
}

func acknowledge(t require.TestingT, h *watchtest.History, commits []mvcc.Commit) {
	for _, c := range commits {
		require.NoError(t, h.Commit(c.Rev, changes(c)...))
	}
}

// without leaves out the n-th event.
func without(stream []watch.Response, n int) []watch.Response {
	var out []watch.Response
	for _, r := range stream {
		if k := len(r.Events); k > 0 {
			if n >= 0 && n < k {
				r.Events = append(append([]mvcc.Event(nil), r.Events[:n]...), r.Events[n+1:]...)
			}
			n -= k
			if len(r.Events) == 0 {
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// needless: leaving out the n-th event is what policy latest without filters
// may do, as it is the delete of a life of which nothing else was delivered, or it is followed
// by another event of its key in the same response.
func needless(stream []watch.Response, n int) bool {
	var flat []mvcc.Event
	for _, r := range stream {
		flat = append(flat, r.Events...)
	}
	gone := flat[n]
	for _, e := range flat[n+1:] {
		if string(e.KV.Key) == string(gone.KV.Key) {
			return true
		}
	}
	if gone.Type == mvcc.EventPut {
		return false
	}
	for i := n - 1; i >= 0; i-- {
		if string(flat[i].KV.Key) == string(gone.KV.Key) {
			return flat[i].Type == mvcc.EventDelete
		}
	}
	return true
}

// What policy latest may skip is accepted. V6
func TestWatch_AcceptsConflation(t *testing.T) {
	w := newWorld(t, "a=1", "b=1", "a=2", "c=1", "a=3", "-c", "d=1", "-d", "b=2")
	prev := func(e mvcc.Event, rev int64) mvcc.Event {
		kv := w.ev(string(e.KV.Key), rev).KV
		e.Prev = &kv
		return e
	}
	for _, c := range []struct {
		name   string
		req    watch.Request
		stream []watch.Response
	}{
		{"only the newest of each key", everything(2), []watch.Response{created(10), conflated(upTo(10, events(w.ev("a", 6), w.ev("b", 10)))), caughtUp(10)}},
		{"in two responses", everything(2), []watch.Response{created(10), conflated(upTo(9, events(w.ev("a", 6)))), conflated(events(w.ev("b", 10))), caughtUp(10)}},
		{"strict first, then behind", everything(2), []watch.Response{created(3), events(w.ev("a", 2), w.ev("b", 3)), caughtUp(3), conflated(upTo(9, events(w.ev("a", 6)))), events(w.ev("b", 10))}},
		{"a delete of what was delivered", everything(2), []watch.Response{created(5), upTo(5, events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("c", 5))), caughtUp(5), conflated(upTo(9, events(w.ev("a", 6), w.ev("c", 7)))), events(w.ev("b", 10)), progress(10)}},
		{"a delete of what was there before", everything(6), []watch.Response{created(10), conflated(events(w.ev("a", 6), w.ev("c", 7), w.ev("b", 10))), caughtUp(10)}},
		{"a key that came and went, passed over in silence", everything(8), []watch.Response{live(7), progress(9), events(w.ev("b", 10))}},
		{"previous value as delivered", modify(everything(2), withPrev), []watch.Response{created(3), events(w.ev("a", 2), w.ev("b", 3)), caughtUp(3), conflated(upTo(9, events(prev(w.ev("a", 6), 2)))), events(prev(w.ev("b", 10), 3))}},
		{"no previous value", modify(everything(2), withPrev), []watch.Response{created(10), conflated(upTo(10, events(w.ev("a", 6), w.ev("b", 10)))), caughtUp(10)}},
		{"a put whose delete is filtered", modify(keyFrom("c", 2), func(r *watch.Request) { r.NoDelete = true }), []watch.Response{created(10), caughtUp(10)}},
		{"filters act on what remains", modify(everything(2), func(r *watch.Request) { r.NoPut = true }), []watch.Response{created(10), conflated(upTo(7, events(w.ev("c", 7)))), caughtUp(10)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := watchtest.NewWatch(modify(c.req, latest), watchtest.Options{History: w.history})
			for i := range c.stream {
				require.NoError(t, check.Deliver(&c.stream[i]), "response %d", i)
			}
			require.NoError(t, check.Finish(10))
		})
	}
}

// Right answers that have no events, or an end.
func TestWatch_AcceptsEnds(t *testing.T) {
	w := newWorld(t, "a=1", "b=1", "a=2", "c=1", "a=3", "compact 4")
	absent := func(e mvcc.Event) mvcc.Event { e.Prev = nil; return e }
	for _, c := range []struct {
		name   string
		req    watch.Request
		asked  bool
		stream []watch.Response
	}{
		{"compacted", keyFrom("a", 2), false, []watch.Response{created(6), compacted(6, 4)}},
		{"at the compact revision", keyFrom("a", 4), false, []watch.Response{created(6), events(w.ev("a", 4), w.ev("a", 6)), caughtUp(6)}},
		{"too slow", modify(keyFrom("a", 4), func(r *watch.Request) { r.Policy = watch.Cancel }), false, []watch.Response{created(6), events(w.ev("a", 4)), lagging(6)}},
		{"cancelled", keyFrom("a", 4), true, []watch.Response{created(6), events(w.ev("a", 4)), canceled(6)}},
		{"cancelled, an event is out", keyFrom("a", 4), true, []watch.Response{created(6), canceled(6)}},
		{"previous value compacted", modify(keyFrom("a", 4), withPrev), false, []watch.Response{created(6), events(absent(w.ev("a", 4)), w.with("a", 6)), caughtUp(6)}},
		{"nothing matches", keyFrom("x", 4), false, []watch.Response{live(6)}},
		{"caught up together with the last events", keyFrom("a", 4), false, []watch.Response{created(6), {Events: []mvcc.Event{w.ev("a", 4), w.ev("a", 6)}, CaughtUp: true, Revision: 6}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			check := watchtest.NewWatch(c.req, watchtest.Options{History: w.history})
			if c.asked {
				check.CancelAsked()
			}
			for i := range c.stream {
				require.NoError(t, check.Deliver(&c.stream[i]), "response %d", i)
			}
			require.NoError(t, check.Finish(6))
		})
	}
}
