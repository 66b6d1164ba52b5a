// Package server serves the etcd v3 API over a store: KV, Watch and what
// belongs to them, with etcd's types, codes and texts, so that programs made
// for etcd work unchanged.
//
// # Types
//
//   - Parts is what is served: an engine, a store, a hub. They stay the
//     caller's.
//   - Server makes grpc services of them: Server.GRPCOptions and
//     Server.Register; listening is the caller's.
//   - Authorizer, if there is one, is asked before every call, with each range
//     as it came on the wire.
//
// # Life of a call
//
//	intercept.go  a panic from here on is an answer and a line in the log
//	check.go      what is wrong with the request whatever the store holds
//	authorize.go  the Authorizer is asked, under no lock
//	convert.go    the request in the words of mvcc; txn.go for transactions
//	kv.go         the store is asked; range.go sorts and filters its answer
//	errors.go     what went wrong as etcd's code and text
//
// Every answer has a header with the revision it belongs to, and the ids of
// ids.go, which are made at the first start and kept beside history.
//
// The services Lock and Election are made of the others, with the official
// client over a connection in memory (loopback.go), which begins when one of
// them is first called. What they do is done as their caller.
//
// # Maintenance
//
// maintenance.go answers it. alarm.go keeps the alarms: intercept.go raises
// what answers tell of, everything that writes asks admit first. snapshot.go
// has the store built as etcd's file (server/etcdfile), on disk, and sends
// that: a slow client holds a file, no view and no compaction; a few files are
// all there are (Server.snapshots).
//
// # A watch stream
//
// Two goroutines serve a stream: the receive loop (watchreceive.go) carries
// out creates, cancels and requests for progress one after the other, the send
// loop (watchsend.go), which is the handler's own goroutine, hands out what
// comes of them. Between them is nothing but the outbox of a watch.Stream: it
// has Created, Canceled, progress and events of all watches in one order, so a
// watch is created before anything of its is sent, and nothing follows its
// Canceled. The flags of a watch (previous values, progress, filters,
// fragments) go in with its create and come back with its events.
//
// Events of watches with the same range and flags are encoded once
// (server/wire), by the send loop that comes first. A put's record goes to the
// wire as it is stored.
//
// A client that does not read stops its send loop. Its watches then keep their
// place and not their events, at most watch.Config.OutboxBytes of them queued,
// twice that with their encoded form, and 64 KiB and one message in grpc. Once
// 128 of its creates are not told to it, its receive loop stops too.
//
// # Locks
//
//	alarms.mu        which alarms are active; a leaf
//	watchService.mu  no stream begins once the server is closed; a leaf
//	loopback.mu      the connection in memory begins once; held while it begins
//	                 or ends, and by nobody who answers it
//	leaseService.mu  the same of keep-alive streams
//
// # Goroutines
//
//	name          one per  owner  wakes on                 ends on
//	send loop     stream   grpc   the stream's outbox      the stream or its context; a failed send
//	receive loop  stream   Server the client's requests    half-close; the rpc, which ends with the send loop;
//	                              hands over to a new one after each request
//	loopback      Server   Server calls of Lock, Election  Close
//	keep-alive    stream   Server the client's requests    half-close; the rpc, which ends with the client's
//	              of leases                                context or as the server stops
package server
