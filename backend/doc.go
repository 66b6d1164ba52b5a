// Package backend is the contract between watchkv and the storage engine
// under it: an ordered byte store with atomic batches and frozen views.
//
// # Types
//
//   - [Driver] names an engine and opens it; one folder below this one each.
//   - [Engine] is an open store: [Engine.Apply] writes, [Engine.View] reads.
//   - [Batch] is what Apply takes: puts and deletes, all or nothing.
//   - [View] is a frozen read: it sees every Apply that returned before it
//     was opened and nothing of a later one.
//   - [Space] is a keyspace. Keys of different spaces never meet.
//
// # Rules every engine keeps
//
// The suite in backendtest proves them; each of its cases quotes the sentence.
//
//   - A batch is seen whole or not at all, by views and after a crash.
//   - A view never blocks the writer, and the writer never blocks a view.
//   - An empty value differs from a missing key.
//   - A scan visits keys in ascending byte order from lo, included, to hi,
//     excluded; a nil hi means to the end of the space.
//   - Slices handed to a visit function die when it returns. The value that
//     Get returns belongs to the caller.
//   - A batch above the engine's stated maximum is refused with
//     [ErrBatchTooLarge] and leaves nothing behind.
//   - A second open of the same data for writing is refused at once with
//     [ErrLocked].
//   - After a failed Apply the outcome of that batch is unknown until the
//     store is opened again.
//   - After Close every call answers [ErrClosed].
//
// # Concurrency
//
// Apply has one caller at a time: group commit lives above the engine, once.
// View, Stats and the abilities may be called from any goroutine. A View
// itself serves one goroutine. Views are meant to be short: one chunk of a
// read, never held across a wait on a consumer.
//
// # Abilities
//
// What only some engines can do stands in separate one-method interfaces
// that an Engine may also implement: [Backuper], [Reclaimer], [Verifier],
// [FreeSpacer].
package backend
