package etcd

import "github.com/watchkv/watchkv/bench"

// What one revision takes in the server's file: bbolt's key is the revision,
// the value is the encoded KeyValue, and pages are not full. Measured on etcd
// 3.7.3; meant to be a little high.
const (
	recordBytes = 96
	fillFactor  = 1.15
)

// Cost is about how many bytes of its quota a server uses for one revision of
// a key and value of these lengths.
func Cost(key, value int) int64 {
	return int64(float64(key+value+recordBytes) * fillFactor)
}

// Estimate is about how many bytes of its quota a server uses for a plan, the
// deletes at its end included; a little high. Nothing of it is free again
// before a compaction, so scenarios add up. bounded is false where a scenario
// puts at full speed: bytes then is what comes beside that.
func Estimate(plan bench.Plan, prefix string) (bytes int64, bounded bool) {
	bounded = true
	key := bench.KeyBytes(prefix + "1/")
	for _, sc := range plan.Scenarios {
		v := sc.Volume()
		bounded = bounded && !v.Unbounded
		bytes += v.Writes*Cost(key, 0) + int64(float64(v.ValueBytes)*fillFactor) + min(v.Writes, int64(sc.Keys))*Cost(key, 0)
	}
	return bytes * int64(max(1, plan.Count)), bounded
}
