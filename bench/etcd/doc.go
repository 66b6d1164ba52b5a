// Package etcd measures an etcd v3 endpoint: it is a [bench.Kind] whose store
// is a server that somebody else runs, and may be using.
//
// # Types
//
//   - [Config] says which server and how to reach it.
//   - [Kind] is a connection to it. [Connect] asks for [Status] and no more;
//     [Kind.Check] says whether a plan may be measured there.
//   - A target is one scenario's keys on it, a stream one watch stream.
//
// # What goes over which connection
//
// Keys are written and read by clientv3, over one connection that it balances
// over the endpoints. Watch streams are raw: clientv3's Watcher reconnects in
// silence, hides ids, Created and fragments, and runs a goroutine for each
// watch, so that what is measured would be the client. Each stream has a
// connection of its own, up to [MaxConnections]; beyond that they are shared
// evenly. So no consumer's reading waits for another's, as it is with clients
// in different processes. Endpoints take turns.
//
// # What is never done to the server
//
// Every key written lies under the prefix of the run, `watchbench/` and eight
// random digits by default; a put elsewhere is refused here. No more is
// written than [Kind.Allow] gave. The keys are deleted after each scenario,
// a thousand at a time, and the whole prefix once more by [Kind.Close].
// Compact is sent only with Config.AllowCompaction.
//
// # What cannot be seen
//
// A server tells nothing about single watchers: no victims, no outboxes, no
// ways of catching up. Nothing is made up for them. Processor time and memory
// of the server come from [Meter], if it was told where to look.
//
// A history cannot be made cold by a restart: what the server keeps in its
// caches after it was written is there when watchers read it. etcd itself
// keeps no log of recent events; its reads come from its file, through the
// system's page cache.
//
// # Goroutines
//
//	asker    one a stream with a progress request not answered   ends with the answer or Close
//	filler   fillWriters in a Fill                               end with it
//	meter    one a measured part, where the server can be seen   ends with it
//
// # Locks
//
// A stream's send mutex orders what it sends, and is held while gRPC takes a
// request; its state mutex guards what is owed. tokens' mutex is held while a
// token is asked for. None is held together with another.
package etcd
