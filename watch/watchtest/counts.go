package watchtest

import "strings"

// Counts is how much was looked at. Each Watch keeps its own; add them up
// once its consumer is at rest.
type Counts struct {
	Watches, Created, Canceled, Refused int64
	// Created, by where they started.
	FromNow, FromHistory, FromFuture, Resumed, Reused int64
	// Responses of all kinds, those with events, and the events in them.
	Responses, EventResponses, Events int64
	// Matched events were compared with the history; Unmatched ones could not
	// be, because the history did not reach them or had forgotten them.
	Matched, Unmatched int64
	Deletes, Filtered  int64 // delete events; events given to a watch with a filter
	Previous           int64 // events of watches that asked for the previous value
	PreviousGone       int64 // of them, those whose previous value was compacted
	Progress           int64 // progress notifications, periodic and requested
	Answers            int64 // requested progress
	CaughtUp           int64
	Conflated          int64 // responses that said so
	Compacted          int64 // watches that were told of compaction
	Commits            int64 // revisions acknowledged by the writers

	// Of Options.EtcdRules: how often a promise of class Ours, which nobody
	// gave, was seen not to hold.
	Unresumable int64 // N7: the revision of an event response was no resume point
	Unheaded    int64 // C11: told of compaction without the current revision
}

// Add adds o to c.
func (c *Counts) Add(o Counts) {
	c.Watches += o.Watches
	c.Created += o.Created
	c.Canceled += o.Canceled
	c.Refused += o.Refused
	c.FromNow += o.FromNow
	c.FromHistory += o.FromHistory
	c.FromFuture += o.FromFuture
	c.Resumed += o.Resumed
	c.Reused += o.Reused
	c.Responses += o.Responses
	c.EventResponses += o.EventResponses
	c.Events += o.Events
	c.Matched += o.Matched
	c.Unmatched += o.Unmatched
	c.Deletes += o.Deletes
	c.Filtered += o.Filtered
	c.Previous += o.Previous
	c.PreviousGone += o.PreviousGone
	c.Progress += o.Progress
	c.Answers += o.Answers
	c.CaughtUp += o.CaughtUp
	c.Conflated += o.Conflated
	c.Compacted += o.Compacted
	c.Commits += o.Commits
	c.Unresumable += o.Unresumable
	c.Unheaded += o.Unheaded
}

// Outcome is what came of a promise.
type Outcome string

// The outcomes of a promise.
const (
	Kept       Outcome = "kept"
	BrokenOnce Outcome = "broken"
	NotChecked Outcome = "not checked" // nothing happened that could have broken it
)

// Verdict is the outcome of one rule.
type Verdict struct {
	Rule
	Outcome Outcome
	Checked int64 // how often it could have broken
}

// NotKept is how often the promises of class Ours, by their numbers, were seen
// not to hold by watches with Options.EtcdRules; only those that were.
func (c Counts) NotKept() map[string]int64 {
	seen := map[string]int64{}
	for id, n := range map[string]int64{"N7": c.Unresumable, "C11": c.Unheaded} {
		if n > 0 {
			seen[id] = n
		}
	}
	return seen
}

// Verdicts judges every rule by what was looked at and what broke.
func Verdicts(c Counts, broken ...*Broken) []Verdict {
	out := make([]Verdict, 0, len(rules))
	for _, r := range rules {
		v := Verdict{Rule: r, Outcome: NotChecked, Checked: r.count(&c)}
		if v.Checked > 0 {
			v.Outcome = Kept
		}
		for _, b := range broken {
			if b.ID == r.ID {
				v.Outcome = BrokenOnce
			}
		}
		out = append(out, v)
	}
	return out
}

// Promises folds rules of one name into one verdict: broken if one of them
// is, else kept if one of them was checked. The order is that of the rules,
// Checked the largest of the name's, ID the numbers of those that count.
func Promises(verdicts []Verdict) []Verdict {
	var out []Verdict
	at := map[string]int{}
	for _, v := range verdicts {
		i, seen := at[v.Name]
		if !seen {
			i = len(out)
			at[v.Name] = i
			out = append(out, Verdict{Rule: Rule{Name: v.Name, Class: v.Class, Text: v.Text}, Outcome: NotChecked})
		}
		p := &out[i]
		switch {
		case v.Outcome == BrokenOnce && p.Outcome != BrokenOnce:
			p.ID, p.Class, p.Text, p.Outcome = v.ID, v.Class, v.Text, BrokenOnce
		case v.Outcome == Kept && p.Outcome != BrokenOnce:
			p.ID, p.Outcome = strings.TrimPrefix(p.ID+" "+v.ID, " "), Kept
		}
		p.Checked = max(p.Checked, v.Checked)
	}
	return out
}
