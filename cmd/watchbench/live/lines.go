package live

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

const (
	headerEvery = 20 // lines between two headers
	lineWidth   = 80

	// A second is marked when the rate or the generator's own delay was off
	// by more than this. One second's count is coarser than a run's.
	rateReached = 0.95
	lateShare   = 0.10
)

// column is one column of the line a second. On a narrow terminal those with
// the highest rank are left out.
type column struct {
	head  string
	width int
	rank  int
	cell  func(bench.Tick) string
}

var columnsOfLine = []column{
	{"time", 4, 0, func(t bench.Tick) string { return clock(t.Elapsed) }},
	{"scenario", -14, 0, scenarioCell},
	{"puts/s", 6, 0, func(t bench.Tick) string { return figure.Rate(t.Puts) }},
	{"p50", 6, 3, func(t bench.Tick) string { return latency(t.P50) }},
	{"p99", 7, 0, func(t bench.Tick) string { return latency(t.P99) }},
	{"max", 7, 4, func(t bench.Tick) string { return latency(t.Max) }},
	{"events/s", 8, 2, func(t bench.Tick) string { return figure.Rate(t.Events) }},
	{"unsync", 6, 1, func(t bench.Tick) string { return count(int64(t.Unsynced)) }},
	{"victim", 6, 1, func(t bench.Tick) string { return count(int64(t.Victims)) }},
	{"late", 6, 5, func(t bench.Tick) string { return roughly(t.Late) }},
}

// columnsIn are the columns for which there is room, and one for the mark.
func columnsIn(width int) []column {
	cols := columnsOfLine
	for rank := 5; ; rank-- {
		sum := 0
		for _, c := range cols {
			sum += max(c.width, -c.width) + 1
		}
		if sum <= width || rank == 0 {
			return cols
		}
		var kept []column
		for _, c := range cols {
			if c.rank < rank {
				kept = append(kept, c)
			}
		}
		cols = kept
	}
}

// Header names the columns of Line.
func Header(width int) string {
	var cells []string
	cols := columnsIn(width)
	for _, c := range cols {
		cells = append(cells, c.head)
	}
	return layOut(cols, cells)
}

// Line is one second in at most width columns, 80 if there is room; mark ends
// it.
func Line(t bench.Tick, width int, mark string) string {
	var cells []string
	cols := columnsIn(width)
	for _, c := range cols {
		cells = append(cells, c.cell(t))
	}
	return layOut(cols, cells) + mark
}

// layOut ends every cell where its column ends. A cell that is too long takes
// of the space before it.
func layOut(cols []column, cells []string) string {
	var b strings.Builder
	end, at := -1, 0 // of the column; of what is written
	for i, c := range cols {
		n := utf8.RuneCountInString(cells[i])
		if i > 0 {
			b.WriteByte(' ')
			at++
		}
		end += 1 + max(c.width, -c.width)
		if c.width < 0 {
			b.WriteString(cells[i])
			at += n
			continue
		}
		pad := max(0, end-at-n)
		b.WriteString(strings.Repeat(" ", pad) + cells[i])
		at += pad + n
	}
	return strings.TrimRight(b.String(), " ")
}

func scenarioCell(t bench.Tick) string {
	if t.Stage == bench.StageFilling {
		name, _, _ := strings.Cut(t.Scenario, "/")
		return name + " fill"
	}
	return t.Scenario
}

// reason is why a second is marked; each kind is said once.
type reason struct{ kind, text string }

// marks says why a second is marked.
func marks(t bench.Tick) (reasons []reason) {
	if t.Intended > 0 && t.Stage != bench.StageFilling && t.Stage != bench.StageEnd && t.Puts < rateReached*t.Intended {
		reasons = append(reasons, reason{"rate", fmt.Sprintf("%s of %s intended puts/s in this second", figure.Rate(t.Puts), figure.Rate(t.Intended))})
	}
	if t.Late > 0 && t.P99 > 0 && float64(t.Late) > lateShare*float64(t.P99) {
		reasons = append(reasons, reason{"late", fmt.Sprintf("generator late by %s at p99, %s of notify p99", figure.Duration(t.Late), figure.Percent(float64(t.Late)/float64(t.P99)))})
	}
	if t.Errors > 0 {
		reasons = append(reasons, reason{"error", fmt.Sprintf("errors so far: %s", figure.Count(t.Errors))})
	}
	return reasons
}

// unseen says once why some columns have n/a.
const unseen = "unsync, victim n/a: a server does not show the states of its watches"

// lineWriter makes lines of ticks, with a header now and then.
type lineWriter struct {
	width int
	lines int
	said  map[string]bool // reasons given already
}

// add returns the lines for one second.
func (w *lineWriter) add(t bench.Tick) (out []string) {
	if w.lines%headerEvery == 0 {
		out = append(out, Header(w.width))
	}
	w.lines++
	reasons, mark := marks(t), ""
	if len(reasons) > 0 {
		mark = "!"
	}
	out = append(out, Line(t, w.width, mark))
	for _, r := range reasons {
		if w.first(r.kind) {
			out = append(out, "      ! "+r.text)
		}
	}
	if t.Victims < 0 && t.Stage != bench.StageFilling && w.first("unseen") {
		out = append(out, "      "+unseen)
	}
	return out
}

func (w *lineWriter) first(kind string) bool {
	if w.said == nil {
		w.said = map[string]bool{}
	}
	if w.said[kind] {
		return false
	}
	w.said[kind] = true
	return true
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

// count is n/a below zero.
func count(n int64) string {
	if n < 0 {
		return "n/a"
	}
	return figure.Count(n)
}
