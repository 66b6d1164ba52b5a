package bench_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

func TestMetricNamesWithoutTheirUnit(t *testing.T) {
	for name, want := range map[string]string{
		"notify.p99": "notify.p99_ns", "notify.p99_ns": "notify.p99_ns", "put.max": "put.max_ns",
		"catchup.events_per_s": "catchup.events_per_s", "catchup.events": "catchup.events",
		"put.rate": "put.rate_per_s", "victims": "victims", "memory.heap_max": "memory.heap_max_bytes",
		"done": "done_ratio", "notify.p98": "", "": "", "notify": "",
	} {
		got, ok := bench.LookupMetric(name)
		assert.Equal(t, want, got, name)
		assert.Equal(t, want != "", ok, name)
	}
	for metric, want := range map[string]string{
		"notify.p99_ns": "notify.p99", "catchup.events_per_s": "catchup.events_per_s", "victims": "victims",
		"victims_ratio": "victims_ratio", "memory.heap_max_bytes": "memory.heap_max", "done_ratio": "done",
	} {
		assert.Equal(t, want, bench.ShortName(metric))
	}
	for _, name := range bench.MetricNames() {
		got, ok := bench.LookupMetric(bench.ShortName(name))
		assert.True(t, ok, name)
		assert.Equal(t, name, got, "a short name finds its metric")
	}
}

func TestUnits(t *testing.T) {
	for _, c := range []struct {
		metric, text string
		value        float64
		shown        string
	}{
		{"notify.p99_ns", "20ms", 20e6, "20.0 ms"},
		{"notify.p99_ns", "0", 0, "0"},
		{"catchup.events_per_s", "11.2M", 11.2e6, "11.2M"},
		{"put.rate_per_s", "1500.5", 1500.5, "1,501"},
		{"memory.heap_max_bytes", "64MiB", 64 << 20, "64.0 MiB"},
		{"catchup.bytes_per_s", "500MB/s", 500e6, "500 MB/s"},
		{"victims_ratio", "2.1%", .021, "2.1%"},
		{"victims_ratio", "0.5", .5, "50%"},
		{"victims", "5k", 5000, "5,000"},
		{"cpu.cores", "1.25", 1.25, "1.25"},
		{"ack_to_event.p50_ns", "-1ms", -1e6, "-1.00 ms"},
	} {
		v, err := bench.UnitOf(c.metric).Parse(c.text)
		require.NoError(t, err, c.text)
		assert.InDelta(t, c.value, v, 1e-9, c.text)
		assert.Equal(t, c.shown, bench.UnitOf(c.metric).Format(v))
	}
	for metric, text := range map[string]string{
		"notify.p99_ns": "20", "victims": "NaN", "victims_ratio": "x%", "memory.heap_max_bytes": "64M", "put.rate_per_s": "0x10", "cpu.cores": "inf",
	} {
		_, err := bench.UnitOf(metric).Parse(text)
		assert.Error(t, err, metric)
	}
}
