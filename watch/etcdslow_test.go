package watch

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/mvcc"
)

// etcd, when a watch's next revision was compacted away and the stream's
// channel was too full to say so, moved the watch on to the present: it went
// on hours later without what lay between, and nobody was told. V3, C11, V7:
// compaction is told however full the outbox is, and no event comes after the
// hole.
func TestEtcd17529_FullOutboxStillTellsOfCompaction(t *testing.T) {
	const watches = 20
	for _, policy := range []Policy{Wait, Latest} {
		t.Run(policy.String(), func(t *testing.T) {
			h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxResponses: 1, OutboxBytes: 1})
			s := h.stream()
			for i := range watches {
				h.watch(s, Request{Key: fmt.Append(nil, "k", i), Policy: policy})
			}
			for round := range 3 { // the first hand-over fills the outbox, all others are refused
				for i := range watches {
					h.put(fmt.Sprint("k", i), byte(round))
					h.dispatch()
				}
			}
			for i := range watches { // and these never had room
				h.watch(s, Request{Key: fmt.Append(nil, "k", i), StartRevision: 2, Policy: policy})
			}
			h.catchUp()
			compact := h.store.Rev()
			h.compact(compact)
			for i := range watches {
				h.put(fmt.Sprint("k", i), 'n') // behind the hole
				h.dispatch()
				h.catchUp()
			}
			got := map[int64][]string{}
			for _, r := range h.settle(s) {
				got[r.WatchID] = append(got[r.WatchID], brief([]Response{r})...)
			}
			told := 0
			for id := range int64(2 * watches) {
				last := fmt.Sprintf("%d canceled, compact %d", id, compact)
				lines := got[id]
				if require.NotEmpty(t, lines, "watch %d", id); lines[len(lines)-1] == last {
					told++
				}
				for _, line := range lines[:len(lines)-1] {
					assert.NotContains(t, line, "canceled")
				}
			}
			assert.GreaterOrEqual(t, told, 2*watches-2, "all but those whose offers were taken")
			for i := range watches { // told or complete: who was not told has no hole
				if line := got[int64(i)]; line[len(line)-1] != fmt.Sprintf("%d canceled, compact %d", i, compact) {
					assert.GreaterOrEqual(t, len(line), 4, "%v", line)
				}
			}
			stats := h.hub.Stats()
			assert.Equal(t, 2*watches-told, stats.Synced)
			assert.Zero(t, stats.Unsynced+stats.Victims)
		})
	}
}

// etcd looked at 512 unsynced watches at a time, in a copy of the set, and
// took those that compaction had overtaken out of the copy alone: they stayed,
// and were told again every 100 ms. C12: each is told once, however many there
// are and however often the others are served, and is gone.
func TestEtcd22294_ThousandsAreToldOnce(t *testing.T) {
	const watches = 3000
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	h.fill("a", 20)
	h.dispatch()
	s := h.stream()
	for i := range watches {
		h.watch(s, Request{Key: fmt.Append(nil, "k", i/2), StartRevision: 2 + int64(i%3)})
	}
	alive := h.watch(s, Request{Key: []byte("a"), StartRevision: 19})
	h.compact(19)
	told := map[int64]int{}
	for range 5 {
		h.fill("a", h.store.Rev()+1)
		for _, r := range h.settle(s) {
			if r.Canceled {
				told[r.WatchID]++
			}
		}
	}
	assert.Len(t, told, watches)
	for id, n := range told {
		assert.Equal(t, 1, n, "watch %d", id)
	}
	assert.NotContains(t, told, alive)
	stats := h.hub.Stats()
	assert.Equal(t, 1, stats.Synced)
	assert.Zero(t, stats.Unsynced)
	assert.Empty(t, h.shard.unsynced)
	assert.Equal(t, 1, h.shard.groups.count)
}

// etcd kept for every slow watch the events it could not take, and read them
// again for each, until it ran out of memory. V2: a watch whose consumer does
// not read has a revision and nothing else; what waits for it is bounded by
// the outbox, and nothing is read from history in vain.
func TestEtcd16839_SlowWatchesKeepNoEvents(t *testing.T) {
	const outbox, value, watches = 16 << 10, 4 << 10, 100
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxBytes: outbox})
	s := h.stream()
	for i := range watches {
		r := Request{Key: []byte("k"), StartRevision: int64(i % 2)}
		r.NoDelete = i%4 < 2 // two groups
		h.watch(s, r)
	}
	write := func() {
		for range 100 {
			h.put("k", bytes.Repeat([]byte("x"), value)...)
			h.dispatch()
			h.catchUp()
		}
	}
	write()
	read := h.hub.Stats().ChunksRead
	var served int64
	for _, way := range h.hub.Stats().CatchUp {
		served += way.Events
	}
	write()
	stats := h.hub.Stats()
	assert.LessOrEqual(t, stats.PendingBytesMax, int64(outbox))
	assert.Equal(t, watches, stats.Victims)
	assert.Equal(t, read, stats.ChunksRead, "nothing is read for those who have no room")
	for _, way := range stats.CatchUp {
		served -= way.Events
	}
	assert.Zero(t, served)
	events := 0
	for _, r := range h.settle(s) {
		events += len(r.Events)
	}
	assert.Equal(t, watches*200, events)
}

// etcd put everything that a watch had missed into one response: 4 revisions
// of 1.2 MB became one of 4.8 MB, above what gRPC clients take, and the watch
// could never begin. S5: catch-up is cut between revisions, by each of its
// ways. (#9294: a revision that is too large by itself comes whole and alone;
// cutting it into fragments is the wire's.)
func TestEtcd19441_CatchUpIsCutBetweenRevisions(t *testing.T) {
	const keys, value, revisions = 12, 10 << 10, 4
	for name, c := range map[string]struct {
		recent  int64
		request Request
		want    int
	}{
		"from memory":   {0, Request{Key: []byte{0}, End: []byte{0}}, keys},
		"by the scan":   {1, Request{Key: []byte{0}, End: []byte{0}}, keys},
		"by the index":  {1, Request{Key: []byte("k01"), End: []byte("k10")}, 9},
		"under latest":  {1, Request{Key: []byte{0}, End: []byte{0}, Policy: Latest}, keys},
		"with previous": {1, Request{Key: []byte{0}, End: []byte{0}, PrevKV: true}, keys},
	} {
		t.Run(name, func(t *testing.T) {
			h := newStoppedHub(t, mvcc.Config{RecentBytes: c.recent}, Config{MaxResponseBytes: 64 << 10})
			for range revisions {
				_, err := h.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
					for k := range keys {
						if err := tx.Put(fmt.Appendf(nil, "k%02d", k), make([]byte, value), 0); err != nil {
							return err
						}
					}
					return nil
				})
				require.NoError(t, err)
			}
			h.dispatch()
			s := h.stream()
			c.request.StartRevision = 2
			h.watch(s, c.request)
			responses := 0
			for _, r := range h.settle(s) {
				if n := len(r.Events); n > 0 {
					responses++
					assert.Equal(t, c.want, n, "a whole revision")
					assert.Equal(t, r.Events[0].KV.ModRevision, r.Events[n-1].KV.ModRevision, "and no other")
				}
			}
			if c.request.Policy == Latest {
				assert.Equal(t, 1, responses)
			} else {
				assert.Equal(t, revisions, responses)
			}
		})
	}
}

// etcd's clients told the server of a cancelled watch only when an event of it
// came; watches of keys that never change again piled up. X1, X4: here a
// cancelled watch is gone at once, its group and its place among those that
// wait for their start with it, without any event.
func TestEtcd11850_CancelledWatchIsGoneWithoutAnEvent(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{})
	h.fill("a", 5)
	h.dispatch()
	s := h.stream()
	for i := range 1000 {
		id := h.watch(s, Request{Key: fmt.Append(nil, "quiet", i), StartRevision: int64(i%3) * 4, Progress: true})
		require.NoError(t, s.Cancel(id))
	}
	stats := h.hub.Stats()
	assert.Zero(t, stats.Synced+stats.Unsynced+stats.Victims)
	assert.Zero(t, h.shard.groups.count)
	assert.Empty(t, h.shard.progress)
	assert.Empty(t, h.shard.waiting)
	assert.Empty(t, h.hub.Watches())
	assert.Zero(t, h.hub.watches.Load())
}

// etcd counted a watch out twice when its end by compaction met its cancel or
// the close of its stream: the gauge went below zero. X4: whoever comes first
// counts it out, and the gauges return to zero.
func TestEtcd20065_CompactedCancelledAndClosedCountOnce(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store, hub := startHub(t, Config{})
	for i := range 200 {
		_, err := store.Put(context.Background(), []byte("a"), nil)
		require.NoError(t, err)
		s, err := hub.NewStream("")
		require.NoError(t, err)
		var ids []int64
		for range 4 {
			id, err := s.Watch(Request{Key: []byte("a"), StartRevision: store.Rev() - 1})
			require.NoError(t, err)
			ids = append(ids, id)
		}
		var all sync.WaitGroup
		all.Go(func() { assert.NoError(t, store.Compact(context.Background(), store.Rev())) })
		all.Go(func() {
			for _, id := range ids {
				_ = s.Cancel(id) // it may be gone
			}
		})
		all.Go(func() {
			if i%2 == 0 {
				assert.NoError(t, s.Close())
			}
		})
		all.Wait()
		require.NoError(t, s.Close())
		stats := hub.Stats()
		require.Equal(t, [4]int{}, [4]int{stats.Streams, stats.Synced, stats.Unsynced, stats.Victims})
		require.Zero(t, hub.watches.Load())
	}
	require.NoError(t, hub.Close())
}

// In etcd the loop that read a stream's requests blocked on handing an answer
// to the loop that sent, when that had already left; the goroutine and all the
// stream held stayed for ever. V7, X4: a request never waits for a consumer,
// whether one reads or not, and Close lets go of everything.
func TestEtcd18704_RequestsNeverWaitForTheConsumer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	store, hub := startHub(t, Config{OutboxResponses: 1, OutboxBytes: 1})
	s, err := hub.NewStream("")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan error, 1)
	go func() { // a consumer that leaves
		_, err := s.Recv(ctx)
		cancel()
		received <- err
	}()
	for i := range 3000 {
		id, err := s.Watch(Request{Key: []byte("a")})
		require.NoError(t, err)
		require.NoError(t, s.RequestProgress())
		if i%2 == 0 {
			require.NoError(t, s.Cancel(id))
		}
		if i%100 == 0 {
			_, err = store.Put(context.Background(), []byte("a"), nil)
			require.NoError(t, err)
		}
	}
	require.NoError(t, <-received)
	require.NoError(t, s.Close())
	require.NoError(t, hub.Close())
	assert.Zero(t, hub.Stats().PendingBytes)
}

// etcd's queue names watches by id alone: what was queued for a watch that was
// cancelled went to the next one of that id, even with another range. X5: a
// watch gets only its own, also when the reader stands in the middle of what
// it took.
func TestEtcd_ReusedWatchID(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{})
	s := h.stream()
	const id = 7
	h.watch(s, Request{ID: id, Key: []byte("a")})
	h.watch(s, Request{ID: id + 1, Key: []byte("a")})
	h.recv(s)
	for range 2 {
		h.put("a")
		h.dispatch()
	}
	require.NoError(t, s.Cancel(id))
	h.watch(s, Request{ID: id, Key: []byte("b"), StartRevision: 2})
	h.put("a")
	h.put("b")
	assert.Equal(t, []string{"7 a@2", "7 a@3", "7 canceled, compact 0", "7 b@5", "8 a@2", "8 a@3", "8 a@4"}, byWatch(h.settle(s)))

	// The same place twice: the end of the old one lies between the two.
	for range 2 {
		require.NoError(t, s.Cancel(id))
		h.watch(s, Request{ID: id, Key: []byte("a")})
		h.put("a")
		h.dispatch()
	}
	require.NoError(t, s.Cancel(id+1))
	assert.Equal(t, []string{
		"7 canceled, compact 0", "7 a@6", "7 canceled, compact 0", "7 a@7", "8 a@6", "8 a@7", "8 canceled, compact 0",
	}, byWatch(h.settle(s)))
}

// etcd adds to its gauge of pending events before it filters and takes off
// only what it sends: it grows for ever where watches filter. F2, F3: what is
// filtered is never queued, live or over history, and the gauge of pending
// bytes is zero when all was read or the watches are gone.
func TestEtcd_PendingGaugeUnderFilters(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	s := h.stream()
	churn := func() {
		for range 50 {
			h.put("a", make([]byte, 100)...)
			h.dispatch()
			_, err := h.store.DeleteRange(context.Background(), []byte("a"), nil)
			require.NoError(t, err)
			h.dispatch()
		}
	}
	h.watch(s, Request{Key: []byte("a"), NoPut: true, NoDelete: true})
	churn()
	h.watch(s, Request{Key: []byte("a"), StartRevision: 2, NoPut: true, NoDelete: true, PrevKV: true})
	h.catchUp()
	stats := h.hub.Stats()
	assert.Zero(t, stats.PendingBytes)
	assert.Zero(t, stats.PendingBytesMax)
	assert.Zero(t, stats.Offers)
	deletes := h.watch(s, Request{Key: []byte("a"), NoPut: true})
	churn()
	pending := h.hub.Stats().PendingBytes
	assert.Positive(t, pending)
	assert.Less(t, pending, int64(50*200), "deletes have no value beside the 192 bytes each hand-over counts")
	assert.EqualValues(t, 50, h.hub.Stats().PendingEvents)
	assert.Len(t, brief(h.settle(s)), 50)
	assert.Zero(t, h.hub.Stats().PendingBytes)
	assert.Zero(t, h.hub.Stats().PendingEvents)
	churn()
	require.NoError(t, s.Cancel(deletes))
	h.recv(s)
	assert.Zero(t, h.hub.Stats().PendingBytes)
	churn()
	require.NoError(t, s.Close())
	assert.Zero(t, h.hub.Stats().PendingBytes)
	assert.Zero(t, h.hub.Stats().PendingEvents)
}
