// Package mvcc keeps every version of every key over a storage engine: one
// writer at a time, any number of readers, each committed transaction one
// revision.
//
// # Types
//
//   - [Store] is open data. [Store.Update] runs a closure as a transaction,
//     [Store.Txn] a declarative one; Put and DeleteRange are the short forms.
//   - [KeyValue] is a key at one revision, [Event] one change of a key,
//     [Commit] all changes of one revision.
//   - [Durability] says when a write is acknowledged, [Config] the rest.
//   - [Chunk] is a stretch of history, as catching up reads it.
//
// Everything handed out is frozen and shared: events are made once, when the
// write is staged, and their key and value point into the bytes that go to
// disk.
//
// # The life of a put
//
//	txn.go      under the writer lock: the index gets the new version, at a
//	            revision that no reader reaches yet; the record is encoded
//	recent.go   the revision's events enter the tail, in memory
//	commit.go   Sync: the first who comes leads the open group: it waits for
//	            the batch before, gathers those whom that one
//	            acknowledged (gather.go), takes the group, writes it in one durable
//	            batch, makes it visible and answers all who joined
//	            Relaxed: visible at once; flush.go writes within the interval
//	store.go    Wait returns for whoever waits for the revision
//
// So in Sync there is applied = visible <= staged, in Relaxed applied <=
// visible = staged. Readers stop at visible; the index and the tail may hold
// more. A transaction that looked at staged state answers only when that is
// visible.
//
// # The life of a read
//
// Look up versions in the index; take what the tail holds; open a view for
// the rest; then, and not earlier, look at the compact revision: what a view
// may lack lies below it (read.go). History scans records in revision order
// (history.go).
//
// # Revisions
//
// An empty store stands at revision 1, the first write makes 2. No number is
// ever used for two contents. In Relaxed a ceiling is reserved durably ahead
// of what is assigned; after an unclean stop all up to the ceiling is a gap,
// and whoever asks for a revision inside it is told that it is gone.
// Transactions may have two events for one key in one revision only where
// etcd lets them: see checkWrites.
//
// # Leases and records beside history
//
// Which key is attached to which lease follows from the newest version of
// each key; it is kept in memory (attach.go) and rebuilt by Open. That a lease
// exists, and when it ends, is for package lease. Its records, like all that
// a transaction writes with PutBeside, are no part of history: they go into
// one batch with the transaction (beside.go).
//
// # Caveats
//
//   - A closure given to Update holds up every other writer.
//   - After a failed engine write the store takes no more writes: close it and
//     open it again. What the failed batch left behind is unknown until then.
//   - Compaction marks first and deletes later; space comes back later still.
//   - The index has about 90 bytes and the key for each key and 16 to 24 for
//     each further version in memory; what keys leave behind that a compaction
//     forgot is for others to come, and is not given back before Close.
//   - In Relaxed a crash loses at most what was written in one interval and
//     the time of one batch.
//
// # Locks
//
// In the order they may nest. Nobody waits or calls the engine under a lock
// but for applyMu.
//
//	Store.applyMu   whoever calls engine.Apply; held across that call and while
//	                a leader gathers its group
//	Store.writer    one transaction stages; assigns revisions
//	Store.mu        index; at most 1024 keys of a walk in one hold
//	tail.mu         leaf: newest events
//	attachments.mu  leaf: which key is attached to which lease; one lease's keys
//	                are copied under it
//	besideQueue.mu  leaf: what is staged beside history
//	signal.mu       leaf: who waits for a revision or for room
//
// # Goroutines
//
//	name             owner              wakes on                    ends on
//	leader of group  caller, for whom   batch before it is done     group is done; Close waits
//	                 ctx may end early
//	flusher          Store, Relaxed     timer, dirty, early         Close
//	compaction       Store              started by Compact, Bump,   finished, or Close between
//	                                    Open                        two batches
//	auto compaction  Store, AutoCompact ticker                      Close
//	history scan     Open               room in its channel         end of scan, before Open
//	                                                                returns
//	key sort         Open               nothing                     its part is sorted, before
//	                                                                Open returns
//
// # Channels
//
//	group.done        closed by the leader, once; nothing is sent
//	waiter.ch         one place; a token sent by wake, taken by the one who waits; used
//	                  again, never closed
//	gathering.full    one token, from the last writer a leader waits for; one place
//	background.dirty, a token each, sent by the writer, taken by the flusher;
//	background.early  one place, since a second token would say nothing new
//	Store.compacting  one token; whoever holds it compacts, bumps, hashes or exports; Close
//	                  takes it for good
package mvcc
