package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

const (
	headerEvery = 20 // lines between two headers

	// A second is marked when the rate or the generator's own delay was off
	// by more than this. One second's count is coarser than a run's.
	rateReached = 0.95
	lateShare   = 0.10
)

// progress shows ticks on stderr: a line that is written over on a terminal,
// else a line a second. One caller at a time.
type progress struct {
	term  *terminal
	quiet bool
	live  bool
	lines int
	said  map[string]bool // reasons given already
}

func newProgress(t *terminal, quiet bool) *progress {
	return &progress{term: t, quiet: quiet, live: t.errTTY && !t.dumb, said: map[string]bool{}}
}

const progressHeader = "time scenario        puts/s     p50     p99     max events/s unsync victim   late"

func (p *progress) tick(t bench.Tick) {
	if p.quiet || !t.Second && !p.live {
		return
	}
	if t.Stage == "writing history" {
		name, _, _ := strings.Cut(t.Scenario, "/")
		t.Scenario = name + " fill"
	}
	mark, reasons := marks(t)
	if p.live {
		p.rewrite(t, mark)
		return
	}
	if p.lines%headerEvery == 0 {
		fmt.Fprintln(p.term.err, progressHeader)
	}
	p.lines++
	fmt.Fprintln(p.term.err, strings.TrimRight(progressLine(t)+mark, " "))
	for _, reason := range reasons {
		if !p.said[reason.kind] {
			p.said[reason.kind] = true
			fmt.Fprintf(p.term.err, "      ! %s\n", reason.text)
		}
	}
}

func progressLine(t bench.Tick) string {
	return fmt.Sprintf("%4s %-15s %6s %7s %7s %7s %8s %6s %6s %6s",
		clock(t.Elapsed), t.Scenario, figure.Rate(t.Puts), latency(t.P50), latency(t.P99), latency(t.Max),
		figure.Rate(t.Events), watchers(t.Unsynced), watchers(t.Victims), roughly(t.Late))
}

// rewrite draws one line over the last one.
func (p *progress) rewrite(t bench.Tick, mark string) {
	parts := []string{clock(t.Elapsed), t.Scenario, figure.Rate(t.Puts) + " puts/s"}
	if t.P99 >= 0 {
		parts = append(parts, "notify p50 "+figure.Duration(t.P50)+" p99 "+figure.Duration(t.P99))
	}
	parts = append(parts, figure.Rate(t.Events)+" events/s")
	if t.Unsynced > 0 {
		parts = append(parts, figure.Count(int64(t.Unsynced))+" unsynced")
	}
	if t.Victims > 0 {
		parts = append(parts, figure.Count(int64(t.Victims))+" victims")
	}
	line := []rune(strings.Join(parts, "   ") + mark)
	if width := p.term.errWidth(); width > 0 && len(line) >= width {
		line = line[:width-1]
	}
	fmt.Fprintf(p.term.err, "\r\x1b[K%s", string(line))
	p.lines++
}

// end leaves the terminal as it was.
func (p *progress) end() {
	if p.live && p.lines > 0 {
		fmt.Fprint(p.term.err, "\r\x1b[K")
	}
}

// reason is why a second is marked; each kind is said once.
type reason struct{ kind, text string }

func marks(t bench.Tick) (mark string, reasons []reason) {
	if t.Intended > 0 && t.Puts < rateReached*t.Intended {
		reasons = append(reasons, reason{"rate", fmt.Sprintf("%s of %s intended puts/s in this second", figure.Rate(t.Puts), figure.Rate(t.Intended))})
	}
	if t.Late > 0 && t.P99 > 0 && float64(t.Late) > lateShare*float64(t.P99) {
		reasons = append(reasons, reason{"late", fmt.Sprintf("generator late by %s at p99, %s of notify p99", figure.Duration(t.Late), figure.Percent(float64(t.Late)/float64(t.P99)))})
	}
	if len(reasons) > 0 {
		mark = "!"
	}
	return mark, reasons
}

func clock(d time.Duration) string {
	seconds := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func latency(d time.Duration) string {
	if d < 0 {
		return "n/a"
	}
	return figure.Duration(d)
}

// roughly is a latency with two digits.
func roughly(d time.Duration) string {
	for _, u := range []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		switch {
		case d >= 10*u.size:
			return fmt.Sprintf("%.0f %s", float64(d)/float64(u.size), u.name)
		case d >= u.size:
			return fmt.Sprintf("%.1f %s", float64(d)/float64(u.size), u.name)
		}
	}
	return latency(d)
}

func watchers(n int) string {
	if n < 0 {
		return "n/a"
	}
	return figure.Count(int64(n))
}
