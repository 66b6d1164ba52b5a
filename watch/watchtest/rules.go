package watchtest

import (
	"fmt"
	"strings"
	"time"
)

// Class tells etcd's own guarantees from the promises watchkv adds.
type Class string

// The two classes of rules. On watchkv both bind; on somebody else's server a
// broken rule of class Ours is shown and not counted.
const (
	Etcd Class = "etcd"
	Ours Class = "ours"
)

// Rule is one promise a Watch checks. ID is its number in
// docs/guarantees.md, Name the promise it belongs to.
type Rule struct {
	ID    string
	Name  string
	Class Class
	Text  string // the promise in one sentence
	count func(*Counts) int64
}

// rules is every rule that can be reported, in the order of the document.
var rules = []Rule{
	{"G1", "ordered", Etcd, "revisions never go down", func(c *Counts) int64 { return c.Events }},
	{"G2", "unique", Etcd, "no event twice", func(c *Counts) int64 { return c.Events }},
	{"G3", "reliable", Etcd, "no matching event is left out", func(c *Counts) int64 { return c.Matched }},
	{"G4", "atomic", Etcd, "a revision is never split over responses", func(c *Counts) int64 { return c.EventResponses }},
	{"G5", "resumable", Etcd, "a watch from the last revision + 1 continues exactly", func(c *Counts) int64 { return c.Resumed }},
	{"G6", "bookmarkable", Etcd, "after progress r nothing at or below r comes", func(c *Counts) int64 { return c.Progress }},
	{"G8", "ordered", Etcd, "inside a revision, event order is operation order", func(c *Counts) int64 { return c.Matched }},
	{"G9", "written", Etcd, "what is delivered is what was written, at the revision acknowledged", func(c *Counts) int64 { return c.Matched }},
	{"C2", "filtered", Etcd, "only keys asked for", func(c *Counts) int64 { return c.Events }},
	{"C3", "started", Etcd, "an empty range is refused", func(c *Counts) int64 { return c.Refused }},
	{"C6", "started", Etcd, "a start below 0 is refused and names no compact revision", func(c *Counts) int64 { return c.Refused }},
	{"C7", "started", Etcd, "from now on means after the revision of Created", func(c *Counts) int64 { return c.FromNow }},
	{"C8", "started", Etcd, "nothing below a start in the future, and no progress before it", func(c *Counts) int64 { return c.FromFuture }},
	{"C9", "started", Etcd, "history from exactly the start", func(c *Counts) int64 { return c.FromHistory }},
	{"C10", "started", Etcd, "a start at the compact revision gets the event there", func(c *Counts) int64 { return c.FromHistory }},
	{"C11", "compaction", Ours, "a start below the compact revision is told so, with the current revision", func(c *Counts) int64 { return c.Compacted }},
	{"C12", "compaction", Etcd, "compaction is told once", func(c *Counts) int64 { return c.Compacted }},
	{"C13", "started", Etcd, "an id in use is refused", func(c *Counts) int64 { return c.Refused }},
	{"C14", "started", Ours, "a negative id is refused", func(c *Counts) int64 { return c.Refused }},
	{"C15", "started", Etcd, "nothing before Created, and Created once", func(c *Counts) int64 { return c.Created }},
	{"X1", "cancelled", Etcd, "nothing after Canceled, and nothing ends unasked", func(c *Counts) int64 { return c.Canceled }},
	{"X5", "cancelled", Etcd, "a new watch under an old id gets only its own events", func(c *Counts) int64 { return c.Reused }},
	{"E4", "written", Etcd, "a key's version grows by one with each put", func(c *Counts) int64 { return c.Matched }},
	{"E5", "written", Etcd, "a delete event carries key and mod revision alone", func(c *Counts) int64 { return c.Deletes }},
	{"E6", "written", Etcd, "create revision and version 1 at a create, kept until the delete", func(c *Counts) int64 { return c.Matched }},
	{"P1", "prevkv", Etcd, "the key as it was before, to those who asked", func(c *Counts) int64 { return c.Previous }},
	{"P2", "prevkv", Etcd, "a previous value is absent only where it is compacted", func(c *Counts) int64 { return c.Previous }},
	{"F1", "filtered", Etcd, "only event types asked for", func(c *Counts) int64 { return c.Filtered }},
	{"N1", "bookmarkable", Etcd, "periodic progress only for those who asked", func(c *Counts) int64 { return c.Progress }},
	{"N2", "bookmarkable", Etcd, "progress is never below the revision of Created", func(c *Counts) int64 { return c.Progress }},
	{"N3", "bookmarkable", Etcd, "requested progress is answered once, at or above the revision of the request", func(c *Counts) int64 { return c.Answers }},
	{"N5", "bookmarkable", Etcd, "progress never goes down", func(c *Counts) int64 { return c.Progress }},
	{"N7", "resumable", Ours, "the revision of an event response is a safe resume point", func(c *Counts) int64 { return c.EventResponses }},
	{"V3", "compaction", Etcd, "a slow watch overtaken by compaction is told, never jumped", func(c *Counts) int64 { return c.Compacted }},
	{"V5", "caught up", Ours, "the end of catch-up is told once and is true", func(c *Counts) int64 { return c.CaughtUp }},
	{"V6", "policy", Ours, "latest skips only what is superseded; only a watch with policy cancel is cut off", func(c *Counts) int64 { return c.Conflated }},
	{"R1", "written", Etcd, "no revision number means two things", func(c *Counts) int64 { return c.Commits }},
}

func ruleOf(id string) Rule {
	for _, r := range rules {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id, Name: "unknown", Class: Ours}
}

// Rules lists every rule that can be reported, in the order of
// docs/guarantees.md. The slice is the caller's.
func Rules() []Rule { return append([]Rule(nil), rules...) }

// Broken is the error of a stream of responses that broke a promise.
type Broken struct {
	Rule
	// Detail says what was seen and what should have been.
	Detail string
	// Watch describes the watch: its id and range and where it started.
	Watch string
	// Record is the few responses before the break and, last, the one that
	// broke it, one line each.
	Record []string
	// At is when each response of Record came, by Options.Now; nil without it.
	At []time.Duration
	// Responses is how many the watch had in all, those before Record too.
	Responses int64
}

// Error is one line; the record is left out.
func (b *Broken) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s: %s", b.ID, b.Name, b.Detail)
	if b.Watch != "" {
		fmt.Fprintf(&s, " (%s)", b.Watch)
	}
	return s.String()
}

func broken(id, format string, args ...any) *Broken {
	return &Broken{Rule: ruleOf(id), Detail: fmt.Sprintf(format, args...)}
}
