// Package search finds the largest load that holds an objective.
//
// A [Search] is stepped from outside: [Search.Next] says which load to measure,
// [Search.Tell] takes what came of it. It climbs by four from the start, or
// falls by four while nothing holds, then halves the gap between the largest
// load that held and the smallest that did not to [Gap], and repeats the
// answer twice. An answer that does not hold again is given up for the largest
// below it. [Judge] tells what came of a measured step.
package search

import (
	"errors"
	"fmt"
	"math"
)

const (
	// Gap is how far apart, as a share of the larger, the load that holds and
	// the one that does not may be at the end.
	Gap = .05
	// factor of climbing, and of falling.
	factor = 4
	// repeats of the answer.
	repeats = 2
)

// Outcome is what came of a load.
type Outcome string

// The outcomes.
const (
	Held   Outcome = "held"
	Missed Outcome = "missed" // the target did not hold the objective
	// Client: it was not held, and the generator was the bottleneck, so that
	// nothing is known about the target.
	Client Outcome = "client"
	// Refused: the load was not measured, because the target may not be
	// loaded with it.
	Refused Outcome = "refused"
)

// Config says where to search.
type Config struct {
	Start int64 // the first load; within Least and Most
	Least int64 // at least 1
	Most  int64
	Steps int // that are taken at most
}

// Search is a search under way. One caller at a time.
type Search struct {
	config  Config
	steps   int
	held    []int64 // that held, ascending
	above   int64   // the smallest that did not; 0: none
	why     Outcome // of above
	ceiling int64   // what a load above it achieved; 0: unknown
	again   int     // how often the largest of held was repeated
	over    bool    // nothing more can be learnt about the largest of held
}

// New begins a search.
func New(c Config) (*Search, error) {
	switch {
	case c.Least < 1 || c.Most < c.Least:
		return nil, fmt.Errorf("search: from %d to %d is no range", c.Least, c.Most)
	case c.Start < c.Least || c.Start > c.Most:
		return nil, fmt.Errorf("search: start %d is not within %d and %d", c.Start, c.Least, c.Most)
	case c.Steps < 1:
		return nil, errors.New("search: at least one step is needed")
	}
	return &Search{config: c}, nil
}

// best is the largest load that held; 0: none did.
func (s *Search) best() int64 {
	if len(s.held) == 0 {
		return 0
	}
	return s.held[len(s.held)-1]
}

// Next is the load to measure now; again: it is the answer so far, repeated.
// more is false at the end.
func (s *Search) Next() (load int64, again, more bool) {
	if s.over || s.steps >= s.config.Steps {
		return 0, false, false
	}
	if load := s.candidate(); load > 0 {
		return load, false, true
	}
	if s.best() > 0 && s.again < repeats {
		return s.best(), true, true
	}
	return 0, false, false
}

// candidate is the next load that is new; 0: there is none worth it.
func (s *Search) candidate() int64 {
	best := s.best()
	switch {
	case best == 0 && s.above == 0:
		return s.config.Start
	case best == 0:
		if s.above <= s.config.Least {
			return 0
		}
		return max(s.config.Least, s.above/factor)
	case s.above == 0:
		if best >= s.config.Most {
			return 0
		}
		return min(s.config.Most, best*factor)
	}
	top := s.above
	if s.ceiling > best && s.ceiling < top {
		// A load above it achieved no more than this: the answer is below, but
		// for the last percents.
		top = s.ceiling
	}
	if close(best, top) && top < s.above {
		if top = s.between(round(float64(top))); top == 0 {
			return 0
		}
		return top
	}
	if close(best, top) {
		return 0
	}
	return s.between(round(float64(best+top) / 2))
}

// between is the load if it lies strictly between what held and what did not.
func (s *Search) between(load int64) int64 {
	if load <= s.best() || load >= s.above {
		return 0
	}
	return load
}

func close(low, high int64) bool { return float64(high-low) <= Gap*float64(high) }

// round takes a load to half of its second digit, which is 5% at most: 50,150
// to 50,000, 47,750 to 48,000.
func round(load float64) int64 {
	step := math.Max(1, math.Pow(10, math.Floor(math.Log10(load))-1)/2)
	return int64(math.Round(load/step) * step)
}

// Tell takes what came of the load that Next gave. achieved is how much was
// reached where that is less than the load; 0 is unknown.
func (s *Search) Tell(load int64, o Outcome, achieved int64) {
	s.steps++
	repeated := load == s.best()
	switch {
	case repeated && o == Held:
		s.again++
	case repeated && o == Refused:
		s.over = true
	case o == Held:
		s.held, s.again = append(s.held, load), 0
	default:
		if repeated {
			s.held, s.again = s.held[:len(s.held)-1], 0
		}
		s.above, s.why = load, o
		if achieved > 0 && achieved < load && o != Refused {
			s.ceiling = achieved
		}
	}
}

// Answer is what is known.
type Answer struct {
	Holds    int64   `json:"holds"`              // the largest load that held; 0: none did
	Fails    int64   `json:"fails,omitempty"`    // the smallest above it that did not; 0: none was found
	Limit    Outcome `json:"limit,omitempty"`    // why Fails did not hold
	Repeated int     `json:"repeated,omitempty"` // how often Holds held again
	// Unfinished: the steps were used up, or the search was stopped, before
	// the gap was closed and the answer repeated.
	Unfinished bool `json:"unfinished,omitempty"`
}

// Answer is what is known now.
func (s *Search) Answer() Answer {
	_, _, more := s.Next()
	unfinished := more || s.steps >= s.config.Steps && s.again < repeats && !(s.best() == 0 && s.above <= s.config.Least && s.above > 0)
	return Answer{Holds: s.best(), Fails: s.above, Limit: s.why, Repeated: s.again, Unfinished: unfinished || s.over && s.again < repeats}
}
