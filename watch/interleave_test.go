package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// boundaries is a store that counts the moments right before and right after
// each call a hub makes without its lock, and at one of them lets a test do
// what any other goroutine could do just then. Whoever reads is made to read
// little at a time.
type boundaries struct {
	*mvcc.Store
	way     Way // that planning finds cheaper
	passed  int
	at      int // the boundary at which act runs, once
	act     func()
	lastHit string // which call that was

	versions int // calls of VersionAt
}

const (
	// stepEvents is how many events one call brings at most.
	stepEvents = 30
	// someVersions is how many calls of VersionAt, which come in rows, make
	// one that counts.
	someVersions = 10
)

func (s *boundaries) pass(call string) {
	if s.passed++; s.passed == s.at {
		s.lastHit = call
		s.act()
	}
}

func (s *boundaries) CheckStart(rev int64) error {
	s.pass("before CheckStart")
	defer s.pass("after CheckStart")
	return s.Store.CheckStart(rev)
}

func (s *boundaries) CompactRev() int64 {
	s.pass("before CompactRev")
	defer s.pass("after CompactRev")
	return s.Store.CompactRev()
}

func (s *boundaries) RecentFirst() int64 {
	s.pass("before RecentFirst")
	defer s.pass("after RecentFirst")
	return s.Store.RecentFirst()
}

func (s *boundaries) Recent(dst []mvcc.Commit, from int64, most int) ([]mvcc.Commit, int64, bool) {
	s.pass("before Recent")
	defer s.pass("after Recent")
	return s.Store.Recent(dst, from, min(most, stepEvents))
}

func (s *boundaries) History(ctx context.Context, q mvcc.HistoryQuery) (mvcc.Chunk, error) {
	s.pass("before History")
	defer s.pass("after History")
	q.MaxEvents = stepEvents
	return s.Store.History(ctx, q)
}

func (s *boundaries) Revisions(dst []mvcc.KeyRev, span mvcc.Span, from, to int64, lim mvcc.RevLimits) ([]mvcc.KeyRev, bool, int) {
	s.pass("before Revisions")
	defer s.pass("after Revisions")
	return s.Store.Revisions(dst, span, from, to, lim)
}

func (s *boundaries) CountRevisions(span mvcc.Span, from int64, maxKeys, maxRevs int) (int, bool) {
	s.pass("before CountRevisions")
	defer s.pass("after CountRevisions")
	return s.Store.CountRevisions(span, from, maxKeys, maxRevs)
}

func (s *boundaries) ReadRevisions(ctx context.Context, dst []mvcc.Event, revs []mvcc.KeyRev) ([]mvcc.Event, error) {
	s.pass("before ReadRevisions")
	defer s.pass("after ReadRevisions")
	return s.Store.ReadRevisions(ctx, dst, revs)
}

func (s *boundaries) Newest(dst []mvcc.KeyRev, span mvcc.Span, from, to int64, keep int) ([]mvcc.KeyRev, bool) {
	s.pass("before Newest")
	defer s.pass("after Newest")
	return s.Store.Newest(dst, span, from, to, min(keep, stepEvents))
}

func (s *boundaries) VersionAt(key []byte, rev int64) (mvcc.KeyRev, bool) {
	if s.versions++; s.versions%someVersions == 0 {
		s.pass("before VersionAt")
		defer s.pass("after VersionAt")
	}
	return s.Store.VersionAt(key, rev)
}

func (s *boundaries) Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) ([]*mvcc.KeyValue, int, error) {
	s.pass("before Previous")
	defer s.pass("after Previous")
	return s.Store.Previous(ctx, dst, evs)
}

// Stats makes one way look cheap.
func (s *boundaries) Stats() mvcc.Stats {
	s.pass("before Stats")
	st := s.Store.Stats()
	st.ScanNanosPerEntry, st.GetNanosPerRead = 1, 1e9
	if s.way == WayIndex {
		st.ScanNanosPerEntry, st.GetNanosPerRead = 1e9, 1
	}
	return st
}

// scenario is what one watch goes through, whatever happens beside it.
type scenario struct {
	name   string
	way    Way // of its catch-up
	policy Policy
	slow   bool // its outbox holds one hand-over
	prevKV bool
}

var scenarios = []scenario{
	{name: "memory", way: WayMemory},
	{name: "memory slow", way: WayMemory, slow: true, prevKV: true},
	{name: "index", way: WayIndex},
	{name: "index slow", way: WayIndex, slow: true, prevKV: true},
	{name: "scan", way: WayScan, prevKV: true},
	{name: "scan slow", way: WayScan, slow: true},
	{name: "latest", way: WayIndex, policy: Latest, prevKV: true},
	{name: "latest slow", way: WayIndex, policy: Latest, slow: true},
}

// logged is one change as it was written; prev is empty for a create.
type logged struct {
	rev       int64
	key, text string
	prev      string
}

// theater is a store and a hub that stands still, one stream and what was
// written.
type theater struct {
	t      require.TestingT
	sc     scenario
	engine backend.Engine
	source *boundaries
	hub    *Hub
	sh     *shard
	reader *reader
	stream *Stream
	log    []logged
	newest map[string]string // value by key, as logged
	got    []Response
	over   error // what Recv answered in the end

	dispatching bool
	settled     int
}

const (
	watchedID  = 7
	firstLives = 101 // last revision before the watch
)

func newTheater(t require.TestingT, sc scenario) *theater {
	engine, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	cfg := mvcc.Config{RecentBytes: 1}
	if sc.way == WayMemory {
		cfg = mvcc.Config{}
	}
	store, err := mvcc.Open(engine, cfg)
	require.NoError(t, err)
	w := &theater{t: t, sc: sc, engine: engine, newest: map[string]string{}, reader: &reader{}}
	w.source = &boundaries{Store: store, way: sc.way}
	for rev := store.Rev() + 1; rev <= firstLives; rev++ {
		switch {
		case rev%25 == 0:
			w.del("a")
		case rev%2 == 0:
			w.put("a")
		default:
			w.put(fmt.Sprintf("k%02d", rev%100))
		}
	}
	hc := Config{Shards: 1, MaxResponseBytes: 2000}
	if sc.slow {
		hc.OutboxResponses, hc.OutboxBytes = 1, 4000
	}
	w.hub = newHub(w.source, hc)
	w.sh = w.hub.shards[0]
	w.stream, err = w.hub.NewStream("s")
	require.NoError(t, err)
	return w
}

func (w *theater) put(key string) {
	rev := w.source.Store.Rev() + 1
	value := fmt.Sprint("v", rev)
	got, err := w.source.Put(context.Background(), []byte(key), []byte(value))
	require.NoError(w.t, err)
	require.Equal(w.t, rev, got)
	w.log = append(w.log, logged{rev, key, "PUT " + key + "=" + value, w.newest[key]})
	w.newest[key] = value
}

func (w *theater) del(key string) {
	if w.newest[key] == "" {
		return
	}
	res, err := w.source.DeleteRange(context.Background(), []byte(key), nil)
	require.NoError(w.t, err)
	w.log = append(w.log, logged{res.Rev, key, "DELETE " + key, w.newest[key]})
	delete(w.newest, key)
}

// request is the scenario's watch from a revision on.
func (w *theater) request(id, from int64) Request {
	r := Request{ID: id, Key: []byte("a"), StartRevision: from, PrevKV: w.sc.prevKV, Policy: w.sc.policy}
	if w.sc.way != WayIndex || w.sc.policy == Latest {
		r.End = []byte("z")
	}
	return r
}

// watch asks for the scenario's watch under watchedID.
func (w *theater) watch(from int64) {
	_, err := w.stream.Watch(w.request(watchedID, from))
	if !errors.Is(err, ErrStreamClosed) {
		require.NoError(w.t, err)
	}
}

// dispatch offers what is new. There is one dispatch goroutine, so it is not
// entered twice.
func (w *theater) dispatch() {
	if w.dispatching {
		return
	}
	w.dispatching = true
	for w.sh.offered < w.source.Store.Rev() {
		w.sh.dispatchOnce(context.Background())
	}
	w.dispatching = false
}

// settle lets dispatch, catch-up and the consumer go on until nothing moves,
// and every other time puts to rest what then may be.
func (w *theater) settle() {
	for n := -1; n < len(w.got) || w.sh.offered < w.source.Store.Rev(); {
		n = len(w.got)
		w.dispatch()
		for rounds := 0; w.sh.catchUpOnce(context.Background(), w.reader); rounds++ {
			require.Less(w.t, rounds, 10_000, "catch-up does not end")
		}
		w.recv()
	}
	if w.settled++; w.settled%2 == 0 {
		w.sh.restIdle()
	}
}

func (w *theater) recv() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		rs, err := w.stream.Recv(ended)
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			w.over = err
			return
		}
		w.got = append(w.got, rs...)
	}
}

// play runs the scenario: catch up from revision 2, then live, then a watch
// that is late for it all; act runs at boundary at, none if that is 0.
func (w *theater) play(at int, act func()) {
	w.source.at, w.source.act = at, act
	w.watch(2)
	w.settle()
	for i := range 30 {
		w.put([]string{"a", "a", "k01"}[i%3])
		if i%4 == 0 {
			w.dispatch()
		}
	}
	w.settle()
	w.del("a")
	w.del("k03")
	w.put("k05")
	w.settle()
	w.put("a")
	w.put("a")
	w.dispatch()
	w.settle()
}

// life is what came from one Created to its Canceled.
type life struct {
	created, ended *Response // ended nil: it was alive
	rest           []Response
}

// lives splits what the stream received; every response is of watchedID.
func (w *theater) lives() (out []life) {
	open := false
	for i := range w.got {
		r := &w.got[i]
		require.EqualValues(w.t, watchedID, r.WatchID)
		if r.Created {
			require.False(w.t, open, "C15: created twice")
			out = append(out, life{created: r})
			open = true
			continue
		}
		require.True(w.t, open, "X1 C12: a response after the last, or before Created: %+v", r)
		l := &out[len(out)-1]
		if r.Canceled {
			l.ended, open = r, false
			continue
		}
		l.rest = append(l.rest, *r)
	}
	return out
}

// check holds one life against what was written from a revision on. complete
// says that it must have come to the end of it.
func (w *theater) check(l life, from int64, complete bool) {
	if from == 0 {
		from = l.created.Revision + 1 // C7
	}
	want := w.wanted(from)
	caughtUp := 0
	if l.created.CaughtUp {
		caughtUp++
	}
	next, last := 0, int64(0)
	seen := map[string]int64{}
	for _, r := range l.rest {
		if r.CaughtUp {
			caughtUp++
		}
		require.GreaterOrEqual(w.t, r.Revision, last, "G1")
		for _, e := range r.Events {
			require.Greater(w.t, e.KV.ModRevision, last, "G1 G2")
			last = e.KV.ModRevision
			i, ok := slices.BinarySearchFunc(want, last, func(x logged, rev int64) int { return cmp.Compare(x.rev, rev) })
			require.True(w.t, ok, "revision %d is not for this watch", last)
			if w.sc.policy != Latest {
				require.Equal(w.t, next, i, "G3: revision %d came, %d was next", last, want[next].rev)
				w.checkPrev(e, want[i])
			}
			require.Equal(w.t, want[i].text, text(e))
			seen[string(e.KV.Key)] = last
			next = i + 1
		}
		require.LessOrEqual(w.t, last, r.Revision, "N7")
		if w.sc.policy != Latest && next < len(want) {
			require.Greater(w.t, want[next].rev, r.Revision, "N7: its revision promises more than came")
		}
		last = max(last, r.Revision)
	}
	require.LessOrEqual(w.t, caughtUp, 1, "V5")
	if l.ended != nil && l.ended.CompactRevision > 0 {
		require.ErrorIs(w.t, l.ended.Err, mvcc.ErrCompacted)
		require.GreaterOrEqual(w.t, l.ended.Revision, l.created.Revision)
		require.Less(w.t, max(from, last), l.ended.CompactRevision, "V3: it lacked nothing")
	}
	if !complete {
		return
	}
	require.Equal(w.t, 1, caughtUp, "V5")
	if w.sc.policy != Latest {
		require.Equal(w.t, len(want), next, "G3: the end is missing")
		return
	}
	for _, x := range want { // the newest version of every key, V6
		if i := slices.IndexFunc(want, func(y logged) bool { return y.key == x.key && y.rev > x.rev }); i < 0 {
			require.Equal(w.t, x.rev, max(seen[x.key], map[bool]int64{true: x.rev}[seen[x.key] == 0 && strings.HasPrefix(x.text, "DELETE")]), "V6: newest of %s", x.key)
		}
	}
}

// wanted is what was written from a revision on and matches.
func (w *theater) wanted(from int64) (out []logged) {
	for _, x := range w.log {
		if x.rev >= from && (x.key == "a" || w.sc.way != WayIndex || w.sc.policy == Latest) {
			out = append(out, x)
		}
	}
	return out
}

// checkPrev: P1, and P2: absent only for a create or if it is compacted.
func (w *theater) checkPrev(e mvcc.Event, x logged) {
	switch {
	case !w.sc.prevKV:
		require.Nil(w.t, e.Prev)
	case e.Prev != nil:
		require.Equal(w.t, x.prev, string(e.Prev.Value), "P1")
	case x.prev != "":
		require.LessOrEqual(w.t, x.rev, w.source.Store.CompactRev(), "P2: absent though not compacted")
	}
}

func text(e mvcc.Event) string {
	if e.Type == mvcc.EventDelete {
		return "DELETE " + string(e.KV.Key)
	}
	return fmt.Sprintf("PUT %s=%s", e.KV.Key, e.KV.Value)
}

// end closes everything and holds the gauges against zero: X4.
func (w *theater) end() {
	require.NoError(w.t, w.stream.Close())
	for w.sh.catchUpOnce(context.Background(), w.reader) {
	}
	st := w.hub.Stats()
	require.Zero(w.t, st.Streams)
	require.Zero(w.t, [3]int{st.Synced, st.Unsynced, st.Victims}, "X4: gauges")
	require.Zero(w.t, st.PendingBytes, "X4: gauge")
	require.Zero(w.t, st.PendingEvents, "X4: gauge")
	require.Zero(w.t, w.hub.watches.Load())
	require.Zero(w.t, w.sh.groups.count)
	require.Empty(w.t, w.sh.unsynced)
	require.Empty(w.t, w.sh.lagging)
	require.Empty(w.t, w.sh.progress)
	require.Empty(w.t, w.sh.owed)
	require.Empty(w.t, w.hub.Watches())
	require.Zero(w.t, len(w.sh.waiting)-w.sh.left)
	if err := w.hub.Close(); err != nil {
		require.ErrorIs(w.t, err, ErrHubClosed)
	}
	require.NoError(w.t, w.source.Close())
	require.NoError(w.t, w.engine.Close())
}
