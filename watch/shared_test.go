package watch

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// formed is a form that counts how often it was made.
type formed struct{ events []mvcc.Event }

// forms returns what each stream of the stage makes of the event responses
// that wait for it, by stream and watch id.
func (s *stage) forms(made *int) map[[2]int64]*formed {
	out := map[[2]int64]*formed{}
	for i, each := range s.streams {
		for {
			responses, err := each.Recv(s.ctx)
			if err != nil {
				break
			}
			for k := range responses {
				r := &responses[k]
				if len(r.Events) > 0 {
					out[[2]int64{int64(i), r.WatchID}] = r.Shared(func(events []mvcc.Event, _ int64) any {
						*made++
						return &formed{events}
					}).(*formed)
				}
			}
		}
	}
	return out
}

func TestShared_OnceForEachRangeAndForm(t *testing.T) {
	s := newStage(t, 2, 10)
	s.hub.ShareForms()
	prefix := Request{Key: []byte("a"), End: []byte("b")}
	withPrev := prefix
	withPrev.PrevKV = true
	s.watch(0, prefix)
	s.watch(0, prefix)
	s.watch(1, prefix)
	s.watch(1, withPrev)
	s.watch(0, withPrev)
	s.watch(0, Request{Key: []byte("a1")})
	made := 0
	require.Empty(t, s.forms(&made))
	s.put("a1")
	s.put("a1")
	s.dispatch()
	got := s.forms(&made)
	require.Len(t, got, 6)
	assert.Equal(t, 3, made, "one for the prefix, one with previous values, one for the key alone")
	assert.Same(t, got[[2]int64{0, 0}], got[[2]int64{0, 1}])
	assert.Same(t, got[[2]int64{0, 0}], got[[2]int64{1, 0}])
	assert.Same(t, got[[2]int64{1, 1}], got[[2]int64{0, 2}])
	assert.NotNil(t, got[[2]int64{1, 1}].events[1].Prev)
	assert.Nil(t, got[[2]int64{0, 0}].events[1].Prev)
}

func TestShared_OfCatchUpToo(t *testing.T) {
	s := newStage(t, 3, 10)
	s.hub.ShareForms()
	for range 5 {
		s.put("a")
	}
	s.dispatch()
	for i := range s.streams {
		s.watch(i, Request{Key: []byte("a"), StartRevision: 3})
	}
	made := 0
	r := &reader{}
	for s.hub.shards[0].catchUpOnce(context.Background(), r) {
	}
	got := s.forms(&made)
	require.Len(t, got, 3)
	assert.Equal(t, 1, made)
	assert.Len(t, got[[2]int64{2, 0}].events, 4)
}

func TestShared_OffUnlessAskedFor(t *testing.T) {
	s := newStage(t, 1, 10)
	s.watch(0, Request{Key: []byte("a")})
	s.watch(0, Request{Key: []byte("a")})
	s.put("a")
	s.dispatch()
	made := 0
	require.Len(t, s.forms(&made), 2)
	assert.Equal(t, 2, made)
}

// MaySplit comes back with the events, also of a watch that was at rest.
func TestMaySplit_ComesBack(t *testing.T) {
	s := newStage(t, 1, 10)
	s.watch(0, Request{ID: 5, Key: []byte("a"), MaySplit: true})
	s.watch(0, Request{ID: 6, Key: []byte("b")})
	s.put("a")
	s.put("b")
	s.dispatch()
	split := map[int64]bool{}
	for len(split) < 2 {
		responses, err := s.streams[0].Recv(s.ctx)
		require.NoError(t, err)
		for _, r := range responses {
			if len(r.Events) > 0 {
				split[r.WatchID] = r.MaySplit
			}
		}
	}
	assert.Equal(t, map[int64]bool{5: true, 6: false}, split)
}

// C5: what the caller refuses is told in order, and the stream goes on.
func TestRefuse_InOrder(t *testing.T) {
	s := newStage(t, 1, 10)
	denied := errors.New("denied")
	s.watch(0, Request{ID: 5, Key: []byte("a")})
	require.NoError(t, s.streams[0].Refuse(denied))
	s.watch(0, Request{ID: 6, Key: []byte("a")})
	responses, err := s.streams[0].Recv(s.ctx)
	require.NoError(t, err)
	require.Len(t, responses, 3)
	assert.Equal(t, Response{WatchID: NoWatch, Created: true, Canceled: true, Revision: 1, Err: denied}, responses[1])
	assert.EqualValues(t, 6, responses[2].WatchID)
	require.NoError(t, s.streams[0].Close())
	assert.ErrorIs(t, s.streams[0].Refuse(denied), ErrStreamClosed)
}
