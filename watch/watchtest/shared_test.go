package watchtest_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// flight is one write of ours on its way through a shared store.
type flight struct {
	ticket watchtest.Ticket
	key    string
	rev    int64 // 0: the store has not done it yet
}

// sharedStore is a model of a store that strangers write to: writes of ours
// are begun, done and answered at moments that rapid chooses.
type sharedStore struct {
	t        *rapid.T
	h        *watchtest.History
	w        *watchtest.Watch
	rev      int64
	flying   []*flight
	answered int64            // newest revision answered
	versions map[string]int64 // of our keys
	created  map[string]int64
	lost     bool
	early    []int64 // done and not answered when the only unknown write was lost
}

func newSharedStore(t *rapid.T) *sharedStore {
	s := &sharedStore{t: t, rev: 10, versions: map[string]int64{}, created: map[string]int64{}}
	s.h = watchtest.NewHistory(watchtest.HistoryConfig{After: 10, Shared: true})
	s.w = watchtest.NewWatch(watch.Request{Key: []byte("a"), End: []byte("z")}, watchtest.Options{History: s.h, EtcdRules: true})
	require.NoError(t, s.w.Deliver(&watch.Response{Created: true, Revision: 10}))
	return s
}

func (s *sharedStore) begin(*rapid.T) {
	s.flying = append(s.flying, &flight{ticket: s.h.Begin(), key: string(rune('a' + len(s.flying)%3))})
}

// pick is one of the writes that are done, or not yet; nil if there is none.
func (s *sharedStore) pick(t *rapid.T, done bool) *flight {
	var some []*flight
	for _, f := range s.flying {
		if (f.rev > 0) == done {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return rapid.SampledFrom(some).Draw(t, "flight")
}

func (s *sharedStore) drop(f *flight) {
	for i, x := range s.flying {
		if x == f {
			s.flying = append(s.flying[:i:i], s.flying[i+1:]...)
		}
	}
}

// do commits a write and delivers it: watchers may know before the writer.
func (s *sharedStore) do(t *rapid.T) {
	f := s.pick(t, false)
	if f == nil {
		return
	}
	s.rev++
	f.rev = s.rev
	s.versions[f.key]++
	if s.versions[f.key] == 1 {
		s.created[f.key] = f.rev
	}
	require.NoError(t, s.w.Deliver(&watch.Response{Revision: s.rev, Events: []mvcc.Event{{KV: mvcc.KeyValue{
		Key: []byte(f.key), Value: fmt.Append(nil, f.rev), ModRevision: f.rev, Version: s.versions[f.key], CreateRevision: s.created[f.key],
	}}}}))
}

func (s *sharedStore) answer(t *rapid.T) {
	f := s.pick(t, true)
	if f == nil {
		return
	}
	s.drop(f)
	s.answered = max(s.answered, f.rev)
	require.NoError(t, s.h.Answered(f.ticket, f.rev, watchtest.Change{Key: []byte(f.key), Value: fmt.Append(nil, f.rev)}))
}

func (s *sharedStore) refuse(t *rapid.T) {
	f := s.pick(t, false)
	if f == nil {
		return
	}
	s.drop(f)
	require.NoError(t, s.h.Refused(f.ticket))
}

// lose forgets a write without an answer, whether it was done or not.
func (s *sharedStore) lose(t *rapid.T) {
	if len(s.flying) == 0 || s.lost {
		return
	}
	f := rapid.SampledFrom(s.flying).Draw(t, "flight")
	s.drop(f)
	if f.rev > 0 {
		s.early = append(s.early, f.rev)
	}
	s.lost = true
	s.h.Lost(f.ticket)
}

func (s *sharedStore) stranger(*rapid.T) { s.rev++ }

// check: what is said to be known never reaches a write of ours that was done
// and not answered.
func (s *sharedStore) check(t *rapid.T) {
	through := s.h.Through()
	for _, f := range s.flying {
		if f.rev > 0 {
			require.Less(t, through, f.rev, "a write under way was skipped")
		}
	}
	for _, rev := range s.early {
		require.Less(t, through, rev, "a write without an answer was skipped")
	}
	require.LessOrEqual(t, through, max(s.answered, 10))
	if len(s.flying) == 0 && !s.lost && s.answered > 0 {
		require.Equal(t, s.answered, through, "all are answered, so all is known")
	}
}

// Strangers' revisions are skipped, ours never; whoever delivers exactly what
// was written is never accused.
func TestHistory_SharedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSharedStore(t)
		actions := map[string]func(*rapid.T){
			"": s.check, "begin": s.begin, "do": s.do, "answer": s.answer, "answer too": s.answer, "refuse": s.refuse, "stranger": s.stranger,
		}
		if rapid.Bool().Draw(t, "may lose") {
			actions["lose"] = s.lose
		}
		t.Repeat(actions)
		for len(s.flying) > 0 {
			if f := s.flying[0]; f.rev == 0 {
				s.do(t)
			} else {
				s.answer(t)
			}
		}
		s.check(t)
		require.NoError(t, s.w.Finish(s.answered))
		counts := s.w.Counts()
		if !s.lost {
			require.Equal(t, counts.Events, counts.Matched, "every event was compared")
		}
		require.Equal(t, counts.Events, counts.Matched+counts.Unmatched)
	})
}

// A lost event is found among strangers' revisions too.
func TestHistory_SharedFindsGap(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{After: 10, Shared: true})
	w := watchtest.NewWatch(watch.Request{Key: []byte("a"), End: []byte("z")}, watchtest.Options{History: h, EtcdRules: true})
	require.NoError(t, w.Deliver(&watch.Response{Created: true, Revision: 10}))
	put := func(rev int64, key string) {
		ticket := h.Begin()
		require.NoError(t, h.Answered(ticket, rev, watchtest.Change{Key: []byte(key)}))
	}
	put(14, "a")
	put(17, "b")
	put(22, "c")
	assert.Equal(t, int64(22), h.Through())
	for _, e := range []mvcc.KeyValue{
		{Key: []byte("a"), ModRevision: 14, CreateRevision: 14, Version: 1},
		{Key: []byte("c"), ModRevision: 22, CreateRevision: 22, Version: 1},
	} {
		require.NoError(t, w.Deliver(&watch.Response{Revision: e.ModRevision, Events: []mvcc.Event{{KV: e}}}))
	}
	var b *watchtest.Broken
	require.ErrorAs(t, w.Finish(22), &b)
	assert.Equal(t, "G3", b.ID)
}

// R1
func TestHistory_SharedRevisionGoesBack(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{After: 10, Shared: true})
	require.NoError(t, h.Answered(h.Begin(), 20, watchtest.Change{Key: []byte("a")}))
	ticket := h.Begin()
	var b *watchtest.Broken
	require.ErrorAs(t, h.Answered(ticket, 15, watchtest.Change{Key: []byte("a")}), &b)
	assert.Equal(t, "R1", b.ID)
}

func TestHistory_SharedWriters(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{After: 10, Shared: true})
	const writers, each = 8, 500
	var mu sync.Mutex
	rev := int64(10)
	next := func(by int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		rev += by
		return rev
	}
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				ticket := h.Begin()
				if n%7 == 0 {
					assert.NoError(t, h.Refused(ticket))
					continue
				}
				assert.NoError(t, h.Answered(ticket, next(int64(1+n%3)), watchtest.Change{Key: fmt.Append(nil, i)}))
			}
		})
	}
	wg.Wait()
	assert.Equal(t, rev, h.Through())
	assert.Equal(t, int64(writers*(each-(each+6)/7)), h.Events())
}

// N7 and C11 are ours: a store that promised neither is told how often it
// would have broken them, and not accused.
func TestWatch_CountsWhatNobodyPromised(t *testing.T) {
	h := watchtest.NewHistory(watchtest.HistoryConfig{})
	for rev := int64(2); rev <= 5; rev++ {
		require.NoError(t, h.Put(rev, []byte("a"), nil))
	}
	h.Compacting(8)
	w := watchtest.NewWatch(watch.Request{Key: []byte("a"), StartRevision: 1}, watchtest.Options{History: h, EtcdRules: true})
	require.NoError(t, w.Deliver(&watch.Response{Created: true, Revision: 5}))
	for rev := int64(2); rev <= 5; rev++ {
		require.NoError(t, w.Deliver(&watch.Response{Revision: 5, Events: []mvcc.Event{
			{KV: mvcc.KeyValue{Key: []byte("a"), ModRevision: rev, CreateRevision: 2, Version: rev - 1}},
		}}))
	}
	require.NoError(t, w.Deliver(&watch.Response{Canceled: true, CompactRevision: 8, Err: mvcc.ErrCompacted}))
	assert.Equal(t, map[string]int64{"N7": 3, "C11": 1}, w.Counts().NotKept())
}
