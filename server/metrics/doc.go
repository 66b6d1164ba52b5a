// Package metrics is what a server tells of itself: the Prometheus page, with
// etcd's names where the meaning is the same, and the page of watches.
//
// # Types
//
//   - Metrics is one server's registry. It serves /metrics, and counts what
//     passes through its interceptors and the services it decorates. There is
//     no registry of the process: two servers in one process do not mix.
//   - Sources are where figures are read that others keep: they are asked
//     when the page is.
//   - Stream is one watch stream, from its opening to its end.
//   - Watchers is the page of watches, /debug/watchers, as JSON.
//
// # Where a figure comes from
//
//	readings.go  Stats of store, hub, streams and leases, when the page is asked for
//	methods.go   interceptors: calls and messages of every method
//	grpc.go      interceptors: requests by client version, durations
//	kv.go        the KV service, decorated: operations as etcd counts them
//	lease.go     the Lease service, decorated
//	stream.go    the watch streams: who they are, what was sent
//
// A name is etcd's only if it means the same; otherwise it begins with
// watchkv_. Families lists them all.
//
// # Locks
//
// Metrics.mu guards the table of open streams; a leaf. There are no
// goroutines.
package metrics
