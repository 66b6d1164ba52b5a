package live_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

func TestLine(t *testing.T) {
	tick := slow().Tick
	got := live.Header(80) + "\n"
	for _, change := range []func(*bench.Tick){
		func(*bench.Tick) {},
		func(k *bench.Tick) {
			k.Scenario, k.Elapsed, k.Late = "notify/one-key", 754*time.Second, time.Millisecond
		},
		func(k *bench.Tick) { *k = catchUp().Tick },
		func(k *bench.Tick) { *k = filling().Tick },
		func(k *bench.Tick) { *k = server().Tick },
		func(k *bench.Tick) {
			k.P50, k.P99, k.Max, k.Late = 1840*time.Microsecond, 36_200*time.Microsecond, 1790*ms, 12_345*time.Microsecond
			k.Puts, k.Events, k.Unsynced, k.Victims = 151_234, 11_234_567, 99_999, 99_999
		},
	} {
		k := tick
		change(&k)
		line := live.Line(k, 80, "!")
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 80, line)
		got += line + "\n"
	}
	golden(t, "lines", strings.TrimSuffix(got, "\n"))
}

// A header every 20 lines, a reason once.
func TestLinesWithoutTerminal(t *testing.T) {
	var out lockedBuffer
	p := live.New(live.Config{Lines: &out})
	p.Start(live.Run{Plan: plan})
	tick := slow().Tick
	for i := range 50 {
		tick.Second = i%2 == 1
		tick.Elapsed = time.Duration(i+1) * 500 * ms
		if tick.Late = 41 * time.Microsecond; i >= 20 {
			tick.Late = time.Millisecond
		}
		p.Tick(tick)
		if tick.Second { // the queue is for a terminal that keeps up
			out.await(t, fmt.Sprintf("%d:%02d ", int(tick.Elapsed.Seconds())/60, int(tick.Elapsed.Seconds())%60))
		}
	}
	p.Stopping()
	p.End()
	p.End()
	got := out.String()
	assert.Equal(t, 2, strings.Count(got, "time scenario"))
	assert.Equal(t, 1, strings.Count(got, "! generator late by 1.00 ms at p99, 55% of notify p99\n"))
	assert.Equal(t, 15, strings.Count(got, "1.0 ms!\n"))
	assert.Equal(t, 1, strings.Count(got, "^C  stopping; press again to end at once\n"))
	assert.Equal(t, 2+25+1+1, strings.Count(got, "\n"))
	assert.NotContains(t, got, "\x1b")
	assert.NotContains(t, got, "\r")
}

func TestQuiet(t *testing.T) {
	var out lockedBuffer
	p := live.New(live.Config{Lines: &out, Quiet: true})
	p.Start(live.Run{Title: "bolt 2 of 3", Plan: plan})
	p.Tick(slow().Tick)
	p.Stopping()
	fmt.Fprint(p.Hold(&out), "table\n")
	p.End()
	assert.ElementsMatch(t, []string{"table", "^C  stopping; press again to end at once", ""}, strings.Split(out.String(), "\n"))
}

// stuck is a terminal that takes nothing until it is let go.
type stuck struct {
	lockedBuffer
	letGo chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.letGo
	return s.lockedBuffer.Write(p)
}

// A terminal that is stopped (Ctrl-S) does not stop the measurement.
func TestTickNeverWaits(t *testing.T) {
	out := &stuck{letGo: make(chan struct{})}
	p := live.New(live.Config{Lines: out})
	p.Start(live.Run{Plan: plan})
	tick := slow().Tick
	for range 1000 {
		p.Tick(tick)
	}
	close(out.letGo)
	p.End()
	lines := strings.Count(out.String(), " slow ")
	assert.Positive(t, lines)
	assert.Less(t, lines, 1000, "what it did not take in time is passed over")
}

// Times and what was checked go on from one measurement to the next.
func TestSeveralMeasurements(t *testing.T) {
	var out lockedBuffer
	p := live.New(live.Config{Lines: &out})
	p.Start(live.Run{Title: "1 of 2, repetition 1 of 3", Target: embedded.Target, Plan: plan})
	p.Tick(slow().Tick)
	p.Broke("pebble/sync G6")
	p.Start(live.Run{Title: "2 of 2, repetition 1 of 3", Target: embedded.Target, Plan: plan})
	p.Tick(slow().Tick)
	fmt.Fprintln(p.Hold(&out), "a table")
	p.End()
	assert.Regexp(t, `     pebble/sync   1 of 2, repetition 1 of 3\n(.*\n)*      ! BROKEN pebble/sync G6\n     pebble/sync   2 of 2, repetition 1 of 3\n`, out.String())
	assert.Contains(t, out.String(), "a table\n")
}
