package bare_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"

	"github.com/watchkv/watchkv/peers/bare"
)

// What hands over only is checked like a store, so that it is no easier work.
func TestKeepsAllPromises(t *testing.T) {
	base := bench.Scenario{Watchers: 20, Streams: 4, Keys: 20, ValueBytes: 64, Writers: 4, Duration: 200 * time.Millisecond, FullSpeed: true}
	for _, shape := range []bench.Shape{bench.OneKey, bench.Prefix} {
		for _, name := range []string{bench.Notify, bench.FanOut} {
			sc := base
			sc.Name, sc.Shape, sc.Puts = name, shape, 100
			if name == bench.FanOut && shape == bench.OneKey {
				continue // its goal is that every watcher hears of every put
			}
			t.Run(sc.Title(), func(t *testing.T) {
				plan := bench.Plan{Seed: 3, Count: 1, Scenarios: []bench.Scenario{sc}}
				res, err := bench.Measure(t.Context(), plan, bench.Options{Kind: bare.Kind{}, Dir: t.TempDir(), NoProbes: true})
				require.NoError(t, err)
				require.Nil(t, res.Broken)
				assert.True(t, res.Complete)
			})
		}
	}
}
