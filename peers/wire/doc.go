// Package wire measures servers of the etcd v3 API from outside: a real etcd
// and watchd, each a process of its own on loopback, driven by the same client
// over the same grpc calls. It makes the rows W1 to W4 of the contract.
//
// The client reads of a watch response what it must to count and to check: the
// watch, how many events, and their revisions, which must ascend on every
// watch and be complete at the end. That costs the same for both servers, and
// little, because the client shares the processors with them.
//
// The server's processor time and memory come from /proc, so this package
// measures on Linux only.
package wire
