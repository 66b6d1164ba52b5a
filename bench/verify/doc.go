// Package verify provokes the promises of docs/guarantees.md one by one, on a
// store in this process or on a server, and says of each what came of it:
// kept, and how often it could have broken; broken, with the shortest record
// that shows it; not checked, and why.
//
// # Types
//
//   - [Subject] is the store, [Stream] a stream of watches on it. [Embedded]
//     makes one of an engine; package wire one of a server.
//   - [Run] works through the probes and returns a [Report] of [Verdict].
//
// # How a rule is looked at
//
// A probe is a scene in which a rule could break: a reader that stops, an id
// used again, a history longer than is handed out at once. Every response goes
// to the checker of its watch (package watchtest) together with what was
// written; a probe adds what no single watch can show: ids, refusals, answers.
// A probe whose scene did not come about has no verdict. It waits for the
// subject and never for the clock: that something comes too late is no break.
//
// # Goroutines and locks
//
// Probes run one after the other, in the goroutine of Run. They start writers
// and, where many streams are read at once, readers, and wait for them. The
// mutexes of tally and scene are leaves; that of a book is held while it
// writes to the history.
package verify
