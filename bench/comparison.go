package bench

import "io"

// ComparisonSchema names the form of a Comparison as JSON.
const ComparisonSchema = "watchbench.comparison/1"

// Comparison is what several targets did under the same plan and seed, in
// turn. Its results stand in the order in which the targets were named; each
// has all repetitions of its target.
type Comparison struct {
	Schema  string    `json:"schema"`
	Results []*Result `json:"results"`
}

// NewComparison puts results together.
func NewComparison(results ...*Result) *Comparison {
	return &Comparison{Schema: ComparisonSchema, Results: results}
}

// Complete: everything planned was measured, on every target.
func (c *Comparison) Complete() bool {
	for _, res := range c.Results {
		if !res.Complete {
			return false
		}
	}
	return true
}

// Append adds to a result of a plan what was found by measuring one of the
// plan's scenarios alone, in one repetition. It keeps the first reason why
// something was not measured. A broken promise takes all figures away, those
// of earlier repetitions too.
func (res *Result) Append(part *Result, scenario, repetition int) {
	for _, run := range part.Runs {
		run.Planned, run.Repetition = scenario, repetition
		res.Runs = append(res.Runs, run)
	}
	if res.Broken == nil {
		res.Broken = part.Broken
	}
	if res.Failed == "" {
		res.Failed = part.Failed
	}
	if res.CutShort == nil {
		res.CutShort = part.CutShort
	}
	if res.Broken != nil {
		for i := range res.Runs {
			res.Runs[i].strip()
		}
	}
	res.Complete = res.Broken == nil && res.Failed == "" && res.CutShort == nil &&
		len(res.Runs) == res.Plan.Count*len(res.Plan.Scenarios)
}

// WriteJSON writes the comparison as one JSON document.
func (c *Comparison) WriteJSON(w io.Writer) error { return writeJSON(w, c) }

// WriteFile writes the comparison as Result.WriteFile does.
func (c *Comparison) WriteFile(path string) error { return writeFile(path, c.WriteJSON) }
