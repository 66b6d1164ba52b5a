package bench

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// excuse passes over a broken promise that is allowed to break, and takes it
// down.
func (s *session) excuse(b *watchtest.Broken) bool {
	if !slices.Contains(s.options.Allowed, b.ID) {
		return false
	}
	s.allowedMu.Lock()
	defer s.allowedMu.Unlock()
	for i := range s.allowed {
		if s.allowed[i].Rule == b.ID {
			s.allowed[i].Watches++
			return true
		}
	}
	s.allowed = append(s.allowed, Allowed{Broken: *recordOf(b, b, s.sc), Watches: 1})
	return true
}

// allowedBreaks are the promises that broke and were allowed to; their
// verdicts say so. The consumers must be over.
func (s *session) allowedBreaks(promises []Promise) []Allowed {
	s.allowedMu.Lock()
	defer s.allowedMu.Unlock()
	for _, a := range s.allowed {
		for i := range promises {
			if promises[i].Rule == a.Rule {
				promises[i].Verdict = string(watchtest.BrokenOnce)
			}
		}
	}
	return s.allowed
}

// allowed names the promises that broke and were allowed to: rules, and a line
// for each.
func (r *report) allowed() (rules, lines []string) {
	for _, run := range r.res.Runs {
		for _, a := range run.Allowed {
			if slices.Contains(rules, a.Rule) {
				continue
			}
			rules = append(rules, a.Rule)
			text := fmt.Sprintf("%s %s, allowed: %s; %s, %s", a.Rule, a.Name, a.Detail, countedWatches(a.Watches), a.Scenario)
			lines = append(lines, wrap("  BROKEN", verdictIndent, strings.Fields(text))...)
		}
	}
	return rules, lines
}

func countedWatches(n int64) string {
	if n == 1 {
		return "1 watch"
	}
	return figure.Count(n) + " watches"
}
