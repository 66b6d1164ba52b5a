package bench

import (
	"fmt"
	"math"
	"sync"
)

// What is known in public about the keys, sizes and requests of a Kubernetes
// control plane, and what had to be chosen. mixedRun is made of it.
//
//	key layout    /registry/RESOURCE/NAMESPACE/NAME; nodes are minions
//	              https://github.com/kubernetes/kubernetes/blob/master/test/integration/etcd/data.go
//	objects       5,000 nodes, 150,000 pods, 10,000 services
//	              https://github.com/kubernetes/community/blob/master/sig-scalability/configs-and-limits/thresholds.md
//	pod           10,285 bytes, measured in Kubernetes' load test
//	              https://github.com/kubernetes/perf-tests/pull/3978
//	              (10 to 20 KB in production, 4 KB in older tests: https://github.com/etcd-io/etcd/issues/22332)
//	node          20 kB on average in production
//	              https://github.com/kubernetes/enhancements/blob/0460fcf4637d440ce7d539a931e44dae931f9849/keps/sig-node/0009-node-heartbeat.md
//	heartbeat     a lease each 10 s, a node's status each 5 min: the same
//	lease         218 bytes, counted in a dump of writes
//	              https://github.com/etcd-io/etcd/issues/11831
//	pods begun    churn of at most 20 a second, creates and deletes both: 10 pods
//	and ended     https://github.com/kubernetes/community/blob/master/sig-scalability/slos/slos.md
//	writes of     a create, a binding, 2 to 5 for its status (3 are taken)
//	a pod         https://github.com/kubernetes/kubernetes/issues/4432
//	events of     Scheduled, Pulled, Created, Started, Killing: 5
//	a pod         https://github.com/kubernetes/kubernetes/issues/141022
//	events live   1 h, so at 50 a second there are 36 for each of 5,000 nodes
//	              https://github.com/kubernetes/kubernetes/issues/47532
//	reads         172 gets and 7.5 lists beside 4,427 writes a second, on a large cluster
//	              https://github.com/NVIDIA/NVSentinel/issues/1705
//
// Chosen, since no source says: that a pod's end takes an update and a delete,
// and each end and begin an update of an endpoint slice; the sizes of an event
// (1 KiB) and of a slice (2 KiB); which pod is read (any); that a list reads a
// page of 500 pods; a hundred pods a namespace; three API servers that watch
// each resource once. Objects are put as they are: Kubernetes' own writes are
// transactions that compare the revision first.

// Sizes of objects in bytes, page size in pods.
const (
	podBytes   = 10_285
	nodeBytes  = 20_000
	leaseBytes = 218
	eventBytes = 1024
	sliceBytes = 2048
	pagePods   = 500
)

// Objects for each node of a cluster, and all of them.
const (
	podsPerNode    = 30
	slicesPerNode  = 2
	eventsPerNode  = 36
	objectsPerNode = 1 + 1 + podsPerNode + slicesPerNode + eventsPerNode
	podsPerSpace   = 100
)

// resource is a kind of object with a prefix of its own.
type resource uint8

// The resources, those first that change most beside heartbeats.
const (
	ofPods resource = iota
	ofEvents
	ofLeases
	ofNodes
	ofSlices
	resources
)

// request is what a client asks of the store.
type request int

const (
	renewLease request = iota
	updateNode
	createPod
	updatePod
	deletePod
	createEvent
	expireEvent
	updateSlice
	getPod
	listPods
	requests
)

// weights of the requests: how many there are in ten seconds with 5,000 nodes.
var weights = [requests]int{
	renewLease: 5000, updateNode: 167,
	createPod: 100, updatePod: 500, deletePod: 100,
	createEvent: 500, expireEvent: 500,
	updateSlice: 200,
	// In proportion to all the writes above.
	getPod: 275, listPods: 12,
}

// writeWeight is the weight of all writes, allWeight that of all requests.
func writeWeight() (n int) {
	for r := range getPod {
		n += weights[r]
	}
	return n
}

func allWeight() int { return writeWeight() + weights[getPod] + weights[listPods] }

// mixedWrites is how many writes a second 5,000 nodes make.
func mixedWrites() float64 { return math.Round(float64(writeWeight()) / 10) }

// meanWrite is how many bytes a write has on average.
func meanWrite() float64 {
	size := [requests]int{
		renewLease: leaseBytes, updateNode: nodeBytes, createPod: podBytes, updatePod: podBytes,
		createEvent: eventBytes, updateSlice: sliceBytes,
	}
	sum := 0
	for r := range getPod {
		sum += weights[r] * size[r]
	}
	return float64(sum) / float64(writeWeight())
}

// requestOf chooses what request n is.
func requestOf(seed uint64, n int64) request {
	at := int(mix(seed+3, uint64(n)) % uint64(allWeight()))
	for r := range requests {
		if at -= weights[r]; at < 0 {
			return r
		}
	}
	return renewLease
}

// herd is the living objects of one resource, oldest first. Safe for
// concurrent use.
type herd struct {
	name  func(i int) []byte
	bytes int

	mu    sync.Mutex // guards what is below; a leaf
	alive [][]byte
	next  int // number of the object that is created next
}

// pick is one of them.
func (h *herd) pick(random uint64) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.alive[random%uint64(len(h.alive))]
}

// newName is a key that nobody had.
func (h *herd) newName() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	return h.name(h.next - 1)
}

func (h *herd) add(key []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alive = append(h.alive, key)
}

// oldest takes the oldest away; false if it is the last one.
func (h *herd) oldest() (key []byte, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.alive) < 2 {
		return nil, false
	}
	key = h.alive[0]
	h.alive = h.alive[1:]
	return key, true
}

// controlPlane is the objects of a cluster.
type controlPlane struct {
	prefix string
	herds  [resources]*herd
	order  []resource // of the objects when they are filled in
}

// dirs are the places of the resources below the registry.
var dirs = [resources]string{ofPods: "pods/", ofEvents: "events/", ofLeases: "leases/kube-node-lease/", ofNodes: "minions/", ofSlices: "endpointslices/"}

// objectsOf is how many objects a cluster has that is to have so many: of each
// resource there is one at least.
func objectsOf(objects int) int {
	n := max(1, objects/objectsPerNode)
	return max(objects, n*(objectsPerNode-eventsPerNode)+1)
}

// newControlPlane makes the names of a cluster of so many objects.
func newControlPlane(prefix string, objects int) *controlPlane {
	cp := &controlPlane{prefix: prefix}
	n := max(1, objects/objectsPerNode)
	space := func(i, per int) int { return i / per }
	spread := max(1, n*podsPerNode/podsPerSpace) // namespaces
	namespaced := func(r resource, kind string) func(i int) []byte {
		return func(i int) []byte {
			return fmt.Appendf(nil, "%sns-%05d/%s-%08x-%07d", cp.dir(r), space(i, podsPerSpace)%spread, kind, uint32(mix(7, uint64(i))), i)
		}
	}
	plain := func(r resource) func(i int) []byte {
		return func(i int) []byte { return fmt.Appendf(nil, "%snode-%05d.example.internal", cp.dir(r), i) }
	}
	for r, h := range map[resource]*herd{
		ofPods: {name: namespaced(ofPods, "app"), bytes: podBytes}, ofEvents: {name: namespaced(ofEvents, "app"), bytes: eventBytes},
		ofLeases: {name: plain(ofLeases), bytes: leaseBytes}, ofNodes: {name: plain(ofNodes), bytes: nodeBytes},
		ofSlices: {name: namespaced(ofSlices, "service"), bytes: sliceBytes},
	} {
		cp.herds[r] = h
	}
	for range n {
		cp.order = append(cp.order, ofNodes, ofLeases)
		for range podsPerNode {
			cp.order = append(cp.order, ofPods)
		}
		for range slicesPerNode {
			cp.order = append(cp.order, ofSlices)
		}
	}
	for len(cp.order) < objectsOf(objects) {
		cp.order = append(cp.order, ofEvents)
	}
	return cp
}

// dir is the prefix of all objects of a resource.
func (cp *controlPlane) dir(r resource) string { return cp.prefix + dirs[r] }

// objects is how many there are at the beginning.
func (cp *controlPlane) objects() int64 { return int64(len(cp.order)) }

// bytes are those of all objects at the beginning.
func (cp *controlPlane) bytes() (sum int64) {
	for _, r := range cp.order {
		sum += int64(cp.herds[r].bytes)
	}
	return sum
}

// create is the i-th object at the beginning, which lives from then on.
func (cp *controlPlane) create(i int64) (key []byte, size int) {
	h := cp.herds[cp.order[i]]
	key = h.newName()
	h.add(key)
	return key, h.bytes
}
