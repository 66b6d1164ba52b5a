package live

import (
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Run is what a measurement is about.
type Run struct {
	// Title says where in a longer work it stands: "bolt 2 of 3, repetition 4
	// of 6", "step 5: 50,000 puts/s". Empty for a run alone.
	Title string
	// Label names it in the graph; empty is the scenario under way.
	Label  string
	Target bench.TargetFacts
	Plan   bench.Plan
	Cores  int // of this machine
}

// Snapshot is all that a screen is drawn from.
type Snapshot struct {
	Run  Run
	Tick bench.Tick // the newest
	// Begun: a tick of Run has come.
	Begun bool
	// Past is the latency of the last 50 s, a point each half second.
	Past []Point
	// Seconds so far, the newest last, for a small terminal.
	Seconds []bench.Tick
	// Said is what the command has printed for the end, the newest last.
	Said []string
	// Broken promises of measurements that are over.
	Broken []string
	// Stopping: q or Ctrl-C was pressed.
	Stopping bool
}

// Point is the latency of one second; -1 is none.
type Point struct {
	At            time.Duration // since the screen began
	P50, P99, Max time.Duration
	// Label is what begins with this point; empty if nothing does.
	Label string
}

const (
	span        = 50 * time.Second // that the graph shows
	secondsKept = 100
	saidKept    = 50
)

// began is the snapshot with another measurement.
func (s Snapshot) began(r Run) Snapshot {
	s.Run, s.Begun, s.Tick = r, false, bench.Tick{}
	return s
}

// ticked is the snapshot with one more tick; at is since the screen began.
func (s Snapshot) ticked(t bench.Tick, at time.Duration) Snapshot {
	p := Point{At: at, P50: t.P50, P99: t.P99, Max: t.Max}
	if !s.Begun || t.Planned != s.Tick.Planned || t.Repetition != s.Tick.Repetition {
		p.Label = s.Run.Label
		if p.Label == "" {
			p.Label = t.Scenario
		}
	}
	s.Tick, s.Begun = t, true
	s.Past = append(s.Past, p)
	for len(s.Past) > 0 && s.Past[0].At < at-span {
		s.Past = s.Past[1:]
	}
	if t.Second {
		s.Seconds = last(append(s.Seconds, t), secondsKept)
	}
	return s
}

func last[T any](all []T, n int) []T {
	return all[max(0, len(all)-n):]
}

func splitLines(text string) []string {
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
