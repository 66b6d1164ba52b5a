package watch

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// inSteps is a store that shows its newest commits a few at a time, so that
// what a dispatch allocates is seen apart from what the puts do.
type inSteps struct {
	*mvcc.Store
	commits int
}

func (s inSteps) Recent(dst []mvcc.Commit, from int64, _ int) ([]mvcc.Commit, int64, bool) {
	return s.Store.Recent(dst, from, s.commits)
}

// stage is a hub without goroutines and streams that read all there is.
type stage struct {
	tb      testing.TB
	store   *mvcc.Store
	hub     *Hub
	streams []*Stream
	ctx     context.Context // ended, so that Recv does not wait
}

func newStage(tb testing.TB, streams, commits int) *stage {
	store := memStore(tb, mvcc.Config{})
	s := &stage{tb: tb, store: store, hub: newHub(inSteps{store, commits}, Config{Shards: 1})}
	tb.Cleanup(func() { require.NoError(tb, s.hub.Close()) })
	ctx, done := context.WithCancel(context.Background())
	done()
	s.ctx = ctx
	for range streams {
		each, err := s.hub.NewStream("")
		require.NoError(tb, err)
		s.streams = append(s.streams, each)
	}
	return s
}

func (s *stage) watch(stream int, r Request) {
	_, err := s.streams[stream].Watch(r)
	require.NoError(s.tb, err)
}

func (s *stage) put(key string) {
	_, err := s.store.Put(context.Background(), []byte(key), []byte("value"))
	require.NoError(s.tb, err)
}

// read takes all that waits and counts the events in it.
func (s *stage) read() (events int) {
	for _, each := range s.streams {
		for {
			responses, err := each.Recv(s.ctx)
			if err != nil {
				break
			}
			for i := range responses {
				events += len(responses[i].Events)
			}
		}
	}
	return events
}

func (s *stage) dispatch() { s.hub.shards[0].dispatchOnce(context.Background()) }

// An event costs no allocation on its way from the recent log into the hands
// of its consumers, however many watches it concerns and however many others
// there are.
func TestAllocs_DispatchAndRecv(t *testing.T) {
	const runs = 200
	for _, c := range []struct {
		name          string
		streams, each int
		oneKey        bool
		events        int // for each put
	}{
		{name: "a watch of a prefix", streams: 1, each: 1, events: 1},
		{name: "100 of a prefix on a stream", streams: 1, each: 100, events: 100},
		{name: "1,000 of a prefix on 10 streams", streams: 10, each: 100, events: 1000},
		{name: "10,000 of a key each on 50 streams", streams: 50, each: 200, oneKey: true, events: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.streams, 1)
			for i := range c.streams * c.each {
				r := Request{Key: []byte("key/"), End: []byte("key0")}
				if c.oneKey {
					r = Request{Key: fmt.Appendf(nil, "key/%d", i)}
				}
				s.watch(i%c.streams, r)
			}
			s.read()
			for i := range 2*runs + 1 {
				s.put(fmt.Sprintf("key/%d", i%100)) // the first event of a key may cost more
			}
			got := 0
			step := func() {
				s.dispatch()
				got += s.read()
			}
			for range runs { // the first of each stream makes its buffers
				step()
			}
			assert.Zero(t, testing.AllocsPerRun(runs, step))
			assert.Equal(t, (2*runs+1)*c.events, got)
		})
	}
}

// Revisions that are dispatched together cost one allocation for each group
// that takes several of them, not one for each event or watch.
func TestAllocs_Batch(t *testing.T) {
	const runs, batch, groups = 50, 100, 3
	s := newStage(t, 2, batch)
	for i := range groups {
		for range 20 {
			for stream := range s.streams {
				s.watch(stream, Request{Key: []byte("key/"), End: fmt.Appendf(nil, "key0%d", i)})
			}
		}
	}
	s.read()
	for i := range (2*runs + 1) * batch {
		s.put(fmt.Sprintf("key/%d", i))
	}
	got := 0
	step := func() {
		s.dispatch()
		got += s.read()
	}
	for range runs {
		step()
	}
	assert.LessOrEqual(t, testing.AllocsPerRun(runs, step), float64(groups))
	assert.Equal(t, (2*runs+1)*batch*groups*20*len(s.streams), got)
}

// What joins an entry that waits costs, now and then, a larger entry.
func TestAllocs_JoinQueuedEntry(t *testing.T) {
	const runs = 200
	s := newStage(t, 1, 1)
	for range 10 {
		s.watch(0, Request{Key: []byte("key/"), End: []byte("key0")})
	}
	s.read()
	for i := range runs + 1 {
		s.put(fmt.Sprintf("key/%d", i))
	}
	assert.Zero(t, testing.AllocsPerRun(runs, s.dispatch), "the average, rounded down")
	assert.Equal(t, 10*(runs+1), s.read())
	assert.Zero(t, s.hub.Stats().VictimsEver)
}
