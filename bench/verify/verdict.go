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
	Text    string          `json:"text"`
	Class   watchtest.Class `json:"class"`
	Outcome Outcome         `json:"outcome"`
	// Times is how often the rule could have broken, or did.
	Times   int64  `json:"times,omitempty"`
	Reason  string `json:"reason,omitempty"` // why it was not checked
	Allowed bool   `json:"allowed,omitempty"`
	Break   *Break `json:"break,omitempty"`
}

// Report is what came of a verification.
type Report struct {
	Facts    Facts
	Prefix   string
	Took     time.Duration
	Verdicts []Verdict // every rule, in the order of docs/guarantees.md
	CleanUp  error     // why what was written is still there
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

func (r *runner) report(began time.Time) *Report {
	t := r.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, v := range watchtest.Verdicts(t.counts) {
		if slices.Contains(byChecker, v.ID) || v.ID == "N7" && !r.facts.EtcdRules {
			t.seen[v.ID] = v.Checked
		}
	}
	out := &Report{Facts: r.facts, Prefix: r.o.Prefix, Took: time.Since(began)}
	for _, rule := range Rules() {
		out.Verdicts = append(out.Verdicts, r.verdictLocked(rule))
	}
	return out
}

func (r *runner) verdictLocked(rule Rule) Verdict {
	t := r.tally
	v := Verdict{Rule: rule.ID, Text: rule.Text, Class: rule.Class}
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
	case t.seen[rule.ID] > 0:
		v.Outcome, v.Times = Kept, t.seen[rule.ID]
	default:
		v.Outcome, v.Reason = NotChecked, t.lacks[rule.ID]
		if v.Reason == "" {
			v.Reason = "could not be provoked"
		}
	}
	return v
}
