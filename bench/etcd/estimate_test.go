package etcd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/bench"
)

func TestEstimate(t *testing.T) {
	one := bench.Scenario{Name: bench.Notify, RatePerS: 100, Warmup: time.Second, Duration: 9 * time.Second, Keys: 50, ValueBytes: 256}
	cost, deletes := Cost(64, 256), Cost(64, 0)
	bytes, bounded := Estimate(bench.Plan{Scenarios: []bench.Scenario{one}}, "watchbench/00000000/")
	assert.True(t, bounded)
	assert.InDelta(t, 1000*cost+50*deletes, bytes, 2000, "rounded for each, or for all together")

	catchUp := bench.Scenario{Name: bench.CatchUp, History: 20, Keys: 50, ValueBytes: 256}
	both, _ := Estimate(bench.Plan{Count: 3, Scenarios: []bench.Scenario{one, catchUp}}, "watchbench/00000000/")
	assert.InDelta(t, 3*(bytes+20*cost+20*deletes), both, 200)

	mixed, _ := Estimate(bench.Plan{Scenarios: []bench.Scenario{{Name: bench.Mixed, Keys: 70, History: 70, RatePerS: 1000, Duration: time.Second, ValueBytes: 10_000}}}, "watchbench/00000000/")
	assert.Greater(t, mixed, int64(1_500_000), "a thousand writes of 1.5 KB on average, and the objects at the beginning")
	assert.Less(t, mixed, int64(5_000_000))

	full := one
	full.FullSpeed = true
	_, bounded = Estimate(bench.Plan{Scenarios: []bench.Scenario{full}}, "watchbench/00000000/")
	assert.False(t, bounded, "nobody knows how fast it gets")
}
