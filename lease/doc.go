// Package lease keeps leases over a store: a lease is granted for a time,
// kept alive by renewing it, and takes the keys that were put with it away
// when it ends.
//
// # Types
//
//   - [Lessor] has the leases of one store: [Lessor.Grant], [Lessor.Renew],
//     [Lessor.Revoke]. Keys are attached by the lease that a put names, in
//     package mvcc; a put asks [Lessor.Exists] in its transaction.
//   - [Config] says how short and how long leases may be.
//
// # The life of a lease
//
//	Grant    one transaction writes its record beside history; from then on puts
//	         may name it. It is listed, and its time runs, once it is durable
//	Renew    its time begins anew; nothing is written, unless a checkpoint was
//	Revoke   one transaction deletes its keys, in order, and its record: one
//	         revision, or none if it had no keys
//	expire   what time does not renew is revoked so, by the Lessor's goroutine
//
// What a transaction sees of leases follows the order of staging: a put behind
// a Revoke is refused, whether that is durable or not. What is listed follows
// what is durable.
//
// After a restart every lease has its full time again, as after a change of
// leader in etcd. So that a long one ends although the program is restarted
// ever so often, what is left of those that have more than
// [Config.CheckpointInterval] left is written that often; then that is what
// they have after a restart, and the next Renew takes it back.
//
// Time is the machine's monotonic clock. It may stand while the machine
// sleeps.
//
// # When the store takes no writes
//
// Without space leases end all the same, since deletes go on; none is granted.
// Once the store has failed nothing ends any more: renewing goes on, and for a
// lease whose time is over it answers the store's error. On a read-only store
// leases are listed and never end.
//
// # The stored form
//
// It is etcd's, so that the leases of an etcd file are kept: docs/format.md.
//
// # Locks
//
//	Lessor.mu   leaf, taken inside transactions too: the leases. Of the store
//	            only Rev and ReadOnly are called under it, which take no lock
//
// # Goroutines
//
//	name      owner    wakes on                                ends on
//	expiry    Lessor   the next end of a lease, a checkpoint   Close; failure of the store
//	revoke    expiry   nothing; at most 32 at a time           its transaction is done
//	settle    Lessor   nothing: waits for a transaction        that is done, or Close
//	                   whose caller left
//
// # Channels
//
//	Lessor.wake   a token from whoever granted a lease that ends before all
//	              others, taken by expiry; one place
//	record.ended  closed when the lease is no more, or cannot end: for those who
//	              wait to renew it
package lease
