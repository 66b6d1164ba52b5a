package bench

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// Unit is what a metric is counted in: the end of its name.
type Unit string

// The units. Everything else is a plain number.
const (
	Nanoseconds Unit = "_ns"
	BytesPerS   Unit = "_bytes_per_s"
	PerS        Unit = "_per_s"
	Bytes       Unit = "_bytes"
	Ratio       Unit = "_ratio"
	Plain       Unit = ""
)

// UnitOf is the unit of a metric.
func UnitOf(metric string) Unit {
	if strings.HasSuffix(metric, "bytes_per_s") {
		return BytesPerS
	}
	for _, u := range []Unit{Nanoseconds, PerS, Bytes, Ratio} {
		if strings.HasSuffix(metric, string(u)) {
			return u
		}
	}
	return Plain
}

// Format writes a value for people.
func (u Unit) Format(v float64) string {
	switch {
	case v < 0:
		return "-" + u.Format(-v)
	case u == Nanoseconds:
		return figure.Duration(time.Duration(v))
	case u == BytesPerS:
		return figure.Plain(v/1e6) + " MB/s"
	case u == PerS:
		return figure.Rate(v)
	case u == Bytes:
		return figure.Bytes(int64(v))
	case u == Ratio:
		return figure.Percent(v)
	case v == math.Trunc(v):
		return figure.Count(int64(v))
	}
	return figure.Plain(v)
}

// errValue is for people, after the text that is no value.
var errValue = errors.New("not a number; write 500, 1.5 or 5k")

// Parse reads a value as people write it: 20ms, 64MiB, 5%, 11.2M, 500.
func (u Unit) Parse(text string) (float64, error) {
	switch u {
	case Nanoseconds:
		if text == "0" {
			return 0, nil
		}
		d, err := figure.ParseDuration(text)
		return float64(d), err
	case Bytes, BytesPerS:
		n, err := figure.ParseSize(strings.TrimSuffix(text, "/s"))
		return float64(n), err
	case Ratio:
		if share, ok := strings.CutSuffix(text, "%"); ok {
			v, err := number(share)
			return v / 100, err
		}
	}
	if n, err := figure.ParseCount(text); err == nil {
		return float64(n), nil
	}
	return number(text)
}

func number(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || strings.ContainsAny(text, "xXpP_") {
		return 0, errValue
	}
	return v, nil
}

// ShortName is a metric's name without its unit, where that is still the name
// of no other metric. Rates keep theirs: "notify.p99", "catchup.events_per_s".
func ShortName(metric string) string {
	u := UnitOf(metric)
	if u == PerS || u == BytesPerS || u == Plain {
		return metric
	}
	short := strings.TrimSuffix(metric, string(u))
	if got, ok := LookupMetric(short); !ok || got != metric {
		return metric
	}
	return short
}

// LookupMetric finds a metric by its name, which may lack the unit where no
// other metric has the same name then.
func LookupMetric(name string) (metric string, ok bool) {
	all := MetricNames()
	if slices.Contains(all, name) {
		return name, true
	}
	for _, m := range all {
		if strings.TrimSuffix(m, string(UnitOf(m))) != name || UnitOf(m) == Plain {
			continue
		}
		if metric != "" {
			return "", false
		}
		metric = m
	}
	return metric, metric != ""
}
