package watch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// G3: one sweep over history serves seats that begin at different revisions.
// A chunk that holds few matches spans many revisions; it stops where the next
// seat begins, because it was matched without that seat's keys.
func TestScan_StopsWhereTheNextSeatBegins(t *testing.T) {
	const last, second = 7000, 3500
	h := newStoppedHub(t, mvcc.Config{RecentBytes: 1}, Config{OutboxBytes: 1 << 30, OutboxResponses: 1 << 20})
	var early, late []string
	for rev := int64(2); rev <= last; rev++ {
		key := "z"
		switch {
		case rev%90 == 0:
			key = "early"
			early = append(early, fmt.Sprintf("0 early@%d", rev))
		case rev%70 == 0:
			key = "late"
			if rev >= second {
				late = append(late, fmt.Sprintf("0 late@%d", rev))
			}
		}
		require.Equal(t, rev, h.put(key))
	}
	h.shard.offered = last
	e, l := h.stream(), h.stream()
	h.watch(e, Request{Key: []byte("early"), End: []byte("early0"), StartRevision: 2})
	h.watch(l, Request{Key: []byte("late"), End: []byte("late0"), StartRevision: second})
	for _, st := range h.shard.unsynced {
		st.behind.plan = plan{chosen: true, way: WayScan}
	}
	h.catchUp()
	assert.Equal(t, early, brief(h.recv(e)))
	assert.Equal(t, late, brief(h.recv(l)))
	stats := h.hub.Stats()
	assert.Equal(t, 2, stats.Synced)
	assert.Less(t, stats.EntriesScanned, int64(last+10), "one sweep served both")
}
