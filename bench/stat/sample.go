package stat

import (
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Sample is what the repetitions of a scenario say about one metric.
type Sample struct {
	Values []float64 // in the order they were measured
	Absent string    // why there is none, for people; empty where there are
	// Cut counts the values of repetitions that were cut short; Done is the
	// least part of what was planned that one of them did, After the time that
	// it was measured for.
	Cut   int
	Done  float64
	After time.Duration
}

// Of collects a metric, by its full name, of a scenario, by its title.
func Of(res *bench.Result, scenario, metric string) Sample {
	s := Sample{Done: 1}
	ran := false
	for _, run := range res.Runs {
		if run.Scenario != scenario {
			continue
		}
		ran = true
		v, ok := run.Metrics[metric]
		if !ok {
			if why := run.NotMeasured[metric]; why != "" {
				s.Absent = why
			}
			continue
		}
		s.Values = append(s.Values, v)
		if run.CutShort {
			s.Cut++
			if done, known := run.Metrics["done_ratio"]; known && done < s.Done {
				s.Done, s.After = done, time.Duration(run.Metrics["measured_ns"])
			}
		}
	}
	switch {
	case len(s.Values) > 0:
		s.Absent = ""
	case res.Broken != nil:
		s.Absent = "it broke " + res.Broken.Rule + " " + res.Broken.Name
	case s.Absent != "":
	case res.Failed != "":
		s.Absent = strings.ReplaceAll(res.Failed, "\n", "; ")
	case !ran:
		s.Absent = "it did not run"
	default:
		s.Absent = "it was not measured"
	}
	return s
}
