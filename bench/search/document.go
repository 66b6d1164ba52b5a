package search

import (
	"io"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Schema names the form of a Document as JSON.
const Schema = "watchbench.max/1"

// Document is a search with all its steps.
type Document struct {
	Schema   string            `json:"schema"`
	Complete bool              `json:"complete"` // the search came to its end
	MadeBy   bench.MadeBy      `json:"made_by"`
	Command  []string          `json:"command"`
	Started  time.Time         `json:"started"`
	Target   bench.TargetFacts `json:"target"`
	Machine  bench.Machine     `json:"machine"`
	Plan     bench.Plan        `json:"plan"` // of the first step
	Vary     string            `json:"vary"` // "rate", in puts a second, or "watchers"
	// Objectives as they were given.
	Objectives []string `json:"objectives"`
	Steps      []Step   `json:"steps"`
	Answer     Answer   `json:"answer"`
	// Broken is the promise that a step broke, if one did; there is no answer
	// then.
	Broken *bench.Broken `json:"broken,omitempty"`
	// Failed is why the search ended before its time, if it did.
	Failed string `json:"failed,omitempty"`
}

// Step is one load that was measured, or refused.
type Step struct {
	Load    int64   `json:"load"`
	Again   bool    `json:"again,omitempty"` // the answer, repeated
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	// Run has the figures; nil for a load that was not measured.
	Run *bench.Run `json:"run,omitempty"`
}

// WriteJSON writes the document.
func (d *Document) WriteJSON(w io.Writer) error { return bench.WriteDocument(w, d) }

// WriteFile writes the document as bench.Result.WriteFile does.
func (d *Document) WriteFile(path string) error { return bench.WriteWhole(path, d.WriteJSON) }
