package bench

import (
	"slices"
	"strings"
)

// Selector names a metric and, if Of is not empty, the scenarios it is meant
// in: by shape, by name or by title. In text Of stands behind the first word of
// the metric: "notify/prefix.p99" is notify.p99 of the shape prefix,
// "put/interference.max" is put.max of interference.
type Selector struct {
	Metric string // its full name, with the unit
	Of     string
}

// SelectorError says that a text selects no metric.
type SelectorError struct {
	Given string
	// Name is what was taken for the metric's name.
	Name string
}

func (e *SelectorError) Error() string { return "no such metric" }

// ParseSelector reads a selector. A metric that no run can have is a
// *SelectorError.
func ParseSelector(text string) (Selector, error) {
	name, of := text, ""
	if head, tail, ok := strings.Cut(text, "/"); ok {
		// What follows the slash ends at the first dot.
		shape, rest, dotted := strings.Cut(tail, ".")
		name, of = head, shape
		if dotted {
			name += "." + rest
		}
	}
	metric, ok := LookupMetric(strings.Replace(name, "p99.9", "p999", 1))
	if !ok || strings.Contains(text, "/") && of == "" {
		return Selector{}, &SelectorError{Given: text, Name: name}
	}
	return Selector{Metric: metric, Of: of}, nil
}

// String is the selector as ParseSelector reads it.
func (s Selector) String() string {
	name := ShortName(s.Metric)
	if s.Of == "" {
		return name
	}
	head, rest, _ := strings.Cut(name, ".")
	if rest == "" {
		return head + "/" + s.Of
	}
	return head + "/" + s.Of + "." + rest
}

// Select finds the runs that a selector means among scenarios that have its
// metric, by their titles. Without Of, a metric whose first word is one of the
// scenarios means that scenario in all its shapes, else it means all.
func (s Selector) Select(titles []string) (chosen []string) {
	head, _, _ := strings.Cut(s.Metric, ".")
	own := slices.ContainsFunc(titles, func(title string) bool { return titleName(title) == head })
	for _, title := range titles {
		name, shape, _ := strings.Cut(title, "/")
		switch {
		case s.Of == "" && own && name != head:
		case s.Of == "", s.Of == title, s.Of == name, s.Of == shape && (!own || name == head):
			chosen = append(chosen, title)
		}
	}
	return chosen
}

// SelectorOf is the shortest selector of a metric in one scenario among those
// that have it.
func SelectorOf(metric, title string, titles []string) Selector {
	name, shape, _ := strings.Cut(title, "/")
	for _, of := range []string{"", shape, name} {
		s := Selector{Metric: metric, Of: of}
		if got := s.Select(titles); len(got) == 1 && got[0] == title {
			return s
		}
	}
	return Selector{Metric: metric, Of: title}
}

func titleName(title string) string {
	name, _, _ := strings.Cut(title, "/")
	return name
}
