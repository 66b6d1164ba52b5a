package watchtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// brokenStream is responses that break exactly one rule.
type brokenStream struct {
	rule, name string
	written    []string // one revision each, from 2 on
	req        watch.Request
	setUp      func(w *world, o *watchtest.Options)
	responses  func(w *world) []watch.Response
}

func key(k string) watch.Request { return watch.Request{Key: []byte(k)} }
func keyFrom(k string, rev int64) watch.Request {
	return watch.Request{Key: []byte(k), StartRevision: rev}
}
func everything(rev int64) watch.Request {
	return watch.Request{Key: []byte{0}, End: []byte{0}, StartRevision: rev, Progress: true}
}
func prefix(from, to string, rev int64) watch.Request {
	return watch.Request{Key: []byte(from), End: []byte(to), StartRevision: rev, Progress: true}
}

func modify(r watch.Request, f func(*watch.Request)) watch.Request { f(&r); return r }

func latest(r *watch.Request)   { r.Policy = watch.Latest }
func withPrev(r *watch.Request) { r.PrevKV = true }

func responses(r ...watch.Response) func(*world) []watch.Response {
	return func(*world) []watch.Response { return r }
}

// changed is an event with one thing wrong.
func changed(e mvcc.Event, f func(*mvcc.Event)) mvcc.Event { f(&e); return e }

var abc = []string{"a=1", "b=1", "a=2", "c=1", "a=3"} // revisions 2 to 6

var brokenStreams = []brokenStream{
	{rule: "G1", name: "two revisions swapped over responses", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2)), events(w.ev("a", 4)), events(w.ev("b", 3)), events(w.ev("c", 5), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G1", name: "two revisions swapped in one response", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), upTo(6, events(w.ev("a", 2), w.ev("a", 4), w.ev("b", 3)))}
	}},
	{rule: "G2", name: "a response twice", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3)), events(w.ev("a", 2), w.ev("b", 3))}
	}},
	{rule: "G2", name: "an event twice in one response", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3), w.ev("b", 3))}
	}},
	{rule: "G2", name: "an event again later", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3)), events(w.ev("a", 4)), events(w.ev("b", 3))}
	}},
	{rule: "G3", name: "an event is missing", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("a", 4), w.ev("c", 5), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G3", name: "the last event is missing", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(2), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("c", 5)), caughtUp(5)}
	}},
	{rule: "G3", name: "an event of a single key is missing", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2)), events(w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G3", name: "an event of a prefix is missing", written: abc, req: prefix("a", "c", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("a", 4), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G3", name: "a part of a revision is missing", written: []string{"a=1 b=1", "a=2"}, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(3), events(w.ev("a", 2)), events(w.ev("a", 3)), caughtUp(3)}
	}},
	{rule: "G3", name: "without a history: a version is missing", req: key("a"), written: []string{"a=1", "a=2", "a=3"},
		setUp: func(_ *world, o *watchtest.Options) { o.History = nil }, responses: func(w *world) []watch.Response {
			return []watch.Response{live(1), events(w.ev("a", 2)), events(w.ev("a", 4))}
		}},
	{rule: "G4", name: "a revision in two responses", written: []string{"a=1 b=1"}, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(2), events(w.ev("a", 2)), events(w.ev("b", 2)), caughtUp(2)}
	}},
	{rule: "G5", name: "a resumed watch skips", written: abc, req: everything(4), setUp: resumed, responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("c", 5)), events(w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G5", name: "a resumed watch repeats", written: abc, req: everything(4), setUp: resumed, responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("b", 3), w.ev("a", 4), w.ev("c", 5), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "G6", name: "progress ran ahead of an event", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4)), progress(6), events(w.ev("c", 5), w.ev("a", 6))}
	}},
	{rule: "G6", name: "without a history: progress ran ahead of an event", written: abc, req: everything(2),
		setUp: func(_ *world, o *watchtest.Options) { o.History = nil }, responses: func(w *world) []watch.Response {
			return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4)), progress(6), events(w.ev("c", 5), w.ev("a", 6))}
		}},
	{rule: "G8", name: "operations of a revision swapped", written: []string{"a=1 b=1"}, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(2), events(w.ev("b", 2), w.ev("a", 2)), caughtUp(2)}
	}},
	{rule: "G9", name: "an event nobody wrote", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), changed(w.ev("b", 3), func(e *mvcc.Event) { e.KV.Key = []byte("x") }))}
	}},
	{rule: "G9", name: "another value", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), changed(w.ev("b", 3), func(e *mvcc.Event) { e.KV.Value = []byte("9") }))}
	}},
	{rule: "G9", name: "a delete for a put", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), mvcc.Event{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: []byte("b"), ModRevision: 3}})}
	}},
	{rule: "G9", name: "an event at a revision no writer was answered with", written: abc, req: key("a"), responses: func(w *world) []watch.Response {
		w.write("a=4")
		return []watch.Response{live(6), events(w.ev("a", 7))}
	}},
	{rule: "C2", name: "a key outside the range", written: abc, req: prefix("a", "c", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("c", 5))}
	}},
	{rule: "C2", name: "another key", written: abc, req: key("a"), responses: func(w *world) []watch.Response {
		return []watch.Response{live(1), events(w.ev("a", 2)), events(w.ev("b", 3))}
	}},
	{rule: "C7", name: "from now on, and an older event", written: abc, req: key("a"), responses: func(w *world) []watch.Response {
		return []watch.Response{live(4), events(w.ev("a", 4))}
	}},
	{rule: "C8", name: "below a start in the future", written: abc, req: keyFrom("a", 5), responses: func(w *world) []watch.Response {
		return []watch.Response{live(3), events(w.ev("a", 4))}
	}},
	{rule: "C8", name: "progress before a start in the future", written: abc, req: everything(5), responses: responses(live(3), progress(4))},
	{rule: "C9", name: "history begins too early", written: abc, req: keyFrom("a", 3), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("a", 4))}
	}},
	{rule: "C9", name: "history begins too late", written: abc, req: everything(3), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 4), w.ev("c", 5), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "C10", name: "the delete at the compact revision is missing", written: []string{"a=1", "-a", "a=2", "compact 3"}, req: keyFrom("a", 3), responses: func(w *world) []watch.Response {
		return []watch.Response{created(4), events(w.ev("a", 4)), caughtUp(4)}
	}},
	{rule: "C10", name: "refused at the compact revision", written: []string{"a=1", "-a", "compact 3"}, req: keyFrom("a", 3), responses: responses(created(3), compacted(3, 3))},
	{rule: "C11", name: "told with an old revision", written: append(abc, "compact 4"), req: keyFrom("a", 2), responses: responses(created(6), compacted(0, 4))},
	{rule: "C11", name: "told though history is there", written: append(abc, "compact 4"), req: keyFrom("a", 5), responses: responses(created(6), compacted(6, 4))},
	{rule: "C11", name: "told of a compaction that never was", written: append(abc, "compact 4"), req: keyFrom("a", 2), responses: responses(created(6), compacted(6, 6))},
	{rule: "C11", name: "told without the compact revision", written: append(abc, "compact 4"), req: keyFrom("a", 2),
		responses: responses(created(6), watch.Response{Canceled: true, Revision: 6, Err: mvcc.ErrCompacted})},
	{rule: "C12", name: "told twice", written: append(abc, "compact 4"), req: keyFrom("a", 2), responses: responses(created(6), compacted(6, 4), compacted(6, 4))},
	{rule: "C15", name: "an event before Created", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{events(w.ev("a", 2)), created(6)}
	}},
	{rule: "C15", name: "Created twice", written: abc, req: keyFrom("a", 2), responses: responses(created(6), created(6))},
	{rule: "C15", name: "Created never", written: abc, req: keyFrom("a", 2), responses: responses()},
	{rule: "X1", name: "an event after Canceled", written: abc, req: keyFrom("a", 2), setUp: asked, responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), canceled(6), events(w.ev("a", 2))}
	}},
	{rule: "X1", name: "ended unasked", written: abc, req: keyFrom("a", 2), responses: responses(created(6), canceled(6))},
	{rule: "X5", name: "an event of the watch before under this id", written: abc, req: key("b"), setUp: reused, responses: func(w *world) []watch.Response {
		return []watch.Response{live(6), events(w.ev("a", 6))}
	}},
	{rule: "X5", name: "an event of the watch before on the same key", written: abc, req: key("a"), setUp: reused, responses: func(w *world) []watch.Response {
		return []watch.Response{live(6), events(w.ev("a", 4))}
	}},
	{rule: "E4", name: "a version that did not grow", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), changed(w.ev("a", 4), func(e *mvcc.Event) { e.KV.Version = 3 }))}
	}},
	{rule: "E4", name: "without a history: a version again", written: abc, req: keyFrom("a", 2), setUp: func(_ *world, o *watchtest.Options) { o.History = nil },
		responses: func(w *world) []watch.Response {
			return []watch.Response{created(6), events(w.ev("a", 4), changed(w.ev("a", 6), func(e *mvcc.Event) { e.KV.Version = 2 }))}
		}},
	{rule: "E5", name: "a delete with a value", written: []string{"a=1", "-a"}, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(3), events(w.ev("a", 2), changed(w.ev("a", 3), func(e *mvcc.Event) { e.KV.Value = []byte("1") }))}
	}},
	{rule: "E6", name: "a create revision that moved", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), changed(w.ev("a", 4), func(e *mvcc.Event) { e.KV.CreateRevision = 3 }))}
	}},
	{rule: "E6", name: "a create that is not version 1", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(changed(w.ev("a", 2), func(e *mvcc.Event) { e.KV.Version = 2 }))}
	}},
	{rule: "P1", name: "a previous value of another revision", written: abc, req: modify(keyFrom("a", 2), withPrev), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.with("a", 2), w.with("a", 4), changed(w.with("a", 6), func(e *mvcc.Event) {
			e.Prev = &mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1}
		}))}
	}},
	{rule: "P1", name: "another previous value", written: abc, req: modify(keyFrom("a", 4), withPrev), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(changed(w.with("a", 4), func(e *mvcc.Event) { p := *e.Prev; p.Value = []byte("9"); e.Prev = &p }))}
	}},
	{rule: "P1", name: "a previous value of a create", written: []string{"a=1", "-a", "a=2"}, req: modify(keyFrom("a", 4), withPrev), responses: func(w *world) []watch.Response {
		before := w.ev("a", 2).KV
		return []watch.Response{created(4), events(changed(w.with("a", 4), func(e *mvcc.Event) { e.Prev = &before }))}
	}},
	{rule: "P1", name: "a previous value nobody asked for", written: abc, req: keyFrom("a", 4), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.with("a", 4))}
	}},
	{rule: "P2", name: "a previous value is missing", written: abc, req: modify(keyFrom("a", 4), withPrev), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 4))}
	}},
	{rule: "P2", name: "a previous value is missing at the compact revision", written: append(abc, "compact 5"), req: modify(keyFrom("a", 5), withPrev), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 6))}
	}},
	{rule: "F1", name: "a put that was filtered", written: abc, req: modify(keyFrom("a", 2), func(r *watch.Request) { r.NoPut = true }), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2))}
	}},
	{rule: "F1", name: "a delete that was filtered", written: []string{"a=1", "-a"}, req: modify(keyFrom("a", 2), func(r *watch.Request) { r.NoDelete = true }), responses: func(w *world) []watch.Response {
		return []watch.Response{created(3), events(w.ev("a", 2), w.ev("a", 3))}
	}},
	{rule: "N1", name: "progress nobody asked for", written: abc, req: key("a"), responses: responses(live(6), progress(6))},
	{rule: "N2", name: "progress below Created", written: abc, req: everything(0), responses: responses(live(6), progress(5))},
	{rule: "N5", name: "progress goes down", written: abc, req: everything(0), responses: responses(live(6), progress(8), progress(7))},
	{rule: "N5", name: "progress below an event", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(3), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("c", 5)), progress(4)}
	}},
	{rule: "N7", name: "a resume point below the response's events", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), upTo(2, events(w.ev("a", 2), w.ev("b", 3)))}
	}},
	{rule: "N7", name: "a resume point with more to come", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), upTo(6, events(w.ev("a", 2), w.ev("b", 3))), events(w.ev("a", 4))}
	}},
	{rule: "N7", name: "without a history: a resume point with more to come", written: abc, req: everything(2), setUp: func(_ *world, o *watchtest.Options) { o.History = nil },
		responses: func(w *world) []watch.Response {
			return []watch.Response{created(6), upTo(6, events(w.ev("a", 2), w.ev("b", 3))), events(w.ev("a", 4))}
		}},
	{rule: "V3", name: "overtaken by compaction and jumped", written: append(abc, "compact 5"), req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2)), events(w.ev("c", 5), w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "V5", name: "caught up twice", written: abc, req: everything(0), responses: responses(live(6), caughtUp(6))},
	{rule: "V5", name: "caught up too early", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2)), caughtUp(6)}
	}},
	{rule: "V5", name: "without a history: caught up too early", written: abc, req: everything(2), setUp: func(_ *world, o *watchtest.Options) { o.History = nil },
		responses: func(w *world) []watch.Response {
			return []watch.Response{created(6), events(w.ev("a", 2)), caughtUp(6), events(w.ev("b", 3))}
		}},
	{rule: "V5", name: "latest: caught up before the newest version of a key", written: abc, req: modify(everything(2), latest), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), conflated(events(w.ev("b", 3), w.ev("c", 5))), caughtUp(6), events(w.ev("a", 6))}
	}},
	{rule: "V5", name: "caught up never told", written: abc, req: everything(2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3), w.ev("a", 4), w.ev("c", 5), w.ev("a", 6))}
	}},
	{rule: "V6", name: "cut off though the policy is wait", written: abc, req: everything(2), responses: responses(created(6), lagging(6))},
	{rule: "V6", name: "conflated though the policy is wait", written: abc, req: keyFrom("a", 2), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), conflated(events(w.ev("a", 6)))}
	}},
	{rule: "V6", name: "the newest version of a key never arrives", written: abc, req: modify(everything(2), latest), responses: func(w *world) []watch.Response {
		return []watch.Response{created(4), conflated(upTo(6, events(w.ev("b", 3), w.ev("a", 4), w.ev("c", 5)))), caughtUp(6)}
	}},
	{rule: "V6", name: "progress before the newest version of a key", written: abc, req: modify(everything(2), latest), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), conflated(events(w.ev("b", 3), w.ev("c", 5))), progress(6), events(w.ev("a", 6))}
	}},
	{rule: "V6", name: "the delete of a key of which nothing was delivered", written: []string{"b=1", "a=1", "-a"}, req: modify(everything(2), latest), responses: func(w *world) []watch.Response {
		return []watch.Response{created(4), conflated(events(w.ev("b", 2), w.ev("a", 4))), caughtUp(4)}
	}},
	{rule: "G3", name: "latest skips without saying so", written: abc, req: modify(everything(2), latest), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.ev("b", 3), w.ev("c", 5)), events(w.ev("a", 6)), caughtUp(6)}
	}},
	{rule: "P1", name: "latest: a previous value that was not delivered", written: abc, req: modify(everything(2), func(r *watch.Request) { latest(r); withPrev(r) }), responses: func(w *world) []watch.Response {
		return []watch.Response{created(6), events(w.with("a", 2)), conflated(events(w.with("b", 3), w.with("c", 5), w.with("a", 6))), caughtUp(6)}
	}},
}

func resumed(w *world, o *watchtest.Options) {
	before := watchtest.NewWatch(everything(2), watchtest.Options{History: w.history})
	for _, r := range []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3))} {
		require.NoError(w.t, before.Deliver(&r))
	}
	require.Equal(w.t, int64(4), before.Next())
	o.Resumes = before
}

func reused(w *world, o *watchtest.Options) {
	before := watchtest.NewWatch(keyFrom("a", 2), watchtest.Options{History: w.history})
	before.CancelAsked()
	for _, r := range []watch.Response{created(6), canceled(6)} {
		require.NoError(w.t, before.Deliver(&r))
	}
	o.Reuses = before
}

// asked marks the watch under test as cancelled by its consumer.
func asked(_ *world, o *watchtest.Options) { o.ID = idAsked }

const idAsked = 77

// Every promise is broken at least once, and each break is reported with its
// own number.
func TestWatch_NamesTheBrokenPromise(t *testing.T) {
	seen := map[string]bool{"C3": true, "C6": true, "C13": true, "C14": true, "N3": true, "R1": true} // in stream_test.go and history_test.go
	for _, s := range brokenStreams {
		seen[s.rule] = true
		t.Run(s.rule+" "+s.name, func(t *testing.T) {
			w := newWorld(t, s.written...)
			o := watchtest.Options{History: w.history}
			if s.setUp != nil {
				s.setUp(w, &o)
			}
			check := watchtest.NewWatch(s.req, o)
			if o.ID == idAsked {
				check.CancelAsked()
			}
			var err error
			for _, r := range s.responses(w) {
				if err = check.Deliver(&r); err != nil {
					break
				}
			}
			if err == nil {
				err = check.Finish(w.model.Rev())
			}
			var b *watchtest.Broken
			require.ErrorAs(t, err, &b)
			assert.Equal(t, s.rule, b.ID, b.Error())
			assert.Equal(t, err, check.Deliver(&watch.Response{}), "a break is repeated")
			assert.Equal(t, err, check.Finish(0), "a break is repeated")
		})
	}
	for _, r := range watchtest.Rules() {
		assert.True(t, seen[r.ID], "no broken stream for %s %s", r.ID, r.Name)
	}
}

// The report of a break holds what came before it.
func TestBroken_Record(t *testing.T) {
	w := newWorld(t, abc...)
	var now time.Duration
	check := watchtest.NewWatch(everything(2), watchtest.Options{History: w.history, ID: 17, Record: 2, Now: func() time.Duration {
		now += time.Millisecond
		return now
	}})
	var err error
	for _, r := range []watch.Response{created(6), events(w.ev("a", 2), w.ev("b", 3)), progress(6)} {
		err = check.Deliver(&r)
	}
	var b *watchtest.Broken
	require.ErrorAs(t, err, &b)
	assert.Equal(t, `G6 bookmarkable: progress at revision 6, but PUT "a" at revision 4 was not delivered (watch 17, key "\x00" to "\x00", from revision 2)`, b.Error())
	assert.Equal(t, []string{
		"created   6",
		`events    2 to 3 (2), the first PUT "a"`,
		"progress  6",
	}, b.Record)
	assert.Equal(t, []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}, b.At)
	assert.Equal(t, int64(3), b.Responses)
	assert.Equal(t, watchtest.Etcd, b.Class)
}

// On a store that promises what etcd promises, only that binds: the revision
// of a response from history is no resume point, and nobody tells the end of
// catch-up. What etcd promises is checked all the same.
func TestEtcdRules(t *testing.T) {
	w := newWorld(t, abc...)
	fromHistory := func(rev int64, evs ...mvcc.Event) watch.Response {
		r := events(evs...)
		r.Revision = rev
		return r
	}
	for _, c := range []struct {
		name      string
		responses []watch.Response
		rule      string // of class Etcd that breaks; empty: none
	}{
		{"current revision, more to come", []watch.Response{created(6), fromHistory(6, w.ev("a", 2)), fromHistory(6, w.ev("b", 3)), fromHistory(6, w.ev("a", 4)), fromHistory(6, w.ev("c", 5), w.ev("a", 6))}, ""},
		{"a gap", []watch.Response{created(6), fromHistory(6, w.ev("a", 2)), fromHistory(6, w.ev("a", 4))}, "G3"},
		{"an event twice", []watch.Response{created(6), fromHistory(6, w.ev("a", 2)), fromHistory(6, w.ev("a", 2))}, "G2"},
		{"not all of it", []watch.Response{created(6), fromHistory(6, w.ev("a", 2))}, "G3"},
	} {
		check := watchtest.NewWatch(everything(2), watchtest.Options{History: w.history, EtcdRules: true})
		var err error
		for i := range c.responses {
			if err == nil {
				err = check.Deliver(&c.responses[i])
			}
		}
		if err == nil {
			err = check.Finish(w.model.Rev())
		}
		var b *watchtest.Broken
		if c.rule == "" {
			assert.NoError(t, err, c.name)
		} else if assert.ErrorAs(t, err, &b, c.name) {
			assert.Equal(t, c.rule, b.ID, c.name)
		}
	}
}
