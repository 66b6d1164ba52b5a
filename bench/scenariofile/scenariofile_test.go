package scenariofile_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/scenariofile"
)

func unchanged(*bench.Settings) {}

// What is written of a plan gives the same plan again, for every scenario.
func TestRoundTrip(t *testing.T) {
	half, tiny := 1500*time.Millisecond, 7
	for _, s := range []bench.Settings{
		{Scenarios: bench.ScenarioNames()},
		{},
		{Scenarios: bench.ScenarioNames(), Shape: bench.All, Watchers: 777, Streams: 7, Rate: 333, Keys: 2000, ValueBytes: &tiny, History: 12345, Duration: 90 * time.Second, Warmup: &half},
		{Scenarios: []string{bench.Notify, bench.Slow}, FullSpeed: true, Writers: 3},
	} {
		plan, err := s.Plan()
		require.NoError(t, err)
		text := scenariofile.Write(plan)
		file, err := scenariofile.Parse("x.yaml", []byte(text))
		require.NoError(t, err, text)
		again, err := bench.PlanAll(file.Scenarios, unchanged)
		require.NoError(t, err)
		assert.Equal(t, plan.Scenarios, again.Scenarios, text)
		for line := range strings.SplitSeq(text, "\n") {
			assert.LessOrEqual(t, len(line), 110, line)
		}
	}
}

// What a scenario has for itself is read, and only where it is of use.
func TestOwnSettings(t *testing.T) {
	file, err := scenariofile.Parse("own.yaml", []byte(`
seed: 18446744073709551615
count: 2
scenarios:
  - {name: slow, watchers: 5k, streams: 20, stalled-streams: 4, stall: 2s, duration: 10s}
  - {name: churn, visitors: 2k, churn-rate: 0.5, quiet: 1m, duration: 2m}
  - {name: compaction, behind: 600, cuts: 9}
  - {name: storm, bystanders: 1}
  - {name: notify, shape: prefix, rate: max}
`))
	require.NoError(t, err)
	assert.Equal(t, uint64(1<<64-1), *file.Seed)
	assert.Equal(t, 2, file.Count)
	plan, err := bench.PlanAll(file.Scenarios, unchanged)
	require.NoError(t, err)
	slow, churn, compaction, storm, notify := plan.Scenarios[0], plan.Scenarios[1], plan.Scenarios[2], plan.Scenarios[3], plan.Scenarios[4]
	assert.Equal(t, 4, slow.StalledStreams)
	assert.Equal(t, 2*time.Second, slow.Stall)
	assert.Equal(t, 2000, churn.Visitors)
	assert.Equal(t, 0.5, churn.ChurnPerS)
	assert.Equal(t, time.Minute, churn.Quiet)
	assert.Equal(t, []int{600, 9}, []int{compaction.Behind, compaction.Cuts})
	assert.Equal(t, 1, storm.Bystanders)
	assert.True(t, notify.FullSpeed)
}

// Flags stand for all scenarios, and one of no use at all is refused.
func TestPlanAll(t *testing.T) {
	file, err := scenariofile.Parse("x.yaml", []byte("scenarios: [{name: catchup, history: 500}, {name: slow, watchers: 90}]"))
	require.NoError(t, err)
	plan, err := bench.PlanAll(file.Scenarios, func(s *bench.Settings) { s.Duration, s.Seed = 5*time.Second, 3 })
	require.NoError(t, err)
	assert.Equal(t, uint64(3), plan.Seed)
	assert.Zero(t, plan.Scenarios[0].Duration, "catchup takes until all are synced")
	assert.Equal(t, 5*time.Second, plan.Scenarios[2].Duration)
	assert.Equal(t, 90, plan.Scenarios[2].Watchers)

	require.NoError(t, file.Only([]string{bench.CatchUp}))
	_, err = bench.PlanAll(file.Scenarios, func(s *bench.Settings) { s.Duration = 5 * time.Second })
	var wrong *bench.SettingError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, "duration", wrong.Setting)
	assert.ErrorContains(t, file.Only([]string{bench.Slow}), "has no scenario slow")
}

func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "x.yaml: is empty; watchbench scenarios NAME --yaml prints a whole one",
		"# nothing":          "x.yaml: is empty; watchbench scenarios NAME --yaml prints a whole one",
		"seed: 7":            "x.yaml:1: scenarios is missing: a list, each with a name",
		"scenarios: slow":    `x.yaml:1: scenarios: "slow"; a list is needed, each entry begins with - name:`,
		"scenarios: []":      "x.yaml:1: scenarios: the list is empty",
		"- name: slow":       "x.yaml:1: the file is a list; NAME: VALUE is needed",
		"scenarios: [slow]":  `x.yaml:1: a scenario is "slow"; NAME: VALUE is needed`,
		"scenaros: []":       `x.yaml:1: "scenaros": unknown field; did you mean "scenarios"?`,
		"a: [":               "x.yaml:1: not YAML: did not find expected node content",
		"seed: x":            `x.yaml:1: seed: "x": not a whole number from 0 to 18446744073709551615`,
		"count: 0":           `x.yaml:1: count: "0": not a count; write 6`,
		"seed: 1\nseed: 2":   "x.yaml:2: seed comes twice",
		"--- {}\n--- {}\n":   "x.yaml:2: a second document; several scenarios are entries of one list",
		"scenarios:\n- {}\n": "x.yaml:2: name is missing: which scenario is it?",
	} {
		_, err := scenariofile.Parse("x.yaml", []byte(text))
		assert.EqualError(t, err, want, text)
	}
	for entry, want := range map[string]string{
		"name: stom":               `name: "stom": unknown; did you mean "storm"?`,
		"watchers: 5oo":            `watchers: "5oo": not a count; write 500, 5k or 1M`,
		"watchers: [5]":            "watchers: a list; one value is needed",
		"watchers:":                "watchers: nothing; one value is needed",
		"watchers: 0":              `watchers: "0": at least 1 is needed`,
		"watcher: 5":               `"watcher": unknown field; did you mean "watchers"?`,
		"duration: 10":             `duration: "10": unit is missing; write 10s or 10m`,
		"duration: -1s":            `duration: "-1s": not above 0; write 10s or 10m`,
		"duration: 100h":           "duration 100h0m0s: from 100ms to 24h is possible",
		"value-size: 256kb":        `value-size: "256kb": not a size; write 256, 4KiB or 1MiB`,
		"rate: fast":               `rate: "fast": not a rate; write 500, 5k or 0.5`,
		"shape: round":             `shape: "round": unknown; one of one-key, prefix, ranges, all`,
		"history: 7":               "history 7: no history is read in slow; leave it out",
		"cuts: 7":                  "cuts 7: slow has no use for it, only compaction; leave it out",
		"stalled-streams: 1k":      "stalled-streams 1,000: from 1 to 20 is possible",
		"streams: 9k":              "streams 9,000: more than the 5,000 watchers of slow",
		"? [a, b]\n    : c":        `"": unknown field; known are name, `,
		"keys: &a 5\n    x: *a":    `"x": unknown field; known are name, `,
		"keys: 5\n    streams: *a": "not YAML: unknown anchor 'a' referenced",
	} {
		text := "scenarios:\n  - name: slow\n    " + entry + "\n"
		if strings.HasPrefix(entry, "name") {
			text = "scenarios:\n\n  - " + entry + "\n"
		}
		_, err := scenariofile.Parse("x.yaml", []byte(text))
		var at *scenariofile.Error
		require.ErrorAs(t, err, &at, text)
		assert.Contains(t, at.Error(), want, text)
		assert.NotContains(t, at.Error(), "\n")
		if !strings.Contains(entry, "\n") {
			assert.Equal(t, 3, at.Line, text)
		}
	}
	_, err := scenariofile.Parse("x.yaml", make([]byte, scenariofile.MaxBytes+1))
	assert.ErrorContains(t, err, "are no scenario file")
}

// Whatever is in a file, it is a plan or an error of one line.
func FuzzParse(f *testing.F) {
	plan, err := bench.Settings{Scenarios: bench.ScenarioNames()}.Plan()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(scenariofile.Write(plan)))
	f.Add([]byte("scenarios: [{name: slow, rate: max}, {name: churn, quiet: 1s}]"))
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := scenariofile.Parse("x.yaml", data)
		if err != nil {
			var at *scenariofile.Error
			if !errors.As(err, &at) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		plan, err := bench.PlanAll(file.Scenarios, unchanged)
		if err != nil {
			t.Fatalf("parsed, and then: %v", err)
		}
		again, err := scenariofile.Parse("again.yaml", []byte(scenariofile.Write(plan)))
		if err != nil {
			t.Fatalf("written, and then: %v\n%s", err, scenariofile.Write(plan))
		}
		if second, err := bench.PlanAll(again.Scenarios, unchanged); err != nil || !assert.ObjectsAreEqual(plan.Scenarios, second.Scenarios) {
			t.Fatalf("%v: %+v and %+v", err, plan.Scenarios, second.Scenarios)
		}
	})
}
