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
// # Goroutines
//
// All are started and awaited inside Run, but for the receiver of package
// wire, which Recv starts and Recv or Close awaits.
//
//	beside    one of leases, periodic      a server's own time        ends with the others, or 12 s later
//	filler    fillers in a fill            writes at full speed       ends when all is written
//	writer    a few while others watch     writes again and again     ends when its probe says so
//	reader    one a stream, in some        waits for responses        ends when the stream has what it should
//	receiver  one a stream of wire         waits for one response     ends with it, or with the stream
//
// # Locks
//
// The mutexes of tally and scene are leaves. That of a book is held while it
// writes to the history, and comes before the history's own.
package verify
