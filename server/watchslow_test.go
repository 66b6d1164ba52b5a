package server_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// stuck makes a stream with a watch of "a" whose client does not read, so long
// that the watch is a victim. It returns the last revision written.
func (w *watched) stuck(c *pb.WatchCreateRequest) (*stream, int64) {
	s := w.stream()
	s.create(c)
	for w.hub.Stats().Victims == 0 {
		w.write("a", make([]byte, 128<<10))
	}
	return s, w.store.Rev()
}

// V1, V2 and V4 over the wire: what is kept for a client that does not read is
// bounded whatever is written, others hear at once, and when it reads it gets
// everything.
func TestWatch_SlowClient(t *testing.T) {
	with := setup{}
	with.hub.OutboxBytes = 256 << 10
	w := serveWatches(t, with)
	slow, _ := w.stuck(key("a"))
	other := w.stream()
	other.create(key("a"))
	for range 100 {
		rev := w.write("a", make([]byte, 128<<10))
		assert.Equal(t, rev, other.event(0).Events[0].Kv.ModRevision)
	}
	assert.LessOrEqual(t, w.hub.Stats().PendingBytesMax, int64(256<<10), "V2")
	assert.Equal(t, 1, w.hub.Stats().Victims)
	for want := int64(2); want <= w.store.Rev(); {
		for _, e := range slow.next().Events {
			require.Equal(t, want, e.Kv.ModRevision)
			want++
		}
	}
	w.put("a")
	slow.event(0)
}

// heap is what is alive.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools let go of
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// V2 over the wire, in bytes of memory: what clients that do not read keep
// alive, whether they watch the same or each something else, is what they let
// go of when they go.
func TestWatch_SlowClientsMemory(t *testing.T) {
	const streams, size, outbox = 20, 64 << 10, 128 << 10
	// Queued and in the send loop's hands, with the encoded form; what grpc has
	// of it, here and at the client.
	const each = 2*(2*outbox+size) + size + 2*(64<<10+size)
	for _, same := range []bool{true, false} {
		t.Run(fmt.Sprint("same=", same), func(t *testing.T) {
			with := setup{dial: []grpc.DialOption{grpc.WithInitialWindowSize(64 << 10)}}
			with.hub.OutboxBytes = outbox
			with.store.RecentBytes = 1
			w := serveWatches(t, with)
			name := func(i int) string { return fmt.Sprint("a", i%streams) }
			for i := range streams {
				if s := w.stream(); same {
					s.create(prefix("a"))
				} else {
					s.create(key(name(i)))
				}
			}
			for i := range 60 * streams {
				w.write(name(i), make([]byte, size))
			}
			require.Equal(t, streams, w.hub.Stats().Victims)
			before := heap()
			require.NoError(t, w.conn.Close())
			require.Eventually(t, func() bool { return w.server.WatchStats().Streams == 0 }, soon, tick)
			assert.Less(t, before-heap(), int64(streams*each))
		})
	}
}

// V3 over the wire: a victim that compaction overtakes is told.
func TestWatch_SlowClientIsOvertaken(t *testing.T) {
	w := serveWatches(t, setup{})
	slow, last := w.stuck(key("a"))
	w.put("a")
	w.compact(last + 1)
	for want := int64(2); ; {
		r := slow.next()
		if r.Canceled {
			assert.Equal(t, last+1, r.CompactRevision)
			assert.Less(t, want, last+1)
			break
		}
		for _, e := range r.Events {
			require.Equal(t, want, e.Kv.ModRevision, "no silent jump")
			want++
		}
	}
	slow.create(key("a"))
	slow.nothing()
}

// V6 over the wire: a bound on how far a watch may be behind ends it with a
// reason, others go on.
func TestWatch_SlowClientIsEnded(t *testing.T) {
	with := setup{}
	with.server.WatchMaxLagRevisions = 5
	w := serveWatches(t, with)
	slow, _ := w.stuck(key("a"))
	w.put("b", "b", "b", "b", "b", "b", "b", "b")
	for {
		r := slow.next()
		if r.Canceled {
			assert.Contains(t, r.CancelReason, "watch: consumer is too slow: ")
			assert.Contains(t, r.CancelReason, "revisions behind, 5 are allowed")
			assert.Zero(t, r.CompactRevision)
			break
		}
	}
	id := slow.create(key("a")).WatchId
	w.put("a")
	slow.event(id)
}

// V7 over the wire: a client that makes watches and does not read comes to a
// halt; when it reads, every one of them is told.
func TestWatch_CreatesWithoutReading(t *testing.T) {
	const watches = 10_000
	w := serveWatches(t, setup{dial: []grpc.DialOption{grpc.WithInitialWindowSize(64 << 10)}})
	s := w.stream()
	var sent atomic.Int64
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range watches {
			assert.NoError(t, s.rpc.Send(createRequest(key("a"))))
			sent.Add(1)
		}
	}()
	last := int64(-1)
	require.Eventually(t, func() bool {
		was := last
		last = sent.Load()
		return was == last
	}, soon, 50*tick)
	assert.Less(t, w.hub.Stats().Synced, watches/2)
	for id := range int64(watches) {
		r := s.next()
		require.True(t, r.Created && r.WatchId == id, "%v", r)
	}
	<-asked
}
