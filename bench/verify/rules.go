package verify

import "github.com/watchkv/watchkv/watch/watchtest"

// Rule is one promise of docs/guarantees.md.
type Rule struct {
	ID    string          // its number, and which part of it if it has two
	Class watchtest.Class // whose promise it is
	Name  string          // the promise in a few words
	Text  string          // the promise, short
	// away says why it cannot be looked at from outside; empty if it can.
	away string
	// wire: it is about etcd's protocol alone.
	wire bool
	// inside: it can be seen only in this process.
	inside string
}

// The second parts of rules that are etcd's in one part and ours in the other.
const (
	headerOfC7  = "C7 header revision"
	headerOfC11 = "C11 header revision"
	owedOfN3    = "N3 owed answer"
)

const (
	crash    = "needs a crash or a restore"
	users    = "needs users"
	failures = "needs a failing or full disk"
)

var catalogue = []Rule{
	{ID: "G1", Name: "ordered", Text: "ordered: revisions never go down"},
	{ID: "G2", Name: "unique", Text: "unique: no event twice"},
	{ID: "G3", Name: "reliable", Text: "reliable: no matching event is left out"},
	{ID: "G4", Name: "atomic", Text: "atomic: a revision comes in one response"},
	{ID: "G5", Name: "resumable", Text: "resumable: from the last revision + 1 it goes on exactly"},
	{ID: "G6", Name: "bookmarkable", Text: "bookmarkable: after progress r nothing at or below r comes"},
	{ID: "G7", Name: "durable before seen", Text: "durable before seen", away: crash},
	{ID: "G8", Name: "order in a transaction", Text: "inside a transaction, event order is operation order"},
	{ID: "G9", Name: "reads see writes", Text: "reads see what was acknowledged, watches what was written"},

	{ID: "C1", Name: "empty key", Text: "an empty key is the byte 0x00"},
	{ID: "C2", Name: "ranges", Text: "ranges: one key, half-open, from a key on, all"},
	{ID: "C3", Name: "empty range refused", Text: "an empty range is refused"},
	{ID: "C4", Name: "permission on the range", Text: "permission is checked on the range as sent", away: users},
	{ID: "C5", Name: "refused alone", Text: "a create without permission is refused alone", away: users},
	{ID: "C6", Name: "negative start", Text: "a negative start is refused as compacted"},
	{ID: "C7", Name: "from now on", Text: "start 0: only what is after the create"},
	{ID: headerOfC7, Name: "revision of Created under load", Class: watchtest.Ours, Text: "exactly: the revision in Created, also while others write"},
	{ID: "C8", Name: "start in the future", Text: "a start in the future is waited for"},
	{ID: "C9", Name: "start in history", Text: "a start in history: exactly from there"},
	{ID: "C10", Name: "start at the compact revision", Text: "a start at the compact revision gets the event there"},
	{ID: "C11", Name: "start below it", Text: "a start below the compact revision is told so"},
	{ID: headerOfC11, Name: "current revision told", Class: watchtest.Ours, Text: "that carries the current revision"},
	{ID: "C12", Name: "compaction told once", Text: "a watch that compaction overtook is told once"},
	{ID: "C13", Name: "ids", Text: "ids: picked from 0 up, or the client's; one in use is refused"},
	{ID: "C14", Name: "negative id", Class: watchtest.Ours, Text: "a negative id is refused"},
	{ID: "C15", Name: "Created first", Text: "nothing before Created, and Created once"},
	{ID: "C16", Name: "options from the first response", Class: watchtest.Ours, Text: "options hold from the first response"},
	{ID: "C17", Name: "unknown is ignored", Text: "unknown filters and requests are ignored", wire: true},
	{ID: "C18", Name: "half-closed stream", Text: "a half-closed stream keeps its watches", wire: true},
	{ID: "C19", Name: "leader metadata", Text: "the leader metadata is accepted", away: "needs a cluster"},
	{ID: "C20", Name: "ended by its client", Text: "a stream its client ended: Canceled, no failure", away: "the client ends it, and hears nothing more"},

	{ID: "X1", Name: "nothing after Canceled", Text: "one Canceled, nothing after it"},
	{ID: "X2", Name: "cancel of nothing", Text: "cancelling what is not there: no response"},
	{ID: "X3", Name: "events until Canceled", Text: "events may come until Canceled"},
	{ID: "X4", Name: "cancel races", Text: "cancel may race with anything"},
	{ID: "X5", Name: "same id after cancel", Text: "cancel, then create with the same id: only its own events"},

	{ID: "E1", Name: "one revision", Text: "a transaction's events have one revision"},
	{ID: "E2", Name: "duplicate keys", Text: "writing a key twice in a transaction is refused, as etcd counts"},
	{ID: "E3", Name: "no change, no event", Text: "what changes nothing makes no event and no revision"},
	{ID: "E4", Name: "same value again", Text: "the same value again is an event, version + 1"},
	{ID: "E5", Name: "delete events", Text: "a delete has key and revision alone"},
	{ID: "E6", Name: "creates", Text: "a create has version 1, also after a delete"},
	{ID: "E7", Name: "leases", Text: "a lease deletes its keys sorted, in one revision"},
	{ID: "E8", Name: "compaction makes no event", Text: "compaction makes no event"},

	{ID: "P1", Name: "previous value", Text: "previous value: as it was one revision before"},
	{ID: "P2", Name: "absent where compacted", Text: "absent only where that is compacted"},
	{ID: "P3", Name: "found once", Class: watchtest.Ours, Text: "found once per event", away: "reads of the store cannot be seen"},

	{ID: "F1", Name: "filters", Text: "event types are filtered on the server"},
	{ID: "F2", Name: "nothing left", Text: "nothing left: no response, and the watch advances"},
	{ID: "F3", Name: "gauges under filters", Text: "what was filtered leaves no trace in gauges", inside: "gauges cannot be seen"},

	{ID: "S1", Name: "fragments if asked", Text: "fragments only if asked for, at the limit", wire: true},
	{ID: "S2", Name: "fragments marked", Text: "all fragments but the last say so; all else is equal", wire: true},
	{ID: "S3", Name: "fragments bounded", Text: "a fragment is below the limit", wire: true},
	{ID: "S4", Name: "fragments together", Text: "fragments of a watch stand together", wire: true},
	{ID: "S5", Name: "responses bounded", Class: watchtest.Ours, Text: "responses are bounded in bytes"},

	{ID: "N1", Name: "periodic progress", Text: "periodic progress, to those who asked"},
	{ID: "N2", Name: "progress when synced", Text: "never unsynced, never below Created"},
	{ID: "N3", Name: "progress on request", Text: "on request: one answer, at or above the revision then"},
	{ID: owedOfN3, Name: "progress owed", Class: watchtest.Ours, Text: "an answer that cannot be given yet is owed"},
	{ID: "N4", Name: "progress in the queue", Text: "progress goes through the queue of events"},
	{ID: "N5", Name: "progress never down", Text: "progress never goes down"},
	{ID: "N6", Name: "progress without matches", Text: "a watch that matches nothing gets progress"},
	{ID: "N7", Name: "header is a resume point", Class: watchtest.Ours, Text: "an event response's header is a safe resume point"},

	{ID: "V1", Name: "slow watches", Text: "a slow watch keeps G1 to G4"},
	{ID: "V2", Name: "pinned memory bounded", Class: watchtest.Ours, Text: "what a slow consumer pins is bounded", inside: "the server's memory cannot be seen"},
	{ID: "V3", Name: "overtaken and told", Text: "a slow watch overtaken by compaction is told"},
	{ID: "V4", Name: "others not held up", Text: "a slow stream holds up no other"},
	{ID: "V5", Name: "end of catch-up", Class: watchtest.Ours, Text: "the end of catch-up is told once", inside: "not on etcd's wire"},
	{ID: "V6", Name: "policies", Class: watchtest.Ours, Text: "policies for slow watches", inside: "not on etcd's wire"},
	{ID: "V7", Name: "control never dropped", Class: watchtest.Ours, Text: "control responses are never dropped"},

	{ID: "R1", Name: "crash", Text: "after a crash every acknowledged write is there", away: crash},
	{ID: "R2", Name: "revision after restart", Text: "the revision never goes down over a restart", away: crash},
	{ID: "R3", Name: "interrupted compaction", Text: "an interrupted compaction is completed", away: crash},
	{ID: "R4", Name: "restored backup", Text: "a restored backup tells its old watches", away: crash},
	{ID: "R5", Name: "damage", Text: "damage is an error that names its place", away: failures},
	{ID: "R6", Name: "failed write", Text: "a failed write ends writing with its cause", away: failures},
	{ID: "R7", Name: "full disk", Text: "writing stops before the disk is full", away: failures},
}

// Rules lists every rule, in the order of docs/guarantees.md. The slice is
// the caller's.
func Rules() []Rule {
	out := append([]Rule(nil), catalogue...)
	for i := range out {
		if out[i].Class == "" {
			out[i].Class = watchtest.Etcd
		}
	}
	return out
}
