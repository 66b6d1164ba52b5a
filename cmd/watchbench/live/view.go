package live

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// Sizes at which the screen changes.
const (
	leastWidth, leastHeight = 80, 24 // below: the line a second
	barsWidth               = 90     // below: no bars
	graphLeast, graphMost   = 5, 10  // rows
)

// View draws a snapshot for a terminal of a size: height lines of at most
// width columns.
func View(s Snapshot, width, height int, style Style) string {
	v := view{s: s, width: width, Style: style}
	if width < leastWidth || height < leastHeight {
		return style.locale(v.small(height))
	}
	return style.locale(v.screen(height))
}

type view struct {
	Style
	s     Snapshot
	width int
}

// small is the line a second, for as many seconds as there is room.
func (v view) small(height int) string {
	rows := max(0, height-2) // without header and foot
	writer := lineWriter{width: v.width, lines: 1}
	var lines []string
	for _, t := range last(v.s.Seconds, rows) {
		lines = append(lines, writer.add(t)...)
		writer.lines = 1 // the header stands, the lines do not scroll away
	}
	lines = append([]string{Header(v.width)}, last(lines, rows)...)
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	if height > 1 {
		lines = append(lines, v.foot())
	}
	for i := range lines {
		lines[i] = line(v.width, lines[i], "")
	}
	return strings.Join(lines, "\n")
}

func (v view) screen(height int) string {
	head := []string{v.title(), v.load(), ""}
	body := v.below()
	said := len(v.s.Said)
	if said > 0 {
		said += 2 // a blank line, a line for more
	}
	room := height - len(head) - len(body) - 4 // NOTIFY, two lines of the time axis, the foot
	rows := min(max(room-said, graphLeast), graphMost, room)
	lines := append(head, v.notify())
	lines = append(lines, v.graph(rows)...)
	lines = append(lines, body...)
	if free := height - 1 - len(lines); free > 1 && said > 0 {
		lines = append(lines, "")
		lines = append(lines, last(v.s.Said, free-1)...)
	}
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	lines = append(lines, v.foot())
	for i := range lines {
		lines[i] = line(v.width, lines[i], "")
	}
	return strings.Join(lines, "\n")
}

// below is what stands under the graph; its height depends on the target alone.
func (v view) below() []string {
	lines := append([]string{""}, v.puts()...)
	lines = append(lines, v.watchers()...)
	return append(lines, "", v.promises(), v.machine())
}

// scenario is what is measured now.
func (v view) scenario() bench.Scenario {
	if i := v.s.Tick.Planned; i < len(v.s.Run.Plan.Scenarios) {
		return v.s.Run.Plan.Scenarios[i]
	}
	return bench.Scenario{}
}

func (v view) title() string {
	left := " " + v.bold("watchbench") + "  " + v.s.Run.Target.Name()
	if v.s.Run.Title != "" {
		left += "   " + v.s.Run.Title
	}
	if !v.s.Begun {
		return line(v.width, left, "opening")
	}
	t := v.s.Tick
	what := t.Scenario
	if n := len(v.s.Run.Plan.Scenarios); n > 1 {
		what = fmt.Sprintf("%d of %d %s", t.Planned+1, n, t.Scenario)
	}
	if n := v.s.Run.Plan.Count; n > 1 {
		what += fmt.Sprintf(", repetition %d of %d", t.Repetition, n)
	}
	if t.Stage != "" {
		what += ", " + t.Stage
	}
	when, part := v.when()
	short := what + "    " + when
	right := short
	if part >= 0 {
		right += "  " + v.progress(part, 13)
	}
	least := what
	if v.s.Run.Title != "" {
		least = when
	}
	for _, text := range []string{right, short, least} {
		if ansi.StringWidth(left)+ansi.StringWidth(text)+2 <= v.width {
			return line(v.width, left, text)
		}
	}
	return line(v.width, " "+what, when)
}

// when says how long the scenario has gone on, and what part of it is done;
// -1: nobody knows.
func (v view) when() (text string, part float64) {
	t := v.s.Tick
	switch {
	case t.Stage == bench.StageFilling:
		return figure.Percent(t.Done), t.Done
	case t.Length > 0:
		into := min(t.Into, t.Length)
		return fmt.Sprintf("%s of %s", seconds(into), figure.Short(t.Length)), float64(into) / float64(t.Length)
	case t.Done >= 0:
		return fmt.Sprintf("%s, %s delivered", seconds(t.Into), figure.Percent(t.Done)), t.Done
	}
	return seconds(t.Into), -1
}

func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

// progress is a bar of width columns.
func (v view) progress(part float64, width int) string {
	n := min(max(int(part*float64(width)), 0), width)
	tip, rest := "", width-n
	if rest > 0 {
		tip, rest = "╸", rest-1
	}
	return strings.Repeat("━", n) + tip + v.dim(strings.Repeat("─", rest))
}

func (v view) load() string {
	sc := v.scenario()
	if !v.s.Begun {
		return ""
	}
	parts := []string{figure.Count(int64(sc.Watchers)) + " watchers", figure.Count(int64(sc.Streams)) + " streams"}
	if sc.History > 0 {
		parts = append(parts, figure.Count(sc.History)+" revisions")
	}
	switch {
	case sc.FullSpeed:
		parts = append(parts, fmt.Sprintf("%d writers at full speed", sc.Writers))
	case sc.RatePerS > 0:
		rate := figure.Rate(sc.RatePerS) + " puts/s"
		if v.width >= 100 {
			rate += " open loop"
		}
		parts = append(parts, rate)
	}
	if sc.ValueBytes > 0 {
		parts = append(parts, "values "+figure.ShortBytes(int64(sc.ValueBytes)))
	}
	parts = append(parts, fmt.Sprintf("seed %d", v.s.Run.Plan.Seed))
	right := "total " + clock(v.s.Tick.Elapsed)
	for len(parts) > 2 && 1+len([]rune(strings.Join(parts, " · ")))+2+len(right) > v.width {
		parts = parts[:len(parts)-1]
	}
	return v.dim(line(v.width, " "+strings.Join(parts, " · "), right))
}

func (v view) foot() string {
	if v.s.Stopping {
		return line(v.width, " "+v.yellow("stopping; press again to end at once"), "")
	}
	return line(v.width, "", v.dim("q to stop"))
}
