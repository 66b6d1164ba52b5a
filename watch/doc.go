// Package watch distributes the revisions of an mvcc.Store to watches: many
// ranges of keys on few or many streams, each event once, in order, none
// lost, whatever the consumers do.
//
// # Types
//
//   - [Hub] reads a store and serves all watches over it.
//   - [Stream] is one consumer: many watches, one bounded outbox, [Stream.Recv].
//   - [Request] asks for a watch, [Response] is what comes of it.
//
// # Life of an event
//
// The store makes a revision visible and wakes the dispatch goroutine
// (dispatch.go). It takes everything new at once, matches each event to the
// groups whose range holds its key (rangeindex.go, group.go, match.go) and
// offers each group's events, as one shared slice, to the group's seats: the
// watches of one group on one stream (watcher.go). An offer is one entry in
// the stream's outbox, however many watches sit there (outbox.go). Recv turns
// entries into responses on the consumer's own goroutine (stream.go).
//
// # States
//
//	            next <= offered              next > offered
//	Watch ──► unsynced ─────────────────────────────────────► synced
//	            ▲  │ outbox full                                │ outbox full
//	            │  └────────────► victim ◄──────────────────────┘
//	            └── drained ────────┘      unsynced or victim below the compact
//	                                       revision ─► told so once ─► gone
//
// A synced seat has been offered everything up to the shard's offered
// revision. When its outbox has no room it becomes a victim: it keeps the
// next revision it needs and nothing else. Once its consumer takes what is
// queued it is unsynced, and the catch-up goroutine (catchup.go) brings it
// history: from the recent log if that still holds it, else by point reads of
// what the key index names (byindex.go) or by one scan of history that serves
// everybody on its way (cohort.go); plan.go chooses between the last two for
// all of them together. Catch-up reads no further than what dispatch has
// offered, and makes a seat synced under the same lock under which dispatch
// offers: no gap and no repeat. Policy Latest reads the newest version of
// each key instead (latest.go).
//
// # Rest
//
// A watch that is alone with its range on its shard, synced and asks for
// events only (no progress notifications, no bounds, not policy Latest) is at
// rest: one record in the index of ranges (rest.go). What concerns it wakes
// it: an event in its range, another watch of the range, a dispatch that comes
// too late. It rests again after the next progress interval, once its consumer
// has received all there was.
//
// # Caveats
//
// Events are shared between watches and frozen. What Recv returns is valid
// until the next Recv, the events in it as long as they are referred to. A
// stream that is not read makes its watches victims; it costs the others
// nothing but a share of the processor.
//
// # Memory
//
// What may be in memory at once, whatever consumers do; revision is what the
// largest one weighs, its previous values included:
//
//	stream  2 x (2 x max(OutboxBytes, revision) + 1 MiB + revision): what is
//	        queued, and as much in the hands of Recv. Events that were read
//	        from history together stay together, so a queue may keep twice its
//	        bytes alive, and the piece it took the first of.
//	watch   at rest about 55 bytes and its key, a range 65 and its bounds; of
//	        those that ended, up to 45 bytes until the last of a shard has;
//	        awake about 360 and twice its key, a range 385 and twice its bounds;
//	        under policy Latest and behind, 24 bytes for each of up to 32,768 keys, 2,048 where many are
//	shard   10 x (1 MiB + revision): pieces of history being read and kept for
//	        those who come next, events being dispatched, previous values
//
// The store's recent log comes on top (mvcc.Config.RecentBytes), and what
// consumers make of shared events (Response.Shared): one for each run of
// events that is queued or in the hands of Recv, for however many streams.
// Control responses have room beside the bound, 200 bytes each: at most three
// for each watch made, one for each refused, one answer to a request for
// progress, and periodic progress only while fewer than Config.OutboxResponses
// entries are queued. So who makes watches for others and does not read must
// stop making them.
//
// # Locks
//
// In the order they may nest:
//
//	Hub.mu       opening and closing of streams
//	shard.mu     groups, seats, offered: held by dispatch while it matches and
//	             offers, by catch-up while it offers; never while the engine is
//	             read, a consumer is waited for or a store method may block
//	outbox.mu    one queue; a leaf
//	slot.mu      what consumers share of one run, while one of them makes it;
//	             consumers only, a leaf
//
// # Goroutines
//
//	name      one per  owner  wakes on                        ends on
//	dispatch  shard    Hub    a new visible revision          Close; the store's failure
//	catch-up  shard    Hub    an unsynced seat (shard.work)   Close
//	progress  hub      Hub    Config.ProgressInterval         Close
package watch
