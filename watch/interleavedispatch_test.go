package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
)

// verifyWhole: one life, alive, with everything.
func verifyWhole(w *theater) {
	lives := w.lives()
	require.Len(w.t, lives, 1)
	require.Nil(w.t, lives[0].ended)
	w.check(lives[0], 2, true)
}

// G1 G2 G3 V1: revisions that are committed and dispatched at any step of
// catch-up, also between its last read and the promotion, are neither lost nor
// doubled. Where little is kept in memory, dispatch finds them evicted and
// sends everybody to history once more.
func TestInterleave_CommitDuringCatchUp(t *testing.T) {
	for _, commits := range []int{1, 3} {
		t.Run(fmt.Sprint(commits, " at once"), func(t *testing.T) {
			everyBoundary(t, func(w *theater) {
				for range commits {
					w.put("a")
				}
				w.dispatch()
			}, verifyWhole)
		})
	}
}

// G3: what is committed and not dispatched yet is above what catch-up reads.
func TestInterleave_CommitBeforeDispatch(t *testing.T) {
	everyBoundary(t, func(w *theater) { w.put("a"); w.put("k01"); w.del("a") }, verifyWhole)
}

// V1: the consumer takes what is queued at any step, so that victims wake
// while others are read for, or while they are being read for themselves.
func TestInterleave_RecvDuringCatchUp(t *testing.T) {
	everyBoundary(t, func(w *theater) { w.put("a"); w.recv() }, verifyWhole)
}

// G6 N2 N3: progress that is asked for at any step comes when it is true, and
// not below what was visible when it was asked for.
func TestInterleave_ProgressDuringCatchUp(t *testing.T) {
	asked := int64(0)
	everyBoundary(t, func(w *theater) {
		w.put("a")
		asked = w.source.Store.Rev()
		require.NoError(w.t, w.stream.RequestProgress())
		w.sh.tick()
	}, func(w *theater) {
		kept := w.got[:0:0]
		answers := 0
		for _, r := range w.got {
			if r.WatchID != NoWatch {
				kept = append(kept, r)
				continue
			}
			answers++
			require.GreaterOrEqual(w.t, r.Revision, asked, "N3")
			if w.sc.policy != Latest {
				n := 0
				for _, before := range kept {
					n += len(before.Events)
				}
				all := 0
				for _, x := range w.wanted(2) {
					if x.rev <= r.Revision {
						all++
					}
				}
				require.Equal(w.t, all, n, "G6: progress at %d", r.Revision)
			}
		}
		if len(kept) > 0 && w.source.lastHit != "before CheckStart" && w.source.lastHit != "after CheckStart" {
			require.Equal(w.t, 1, answers, "N3")
		}
		w.got = kept
		verifyWhole(w)
	})
}

// C7 C9: a watch on another stream that begins at any step, also while
// dispatch looks for previous values, gets all from its start on.
func TestInterleave_NewWatchDuringAnyStep(t *testing.T) {
	for name, from := range map[string]int64{"from now": 0, "from history": 60, "from the next": -1} {
		t.Run(name, func(t *testing.T) {
			var other *Stream
			start := from
			everyBoundary(t, func(w *theater) {
				var err error
				other, err = w.hub.NewStream("other")
				require.NoError(w.t, err)
				if from < 0 {
					start = w.source.Store.Rev() + 1
				}
				first := w.stream
				w.stream = other
				w.watch(start)
				w.stream = first
			}, func(w *theater) {
				verifyWhole(w)
				first, got := w.stream, w.got
				w.stream, w.got = other, nil
				w.settle()
				lives := w.lives()
				require.Len(w.t, lives, 1)
				w.check(lives[0], start, true)
				require.NoError(w.t, other.Close())
				w.stream, w.got = first, append(got[:0:0], got...)
			})
		})
	}
}

// G1 G2 G3 N7 C11 C12 V3 X1 X5: a mixture by seed of all that others may do,
// at many steps of one story.
func TestInterleave_Mixture(t *testing.T) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			for seed := range uint64(max(*mostBoundaries, 10)) {
				mixture(t, sc, seed)
			}
		})
	}
}

func mixture(t *testing.T, sc scenario, seed uint64) {
	r := rand.New(rand.NewPCG(3, seed))
	w := newTheater(t, sc)
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	starts := []int64{2}
	left := 30
	act := func() {
		w.source.at = w.source.passed + 1 + r.IntN(12)
		if left--; left == 0 {
			w.source.at = -1
		}
		switch r.IntN(7) {
		case 0, 1:
			w.put("a")
			w.dispatch()
		case 2:
			w.put("k02")
		case 3:
			w.recv()
		case 4:
			w.compact(min(max(w.next(), 2)+int64(r.IntN(3))-1, w.source.Store.Rev()))
		case 5:
			if r.IntN(3) == 0 && w.stream.Cancel(watchedID) == nil {
				starts = append(starts, []int64{0, max(w.source.Store.CompactRev(), 2)}[r.IntN(2)])
				w.watch(starts[len(starts)-1])
			}
		case 6:
			w.sh.tick()
		}
	}
	w.play(1+r.IntN(20), act)
	lives := w.lives()
	require.LessOrEqual(t, len(lives), len(starts))
	for i, l := range lives {
		w.check(l, starts[i], i == len(lives)-1 && l.ended == nil)
	}
	w.end()
}

// G7 R6: watches that are synced, behind, or waiting for a revision see
// nothing of a group that fails; those who wait in Recv are told.
func TestInterleave_FailedGroupShowsNothing(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	inner, err := mem.Open("", backend.Options{})
	require.NoError(t, err)
	faulty := backendtest.NewFaulty(inner)
	engine := &heldEngine{Engine: faulty, entered: make(chan struct{}, 1), release: make(chan struct{})}
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	hub, err := NewHub(store, Config{Shards: 2})
	require.NoError(t, err)
	ctx := context.Background()
	_, err = store.Put(ctx, []byte("a"), []byte("1"))
	require.NoError(t, err)
	broken := errors.New("disk on fire")
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: broken, After: true})
	engine.hold = true
	wrote := make(chan error, 2)
	for i := range 2 {
		go func() { _, err := store.Put(ctx, []byte("a"), []byte("2")); wrote <- err }()
		if i == 0 {
			<-engine.entered
		}
	}
	type end struct {
		events int
		err    error
	}
	ends := make(chan end)
	starts := []int64{0, 2, 3, 100}
	for _, start := range starts {
		s, err := hub.NewStream("")
		require.NoError(t, err)
		_, err = s.Watch(Request{Key: []byte("a"), StartRevision: start, PrevKV: true})
		require.NoError(t, err)
		go func() {
			e := end{}
			for e.err == nil {
				var rs []Response
				rs, e.err = s.Recv(ctx)
				for _, r := range rs {
					e.events += len(r.Events)
				}
			}
			assert.NoError(t, s.Close())
			ends <- e
		}()
	}
	close(engine.release)
	for range 2 {
		require.ErrorIs(t, <-wrote, broken)
	}
	events := 0
	for range starts {
		e := <-ends
		require.ErrorIs(t, e.err, mvcc.ErrFailed)
		require.ErrorIs(t, e.err, broken)
		events += e.events
	}
	require.Equal(t, 1, events, "revision 2, for the one who asked for it")
	st := hub.Stats()
	require.Zero(t, [4]int{st.Streams, st.Synced, st.Unsynced, st.Victims})
	require.NoError(t, hub.Close())
	require.ErrorIs(t, store.Close(), mvcc.ErrFailed)
	require.NoError(t, inner.Close())
}

// heldEngine tells of an Apply and holds it back. hold is set while nothing is
// written.
type heldEngine struct {
	backend.Engine
	hold             bool
	entered, release chan struct{}
}

func (e *heldEngine) Apply(b *backend.Batch, s backend.Syncing) error {
	if e.hold {
		select {
		case e.entered <- struct{}{}:
		default:
		}
		<-e.release
	}
	return e.Engine.Apply(b, s)
}

// X4 V4: while catch-up stands in a read of the engine, streams open, watch,
// cancel and close without waiting for it, and the hub's Close ends the read.
func TestInterleave_CloseWhileHistoryIsRead(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store := memStore(t, mvcc.Config{RecentBytes: 1})
	for range 50 {
		_, err := store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
	}
	source := &heldSource{Store: store, reading: make(chan struct{})}
	hub, err := NewHub(source, Config{Shards: 1})
	require.NoError(t, err)
	ctx := context.Background()
	var streams []*Stream
	for range 3 {
		s, err := hub.NewStream("")
		require.NoError(t, err)
		_, err = s.Watch(Request{ID: 7, Key: []byte("a"), End: []byte("b"), StartRevision: 2})
		require.NoError(t, err)
		streams = append(streams, s)
	}
	<-source.reading
	require.NoError(t, streams[0].Cancel(7))
	rs, err := streams[0].Recv(ctx)
	require.NoError(t, err)
	require.Len(t, rs, 2)
	require.True(t, rs[1].Canceled)
	_, err = streams[0].Watch(Request{ID: 7, Key: []byte("b")})
	require.NoError(t, err)
	_, err = store.Put(ctx, []byte("b"), nil)
	require.NoError(t, err)
	for events := 0; events == 0; { // live, though catch-up stands still
		rs, err := streams[0].Recv(ctx)
		require.NoError(t, err)
		for _, r := range rs {
			events += len(r.Events)
		}
	}
	require.NoError(t, streams[1].Close())
	require.NoError(t, hub.Close())
	for i, want := range []error{ErrHubClosed, ErrStreamClosed, ErrHubClosed} {
		for err = nil; err == nil; {
			_, err = streams[i].Recv(ctx)
		}
		require.ErrorIs(t, err, want)
	}
	st := hub.Stats()
	require.Zero(t, [4]int{st.Streams, st.Synced, st.Unsynced, st.Victims})
	require.Zero(t, st.PendingBytes)
}

// heldSource holds every read of history until its context ends.
type heldSource struct {
	*mvcc.Store
	reading chan struct{} // closed by the first
	begun   bool          // the catch-up goroutine's
}

func (s *heldSource) read(ctx context.Context) error {
	if !s.begun {
		s.begun = true
		close(s.reading)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *heldSource) History(ctx context.Context, _ mvcc.HistoryQuery) (mvcc.Chunk, error) {
	return mvcc.Chunk{}, s.read(ctx)
}

func (s *heldSource) ReadRevisions(ctx context.Context, dst []mvcc.Event, _ []mvcc.KeyRev) ([]mvcc.Event, error) {
	return dst, s.read(ctx)
}
