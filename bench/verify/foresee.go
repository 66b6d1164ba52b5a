package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench/layout"
)

// needsCompaction is why a rule is not looked at on a server.
const needsCompaction = "needs --allow-compaction"

// Foresee says without a subject which rules could be looked at: the outcome
// of the others is NotChecked, with the reason.
func Foresee(f Facts, o Options) []Verdict {
	r := &runner{facts: f, o: o, tally: newTally()}
	for _, p := range slices.Concat(probes, besides) {
		why := ""
		switch {
		case p.wire && !f.Wire, p.inside && f.Wire:
		case p.compacts && !f.Private && !o.Compaction:
			why = needsCompaction
		case slices.Contains(p.rules, "E7") && !f.Wire:
			why = noLeases
		}
		for _, rule := range p.rules {
			if why != "" {
				r.tally.lacking(rule, why)
			} else {
				r.tally.saw(rule, 1)
			}
		}
	}
	var out []Verdict
	for _, rule := range Rules() {
		out = append(out, r.verdictLocked(rule))
	}
	return out
}

// ForeseeText writes what Foresee says for people.
func ForeseeText(w io.Writer, verdicts []Verdict) error {
	report := &Report{Verdicts: verdicts}
	t := &texter{r: report}
	can := report.Of(Kept)
	t.add(layout.Wrap(fmt.Sprintf("  can check    %3d ", len(can)), labelWidth, ranges(can))...)
	if not := report.Of(NotChecked); len(not) > 0 {
		t.add(layout.Wrap(fmt.Sprintf("  cannot       %3d ", len(not)), labelWidth, reasons(not))...)
	}
	_, err := io.WriteString(w, strings.Join(t.lines, "\n")+"\n")
	return err
}

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
