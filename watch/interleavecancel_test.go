package watch

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// cancel cancels the watch if it is there, and then once more.
func (w *theater) cancel() {
	if err := w.stream.Cancel(watchedID); err != nil {
		require.ErrorIs(w.t, err, ErrNoWatch)
	}
	require.ErrorIs(w.t, w.stream.Cancel(watchedID), ErrNoWatch, "X2")
}

// verifyCanceled: a beginning without a hole, one Canceled, nothing after it.
func verifyCanceled(w *theater) {
	lives := w.lives()
	require.Len(w.t, lives, 1)
	w.check(lives[0], 2, lives[0].ended == nil)
	if ended := lives[0].ended; ended != nil {
		require.NoError(w.t, ended.Err)
		require.Zero(w.t, ended.CompactRevision)
		require.Empty(w.t, w.hub.Watches())
	}
}

// X1 X2 X4: a cancel, twice, at every step of catch-up in each way, of being a
// victim and of promotion. Before the watch is there, it is not canceled.
func TestInterleave_Cancel(t *testing.T) {
	everyBoundary(t, (*theater).cancel, verifyCanceled)
}

// X1 X4 C12: a cancel beside a compaction that takes what the watch wants: one
// Canceled, of either.
func TestInterleave_CancelWhileCompactionIsToBeTold(t *testing.T) {
	for name, act := range map[string]func(w *theater){
		"compaction first": func(w *theater) { w.compact(w.source.Rev()); w.cancel() },
		"cancel first":     func(w *theater) { w.cancel(); w.compact(w.source.Rev()) },
	} {
		t.Run(name, func(t *testing.T) {
			everyBoundary(t, act, func(w *theater) {
				lives := w.lives()
				require.Len(w.t, lives, 1)
				w.check(lives[0], 2, lives[0].ended == nil)
			})
		})
	}
}

// X5: a cancel and a new watch under the same id, of another start, at every
// step: the new one has its own events only, from its own start on, all of
// them, though the consumer reads both later.
func TestInterleave_CancelAndCreateWithTheSameID(t *testing.T) {
	for name, from := range map[string]int64{"from now": 0, "from history": 50, "from the same": 2, "from later": 110} {
		t.Run(name, func(t *testing.T) {
			everyBoundary(t, func(w *theater) {
				if w.stream.Cancel(watchedID) == nil {
					w.watch(from)
				}
			}, func(w *theater) {
				lives := w.lives()
				if len(lives) == 1 { // it was not there yet
					w.check(lives[0], 2, true)
					return
				}
				require.Len(w.t, lives, 2)
				require.NotNil(w.t, lives[0].ended)
				w.check(lives[0], 2, false)
				require.Nil(w.t, lives[1].ended)
				w.check(lives[1], from, true)
			})
		})
	}
}

// X1 X5 with siblings of the same range on the same stream, so that seat,
// group and queued entries live on: nothing of the watches that were canceled
// comes any more, and the siblings miss nothing.
func TestInterleave_CreateWithTheSameIDBesideSiblings(t *testing.T) {
	sibling := func(id int64) func(r Response) bool { return func(r Response) bool { return r.WatchID != id } }
	everyBoundaryOf(t, func(w *theater) {
		for id := int64(8); id < 10; id++ {
			_, err := w.stream.Watch(w.request(id, 2))
			require.NoError(w.t, err)
		}
	}, func(w *theater) {
		if w.stream.Cancel(watchedID) != nil {
			return
		}
		for range 2 {
			w.watch(2)
			require.NoError(w.t, w.stream.Cancel(watchedID))
		}
		w.watch(2)
	}, func(w *theater) {
		got := w.got
		for _, id := range []int64{8, 9, watchedID} {
			w.got = slices.DeleteFunc(slices.Clone(got), sibling(id))
			for i := range w.got {
				w.got[i].WatchID = watchedID
			}
			lives := w.lives()
			last := len(lives) - 1
			for i, l := range lives {
				w.check(l, 2, i == last)
			}
			if id != watchedID {
				require.Zero(w.t, last)
			} else if last > 0 {
				require.Len(w.t, lives, 4)
			}
		}
	})
}

// X4: the stream is closed at every step. What was received before is a
// beginning without a hole, Recv says why nothing follows, and nothing is
// left behind.
func TestInterleave_StreamClose(t *testing.T) {
	everyBoundary(t, func(w *theater) { require.NoError(w.t, w.stream.Close()) }, func(w *theater) {
		w.over = nil
		w.recv()
		require.ErrorIs(w.t, w.over, ErrStreamClosed)
		for _, l := range w.lives() {
			w.check(l, 2, false)
		}
		require.ErrorIs(w.t, w.stream.Cancel(watchedID), ErrStreamClosed)
	})
}

// X4: the hub is closed at every step, while its goroutines are in the middle
// of theirs.
func TestInterleave_HubClose(t *testing.T) {
	everyBoundary(t, func(w *theater) { require.NoError(w.t, w.hub.Close()) }, func(w *theater) {
		w.recv()
		require.ErrorIs(w.t, w.over, ErrHubClosed)
		for _, l := range w.lives() {
			w.check(l, 2, false)
		}
	})
}

// G6 N7: what Recv had taken when its stream was closed is handed out whole,
// or else what follows it would promise more than came.
func TestInterleave_CloseBetweenTwoRecvs(t *testing.T) {
	store := memStore(t, mvcc.Config{})
	for name, end := range map[string]func(h *Hub, s *Stream) error{
		"stream": func(_ *Hub, s *Stream) error { return s.Close() },
		"hub":    func(h *Hub, _ *Stream) error { return h.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(store, Config{Shards: 1})
			s, err := h.NewStream("")
			require.NoError(t, err)
			const watches = 2 * recvResponses
			for range watches {
				_, err := s.Watch(Request{Key: []byte("a")})
				require.NoError(t, err)
			}
			ended, cancel := context.WithCancel(context.Background())
			cancel()
			for range 2 { // the Created
				_, err = s.Recv(ended)
				require.NoError(t, err)
			}
			rev, err := store.Put(context.Background(), []byte("a"), nil)
			require.NoError(t, err)
			h.shards[0].dispatchOnce(context.Background())
			require.NoError(t, s.RequestProgress())
			events := 0
			for over := error(nil); over == nil; {
				var rs []Response
				rs, over = s.Recv(ended)
				for _, r := range rs {
					events += len(r.Events)
					if r.Progress() && r.Revision >= rev {
						require.Equal(t, watches, events, "progress at %d", r.Revision)
					}
				}
				if events == recvResponses {
					require.NoError(t, end(h, s))
				}
				if over != nil {
					require.False(t, errors.Is(over, context.Canceled))
				}
			}
			require.Equal(t, watches, events)
			_ = h.Close()
		})
	}
}
