package bench_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
)

func TestParseSelector(t *testing.T) {
	for text, want := range map[string]bench.Selector{
		"notify.p99":                 {Metric: "notify.p99_ns"},
		"notify.p99.9":               {Metric: "notify.p999_ns"},
		"notify/prefix.p99":          {Metric: "notify.p99_ns", Of: "prefix"},
		"notify/prefix.p99_ns":       {Metric: "notify.p99_ns", Of: "prefix"},
		"put/interference.max":       {Metric: "put.max_ns", Of: "interference"},
		"victims":                    {Metric: "victims"},
		"victims/slow":               {Metric: "victims", Of: "slow"},
		"catchup.events_per_s":       {Metric: "catchup.events_per_s"},
		"catchup/whole.events_per_s": {Metric: "catchup.events_per_s", Of: "whole"},
	} {
		got, err := bench.ParseSelector(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		back, err := bench.ParseSelector(got.String())
		require.NoError(t, err)
		assert.Equal(t, got, back, "%s is read as it was written", got)
	}
	for _, text := range []string{"", "notify.p98", "notify/.p99", "/prefix.p99", "notify/prefix", "/", "nothing", "victims/", "victims/slow."} {
		_, err := bench.ParseSelector(text)
		var wrong *bench.SelectorError
		require.ErrorAs(t, err, &wrong, text)
	}
}

func TestSelect(t *testing.T) {
	all := []string{"notify/one-key", "notify/prefix", "notify/ranges", "slow", "interference"}
	for text, want := range map[string][]string{
		"notify.p99":           {"notify/one-key", "notify/prefix", "notify/ranges"},
		"notify/prefix.p99":    {"notify/prefix"},
		"notify/slow.p99":      {"slow"},
		"put.max":              all,
		"put/prefix.max":       {"notify/prefix"},
		"put/notify.max":       {"notify/one-key", "notify/prefix", "notify/ranges"},
		"put/interference.max": {"interference"},
		"notify/storm.p99":     nil,
	} {
		s, err := bench.ParseSelector(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, s.Select(all), text)
	}
	assert.Equal(t, []string{"slow"}, bench.Selector{Metric: "notify.p99_ns"}.Select([]string{"slow"}), "no notify among them")
}

func TestSelectorOf(t *testing.T) {
	all := []string{"notify/one-key", "notify/prefix", "slow", "catchup/one-key"}
	for title, want := range map[string]string{
		"notify/one-key": "notify/one-key.p99", "notify/prefix": "notify/prefix.p99", "slow": "notify/slow.p99",
	} {
		assert.Equal(t, want, bench.SelectorOf("notify.p99_ns", title, all).String())
	}
	assert.Equal(t, "put/prefix.max", bench.SelectorOf("put.max_ns", "notify/prefix", all).String())
	assert.Equal(t, "notify.p99", bench.SelectorOf("notify.p99_ns", "notify/prefix", []string{"notify/prefix", "slow"}).String())
	for _, title := range all {
		assert.Equal(t, []string{title}, bench.SelectorOf("put.p99_ns", title, all).Select(all), "found again")
	}
}
