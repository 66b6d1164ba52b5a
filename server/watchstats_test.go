package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/watch"
)

func TestDurations_Buckets(t *testing.T) {
	var d durations
	for _, took := range []time.Duration{
		0, time.Millisecond, time.Millisecond + 1, 2 * time.Millisecond, 2*time.Millisecond + 1,
		8192 * time.Millisecond, 8192*time.Millisecond + 1, time.Hour,
	} {
		d.add(took)
	}
	d.addQuick(3, 5*time.Microsecond)
	got := d.read()
	assert.Equal(t, [14]int64{5, 2, 1, 13: 1}, got.Within)
	assert.EqualValues(t, 11, got.Count, "two took longer than the last bucket")
	assert.Equal(t, time.Hour+2*8192*time.Millisecond+6*time.Millisecond+5*time.Microsecond+3, got.Sum)
}

// What a send loop did is told once it has sent what was there, by kind.
func TestStream_SendLoopIsMeasured(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.take()
		s.put("a", 1)
		s.wait(3 * time.Millisecond) // the client is slow
		s.take()
		s.put("a", 1)
		s.take()
		s.settle()
		stats := s.server.WatchStats()
		assert.EqualValues(t, 1, stats.Streams)
		assert.EqualValues(t, 1, stats.SentControl.Count)
		require.EqualValues(t, 2, stats.Sent.Count)
		assert.Equal(t, [14]int64{1, 0, 1}, stats.Sent.Within)
		assert.Equal(t, 3*time.Millisecond, stats.Sent.Sum)
		assert.EqualValues(t, 2, stats.SentPerEvent.Count)
	})
}
