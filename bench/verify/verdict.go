package verify

import (
	"slices"
	"time"

	"github.com/watchkv/watchkv/watch/watchtest"
)

// Outcome is what came of a rule.
type Outcome string

// The outcomes.
const (
	Kept       Outcome = "kept"
	Broken     Outcome = "broken"
	OursBroken Outcome = "ours, not kept" // not promised by this subject
	NotChecked Outcome = "not checked"
)

// Verdict is the outcome of one rule.
type Verdict struct {
	Rule    string          `json:"rule"`
	Name    string          `json:"name"`
	Text    string          `json:"text"`
	Class   watchtest.Class `json:"class"`
	Outcome Outcome         `json:"outcome"`
	// Times is how often the rule could have broken, or did.
	Times   int64  `json:"times,omitempty"`
	Reason  string `json:"reason,omitempty"` // why it was not checked
	Allowed bool   `json:"allowed,omitempty"`
	Break   *Break `json:"break,omitempty"`
}

// Schema of a Report as JSON. Fields may be added to it; a change of meaning
// raises the number.
const Schema = "watchbench.verify/1"

// Report is what came of a verification.
type Report struct {
	Schema   string        `json:"schema"`
	Target   string        `json:"target"`
	Prefix   string        `json:"prefix"`
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Verdicts []Verdict     `json:"verdicts"` // every rule, in the order of docs/guarantees.md
	// Left says why what was written is still there; empty: it is not.
	Left string `json:"left,omitempty"`
	// Command is the command line, if there was one, without passwords.
	Command []string `json:"command,omitempty"`
}

// Failed reports whether a rule is broken that was not allowed to be.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Verdicts, func(v Verdict) bool { return v.Outcome == Broken && !v.Allowed })
}

// Of returns the verdicts with an outcome.
func (r *Report) Of(o Outcome) (out []Verdict) {
	for _, v := range r.Verdicts {
		if v.Outcome == o {
			out = append(out, v)
		}
	}
	return out
}

// byChecker are the rules whose count comes from the checker of each watch;
// the probes count the others themselves.
var byChecker = []string{"G1", "G2", "G3", "G6", "C2", "C7", "C8", "C9", "C15", "E4", "E5", "E6", "P1", "F1", "N2", "N5", "V5"}

// anywhere are the rules that need no scene of their own: every event that
// comes could break them. All others are kept only if their probe came to its
// end.
var anywhere = []string{"G1", "G2", "G3", "C2", "C7", "C15", "E4", "E6"}

func (r *runner) report(began time.Time) *Report {
	t := r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range watchtest.Verdicts(t.counts) {
		if slices.Contains(byChecker, v.ID) || v.ID == "N7" && !r.facts.EtcdRules {
			t.seen[v.ID] = v.Checked
		}
	}
	out := &Report{Schema: Schema, Target: r.facts.Name, Prefix: r.o.Prefix, Started: began.UTC().Truncate(time.Second), Took: time.Since(began)}
	for _, rule := range Rules() {
		out.Verdicts = append(out.Verdicts, r.verdictLocked(rule))
	}
	return out
}

func (r *runner) verdictLocked(rule Rule) Verdict {
	t := r.tally
	v := Verdict{Rule: rule.ID, Name: rule.Name, Text: rule.Text, Class: rule.Class}
	switch b := t.breaks[rule.ID]; {
	case b != nil && rule.Class == watchtest.Ours && r.facts.EtcdRules:
		v.Outcome, v.Times, v.Break = OursBroken, b.Times, b
	case b != nil:
		v.Outcome, v.Times, v.Break = Broken, b.Times, b
		v.Allowed = slices.Contains(r.o.Allowed, rule.ID)
	case rule.away != "":
		v.Outcome, v.Reason = NotChecked, rule.away
	case rule.wire && !r.facts.Wire:
		v.Outcome, v.Reason = NotChecked, "there is no wire"
	case rule.inside != "" && r.facts.Wire:
		v.Outcome, v.Reason = NotChecked, rule.inside
	case t.lacks[rule.ID] != "" && !slices.Contains(anywhere, rule.ID):
		v.Outcome, v.Reason = NotChecked, t.lacks[rule.ID]
	case t.seen[rule.ID] > 0:
		v.Outcome, v.Times = Kept, t.seen[rule.ID]
	default:
		v.Outcome, v.Reason = NotChecked, errNotProvoked.Error()
	}
	return v
}
