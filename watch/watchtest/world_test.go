package watchtest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/internal/model"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// world is a history written both to the model and to a History.
type world struct {
	t       testing.TB
	model   *model.Store
	history *watchtest.History
}

// newWorld writes one revision for each step, from revision 2 on: "a=1 b=2"
// puts, "-a" deletes, "compact 3" compacts.
func newWorld(t testing.TB, steps ...string) *world {
	w := &world{t: t, model: model.New(), history: watchtest.NewHistory(watchtest.HistoryConfig{})}
	for _, s := range steps {
		w.write(s)
		w.acknowledge()
	}
	return w
}

// write changes the model only.
func (w *world) write(step string) {
	var rev int64
	if _, err := fmt.Sscanf(step, "compact %d", &rev); err == nil {
		require.NoError(w.t, w.model.Compact(rev))
		w.history.Compacting(rev)
		return
	}
	_, err := w.model.Update(func(tx *model.Tx) error {
		for _, op := range strings.Fields(step) {
			if key, found := strings.CutPrefix(op, "-"); found {
				require.NotEmpty(w.t, tx.Delete(mvcc.SpanOf([]byte(key), nil)))
				continue
			}
			key, value, _ := strings.Cut(op, "=")
			tx.Put([]byte(key), []byte(value), 0)
		}
		return nil
	})
	require.NoError(w.t, err)
}

// acknowledge tells the History what it has not been told.
func (w *world) acknowledge() {
	for _, c := range w.model.Commits() {
		if c.Rev > w.history.Through() {
			require.NoError(w.t, w.history.Commit(c.Rev, changes(c)...))
		}
	}
}

func changes(c mvcc.Commit) []watchtest.Change {
	var out []watchtest.Change
	for _, e := range c.Events {
		out = append(out, watchtest.Change{Type: e.Type, Key: e.KV.Key, Value: e.KV.Value, Lease: e.KV.Lease})
	}
	return out
}

// with is the event of a key at a revision with its previous value, ev
// without.
func (w *world) with(key string, rev int64) mvcc.Event {
	for _, e := range w.model.Events(mvcc.SpanOf([]byte(key), nil), rev) {
		if e.KV.ModRevision == rev {
			return e
		}
	}
	require.FailNow(w.t, "no such event", "%s@%d", key, rev)
	return mvcc.Event{}
}

func (w *world) ev(key string, rev int64) mvcc.Event {
	e := w.with(key, rev)
	e.Prev = nil
	return e
}

func created(rev int64) watch.Response {
	return watch.Response{Created: true, Revision: rev}
}

// live is Created of a watch that has no history to read.
func live(rev int64) watch.Response {
	return watch.Response{Created: true, CaughtUp: true, Revision: rev}
}

func caughtUp(rev int64) watch.Response { return watch.Response{CaughtUp: true, Revision: rev} }

func events(evs ...mvcc.Event) watch.Response {
	return watch.Response{Events: evs, Revision: evs[len(evs)-1].KV.ModRevision}
}

func upTo(rev int64, r watch.Response) watch.Response { r.Revision = rev; return r }

func conflated(r watch.Response) watch.Response { r.Conflated = true; return r }

func progress(rev int64) watch.Response { return watch.Response{Revision: rev} }

func canceled(rev int64) watch.Response { return watch.Response{Canceled: true, Revision: rev} }

func lagging(rev int64) watch.Response {
	return watch.Response{Canceled: true, Revision: rev, Err: watch.ErrLagging}
}

func compacted(rev, at int64) watch.Response {
	return watch.Response{Canceled: true, Revision: rev, CompactRevision: at, Err: &mvcc.CompactedError{Requested: 1, Compact: at}}
}
