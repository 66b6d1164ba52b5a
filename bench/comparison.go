package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

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

// WriteJSON writes the comparison as one JSON document.
func (c *Comparison) WriteJSON(w io.Writer) error { return writeJSON(w, c) }

// WriteFile writes the comparison as Result.WriteFile does.
func (c *Comparison) WriteFile(path string) error { return writeFile(path, c.WriteJSON) }

// ReadResults reads what Result.WriteJSON or Comparison.WriteJSON wrote: one
// result, or those of the comparison.
func ReadResults(r io.Reader) ([]*Result, error) {
	document, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("bench: read result: %w", err)
	}
	var form struct {
		Schema  string            `json:"schema"`
		Results []json.RawMessage `json:"results"`
	}
	if err := json.Unmarshal(document, &form); err != nil {
		return nil, fmt.Errorf("bench: read result: %w", err)
	}
	if form.Schema != ComparisonSchema {
		res, err := ReadResult(bytes.NewReader(document))
		if err != nil {
			return nil, err
		}
		return []*Result{res}, nil
	}
	var results []*Result
	for i, part := range form.Results {
		res, err := ReadResult(bytes.NewReader(part))
		if err != nil {
			return nil, fmt.Errorf("target %d of a comparison: %w", i+1, err)
		}
		results = append(results, res)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("bench: read result: a comparison without results")
	}
	return results, nil
}
