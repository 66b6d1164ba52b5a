package watchtest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// R1
func TestHistory_RevisionTwice(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(h *watchtest.History) error
	}{
		{"again", func(h *watchtest.History) error { return h.Put(2, []byte("a"), nil) }},
		{"again, early", func(h *watchtest.History) error {
			require.NoError(t, h.Put(4, []byte("a"), nil))
			return h.Put(4, []byte("a"), nil)
		}},
		{"skipped after", func(h *watchtest.History) error { return h.Skip(2) }},
		{"skipped over", func(h *watchtest.History) error {
			require.NoError(t, h.Put(4, []byte("a"), nil))
			return h.Skip(5)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := watchtest.NewHistory(watchtest.HistoryConfig{})
			require.NoError(t, h.Put(2, []byte("a"), nil))
			var b *watchtest.Broken
			require.ErrorAs(t, c.write(h), &b)
			assert.Equal(t, "R1", b.ID)
		})
	}
}

func TestHistory_Order(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{})
	require.NoError(t, h.Put(4, []byte("a"), nil))
	require.NoError(t, h.Put(3, []byte("a"), nil))
	assert.Equal(t, int64(1), h.Through())
	require.NoError(t, h.Commit(2))
	assert.Equal(t, int64(4), h.Through())
	require.NoError(t, h.Skip(10))
	assert.Equal(t, int64(10), h.Through())
	assert.Equal(t, int64(2), h.Events())
	err := h.Commit(11, watchtest.Change{Type: mvcc.EventDelete, Key: []byte("x")})
	assert.ErrorContains(t, err, "does not exist")
}

// A watch on a store that had a past before its first checked write.
func TestHistory_Seed(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{After: 10})
	was := mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 5, ModRevision: 8, Version: 3}
	require.NoError(t, h.Seed(was))
	require.NoError(t, h.Put(11, []byte("a"), []byte("2")))
	assert.Error(t, h.Seed(was), "only before the first commit")

	check := watchtest.NewWatch(modify(keyFrom("a", 11), withPrev), watchtest.Options{History: h})
	r := created(11)
	require.NoError(t, check.Deliver(&r))
	now := mvcc.KeyValue{Key: []byte("a"), Value: []byte("2"), CreateRevision: 5, ModRevision: 11, Version: 4}
	r = watch.Response{Events: []mvcc.Event{{KV: now, Prev: &was}}, Revision: 11, CaughtUp: true}
	require.NoError(t, check.Deliver(&r))
	require.NoError(t, check.Finish(11))
}

// A watch that falls out of the window is not compared any more, and says so;
// one that keeps up is compared to the end.
func TestHistory_Window(t *testing.T) {
	const revisions = 40_000
	h := watchtest.NewHistory(watchtest.HistoryConfig{Window: 5000})
	req := modify(prefix("a", "b", 2), func(r *watch.Request) { r.Progress = false })
	slow := watchtest.NewWatch(req, watchtest.Options{History: h})
	fast := watchtest.NewWatch(req, watchtest.Options{History: h})
	single := watchtest.NewWatch(keyFrom("a3", 2), watchtest.Options{History: h})
	c := created(1)
	for _, w := range []*watchtest.Watch{slow, fast, single} {
		require.NoError(t, w.Deliver(&c))
	}
	version := make([]int64, 10)
	var evs []mvcc.Event
	for rev := int64(2); rev < revisions; rev++ {
		i := rev % 10
		key := []byte(fmt.Sprint("a", i))
		require.NoError(t, h.Put(rev, key, []byte("v")))
		version[i]++
		create := 10 + i
		if i >= 2 {
			create = i
		}
		e := mvcc.Event{KV: mvcc.KeyValue{Key: key, Value: []byte("v"), CreateRevision: create, ModRevision: rev, Version: version[i]}}
		r := events(e)
		require.NoError(t, fast.Deliver(&r))
		if i == 3 {
			require.NoError(t, single.Deliver(&r))
		}
		evs = append(evs, e)
	}
	r := events(evs...)
	require.NoError(t, slow.Deliver(&r))
	assert.Zero(t, slow.Counts().Matched)
	assert.Equal(t, int64(len(evs)), slow.Counts().Unmatched)
	assert.Equal(t, int64(len(evs)), fast.Counts().Matched)
	assert.Zero(t, fast.Counts().Unmatched)
	assert.Equal(t, int64(4000), single.Counts().Matched)
}

// Writers and watches at the same time; for the race detector.
func TestHistory_Concurrent(t *testing.T) {
	const revisions, writers = 4000, 4
	h := watchtest.NewHistory(watchtest.HistoryConfig{})
	var done sync.WaitGroup
	for i := range writers {
		done.Go(func() {
			for rev := int64(2 + i); rev < revisions+2; rev += writers {
				assert.NoError(t, h.Put(rev, []byte(fmt.Sprint("k", rev%7)), []byte("v")))
			}
		})
	}
	for i := range 4 {
		done.Go(func() {
			req := everything(2)
			if i%2 == 1 {
				req = keyFrom(fmt.Sprint("k", i), 2)
			}
			check := watchtest.NewWatch(req, watchtest.Options{History: h})
			r := created(1)
			assert.NoError(t, check.Deliver(&r))
			version := map[int64]int64{}
			for rev := int64(2); rev < revisions+2; rev++ {
				k := rev % 7
				create := k
				if k < 2 {
					create = k + 7
				}
				version[k]++
				if i%2 == 1 && k != int64(i) {
					continue
				}
				e := mvcc.Event{KV: mvcc.KeyValue{Key: []byte(fmt.Sprint("k", k)), Value: []byte("v"), CreateRevision: create, ModRevision: rev, Version: version[k]}}
				r := events(e)
				assert.NoError(t, check.Deliver(&r))
			}
		})
	}
	done.Wait()
}

// A seeded delete is the event that a watch from its revision gets.
func TestHistory_SeedDelete(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{After: 3})
	require.NoError(t, h.Seed(mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1}))
	require.NoError(t, h.Seed(mvcc.KeyValue{Key: []byte("a"), ModRevision: 3}))
	w := watchtest.NewWatch(watch.Request{Key: []byte("a"), StartRevision: 2}, watchtest.Options{History: h})
	require.NoError(t, w.Deliver(&watch.Response{Created: true, Revision: 3}))
	require.NoError(t, w.Deliver(&watch.Response{Revision: 3, Events: []mvcc.Event{
		{KV: mvcc.KeyValue{Key: []byte("a"), Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1}},
		{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: []byte("a"), ModRevision: 3}},
	}}))
	require.NoError(t, w.Deliver(&watch.Response{CaughtUp: true, Revision: 3}))
	require.NoError(t, w.Finish(3))
}
