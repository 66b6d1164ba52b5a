// Package etcdfile writes and reads the bbolt file that etcd calls a snapshot:
// what `etcdctl snapshot save` fetches, `etcdutl snapshot restore` takes and a
// member keeps at member/snap/db.
//
// # Types
//
//   - Build writes a store, of any engine, as such a file into a scratch
//     directory; Built hands out its bytes.
//   - Open checks a file and opens it for reading; File.Info says what it
//     holds, File.Load fills an engine with it, File.Status answers what
//     `etcdutl snapshot status` does.
//
// # Life of a snapshot
//
//	build.go   room is looked for; the store is exported at one revision into
//	           a bbolt file, a chunk a transaction
//	layout.go  what etcd expects beside the records
//	built.go   the file's bytes; it has lost its name by then, where the
//	           system lets it
//
// # Life of a load
//
//	file.go    trailing hash, pages, buckets; what the file says of itself
//	wal.go     what the member's WAL, if it is there, holds beyond the file
//	load.go    entry by entry into a mvcc.Loader
//
// # What to know
//
// The records are etcd's own (docs/format.md), so HashKV of both is equal. A
// gap that an unclean stop in Relaxed left is unknown to etcd: the file is
// marked compacted there, so that old watchers are told. bbolt keeps no
// checksums of data: without the trailing hash a flipped bit in a value goes
// unseen.
//
// There are no goroutines, locks or channels.
package etcdfile
