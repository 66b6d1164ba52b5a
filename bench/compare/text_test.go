package compare_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
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

var (
	pebble = bench.TargetFacts{Kind: "embedded", Engine: "pebble", Durability: "sync"}
	bolt   = bench.TargetFacts{Kind: "embedded", Engine: "bolt", Durability: "sync"}
	badger = bench.TargetFacts{Kind: "embedded", Engine: "badger", Durability: "sync"}
	etcd   = bench.TargetFacts{Kind: "etcd", Version: "3.7.3", EtcdRules: true}
)

// spread of invented repetitions around their median.
var spread = []float64{1, .98, 1.02, .99, 1.01, 1.03}

// fixed is a result of count repetitions of notify and catchup, the figures of
// which are these and a little more or less.
func fixed(t *testing.T, facts bench.TargetFacts, count int, p99, p50, events float64) *bench.Result {
	t.Helper()
	plan, err := bench.Settings{Seed: 7, Count: count, Scenarios: []string{bench.Notify, bench.CatchUp}, Shape: bench.OneKey}.Plan()
	require.NoError(t, err)
	res := &bench.Result{Schema: bench.Schema, Complete: true, Plan: plan, Target: facts}
	promises := []bench.Promise{{Rule: "G1", Name: "ordered", Verdict: "kept", Checked: 9}, {Rule: "N6", Name: "bookmarkable", Verdict: "kept", Checked: 9}}
	if facts.EtcdRules {
		promises[1].Verdict = "not promised"
	}
	for rep := range count {
		f := spread[rep%len(spread)]
		notify := map[string]float64{"notify.p99_ns": p99 * f * 1e6, "notify.p50_ns": p50 * f * 1e6, "put.p99_ns": p50 * 2 * f * 1e6, "put.rate_per_s": 2000}
		missing := map[string]string{}
		if facts.EtcdRules {
			missing["victims"] = "not visible from outside"
		} else {
			notify["victims"] = 0
		}
		res.Runs = append(res.Runs,
			bench.Run{Scenario: "notify/one-key", Repetition: rep + 1, Metrics: notify, NotMeasured: missing, Promises: promises},
			bench.Run{Scenario: "catchup/one-key", Repetition: rep + 1, Planned: 1, Metrics: map[string]float64{"catchup.events_per_s": events * f, "victims": 0}, Promises: promises},
		)
	}
	return res
}

func text(t *testing.T, o compare.TextOptions, results ...*bench.Result) string {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, compare.Text(&buf, results, o))
	for line := range strings.Lines(buf.String()) {
		if !o.Color {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), max(80, o.Width), line)
		}
		assert.Equal(t, strings.TrimRight(line, " \n")+"\n", line, "no spaces at the end")
	}
	return buf.String()
}

// four targets, one of them a server whose catch-up was cut.
func four(t *testing.T) []*bench.Result {
	results := []*bench.Result{
		fixed(t, pebble, 6, 1.84, .312, 11.2e6), fixed(t, bolt, 6, 1.85, .33, 14.6e6),
		fixed(t, badger, 6, 2.63, .381, 10.4e6), fixed(t, etcd, 6, 6.12, .921, 131e3),
	}
	for i := range results[3].Runs {
		if run := &results[3].Runs[i]; run.Planned == 1 {
			run.CutShort = true
			run.Metrics["done_ratio"], run.Metrics["measured_ns"] = .026, 20e9
		}
	}
	return results
}

func TestTextColumns(t *testing.T) {
	golden(t, "columns.txt", text(t, compare.TextOptions{Width: 110}, four(t)...))
}

// In 80 columns a target is a block.
func TestTextBlocks(t *testing.T) {
	golden(t, "blocks.txt", text(t, compare.TextOptions{}, four(t)...))
}

func TestTextTwoFitEightyColumns(t *testing.T) {
	golden(t, "two.txt", text(t, compare.TextOptions{}, four(t)[:2]...))
}

func TestTextFew(t *testing.T) {
	golden(t, "few.txt", text(t, compare.TextOptions{}, fixed(t, pebble, 3, 1.84, .312, 11.2e6), fixed(t, bolt, 3, 1.85, .36, 14.6e6)))
	golden(t, "one.txt", text(t, compare.TextOptions{}, fixed(t, pebble, 1, 1.84, .312, 11.2e6), fixed(t, bolt, 1, 1.85, .36, 14.6e6)))
}

// A broken target, one that died and one that was stopped spoil nobody else's
// figures.
func TestTextBroken(t *testing.T) {
	results := four(t)
	results[1] = fixed(t, bolt, 6, 1.85, .33, 14.6e6)
	results[1].Broken = &bench.Broken{
		Rule: "G6", Name: "bookmarkable", Detail: "progress at revision 4218 ran ahead of an event", Watch: "watch 17", Stream: "stream 3", Scenario: "notify/one-key",
		Record: []string{"progress  4218", "event     4217  PUT \"a\""},
	}
	for i := range results[1].Runs {
		results[1].Runs[i].Metrics, results[1].Runs[i].NotMeasured = nil, nil
	}
	results[2].Runs, results[2].Failed = results[2].Runs[:3], "stopped 3 s into catchup/one-key: EOF"
	results[0].CutShort = &bench.CutShort{NotRun: []string{"catchup/one-key 6"}}
	results[0].Runs = results[0].Runs[:11]
	again := func(int) string { return "watchbench compare pebble bolt --seed 7" }
	golden(t, "broken.txt", text(t, compare.TextOptions{Again: again}, results...))
}

func TestTextAllowedToBreak(t *testing.T) {
	results := four(t)[:2]
	results[1].Runs[3].Allowed = []bench.Allowed{{Broken: bench.Broken{Rule: "C12"}}}
	got := text(t, compare.TextOptions{}, results...)
	assert.Regexp(t, `(?m)^promises +kept +broken C12, allowed$`, got)
	assert.Regexp(t, `(?m)^notify\.p99 .* no diff\.$`, got, "its figures are shown")
	assert.Equal(t, 1, strings.Count(got, "C12"), "said once")

	found := compare.Doubts(results[1])
	require.NotEmpty(t, found)
	assert.Contains(t, found[0], "BROKEN C12", "a comparison of two files says it above its figures")
}

// Colour is for meaning and never alone.
func TestTextColor(t *testing.T) {
	plain := text(t, compare.TextOptions{}, four(t)...)
	colored := text(t, compare.TextOptions{Color: true}, four(t)...)
	assert.Contains(t, colored, "\x1b[1m14.7M ±2%\x1b[0m", "the best is bold")
	assert.Contains(t, colored, "\x1b[1m1.86 ms ±2%\x1b[0m", "and who is not told from the best")
	assert.NotContains(t, colored, "\x1b[1m11.3M", "and nobody else")
	for _, code := range []string{"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[33m", "\x1b[0m"} {
		colored = strings.ReplaceAll(colored, code, "")
	}
	assert.Equal(t, plain, colored)
}

func TestSharesInWords(t *testing.T) {
	for ratio, want := range map[float64]string{.43: "+43%", -.05: "-5%", .004: "+0.4%", 2.33: "+233%", -.9966: "-99.7%", -.99971: "-99.97%", -1: "-100%", 24: "25.0x", 0: "+0.0%"} {
		assert.Equal(t, want, compare.Share(ratio), "%g", ratio)
	}
}
