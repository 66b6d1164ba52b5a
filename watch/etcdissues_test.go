package watch

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// The tests of this file and of etcdslow_test.go are named after etcd issues:
// each brings about what went wrong there. Most of their hubs stand still, so
// that every step happens when the test says so.

// etcd answered a request for progress beside the events' queue, with the
// store's revision, so the answer overtook events that were not sent yet and
// a cache believed that it had them. G6, N3, N4: it waits for dispatch and for
// a watch that is behind, and stands behind the events in the queue.
func TestEtcd15220_ProgressStaysBehindEvents(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{OutboxResponses: 1})
	s := h.stream()
	h.watch(s, Request{Key: []byte("a"), Progress: true})
	h.recv(s)
	h.put("a", '1')
	require.NoError(t, s.RequestProgress())
	h.shard.tick()
	assert.Equal(t, []string{"0 progress 1"}, brief(h.recv(s)), "not dispatched yet: the periodic one stops at what was offered")
	h.dispatch() // fills the outbox
	assert.Equal(t, []string{"0 a@2", "-1 progress 2"}, brief(h.recv(s)))

	b := h.watch(s, Request{Key: []byte("b"), Progress: true})
	h.put("a", '2') // fills the outbox
	h.dispatch()
	h.put("b", '1') // so this watch is behind
	h.dispatch()
	require.NoError(t, s.RequestProgress())
	h.shard.tick()
	assert.Equal(t, []string{"0 a@3"}, brief(h.recv(s)), "a watch is behind")
	h.shard.tick() // there is room now
	assert.Equal(t, []string{"0 progress 4"}, brief(h.recv(s)), "for the other watch alone")
	assert.Equal(t, []string{fmt.Sprint(b, " b@4"), "-1 progress 4"}, brief(h.settle(s)))
}

// etcd moved watches that were synced back among the unsynced, when a member
// got a snapshot, with the revision they had when they were synced long ago:
// they were sent again what they had. G1, G2: a synced watch stands where
// dispatch stands, also when dispatch itself is overtaken and all must read
// history.
func TestEtcd15271_SyncedWatchesDoNotGoBack(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	s := h.stream()
	h.watch(s, Request{Key: []byte("a"), StartRevision: 1})
	h.watch(s, Request{Key: []byte("a")})
	h.catchUp()
	h.fill("a", 2)
	h.dispatch()
	h.put("b")
	h.dispatch()
	assert.Equal(t, []string{"0 a@2", "1 a@2"}, byWatch(h.recv(s)))
	h.fill("a", 6) // none of it is in memory any more but the last
	h.shard.dispatchOnce(context.Background())
	require.Equal(t, 2, h.hub.Stats().Unsynced, "dispatch was overtaken")
	assert.Equal(t, []string{"0 a@4", "0 a@5", "0 a@6", "1 a@4", "1 a@5", "1 a@6"}, byWatch(h.settle(s)))
}

// etcd, after a request for progress of a watch that was not synced, waited
// for an event of it as the sign that it was: a watch of a quiet key was never
// answered. N3, N6: becoming synced is what brings the answer.
func TestEtcd17507_QuietWatchIsAnswered(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	h.fill("other", 3000)
	h.dispatch()
	s := h.stream()
	h.watch(s, Request{Key: []byte("quiet"), StartRevision: 2})
	require.NoError(t, s.RequestProgress())
	require.Empty(t, brief(h.recv(s)))
	h.catchUp()
	assert.Equal(t, []string{"-1 progress 3000"}, brief(h.recv(s)))
}

// etcd sent progress to a watch whose start lies in the future, at the
// revision of now; a client that resumed from there got what it had not asked
// for. Its repair of watches after a snapshot lowered such a start to now
// (#20281, #19487). C8, N2: nothing, neither events nor progress, before the
// start is reached, whatever the others go through meanwhile.
func TestEtcd20221_FutureStartIsKept(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	s, other := h.stream(), h.stream()
	const start = 10
	h.watch(s, Request{Key: []byte{0}, End: []byte{0}, StartRevision: start, Progress: true})
	h.watch(other, Request{Key: []byte("a")})
	require.NoError(t, s.RequestProgress())
	h.put("a")
	h.dispatch()
	h.fill("a", 6)
	h.shard.dispatchOnce(context.Background())
	require.Positive(t, h.hub.Stats().Unsynced, "dispatch was overtaken: all that were synced read history")
	for rev := h.store.Rev(); rev < start; rev++ {
		h.shard.tick()
		h.catchUp()
		h.dispatch()
		require.Empty(t, brief(h.recv(s)), "at revision %d", h.store.Rev())
		h.put("a")
	}
	assert.Equal(t, []string{"0 a@10", "-1 progress 10"}, brief(h.settle(s)))
	h.fill("a", 14) // passes the start of the next one in one go
	late := h.stream()
	h.watch(late, Request{Key: []byte("a"), StartRevision: 16})
	h.fill("a", 18)
	h.shard.dispatchOnce(context.Background())
	assert.Equal(t, []string{"0 a@16", "0 a@17", "0 a@18"}, brief(h.settle(late)))
}

// In etcd one slow watch of a stream, or one with a start in the future,
// starves all others of that stream of progress. N1: the periodic one is each
// watch's own; N3: the requested one is still owed, and comes when the watch
// that holds it up ends.
func TestEtcd20242_OneWatchDoesNotStarveTheOthers(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{})
	s := h.stream()
	h.watch(s, Request{Key: []byte("a"), Progress: true})
	future := h.watch(s, Request{Key: []byte("a"), StartRevision: 1000, Progress: true})
	h.recv(s)
	h.put("b")
	h.dispatch()
	require.NoError(t, s.RequestProgress())
	h.shard.tick()
	assert.Equal(t, []string{"0 progress 2"}, brief(h.recv(s)))
	require.NoError(t, s.Cancel(future))
	assert.Equal(t, []string{fmt.Sprint(future, " canceled, compact 0"), "-1 progress 2"}, brief(h.recv(s)))
}

// etcd let revision -1 pass where nothing was compacted yet; reading from
// there answered nothing, and every other watch that was read for together
// with it was taken for synced without its events. C6: it is refused; G3: the
// others get theirs.
func TestEtcd20707_NegativeStartIsRefused(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{})
	h.fill("a", 4)
	h.dispatch()
	s := h.stream()
	h.watch(s, Request{Key: []byte("a"), StartRevision: 2})
	for _, start := range []int64{-1, -2, -1 << 63} {
		_, err := s.Watch(Request{Key: []byte("a"), StartRevision: start})
		require.ErrorIs(t, err, mvcc.ErrCompacted)
	}
	h.watch(s, Request{Key: []byte("a"), StartRevision: 4})
	refused := 0
	got := h.settle(s)
	for _, r := range got {
		if r.WatchID == NoWatch && r.Created && r.Canceled {
			assert.Zero(t, r.CompactRevision)
			refused++
		}
	}
	assert.Equal(t, 3, refused)
	assert.Equal(t, []string{"-1 canceled, compact 0", "0 a@2", "0 a@3", "0 a@4", "1 a@4"}, byWatchCreated(got))
}

// byWatchCreated is byWatch with refusals, one line for all of them.
func byWatchCreated(rs []Response) (lines []string) {
	for _, r := range rs {
		if r.Created && r.Canceled {
			lines = []string{fmt.Sprintf("%d canceled, compact %d", r.WatchID, r.CompactRevision)}
		}
	}
	return append(lines, byWatch(rs)...)
}

// etcd left the loop that reads a stream's requests when a watch on it was
// not permitted (#11708): the stream looked alive and answered nothing more.
// Elsewhere (#14296) a refusal without an id of its own ended watch 0. C5: a
// refusal carries NoWatch, ends nothing, and the stream takes what comes next.
func TestEtcd11758_RefusalLeavesTheStreamAlone(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{MaxWatchesPerStream: 2})
	s := h.stream()
	h.watch(s, Request{Key: []byte("a")})
	require.Zero(t, h.recv(s)[0].WatchID)
	for _, r := range []Request{{Key: []byte("b"), End: []byte("a")}, {ID: -5, Key: []byte("a")}, {Key: []byte("a"), StartRevision: -1}} {
		_, err := s.Watch(r)
		require.Error(t, err)
		got := h.recv(s)
		require.Len(t, got, 1)
		assert.Equal(t, NoWatch, got[0].WatchID)
	}
	require.EqualValues(t, 1, h.watch(s, Request{Key: []byte("a")}))
	_, err := s.Watch(Request{Key: []byte("a")})
	require.ErrorIs(t, err, ErrTooManyWatches)
	h.put("a")
	require.NoError(t, s.RequestProgress())
	assert.Equal(t, []string{"0 a@2", "1 a@2", "-1 progress 2"}, brief(h.settle(s)))
	require.NoError(t, s.Cancel(1))
	assert.EqualValues(t, 2, h.watch(s, Request{Key: []byte("a")}))
}
