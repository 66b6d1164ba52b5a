package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// duration writes a time with a true minus.
func duration(ns float64) string { return minus(figure.Duration(time.Duration(ns))) }

func minus(text string) string { return strings.Replace(text, "-", "−", 1) }

// tickTime writes the times of an axis: "1 µs", "200 ms".
func tickTime(ns float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}} {
		if ns >= u.size*(1-1e-9) {
			return trimmed(ns/u.size) + " " + u.name
		}
	}
	return trimmed(ns) + " ns"
}

// tickCount writes the counts and rates of an axis: "500", "1,000", "20k".
func tickCount(v float64) string {
	switch {
	case v < 10_000:
		if v == math.Trunc(v) {
			return figure.Count(int64(v))
		}
		return trimmed(v)
	case v < 1e6*(1-1e-9):
		return trimmed(v/1e3) + "k"
	case v < 1e9*(1-1e-9):
		return trimmed(v/1e6) + "M"
	}
	return trimmed(v/1e9) + "G"
}

// trimmed writes a round number without what says nothing.
func trimmed(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v), "0"), ".")
}

// metricText writes the value of a metric by its unit.
func metricText(metric string, v float64) string {
	text := minus(bench.UnitOf(metric).Format(v))
	if bench.UnitOf(metric) == bench.PerS {
		text += "/s"
	}
	return text
}

// counted writes a number of things.
func counted(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return figure.Count(n) + " " + what
}

// stalls says what the stalled streams of a scene do: one of them, or many.
func stalls(sc bench.Scenario, one, many string) string {
	if sc.StalledStreams == 1 {
		many = one
	}
	return fmt.Sprintf("%s of %s %s", figure.Count(int64(sc.StalledStreams)), counted(int64(sc.Streams), "stream"), many)
}

// upper begins a sentence with a name; etcd stays as it writes itself.
func upper(s string) string {
	if s == "" || strings.HasPrefix(s, "etcd") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// shapeOf is the same behind their number, or nothing.
func shapeOf(sc bench.Scenario) string {
	if words := shapeWords(sc); words != "" {
		return ", " + words
	}
	return ""
}

// shapeWords say what the watchers of a scene watch.
func shapeWords(sc bench.Scenario) string {
	switch {
	case sc.Name == bench.Mixed:
		return "a whole resource each"
	case sc.Shape == bench.OneKey:
		return "one key each"
	case sc.Shape == bench.Ranges:
		return "a range each"
	case sc.Shape == bench.Prefix && (sc.Name == bench.Notify || sc.Name == bench.Slow):
		return "all of one prefix"
	case sc.Shape == bench.Prefix:
		return "the whole keyspace each"
	}
	return string(sc.Shape)
}

// loadWords say what is written while a scene is measured.
func loadWords(sc bench.Scenario) string {
	switch {
	case sc.Name == bench.Mixed && sc.FullSpeed:
		return "writes at full speed, reads beside them"
	case sc.Name == bench.Mixed:
		return figure.Rate(sc.RatePerS) + " writes/s, reads beside them"
	case sc.FullSpeed:
		return fmt.Sprintf("puts at full speed by %s", counted(int64(sc.Writers), "writer"))
	case sc.RatePerS > 0:
		return figure.Rate(sc.RatePerS) + " puts/s"
	}
	return "no puts"
}
