package server_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// N1 over the wire, and N6: under its own id, without events, also for a watch
// that matches nothing, and to nobody who did not ask. That it is skipped
// after events is seen where time can be stepped.
func TestWatch_PeriodicProgress(t *testing.T) {
	with := setup{}
	with.hub.ProgressInterval = time.Millisecond // 100 ms are the least
	s := serveWatches(t, with).stream()
	s.create(key("a"))
	asking := key("nothing")
	asking.ProgressNotify = true
	s.create(asking)
	rev := s.put("b", "b", "b")
	for range 2 {
		r := s.next()
		assert.EqualValues(t, 1, r.WatchId)
		assert.Empty(t, r.Events)
		assert.False(t, r.Created || r.Canceled)
		assert.Equal(t, rev, r.Header.Revision)
	}
}

// N3 over the wire: at least the revision that was visible when the request
// came, and no answer without watches.
func TestWatch_ProgressOnRequest(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.send(progressRequest())
	s.create(key("a"))
	for range 100 {
		rev := s.put("b")
		assert.GreaterOrEqual(t, s.nothing(), rev)
	}
}

// N3, N4 and G6 over the wire: what is owed while a watch reads history comes
// behind all of that history, and many requests have one answer or a few.
func TestWatch_ProgressIsOwed(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	for range 200 {
		s.write("a", make([]byte, 64<<10))
	}
	last := s.store.Rev()
	s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2})
	for range 50 {
		s.send(progressRequest())
	}
	seen := int64(1)
	for {
		r := s.next()
		if len(r.Events) == 0 {
			require.EqualValues(t, -1, r.WatchId)
			assert.Equal(t, last, r.Header.Revision)
			break
		}
		seen = r.Events[len(r.Events)-1].Kv.ModRevision
	}
	assert.Equal(t, last, seen)
}

// N5 and N7 over the wire, with N2: every header of a watch whose key is in
// every revision is exactly the last event delivered, and progress is never
// above it, live, from history and through victims.
func TestWatch_HeadersAreResumePoints(t *testing.T) {
	with := setup{}
	with.hub.ProgressInterval = time.Millisecond
	with.hub.OutboxResponses = 4
	s := serveWatches(t, with).stream()
	const n = 3000
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		for range n {
			_, err := s.store.Put(s.ctx, []byte("a"), make([]byte, 1024))
			assert.NoError(t, err)
		}
	})
	for id := int64(1); id <= 3; id++ {
		s.send(createRequest(&pb.WatchCreateRequest{WatchId: id, Key: []byte("a"), StartRevision: 2, ProgressNotify: true}))
	}
	at := map[int64]int64{1: 1, 2: 1, 3: 1}
	for done := 0; done < 3; {
		if r := s.next(); r.WatchId > 0 && !r.Created {
			for _, e := range r.Events {
				require.Equal(t, at[r.WatchId]+1, e.Kv.ModRevision)
				at[r.WatchId]++
			}
			require.Equal(t, at[r.WatchId], r.Header.Revision)
			if len(r.Events) > 0 && at[r.WatchId] == n+1 {
				done++
			}
		}
		if s.store.Rev()%7 == 0 {
			s.send(progressRequest())
		}
	}
}
