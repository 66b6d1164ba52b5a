package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/watch"
)

// spoiledKind is a real store whose streams change what they hand out.
type spoiledKind struct {
	bench.Kind
	change func([]watch.Response) []watch.Response
}

func (k spoiledKind) Open(dir string) (bench.Target, error) {
	t, err := k.Kind.Open(dir)
	return spoiledTarget{t, k.change}, err
}

type spoiledTarget struct {
	bench.Target
	change func([]watch.Response) []watch.Response
}

func (t spoiledTarget) NewStream(name string) (bench.Stream, error) {
	s, err := t.Target.NewStream(name)
	return spoiledStream{s, t.change}, err
}

type spoiledStream struct {
	bench.Stream
	change func([]watch.Response) []watch.Response
}

func (s spoiledStream) Recv(ctx context.Context) ([]watch.Response, error) {
	for {
		responses, err := s.Stream.Recv(ctx)
		if err != nil {
			return nil, err
		}
		if responses = s.change(responses); len(responses) > 0 {
			return responses, nil
		}
	}
}

// A store that drops, doubles or reorders one event is found out: the record
// takes the place of all figures, the exit code is 1.
func TestBrokenPromiseReplacesFigures(t *testing.T) {
	driver, ok := engines.Lookup("mem")
	require.True(t, ok)
	none := time.Duration(0)
	plan, err := bench.Settings{Scenarios: []string{bench.Notify}, Shape: bench.Prefix, Watchers: 4, Streams: 1, Rate: 300, Duration: 500 * time.Millisecond, Warmup: &none, Seed: 7}.Plan()
	require.NoError(t, err)

	for name, c := range map[string]struct {
		rules  []string
		change func(rs []watch.Response, i int) []watch.Response
	}{
		"dropped":   {[]string{"G3"}, func(rs []watch.Response, i int) []watch.Response { return append(rs[:i:i], rs[i+1:]...) }},
		"doubled":   {[]string{"G2"}, func(rs []watch.Response, i int) []watch.Response { return append(rs[:i+1:i+1], rs[i:]...) }},
		"reordered": {[]string{"G1", "G3"}, nil}, // one response held back until after the next of its watch
	} {
		t.Run(name, func(t *testing.T) {
			var seen atomic.Int64
			var held *watch.Response
			change := func(rs []watch.Response) []watch.Response {
				for i := range rs {
					r := rs[i]
					if len(r.Events) == 0 {
						continue
					}
					n := seen.Add(1)
					switch {
					case c.change != nil && n == 50:
						return c.change(rs, i)
					case c.change == nil && n == 50:
						held = &r
						return append(rs[:i:i], rs[i+1:]...)
					case held != nil && n > 50 && r.WatchID == held.WatchID:
						late := *held
						held = nil
						return append(append(rs[:i+1:i+1], late), rs[i+1:]...)
					}
				}
				return rs
			}
			res, err := bench.Measure(t.Context(), plan, bench.Options{
				Kind: spoiledKind{bench.Embedded{Driver: driver}, change}, Dir: t.TempDir(),
			})
			require.NoError(t, err)
			require.NotNil(t, res.Broken)
			assert.Contains(t, c.rules, res.Broken.Rule, res.Broken.Detail)

			res.Command = []string{"watchbench", "run", "-b", "mem"}
			var out, stderr bytes.Buffer
			json := filepath.Join(t.TempDir(), "out.json")
			r := &runCommand{
				measuring: measuring{
					term: &terminal{out: &out, err: &stderr, rawOut: &out},
					args: []string{"watchbench", "run", "-b", "mem"}, output: outputFlags{json: json, color: "never"},
				},
				plan: plan,
			}
			end := r.conclude(res, nil)
			var exit *exitError
			require.ErrorAs(t, end, &exit)
			assert.Equal(t, exitBroken, exit.code)
			assert.Regexp(t, `(?m)^BROKEN  G[123] `, out.String())
			assert.Contains(t, out.String(), "   > ")
			assert.Contains(t, out.String(), "again      watchbench run -b mem --seed 7")
			assert.Contains(t, out.String(), "No figures are shown for a run that broke a promise.")
			assert.NotRegexp(t, `NOTIFY|p99|puts/s|CPU`, out.String())
			assert.FileExists(t, json)
			assert.Contains(t, out.String(), "  evidence   "+json+"   ")
			assert.Empty(t, exit.text)

			// What stays on a server is told all the same.
			require.ErrorAs(t, r.conclude(res, errors.New("keys stay under \"/x/\"")), &exit)
			assert.Equal(t, &exitError{exitBroken, "keys stay under \"/x/\""}, exit)

			// Without --json the evidence is a file of its own, which shows the same.
			t.Chdir(t.TempDir())
			out.Reset()
			r.output.json, r.output.noKeep = "", true
			require.ErrorAs(t, r.conclude(res, nil), &exit)
			name := res.Started.Format("broken-20060102T150405Z.json")
			assert.Regexp(t, `(?m)^  evidence   `+name+`   (the last \d+ of its [\d,]+ responses|\d+ responses of this watch)$`, out.String())
			shown := out.String()
			out.Reset()
			d, err := readDocument(name)
			require.NoError(t, err)
			require.NoError(t, (&reportCommand{term: r.term, color: "never"}).text([]document{d}))
			assert.Equal(t, shown, out.String())
		})
	}
}

// A target that dies keeps what was measured before, and the code is 3.
func TestDyingTargetKeepsWhatWasMeasured(t *testing.T) {
	plan, err := bench.Settings{Scenarios: []string{bench.Notify, bench.Slow}, Seed: 7}.Plan()
	require.NoError(t, err)
	res := &bench.Result{
		Schema: bench.Schema, Plan: plan, Target: bench.TargetFacts{Engine: "mem", Durability: "sync"},
		Runs:   []bench.Run{{Scenario: "notify/one-key", Metrics: map[string]float64{"notify.p50_ns": 312_000}}},
		Failed: "21 s into slow: put 7: EOF",
	}
	var out, stderr bytes.Buffer
	json := filepath.Join(t.TempDir(), "out.json")
	r := &runCommand{plan: plan, measuring: measuring{term: &terminal{out: &out, err: &stderr, rawOut: &out}, args: []string{"watchbench", "run"}, output: outputFlags{json: json}}}
	end := r.conclude(res, errors.New(res.Failed))
	var exit *exitError
	require.ErrorAs(t, end, &exit)
	assert.Equal(t, exitUnmeasured, exit.code)
	assert.Equal(t, "21 s into slow: put 7: EOF; "+json+" keeps 1 of 4 scenarios, marked incomplete", exit.text)
	assert.Regexp(t, `^INCOMPLETE  21 s into slow: put 7: EOF\n`, out.String())
	assert.Contains(t, out.String(), "promises kept until then")
	assert.Contains(t, out.String(), "312 µs")
	assert.FileExists(t, json)

	// What cannot be printed is in the file all the same.
	require.NoError(t, os.Remove(json))
	r.term.out = fullWriter{}
	require.ErrorAs(t, r.conclude(res, nil), &exit)
	assert.Equal(t, &exitError{exitUnmeasured, "the result cannot be written: no space left on device"}, exit)
	require.ErrorAs(t, r.conclude(res, errors.New("EOF")), &exit)
	assert.Equal(t, &exitError{exitUnmeasured, "the result cannot be written: no space left on device; EOF"}, exit)
	assert.FileExists(t, json)
}

// fullWriter is a full disk.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
