package gate_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/gate"
)

func of(metric, of string, d gate.Demand, limit float64) gate.Gate {
	return gate.Gate{Selector: bench.Selector{Metric: metric, Of: of}, Demand: d, Limit: limit}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]gate.Gate{
		"notify.p99 +10%":            of("notify.p99_ns", "", gate.MayGrow, .10),
		"notify.p99+10%":             of("notify.p99_ns", "", gate.MayGrow, .10),
		" notify.p99  + 2.5 % ":      of("notify.p99_ns", "", gate.MayGrow, .025),
		"notify/one-key.p99 +0%":     of("notify.p99_ns", "one-key", gate.MayGrow, 0),
		"catchup.events_per_s -5%":   of("catchup.events_per_s", "", gate.MayFall, .05),
		"put.max<250ms":              of("put.max_ns", "", gate.Below, 250e6),
		"put.max < 1s":               of("put.max_ns", "", gate.Below, 1e9),
		"put/interference.max<250ms": of("put.max_ns", "interference", gate.Below, 250e6),
		"catchup.events_per_s>1M":    of("catchup.events_per_s", "", gate.Above, 1e6),
		"victims<1":                  of("victims", "", gate.Below, 1),
		"victims_ratio<2%":           of("victims_ratio", "", gate.Below, .02),
		"memory.heap_max<64MiB":      of("memory.heap_max_bytes", "", gate.Below, 64<<20),
	} {
		got, err := gate.Parse(text)
		require.NoError(t, err, text)
		assert.InDelta(t, want.Limit, got.Limit, 1e-9, text)
		got.Limit = want.Limit
		assert.Equal(t, want, got, text)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "not a gate; write 'notify.p99 +10%', 'catchup.events_per_s -5%' or 'put.max<250ms'",
		"10%":                     "not a gate; write 'notify.p99 +10%', 'catchup.events_per_s -5%' or 'put.max<250ms'",
		"notify.p99":              "a demand is missing; write 'notify.p99 +10%', 'notify.p99 -10%', or a limit behind < or >",
		"notify.p98 +10%":         "no such metric",
		"notify.p99 +x%":          `"x" is no number of percents; write +10% or -5%`,
		"notify.p99 +%":           `"" is no number of percents; write +10% or -5%`,
		"notify.p99 +1e3%":        `"1e3" is no number of percents; write +10% or -5%`,
		"notify.p99 +nan%":        `"nan" is no number of percents; write +10% or -5%`,
		"put.max -120%":           "nothing falls by more than 100%; write less, or a limit: put.max>0",
		"put.max<250":             `"250": unit is missing; write 250s or 250m`,
		"put.max<":                "a value is missing after <",
		"put.max<=250ms":          "there is only < and >; figures are never that equal",
		"put.max<soon":            `"soon": not a time; write 10s, 1m30s or 500ms`,
		"put.maximum<1s":          "no such metric",
		"memory.heap_max<64M":     `"64M": not a size; write 256, 4KiB or 1MiB`,
		"catchup.events_per_s>-x": `"-x": not a number; write 500, 1.5 or 5k`,
	} {
		_, err := gate.Parse(text)
		require.EqualError(t, err, want, text)
	}
	_, err := gate.ParseObjective("notify.p99 +10%")
	require.EqualError(t, err, "not an objective; write 'notify.p99<20ms' or 'catchup.events_per_s>1M'")
}

// Whatever is accepted has a metric and a limit that is a number, and is
// written so that it is accepted again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"notify.p99 +10%", "catchup.events_per_s -5%", "put.max<250ms", "notify/one-key.p99>1", "victims_ratio<2%", "a/b.c<d", "-1%", "cpu.cores<1.5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g, err := gate.Parse(text)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error that says nothing")
			}
			return
		}
		if _, ok := bench.LookupMetric(g.Metric); !ok {
			t.Fatalf("%q gives the metric %q", text, g.Metric)
		}
		if math.IsNaN(g.Limit) || math.IsInf(g.Limit, 0) || g.Allowed() == "" {
			t.Fatalf("%q gives the limit %v", text, g.Limit)
		}
		if g.Demand == gate.MayGrow || g.Demand == gate.MayFall {
			again, err := gate.Parse(g.String())
			if err != nil || again.Selector != g.Selector || again.Demand != g.Demand || math.Abs(again.Limit-g.Limit) > 1e-9*math.Abs(g.Limit) {
				t.Fatalf("%q is written %q, and read as %+v, %v", text, g, again, err)
			}
		}
	})
}
