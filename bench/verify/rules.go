package verify

import "github.com/watchkv/watchkv/watch/watchtest"

// Rule is one promise of docs/guarantees.md.
type Rule struct {
	ID    string          // its number, and which part of it if it has two
	Class watchtest.Class // whose promise it is
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
	headerOfC11 = "C11 header revision"
	owedOfN3    = "N3 owed answer"
)

const (
	crash = "needs a crash"
	users = "needs users and permissions"
)

var catalogue = []Rule{
	{ID: "G1", Text: "ordered: revisions never go down"},
	{ID: "G2", Text: "unique: no event twice"},
	{ID: "G3", Text: "reliable: no matching event is left out"},
	{ID: "G4", Text: "atomic: a revision comes in one response"},
	{ID: "G5", Text: "resumable: from the last revision + 1 it goes on exactly"},
	{ID: "G6", Text: "bookmarkable: after progress r nothing at or below r comes"},
	{ID: "G7", Text: "durable before seen", away: "needs a power cut"},
	{ID: "G8", Text: "inside a transaction, event order is operation order"},
	{ID: "G9", Text: "reads see what was acknowledged, watches what was written"},

	{ID: "C1", Text: "an empty key is the byte 0x00"},
	{ID: "C2", Text: "ranges: one key, half-open, from a key on, all"},
	{ID: "C3", Text: "an empty range is refused"},
	{ID: "C4", Text: "permission is checked on the range as sent", away: users},
	{ID: "C5", Text: "a create without permission is refused alone", away: users},
	{ID: "C6", Text: "a negative start is refused as compacted"},
	{ID: "C7", Text: "start 0: only what is after Created"},
	{ID: "C8", Text: "a start in the future is waited for"},
	{ID: "C9", Text: "a start in history: exactly from there"},
	{ID: "C10", Text: "a start at the compact revision gets the event there"},
	{ID: "C11", Text: "a start below the compact revision is told so"},
	{ID: headerOfC11, Class: watchtest.Ours, Text: "that carries the current revision"},
	{ID: "C12", Text: "a watch that compaction overtook is told once"},
	{ID: "C13", Text: "ids: picked from 0 up, or the client's; one in use is refused"},
	{ID: "C14", Class: watchtest.Ours, Text: "a negative id is refused"},
	{ID: "C15", Text: "nothing before Created, and Created once"},
	{ID: "C16", Class: watchtest.Ours, Text: "options hold from the first response"},
	{ID: "C17", Text: "unknown filters and requests are ignored", wire: true},
	{ID: "C18", Text: "a half-closed stream keeps its watches", wire: true},
	{ID: "C19", Text: "the leader metadata is accepted", away: "needs a cluster"},
	{ID: "C20", Text: "a stream its client ended: Canceled, no failure", away: "the client ends it, and hears nothing more"},

	{ID: "X1", Text: "one Canceled, nothing after it"},
	{ID: "X2", Text: "cancelling what is not there: no response"},
	{ID: "X3", Text: "events may come until Canceled"},
	{ID: "X4", Text: "cancel may race with anything"},
	{ID: "X5", Text: "cancel, then create with the same id: only its own events"},

	{ID: "E1", Text: "a transaction's events have one revision"},
	{ID: "E2", Text: "writing a key twice in a transaction is refused, as etcd counts"},
	{ID: "E3", Text: "what changes nothing makes no event and no revision"},
	{ID: "E4", Text: "the same value again is an event, version + 1"},
	{ID: "E5", Text: "a delete has key and revision alone"},
	{ID: "E6", Text: "a create has version 1, also after a delete"},
	{ID: "E7", Text: "a lease deletes its keys sorted, in one revision"},
	{ID: "E8", Text: "compaction makes no event"},

	{ID: "P1", Text: "previous value: as it was one revision before"},
	{ID: "P2", Text: "absent only where that is compacted"},
	{ID: "P3", Class: watchtest.Ours, Text: "found once per event", away: "reads of the store cannot be seen"},

	{ID: "F1", Text: "event types are filtered on the server"},
	{ID: "F2", Text: "nothing left: no response, and the watch advances"},
	{ID: "F3", Text: "what was filtered leaves no trace in gauges", inside: "gauges cannot be seen"},

	{ID: "S1", Text: "fragments only if asked for, at the limit", wire: true},
	{ID: "S2", Text: "all fragments but the last say so; all else is equal", wire: true},
	{ID: "S3", Text: "a fragment is below the limit", wire: true},
	{ID: "S4", Text: "fragments of a watch stand together", wire: true},
	{ID: "S5", Class: watchtest.Ours, Text: "responses are bounded in bytes"},

	{ID: "N1", Text: "periodic progress, to those who asked"},
	{ID: "N2", Text: "never unsynced, never below Created"},
	{ID: "N3", Text: "on request: one answer, at or above the revision then"},
	{ID: owedOfN3, Class: watchtest.Ours, Text: "an answer that cannot be given yet is owed"},
	{ID: "N4", Text: "progress goes through the queue of events"},
	{ID: "N5", Text: "progress never goes down"},
	{ID: "N6", Text: "a watch that matches nothing gets progress"},
	{ID: "N7", Class: watchtest.Ours, Text: "an event response's header is a safe resume point"},

	{ID: "V1", Text: "a slow watch keeps G1 to G4"},
	{ID: "V2", Class: watchtest.Ours, Text: "what a slow consumer pins is bounded", inside: "the server's memory cannot be seen"},
	{ID: "V3", Text: "a slow watch overtaken by compaction is told"},
	{ID: "V4", Text: "a slow stream holds up no other"},
	{ID: "V5", Class: watchtest.Ours, Text: "the end of catch-up is told once", inside: "not on etcd's wire"},
	{ID: "V6", Class: watchtest.Ours, Text: "policies for slow watches", inside: "not on etcd's wire"},
	{ID: "V7", Class: watchtest.Ours, Text: "control responses are never dropped"},

	{ID: "R1", Text: "after a crash every acknowledged write is there", away: crash},
	{ID: "R2", Text: "the revision never goes down over a restart", away: crash},
	{ID: "R3", Text: "an interrupted compaction is completed", away: crash},
	{ID: "R4", Text: "a restored backup tells its old watches", away: "needs a restore"},
	{ID: "R5", Text: "damage is an error that names its place", away: "needs damaged files"},
	{ID: "R6", Text: "a failed write ends writing with its cause", away: "needs a failing disk"},
	{ID: "R7", Text: "writing stops before the disk is full", away: "needs a full disk"},
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

func ruleOf(id string) Rule {
	for _, r := range Rules() {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id, Class: watchtest.Etcd}
}
