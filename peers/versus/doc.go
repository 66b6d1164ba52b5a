// Package versus measures watchkv against etcd, store and server: [Compare] any
// scenario of the benchmark, [Contract] the rows of the performance contract.
//
// A [measurement] is one scenario for both sides. The [runner] takes turns,
// etcd, watchkv, etcd, watchkv, each run in a process of its own (package
// job); the ratio is that of neighbours, and its median counts. A [line] reads
// one figure from the runs, a [verdict] is the line with its figures and
// whether its goals are met.
package versus
