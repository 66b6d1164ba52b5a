package scenariofile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// field is one setting of a scenario.
type field struct {
	name string
	text string // what it is, for a comment
	own  bool   // of one scenario or two; its default may follow from the others
	// set reads the value; an error says what would be right.
	set func(s *bench.Settings, text string) error
	// get writes the value of a complete scenario; "" is none.
	get func(sc bench.Scenario) string
}

// fields are all settings but the name, in the order of a file.
var fields = []field{
	{"shape", "what a watch is of: one-key, prefix (all the same), ranges", false,
		func(s *bench.Settings, text string) error {
			switch shape := bench.Shape(text); shape {
			case bench.OneKey, bench.Prefix, bench.Ranges, bench.All:
				s.Shape = shape
				return nil
			}
			return errors.New("unknown; one of one-key, prefix, ranges, all")
		},
		func(sc bench.Scenario) string { return string(sc.Shape) }},
	{"watchers", "watches", false,
		count(func(s *bench.Settings) *int { return &s.Watchers }),
		func(sc bench.Scenario) string { return number(sc.Watchers) }},
	{"streams", "consumers that they are dealt out to", false,
		count(func(s *bench.Settings) *int { return &s.Streams }),
		func(sc bench.Scenario) string { return number(sc.Streams) }},
	{"rate", "intended puts a second, by the clock; max: as fast as they are answered", false,
		func(s *bench.Settings, text string) error {
			if text == "max" {
				s.FullSpeed = true
				return nil
			}
			rate, err := rateOf(text)
			s.Rate = rate
			return err
		},
		func(sc bench.Scenario) string {
			if sc.FullSpeed {
				return "max"
			}
			return real(sc.RatePerS)
		}},
	{"writers", "puts that may wait for their answer at the same time", false,
		count(func(s *bench.Settings) *int { return &s.Writers }),
		func(sc bench.Scenario) string { return number(sc.Writers) }},
	{"keys", "distinct keys that are put", false,
		count(func(s *bench.Settings) *int { return &s.Keys }),
		func(sc bench.Scenario) string { return number(sc.Keys) }},
	{"value-size", "bytes of each value", false,
		func(s *bench.Settings, text string) error {
			n, err := figure.ParseSize(text)
			size := int(n)
			s.ValueBytes = &size
			return err
		},
		func(sc bench.Scenario) string {
			if sc.Name == bench.Mixed { // has sizes of its own
				return ""
			}
			return strconv.Itoa(sc.ValueBytes)
		}},
	{"history", "revisions written before, for watchers to read", false,
		func(s *bench.Settings, text string) (err error) {
			s.History, err = positive(text)
			return err
		},
		func(sc bench.Scenario) string {
			if sc.Name == bench.Mixed { // as many as keys
				return ""
			}
			return number(sc.History)
		}},
	{"warmup", "comes before the duration and is not measured", false,
		func(s *bench.Settings, text string) error {
			d, err := figure.ParseDuration(text)
			s.Warmup = &d
			return err
		},
		func(sc bench.Scenario) string {
			if sc.Duration == 0 {
				return ""
			}
			return length(sc.Warmup)
		}},
	{"duration", "is measured", false,
		func(s *bench.Settings, text string) error { return duration(&s.Duration, text) },
		func(sc bench.Scenario) string { return optional(sc.Duration) }},
	{"stalled-streams", "stop reading; left out: a tenth", true,
		count(func(s *bench.Settings) *int { return &s.Own.StalledStreams }),
		func(sc bench.Scenario) string { return number(sc.StalledStreams) }},
	{"stall", "for so long, in the middle; left out: a third of the duration", true,
		func(s *bench.Settings, text string) error { return duration(&s.Own.Stall, text) },
		func(sc bench.Scenario) string { return optional(sc.Stall) }},
	{"bystanders", "watches that are synced all the time", true,
		count(func(s *bench.Settings) *int { return &s.Own.Bystanders }),
		func(sc bench.Scenario) string { return number(sc.Bystanders) }},
	{"quiet", "part of the duration before anybody replays or comes; left out: half", true,
		func(s *bench.Settings, text string) error { return duration(&s.Own.Quiet, text) },
		func(sc bench.Scenario) string { return optional(sc.Quiet) }},
	{"visitors", "watches at a time that come and go; left out: all are there after a quarter", true,
		count(func(s *bench.Settings) *int { return &s.Own.Visitors }),
		func(sc bench.Scenario) string { return number(sc.Visitors) }},
	{"churn-rate", "of them begin a second, by the clock, and as many end", true,
		func(s *bench.Settings, text string) (err error) {
			s.Own.ChurnPerS, err = rateOf(text)
			return err
		},
		func(sc bench.Scenario) string { return real(sc.ChurnPerS) }},
	{"behind", "watches that have not read the history when it is cut", true,
		count(func(s *bench.Settings) *int { return &s.Own.Behind }),
		func(sc bench.Scenario) string { return number(sc.Behind) }},
	{"cuts", "how often history is cut, in the middle third", true,
		count(func(s *bench.Settings) *int { return &s.Own.Cuts }),
		func(sc bench.Scenario) string { return number(sc.Cuts) }},
}

func positive(text string) (int64, error) {
	n, err := figure.ParseCount(text)
	if err == nil && n < 1 {
		err = errors.New("at least 1 is needed")
	}
	return n, err
}

func count(to func(*bench.Settings) *int) func(*bench.Settings, string) error {
	return func(s *bench.Settings, text string) error {
		n, err := positive(text)
		*to(s) = int(n)
		return err
	}
}

// rateOf reads events a second, which may be a fraction.
func rateOf(text string) (float64, error) {
	if n, err := figure.ParseCount(text); err == nil && n > 0 {
		return float64(n), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || v > 1e9 {
		return 0, errors.New("not a rate; write 500, 5k or 0.5")
	}
	return v, nil
}

func duration(to *time.Duration, text string) (err error) {
	*to, err = figure.ParseDuration(text)
	if err == nil && *to <= 0 {
		err = errors.New("not above 0; write 10s or 10m")
	}
	return err
}

// number writes a count exactly; 0 is none.
func number[T int | int64](n T) string {
	switch {
	case n == 0:
		return ""
	case n%1_000_000 == 0:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n%1000 == 0:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}

func real(v float64) string {
	if v == 0 {
		return ""
	}
	if v == float64(int64(v)) {
		return number(int64(v))
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// length writes a time as people do: 1m and not 1m0s.
func length(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func optional(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return length(d)
}
