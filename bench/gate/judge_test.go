package gate_test

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/gate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

// figures of one run, by title and metric.
type figures map[string]map[string]float64

// result has the figures, times a little more or less, in count repetitions.
func result(t *testing.T, count int, f figures) *bench.Result {
	t.Helper()
	plan, err := bench.Settings{Seed: 7, Count: count, Short: true, Scenarios: []string{bench.Notify, bench.CatchUp, bench.Interference}}.Plan()
	require.NoError(t, err)
	res := &bench.Result{
		Schema: bench.Schema, Complete: true, Plan: plan, Target: bench.TargetFacts{Kind: "embedded", Engine: "pebble", Durability: "sync"},
		Machine: bench.Machine{CPU: "AMD EPYC 9354", Cores: 16, OS: "linux 6.18", Filesystem: "ext4"},
	}
	spread := []float64{1, .98, 1.02, .99, 1.01, 1.03}
	for rep := range count {
		for i, sc := range plan.Scenarios {
			run := bench.Run{Scenario: sc.Title(), Repetition: rep + 1, Planned: i, Metrics: map[string]float64{}, NotMeasured: map[string]string{"slow.recovery_ns": "nobody stalled"}}
			for metric, v := range f[sc.Title()] {
				run.Metrics[metric] = v * spread[rep%len(spread)]
			}
			res.Runs = append(res.Runs, run)
		}
	}
	return res
}

var (
	before = figures{
		"notify/one-key": {"notify.p99_ns": 1.84e6, "put.max_ns": 30e6, "victims": 0, "ack_to_event.p50_ns": -5000},
		"notify/prefix":  {"notify.p99_ns": 3.7e6},
		"notify/ranges":  {"notify.p99_ns": 1.9e6},
		"catchup/whole":  {"catchup.events_per_s": 11.2e6}, "catchup/one-key": {"catchup.events_per_s": 111e3},
		"interference": {"put.max_ns": 38e6, "notify.p99_ns": 3e6},
	}
	after = changed(map[string]float64{"notify.p99_ns": 1.005, "catchup.events_per_s": .88, "put.max_ns": 1.09, "victims": 5, "ack_to_event.p50_ns": 1})
)

// changed is before with metrics multiplied; what was 0 becomes the factor.
func changed(by map[string]float64) figures {
	all := figures{}
	for title, metrics := range before {
		all[title] = maps.Clone(metrics)
		for metric, v := range metrics {
			all[title][metric] = v * by[metric]
			if v == 0 {
				all[title][metric] = by[metric]
			}
		}
	}
	return all
}

func gates(t *testing.T, texts ...string) (all []gate.Gate) {
	t.Helper()
	for _, text := range texts {
		g, err := gate.Parse(text)
		require.NoError(t, err)
		all = append(all, g)
	}
	return all
}

func judge(t *testing.T, old, new *bench.Result, texts ...string) []gate.Outcome {
	t.Helper()
	outcomes, err := gate.Judge(old, new, gates(t, texts...))
	require.NoError(t, err)
	return outcomes
}

func text(t *testing.T, outcomes []gate.Outcome) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, gate.Text(&buf, outcomes, gate.TextOptions{}))
	for line := range strings.Lines(buf.String()) {
		if !strings.HasPrefix(line, "FAIL") {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
		}
	}
	return buf.String()
}

var usual = []string{"notify.p99 +10%", "catchup.events_per_s -5%", "put/interference.max<250ms", "put/interference.max<40ms"}

func TestText(t *testing.T) {
	golden(t, "six.txt", text(t, judge(t, result(t, 6, before), result(t, 6, after), usual...)))
	golden(t, "three.txt", text(t, judge(t, result(t, 3, before), result(t, 3, after), usual...)))
	golden(t, "one.txt", text(t, judge(t, result(t, 1, before), result(t, 1, after), usual...)))
	golden(t, "short.txt", text(t, judge(t, result(t, 6, before), result(t, 6, after), "notify/one-key.p99 +10%", "put/one-key.max<250ms")))
}

func TestChanges(t *testing.T) {
	var buf bytes.Buffer
	require.NoError(t, gate.Changes(&buf, result(t, 6, before), result(t, 6, after), false, gate.TextOptions{}))
	golden(t, "changes.txt", buf.String())
}

func failed(outcomes []gate.Outcome) (names []string) {
	for _, o := range outcomes {
		if o.Failed {
			names = append(names, o.Name)
		}
	}
	return names
}

func TestAGateBindsEveryShapeBothHave(t *testing.T) {
	old, new := result(t, 6, before), result(t, 6, after)
	outcomes := judge(t, old, new, "notify.p99 +10%")
	var names []string
	for _, o := range outcomes {
		names = append(names, o.Name)
	}
	assert.Equal(t, []string{"notify/one-key.p99", "notify/prefix.p99", "notify/ranges.p99"}, names)

	new.Plan.Scenarios = new.Plan.Scenarios[:1] // the others were not asked for
	new.Runs = new.Runs[:1]
	assert.Len(t, judge(t, old, new, "notify.p99 +10%"), 1)
	assert.Equal(t, "notify.p99", judge(t, old, new, "notify.p99 +10%")[0].Name)
}

// Beyond the share and told from chance: both, or the gate holds.
func TestRelativeGates(t *testing.T) {
	old := result(t, 6, before)
	for by, want := range map[float64]bool{1.05: false, 1.2: true, .5: false} {
		new := result(t, 6, changed(map[string]float64{"notify.p99_ns": by}))
		assert.Equal(t, want, len(failed(judge(t, old, new, "notify/one-key.p99 +10%"))) == 1, "%g", by)
	}
	for by, want := range map[float64]bool{.97: false, .8: true, 1.5: false} {
		new := result(t, 6, changed(map[string]float64{"catchup.events_per_s": by}))
		assert.Equal(t, want, len(failed(judge(t, old, new, "catchup/whole.events_per_s -5%"))) == 1, "%g", by)
	}

	// Twice as much in the median, but half of the runs were as before.
	wild := result(t, 6, before)
	for i := range wild.Runs {
		if rep := wild.Runs[i].Repetition; rep%2 == 0 {
			wild.Runs[i].Metrics = map[string]float64{"notify.p99_ns": 1.7e6}
		} else {
			wild.Runs[i].Metrics = map[string]float64{"notify.p99_ns": 4e6}
		}
	}
	o := judge(t, old, wild, "notify/one-key.p99 +10%")[0]
	assert.Greater(t, o.Change.Ratio, .10)
	assert.False(t, o.Failed, "chance explains it: p=%g", o.Change.P)

	// One run a side goes by the figure alone.
	o = judge(t, result(t, 1, before), result(t, 1, changed(map[string]float64{"notify.p99_ns": 1.2})), "notify/one-key.p99 +10%")[0]
	assert.True(t, o.Failed)
	assert.Contains(t, o.Why(), "one run a side: by the figures alone")

	// Growth from nothing is beyond every share.
	o = judge(t, old, result(t, 6, after), "victims +100%")[0]
	assert.True(t, o.Failed)
	assert.Contains(t, o.Why(), "victims grew from 0, 100% is allowed")

	// Few runs have no spread of nothing, and go by the figures as well.
	for runs := 1; runs < 6; runs++ {
		o = judge(t, result(t, runs, before), result(t, runs, after), "victims +10%")[0]
		assert.True(t, o.Failed, "%d runs", runs)
		assert.Contains(t, o.Why(), "by the figures alone")
		assert.NotContains(t, text(t, []gate.Outcome{o}), "too few")
		stopped := result(t, runs, changed(map[string]float64{"catchup.events_per_s": 0}))
		assert.True(t, judge(t, result(t, runs, before), stopped, "catchup/whole.events_per_s -5%")[0].Failed, "%d runs", runs)
		assert.False(t, judge(t, result(t, runs, after), result(t, runs, before), "victims +10%")[0].Failed, "%d runs", runs)
	}
	some := result(t, 3, after)
	some.Runs[0].Metrics["victims"] = 0
	assert.False(t, judge(t, result(t, 3, before), some, "victims +10%")[0].Failed, "one run had none either")

	_, err := gate.Judge(old, result(t, 6, after), gates(t, "ack_to_event.p50 +10%"))
	require.EqualError(t, err, "ack_to_event.p50: a share of a figure below 0 says nothing; give a limit, such as 'ack_to_event.p50<1ms'")
}

func TestAbsentIsNeverAPass(t *testing.T) {
	old, new := result(t, 6, before), result(t, 6, after)
	for gateText, want := range map[string]string{
		"slow.recovery +10%":   "has no slow.recovery: nobody stalled",
		"put/slow.max<1s":      "has no put/slow.max: no scenario in it does",
		"fanout.took<1s":       "has no fanout.took: it was not measured",
		"notify/prefix.p99<1s": "",
	} {
		_, err := gate.Judge(old, new, gates(t, gateText))
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, want, gateText)
	}

	// One shape of several is missing on one side, though it was planned.
	for i := range new.Runs {
		if new.Runs[i].Scenario == "notify/prefix" {
			new.Runs[i].CutShort = true
		}
	}
	_, err := gate.Judge(old, new, gates(t, "notify.p99 +10%"))
	var absent *gate.AbsentError
	require.ErrorAs(t, err, &absent)
	assert.True(t, absent.New)
	assert.Equal(t, "has no notify/prefix.p99: it was cut short", err.Error())
}

func TestDifferences(t *testing.T) {
	old := result(t, 6, before)
	assert.Empty(t, gate.Differences(old, result(t, 3, after)), "repetitions and seed may differ")
	new := result(t, 6, after)
	new.Target.Durability, new.Machine.Cores, new.Machine.OS = "relaxed:100ms", 8, "linux 6.19"
	new.Plan.Scenarios[1].Watchers = 7
	assert.Equal(t, []string{"durability (sync, relaxed:100ms)", "cores (16, 8)", "load of notify/prefix (watchers 5000, 7)"}, gate.Differences(old, new))
	new = result(t, 6, after)
	new.Plan.Scenarios = nil
	assert.Equal(t, []string{"scenarios (none is in both)"}, gate.Differences(old, new))
}
