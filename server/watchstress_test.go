package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// G1 to G6, P1, F1, C7 to C12, C15, X1 and N2 to N7 over the wire, of watches
// that come and go while keys are written and history is cut, on streams that
// are read fast and slowly: every response is checked against what was written.
func TestWatch_ManyClientsChecked(t *testing.T) {
	for name, with := range map[string]setup{
		"as usual":          {},
		"everybody is slow": {hub: watch.Config{OutboxResponses: 2, OutboxBytes: 3000}, dial: []grpc.DialOption{grpc.WithInitialWindowSize(64 << 10)}},
		"nothing in memory": {hub: watch.Config{OutboxResponses: 3}, store: mvcc.Config{RecentBytes: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := &checked{watched: serveWatches(t, with), history: watchtest.NewHistory(watchtest.HistoryConfig{})}
			writing, written := context.WithCancel(w.ctx)
			var readers sync.WaitGroup
			for i := range 6 {
				readers.Go(func() { w.consume(writing, rand.New(rand.NewPCG(1, uint64(i)))) })
			}
			w.writeAll(rand.New(rand.NewPCG(2, 2)), 300)
			written()
			w.writeAll(rand.New(rand.NewPCG(3, 3)), 1) // for those who wait for something
			readers.Wait()
		})
	}
}

// checked is a server, and what was written to it.
type checked struct {
	*watched
	history *watchtest.History
}

func stressKey(r *rand.Rand) []byte { return fmt.Appendf(nil, "k%02d", r.IntN(30)) }

// writeAll commits transactions, and compacts now and then.
func (w *checked) writeAll(r *rand.Rand, commits int) {
	for i := range commits {
		var txn mvcc.Txn
		var changes []watchtest.Change
		for _, n := range r.Perm(30)[:1+r.IntN(3)] {
			k, value := fmt.Appendf(nil, "k%02d", n), make([]byte, r.IntN(3000))
			if _, there, err := w.store.Get(k, 0); there && r.IntN(4) == 0 {
				assert.NoError(w.t, err)
				txn.Then = append(txn.Then, mvcc.Op{Type: mvcc.OpDeleteRange, Key: k})
				changes = append(changes, watchtest.Change{Type: mvcc.EventDelete, Key: k})
				continue
			}
			txn.Then = append(txn.Then, mvcc.Op{Type: mvcc.OpPut, Key: k, Value: value})
			changes = append(changes, watchtest.Change{Type: mvcc.EventPut, Key: k, Value: value})
		}
		got, err := w.store.Txn(w.ctx, txn)
		require.NoError(w.t, err)
		require.NoError(w.t, w.history.Commit(got.Rev, changes...))
		if i%100 == 99 {
			w.history.Compacting(got.Rev - 50)
			w.compact(got.Rev - 50)
		}
	}
}

// consume reads one stream, whose watches it makes and cancels as it goes: the
// first, of everything, stays. At the end it waits until all was delivered.
func (w *checked) consume(writing context.Context, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(w.ctx, soon)
	defer cancel()
	s, check := w.streamOf(ctx), watchtest.NewStream(w.history, 8)
	open := map[int64]int64{} // the revision to catch up with; 0: it has, -1: not created yet
	for writing.Err() == nil {
		w.watchAll(r, s, check, open)
		id := 2 + r.Int64N(5)
		if _, there := open[id]; r.IntN(4) == 0 && !there {
			w.makeWatch(r, s, check, open, id)
		} else if r.IntN(4) == 0 && there {
			check.CancelAsked(id)
			assert.NoError(w.t, s.rpc.Send(cancelRequest(id)))
		}
		if _, ok := w.receive(s, check, open); !ok {
			return
		}
	}
	for answered, asked := false, false; !answered || open[1] < 0; {
		if w.watchAll(r, s, check, open) || !asked {
			asked = true
			check.ProgressAsked(w.store.Rev())
			assert.NoError(w.t, s.rpc.Send(progressRequest()))
		}
		told, ok := w.receive(s, check, open)
		if !ok {
			return
		}
		answered = answered || told
	}
	for id, at := range open {
		if at > 0 { // progress was for all of them
			assert.NoError(w.t, check.Deliver([]watch.Response{{WatchID: id, CaughtUp: true, Revision: w.store.Rev()}}))
		}
	}
	assert.NoError(w.t, check.Finish(w.store.Rev()))
	counts := check.Counts()
	assert.Empty(w.t, counts.NotKept(), "ours are kept too: N7, C11")
	assert.Zero(w.t, counts.Unmatched)
}

// watchAll makes the watch of everything, unless it is there: compaction ends
// it when it is far behind.
func (w *checked) watchAll(r *rand.Rand, s *stream, check *watchtest.Stream, open map[int64]int64) bool {
	_, there := open[1]
	if !there {
		w.makeWatch(r, s, check, open, 1)
	}
	return !there
}

func (w *checked) makeWatch(r *rand.Rand, s *stream, check *watchtest.Stream, open map[int64]int64, id int64) {
	c := &pb.WatchCreateRequest{WatchId: id, Key: stressKey(r), PrevKv: r.IntN(3) == 0, Fragment: r.IntN(2) == 0}
	switch now := w.store.Rev(); {
	case id == 1:
		c.Key, c.RangeEnd = []byte{0}, []byte{0}
	case r.IntN(3) == 0:
		c.Key, c.RangeEnd = []byte("k1"), []byte("k2")
	case r.IntN(3) == 0:
		c.StartRevision = max(1, now-r.Int64N(150))
	}
	if id != 1 && r.IntN(8) == 0 {
		c.Filters = append(c.Filters, pb.WatchCreateRequest_NOPUT)
	}
	open[id] = -1
	_, err := check.Expect(id, watch.Request{
		ID: id, Key: c.Key, End: c.RangeEnd, StartRevision: c.StartRevision, PrevKV: c.PrevKv, NoPut: len(c.Filters) > 0,
	}, nil)
	assert.NoError(w.t, err)
	assert.NoError(w.t, s.rpc.Send(createRequest(c)))
}

// receive takes and checks a response; answered tells that it was the progress
// asked for.
func (w *checked) receive(s *stream, check *watchtest.Stream, open map[int64]int64) (answered, ok bool) {
	r, err := s.rpc.Recv()
	if !assert.NoError(w.t, err) {
		w.t.Logf("%+v\n%+v\n%+v", open, w.hub.Stats(), w.hub.Watches())
		return false, false
	}
	got := asResponse(r)
	responses := []watch.Response{got}
	if at, reading := open[r.WatchId]; reading {
		// V5 is not on the wire: it is known once a response reaches the revision
		// of Created.
		switch {
		case r.Created:
			open[r.WatchId] = r.Header.Revision
		case at > 0 && r.Header.Revision >= at && !r.Canceled:
			open[r.WatchId] = 0
			responses = append(responses, watch.Response{WatchID: r.WatchId, CaughtUp: true, Revision: r.Header.Revision})
		}
	}
	if err := check.Deliver(responses); err != nil {
		var b *watchtest.Broken
		if errors.As(err, &b) {
			w.t.Log(strings.Join(b.Record, "\n"))
		}
		w.t.Error(err)
		return false, false
	}
	if r.Canceled {
		delete(open, r.WatchId)
	}
	return r.WatchId == watch.NoWatch && got.Progress(), true
}

// asResponse is a response of the wire in the words of the checker. The end of
// catch-up is not on the wire: it is where the first event or progress is.
func asResponse(r *pb.WatchResponse) watch.Response {
	out := watch.Response{
		WatchID: r.WatchId, Revision: r.Header.Revision, Created: r.Created, Canceled: r.Canceled, CompactRevision: r.CompactRevision,
	}
	if r.CompactRevision != 0 {
		out.Err = &mvcc.CompactedError{Compact: r.CompactRevision}
	} else if r.CancelReason != "" {
		out.Err = errors.New(r.CancelReason)
	}
	for _, e := range r.Events {
		to := mvcc.Event{Type: mvcc.EventType(e.Type), KV: asKeyValue(e.Kv)}
		if e.PrevKv != nil {
			kv := asKeyValue(e.PrevKv)
			to.Prev = &kv
		}
		out.Events = append(out.Events, to)
	}
	return out
}

func asKeyValue(kv *mvccpb.KeyValue) mvcc.KeyValue {
	return mvcc.KeyValue{
		Key: kv.Key, Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: kv.Lease,
	}
}
