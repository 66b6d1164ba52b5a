package watch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// N2: a watch that begins between dispatch and the store, with the revision
// that is about to be dispatched, is synced; progress below the revision of
// its Created is not told to it.
func TestProgress_PeriodicNotBelowCreated(t *testing.T) {
	h := newStoppedHub(t, mvcc.Config{}, Config{})
	h.put("a")
	h.put("b")
	h.put("c")
	s := h.stream()
	h.watch(s, Request{Key: []byte("x"), StartRevision: 2, Progress: true})
	created := h.recv(s)[0]
	require.True(t, created.Created)
	require.EqualValues(t, 4, created.Revision)
	require.Equal(t, 1, h.hub.Stats().Synced)
	h.shard.tick()
	assert.Empty(t, brief(h.recv(s)))
	h.dispatch()
	h.shard.tick()
	assert.Equal(t, []string{"0 progress 4"}, brief(h.recv(s)))
}

// N3: the answer owed reaches what was visible at the last request, and is
// not below the Created of a watch that came meanwhile.
func TestProgress_RequestedBarIsRaised(t *testing.T) {
	for name, raise := range map[string]func(h *stoppedHub, s *Stream){
		"by a later request": func(_ *stoppedHub, s *Stream) { require.NoError(t, s.RequestProgress()) },
		"by a new watch": func(h *stoppedHub, s *Stream) {
			h.watch(s, Request{Key: []byte("x"), StartRevision: 2})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newStoppedHub(t, mvcc.Config{}, Config{})
			s := h.stream()
			h.watch(s, Request{Key: []byte("x")})
			blocks := h.watch(s, Request{Key: []byte("x"), StartRevision: 1000})
			require.NoError(t, s.RequestProgress())
			h.put("a")
			h.put("a")
			raise(h, s)
			require.NoError(t, s.Cancel(blocks))
			assert.Equal(t, []string{"1 canceled, compact 0"}, brief(h.recv(s)), "not dispatched yet")
			h.dispatch()
			assert.Equal(t, []string{"-1 progress 3"}, brief(h.recv(s)))
		})
	}
}
