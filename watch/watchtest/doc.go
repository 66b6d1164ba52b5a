// Package watchtest checks what a watch delivers against what was written,
// and names the promise that broke. It runs inside tests with every event
// compared, and inside benchmarks beside the measurement.
//
// # Types
//
//   - [History] is what was written. Writers tell it what they were answered:
//     the revision, and what they put or deleted there.
//   - [Watch] checks one watch: give it every response, in order, then
//     [Watch.Finish].
//   - [Stream] brings the responses of one stream to its Watches, and checks
//     ids, refusals and requested progress.
//   - [Broken] is the error: the rule by its number in docs/guarantees.md, the
//     promise by name, what was seen, and the few responses before it.
//   - [Verdicts] and [Promises] turn [Counts] and breaks into the summary of a
//     run: kept, broken, or not checked.
//
// # How events are compared
//
// The History is an append-only log of digests in the order of revisions.
// Each distinct range that is watched has a list of its positions in the log,
// shared by all who watch it. A Watch is a cursor into that list: the next
// delivered event must be the next one there, of the same content. So a lost,
// doubled, misplaced, changed or invented event is found at once, for the
// price of one comparison and one hash of the key (and of the value, unless
// [HistoryConfig.LengthOnly]).
//
// A consumer may see an event before its writer has its answer. What the log
// does not reach yet waits, as a digest, in the Watch, and is compared with a
// later response or by Finish. So an acknowledgement is checked too: it must
// name the revision and the value that the watches saw, and what no
// acknowledgement names is reported as never written. If a writer was never
// answered (its outcome is unknown), the log stands still before that
// revision, and what comes after it ends up in [Counts].Unmatched.
//
// On a store that others write to ([HistoryConfig.Shared]) revisions between
// ours are strangers'. Writers take a ticket before they write
// ([History.Begin]); once all writes that were under way when a revision was
// answered are answered too, what is not known up to it is nobody's here. A
// write that is never answered ([History.Lost]) ends that for good.
//
// An event that was passed over is reported as lost only 16 responses later,
// or by Finish: if it comes late, the break is one of order.
//
// # Bounds
//
// History: 40 bytes for each event, 4 for each watched range it is in, about
// 100 and its text for each key; [HistoryConfig.Window] bounds the events. A
// Watch: about 700 bytes, 80 for each response of its record, 72 for each
// event that waits, of which it keeps 16,384; beyond that, or outside the
// window, it stops comparing and counts what it did not compare. A watch with
// policy Latest keeps 24 bytes for each key.
package watchtest
