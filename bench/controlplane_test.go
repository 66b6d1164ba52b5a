package bench

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Objects and requests are in the proportions that the sources give.
func TestControlPlane(t *testing.T) {
	cp := newControlPlane("registry/", 70_000)
	count := map[resource]int{}
	seen := map[string]bool{}
	for i := range cp.objects() {
		r := cp.order[i]
		count[r]++
		key, _ := cp.create(i)
		assert.True(t, strings.HasPrefix(string(key), cp.dir(r)))
		assert.False(t, seen[string(key)], "%s", key)
		seen[string(key)] = true
	}
	assert.Equal(t, map[resource]int{ofNodes: 1000, ofLeases: 1000, ofPods: 30_000, ofSlices: 2000, ofEvents: 36_000}, count)
	assert.True(t, seen["registry/minions/node-00042.example.internal"])
	assert.True(t, seen["registry/leases/kube-node-lease/node-00042.example.internal"])

	const n = 1_000_000
	drawn := map[request]int{}
	for i := range int64(n) {
		drawn[requestOf(7, i)]++
	}
	for r := range requests {
		assert.InEpsilon(t, float64(n)*float64(weights[r])/float64(allWeight()), drawn[r], .1, "request %d", r)
	}
	assert.Equal(t, 707.0, mixedWrites(), "what 5,000 nodes write in a second")
	assert.InEpsilon(t, 172.0/4427, float64(weights[getPod])/float64(writeWeight()), .01)
	assert.InEpsilon(t, 7.5/4427, float64(weights[listPods])/float64(writeWeight()), .01)
}

// However few there are, one of each stays.
func TestSmallestControlPlane(t *testing.T) {
	cp := newControlPlane("", 1)
	assert.Equal(t, int64(35), cp.objects())
	assert.Equal(t, 35, objectsOf(35), "the same again")
	for i := range cp.objects() {
		cp.create(i)
	}
	for r, h := range cp.herds {
		assert.NotEmpty(t, h.alive, "resource %d", r)
		for len(h.alive) > 1 {
			_, ok := h.oldest()
			assert.True(t, ok)
		}
		_, ok := h.oldest()
		assert.False(t, ok)
		assert.NotEmpty(t, h.pick(1<<63))
	}
}
