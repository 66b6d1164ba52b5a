package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/gate"
	"github.com/watchkv/watchkv/bench/search"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
	"github.com/watchkv/watchkv/watch"
)

// small is a plan of one scenario that takes a moment.
func small(t *testing.T, count int) bench.Plan {
	t.Helper()
	none := time.Duration(0)
	plan, err := bench.Settings{Scenarios: []string{bench.Notify}, Shape: bench.OneKey, Watchers: 4, Streams: 1, Rate: 300, Duration: 300 * time.Millisecond, Warmup: &none, Seed: 7, Count: count}.Plan()
	require.NoError(t, err)
	return plan
}

// dropping is a kind of store that loses an event.
func dropping(t *testing.T, name string) bench.Kind {
	t.Helper()
	driver, ok := engines.Lookup(name)
	require.True(t, ok)
	var dropped atomic.Bool // each stream has its own goroutine
	return spoiledKind{bench.Embedded{Driver: driver}, func(rs []watch.Response) []watch.Response {
		for i := range rs {
			if len(rs[i].Events) > 0 && dropped.CompareAndSwap(false, true) {
				return append(rs[:i:i], rs[i+1:]...)
			}
		}
		return rs
	}}
}

func quietTerminal(out *bytes.Buffer) *terminal {
	return &terminal{out: out, err: out, rawOut: out, outWidth: func() int { return 0 }, errWidth: func() int { return 0 }}
}

// One target that breaks a promise reads BROKEN, the other has its figures,
// and the exit code is 1.
func TestCompareWithOneBrokenTarget(t *testing.T) {
	plan := small(t, 2)
	driver, ok := engines.Lookup("mem")
	require.True(t, ok)
	var targets []compare.Target
	for i, kind := range []bench.Kind{bench.Embedded{Driver: driver}, dropping(t, "bolt")} {
		dir := filepath.Join(t.TempDir(), string(rune('a'+i)))
		targets = append(targets, compare.Target{
			Head: &bench.Result{Schema: bench.Schema, Plan: plan, Target: kind.Facts(), Command: []string{"watchbench", "compare", "mem", "bolt"}},
			Measure: func(ctx context.Context, plan bench.Plan, folder string) (*bench.Result, error) {
				return bench.Measure(ctx, plan, bench.Options{Kind: kind, Dir: dir, Folder: folder})
			},
		})
	}
	all := compare.Run(t.Context(), plan, targets, nil)
	require.NotNil(t, all.Results[1].Broken)

	var out bytes.Buffer
	json := filepath.Join(t.TempDir(), "all.json")
	c := &compareCommand{measuring: measuring{term: quietTerminal(&out), output: outputFlags{color: "never", json: json}}, plan: plan}
	var exit *exitError
	require.ErrorAs(t, c.conclude(all, nil), &exit)
	assert.Equal(t, &exitError{code: exitBroken}, exit)
	assert.Regexp(t, `(?m)^notify\.p99 +[0-9.]+ [nµm]?s +BROKEN G[123]$`, out.String())
	assert.Regexp(t, `(?m)^promises +kept +BROKEN G[123]$`, out.String())
	assert.Contains(t, out.String(), "Bolt/sync broke a promise: its figures are not shown.\nbolt/sync:\nBROKEN  G")
	assert.Contains(t, out.String(), "again      watchbench compare mem bolt --seed 7")
	results, err := bench.ReadFile(json)
	require.NoError(t, err)
	assert.True(t, results[0].Complete)
	assert.Nil(t, results[1].Runs[0].Metrics)
}

// A target that died is named after the table, and the code is 3.
func TestCompareWithOneDeadTarget(t *testing.T) {
	plan := small(t, 1)
	all := bench.NewComparison(
		&bench.Result{Schema: bench.Schema, Plan: plan, Target: bench.TargetFacts{Kind: "embedded", Engine: "mem"}, Runs: []bench.Run{{Scenario: "notify/one-key", Metrics: map[string]float64{"notify.p99_ns": 1e6}}}},
		&bench.Result{Schema: bench.Schema, Plan: plan, Target: bench.TargetFacts{Kind: "embedded", Engine: "bolt"}, Failed: "target died 3 s into notify/one-key: EOF"},
	)
	var out bytes.Buffer
	c := &compareCommand{measuring: measuring{term: quietTerminal(&out), output: outputFlags{color: "never", noKeep: true}}, plan: plan}
	var exit *exitError
	require.ErrorAs(t, c.conclude(all, nil), &exit)
	assert.Equal(t, &exitError{exitUnmeasured, "bolt: target died 3 s into notify/one-key: EOF"}, exit)
	assert.Regexp(t, `(?m)^notify\.p99 +1\.00 ms +n/a +a$`, out.String())
	require.ErrorAs(t, c.conclude(all, errors.New("keys stay")), &exit)
	assert.Equal(t, "bolt: target died 3 s into notify/one-key: EOF; keys stay", exit.text)
}

// A step that breaks a promise ends a search without an answer.
func TestMaxWithABrokenPromise(t *testing.T) {
	plan := small(t, 1)
	objective, err := gate.ParseObjective("notify.p99<1h")
	require.NoError(t, err)
	var out bytes.Buffer
	m := &maxCommand{
		measuring:  measuring{term: quietTerminal(&out), args: []string{"watchbench", "max"}, output: outputFlags{color: "never", quiet: true, json: filepath.Join(t.TempDir(), "max.json")}},
		objectives: []gate.Gate{objective}, slo: []string{"notify.p99<1h"}, vary: varyRate, limit: 5, subject: &engineSubject{},
		settings: bench.Settings{Scenarios: []string{bench.Notify}, Shape: bench.OneKey, Watchers: 4, Streams: 1, Rate: 300, Duration: 300 * time.Millisecond, Warmup: new(time.Duration), Seed: 7},
	}
	m.place = place{dir: t.TempDir(), temp: true}
	require.NoError(t, m.begin(plan))
	m.progress = live.New(live.Config{Lines: &out, Quiet: true})
	defer m.progress.End()
	v, res, err := m.step(t.Context(), bed{subject: m.subject, kind: dropping(t, "mem")}, 300)
	require.NoError(t, err)
	require.NotNil(t, res.Broken, "%+v", v)
	var exit *exitError
	require.ErrorAs(t, m.conclude(t.Context(), res, nil), &exit)
	assert.Equal(t, &exitError{code: exitBroken}, exit)
	assert.Regexp(t, `(?m)^BROKEN  G[123] `, out.String())
	assert.NotContains(t, out.String(), "holds")
	assert.Equal(t, search.Answer{}, m.doc.Answer)
	assert.False(t, m.doc.Complete)
}
