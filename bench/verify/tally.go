package verify

import (
	"sync"

	"github.com/watchkv/watchkv/watch/watchtest"
)

// tally gathers what the probes find. Safe for concurrent use.
type tally struct {
	mu     sync.Mutex // guards all below; a leaf
	seen   map[string]int64
	breaks map[string]*Break
	lacks  map[string]string // why a rule could not be looked at
	counts watchtest.Counts
}

// Break is a broken promise, with the shortest record that shows it.
type Break struct {
	Detail string `json:"detail"`
	Times  int64  `json:"times"` // how often it was seen
	Record []Line `json:"record"`
}

func newTally() *tally {
	return &tally{seen: map[string]int64{}, breaks: map[string]*Break{}, lacks: map[string]string{}}
}

// saw counts how often a rule could have broken.
func (t *tally) saw(rule string, times int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[rule] += times
}

// broke tells of a break. The shortest record of a rule is kept.
func (t *tally) broke(rule, detail string, record []Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.breaks[rule]
	if b == nil {
		t.breaks[rule] = &Break{Detail: detail, Times: 1, Record: record}
		return
	}
	b.Times++
	if len(record) < len(b.Record) {
		b.Detail, b.Record = detail, record
	}
}

// isBroken reports whether a break of the rule was seen.
func (t *tally) isBroken(rule string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.breaks[rule] != nil
}

// lacking tells why a rule could not be looked at; the first reason is kept.
func (t *tally) lacking(rule, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lacks[rule] == "" {
		t.lacks[rule] = why
	}
}

// checked adds what the checker of one watch looked at.
func (t *tally) checked(c watchtest.Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.Add(c)
}
