// Package metamorphic runs one list of operations, made from a seed, on every
// engine, and holds each run against the naive store of internal/model and
// every watch against watch/watchtest. The same list must give the same
// history whatever the engine, the durability, the number of shards and the
// size of memories and outboxes.
//
// The list is text, one operation a line, and replays from it: a failing test
// prints the command that runs exactly the operations it needed.
package metamorphic
