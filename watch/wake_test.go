package watch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// woken reports whether the catch-up goroutine would have been woken since
// the last call.
func (h *stoppedHub) woken() bool {
	select {
	case <-h.shard.work:
		return true
	default:
		return false
	}
}

// V1, N6: whoever makes a watch unsynced wakes the catch-up goroutine; without
// it the watch would stand still until somebody else does.
func TestCatchUp_IsWokenByAllThatMakeWork(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxResponses: 1, OutboxBytes: 1})
	h.put("a")
	h.dispatch()
	s := h.stream()
	require.False(t, h.woken())
	h.watch(s, Request{Key: []byte("a"), StartRevision: 2})
	assert.True(t, h.woken(), "a watch that begins in history")
	h.catchUp()
	h.recv(s)
	h.woken()

	h.put("a")
	h.dispatch()
	h.put("a")
	h.dispatch()
	require.Equal(t, 1, h.hub.Stats().Victims)
	require.False(t, h.woken(), "a victim has no room")
	h.recv(s)
	assert.True(t, h.woken(), "its consumer took what there was")
	h.settle(s)
	h.woken()

	h.put("a")
	h.put("a")
	h.shard.dispatchOnce(t.Context())
	require.Equal(t, 1, h.hub.Stats().Unsynced, "dispatch was overtaken")
	assert.True(t, h.woken(), "everybody reads history")

	late := h.stream()
	h.settle(s)
	h.put("a")
	h.watch(late, Request{Key: []byte("a"), StartRevision: h.store.Rev() + 2})
	h.woken()
	h.put("a")
	h.put("a")
	h.put("a") // its start is history before dispatch comes to it
	h.shard.dispatchOnce(t.Context())
	assert.True(t, h.woken(), "a start that was waited for was overtaken")
	assert.Len(t, brief(h.settle(late)), 2)
}
