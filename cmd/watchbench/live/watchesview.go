package live

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/watchkv/watchkv/bench/figure"
)

// watchColumn is one column of the table of watches. On a narrow terminal
// those with the highest rank are left out.
type watchColumn struct {
	head  string
	width int // negative: to the left
	rank  int
	cell  func(v *TopView, w *Watch) string
}

// rangeColumn takes what the others leave.
const (
	rangeColumn = "RANGE"
	rangeLeast  = 10
	rangeMost   = 48
)

func watchColumns() []watchColumn {
	return []watchColumn{
		{"STATE", -8, 0, func(_ *TopView, w *Watch) string { return w.State }},
		{"STREAM", 6, 4, func(_ *TopView, w *Watch) string { return fmt.Sprint(w.Stream) }},
		{"ID", 4, 3, func(_ *TopView, w *Watch) string { return fmt.Sprint(w.ID) }},
		{rangeColumn, -rangeLeast, 0, func(_ *TopView, w *Watch) string { return w.Range }},
		{"BEHIND", 9, 0, func(_ *TopView, w *Watch) string { return figure.Count(w.Lag) }},
		{"FOR", 8, 2, behindCell},
		{"QUEUE", 9, 1, func(_ *TopView, w *Watch) string { return figure.Bytes(w.Queued) }},
		{"EVENTS/S", 8, 5, func(v *TopView, w *Watch) string { return rateCell(v.eventsOf(w)) }},
		{"WAITS FOR", -10, 6, waitsCell},
		{"CLIENT", -21, 2, func(_ *TopView, w *Watch) string { return w.Client }},
	}
}

func behindCell(v *TopView, w *Watch) string {
	if w.Lag == 0 {
		return "0 s"
	}
	d, atLeast := v.behindFor(w.Next)
	switch {
	case atLeast && d == 0:
		return "n/a"
	case atLeast:
		return ">" + figure.Short(d.Round(time.Second))
	case d < time.Second:
		return "<1 s"
	}
	return figure.Duration(d)
}

func waitsCell(_ *TopView, w *Watch) string {
	switch w.State {
	case "victim":
		return "its reader"
	case "unsynced":
		return "its turn"
	}
	return "-"
}

func rateCell(rate float64) string {
	if rate < 0 {
		return "n/a"
	}
	return figure.Rate(rate)
}

// fitting are the columns for which a terminal of that width has room, with
// the range as wide as is left.
func (v *TopView) fitting(width int) []watchColumn {
	cols := slices.DeleteFunc(watchColumns(), func(c watchColumn) bool {
		return v.Before.Page == nil && (c.head == "FOR" || c.head == "EVENTS/S") // known from the second look on
	})
	for rank := 6; rank > 0 && widthOf(cols) > width; rank-- {
		cols = slices.DeleteFunc(cols, func(c watchColumn) bool { return c.rank == rank })
	}
	for i := range cols {
		if cols[i].head == rangeColumn {
			cols[i].width = -min(max(rangeLeast, rangeLeast+width-widthOf(cols)), rangeMost)
		}
	}
	return cols
}

func widthOf(cols []watchColumn) (sum int) {
	for _, c := range cols {
		sum += max(c.width, -c.width) + 1
	}
	return sum
}

// rows are the watches in their order, and how many they are of those that
// the server has.
func (v *TopView) rows() (shown []Watch) {
	if v.Last.Page == nil {
		return nil
	}
	for _, w := range v.Last.Page.Watches {
		if v.Behind && w.State == "synced" || !strings.Contains(w.Range, v.Filter) && !strings.Contains(w.Client, v.Filter) {
			continue
		}
		shown = append(shown, w)
	}
	slices.SortStableFunc(shown, func(a, b Watch) int {
		switch v.Order {
		case ByQueue:
			return -cmp.Compare(a.Queued, b.Queued)
		case ByEvents:
			return -cmp.Compare(v.eventsOf(&a), v.eventsOf(&b))
		}
		return -cmp.Compare(a.Lag, b.Lag)
	})
	return shown
}

// Table is the view as text, for a terminal of that width: what --once
// prints, and what the screen shows between its head and its foot.
func (v TopView) Table(width, rows int, style Style) string {
	return style.locale(strings.Join(v.lines(width, rows, style), "\n"))
}

func (v *TopView) lines(width, rows int, style Style) []string {
	lines := v.head(width, style)
	if v.Last.Totals != nil {
		lines = append(lines, v.totals()...)
	} else if v.Last.Page != nil {
		lines = append(lines, v.table(width, rows-len(lines), style)...)
	}
	for i := range lines {
		lines[i] = line(width, lines[i], "")
	}
	return lines
}

func (v *TopView) head(width int, style Style) []string {
	left := " " + style.bold("watchbench top") + "  " + v.Target
	page := v.Last.Page
	if page == nil {
		if t := v.Last.Totals; t != nil {
			left += "   etcd " + t.Version
		}
		return []string{left, ""}
	}
	behind := page.Total.Unsynced + page.Total.Victims
	right := fmt.Sprintf("%s watches, %s behind ", figure.Count(page.Total.Watches), figure.Count(behind))
	full := left + "   " + strings.Join(nonEmpty(page.Server.Program, engineOf(page)), " ")
	if ansi.StringWidth(full)+ansi.StringWidth(right)+2 > width {
		full = left
	}
	first := line(width, full, right)
	events := ""
	if rate := v.eventsSent(); rate >= 0 {
		events = figure.Rate(rate) + " events/s"
	}
	parts := nonEmpty(
		figure.Count(page.Total.Streams)+" streams", fmt.Sprintf("revision %d", page.Total.Revision),
		events, "queued "+figure.Bytes(page.Total.QueuedBytes),
		"victims so far "+figure.Count(page.Total.VictimsEver), "pinned "+figure.Bytes(page.Total.PinnedBytes),
	)
	for len(parts) > 1 && 1+ansi.StringWidth(strings.Join(parts, " · ")) > width {
		parts = parts[:len(parts)-1]
	}
	return []string{first, style.dim(" " + strings.Join(parts, " · ")), ""}
}

func (v *TopView) eventsSent() float64 {
	if v.Before.Page == nil {
		return -1
	}
	return v.rate(float64(v.Before.Page.Total.EventsSent), float64(v.Last.Page.Total.EventsSent), true)
}

func engineOf(page *Watchers) string {
	return strings.Join(nonEmpty(page.Server.Engine, page.Server.Durability), "/")
}

func nonEmpty(all ...string) []string {
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// totals is all that an etcd tells.
func (v *TopView) totals() []string {
	t := v.Last.Totals
	events := -1.0
	if b := v.Before.Totals; b != nil {
		events = v.rate(b.Event, t.Event, true)
	}
	row := func(name, value string) string { return fmt.Sprintf(" %-16s %12s", name, value) }
	lines := []string{
		row("streams", figure.Count(int64(t.Streams))), row("watches", figure.Count(int64(t.Watches))),
		row("slow", figure.Count(int64(t.Slow))), row("pending events", figure.Count(int64(t.PendingEvents))),
		row("revision", fmt.Sprintf("%.0f", t.Revision)),
	}
	if v.Before.Totals != nil { // known from the second look on
		lines = append(lines, row("events/s", rateCell(events)))
	}
	return append(lines, "", " totals only: etcd does not tell about single watches")
}

func (v *TopView) table(width, rows int, style Style) []string {
	cols := v.fitting(width)
	var heads []string
	for _, c := range cols {
		heads = append(heads, c.head)
	}
	lines := []string{" " + style.dim(watchRow(cols, heads))}
	shown := v.rows()
	room := max(rows-2, 0) // without header and the line for more
	for i := range shown {
		if i == room && len(shown) > room+1 {
			break
		}
		var cells []string
		for _, c := range cols {
			cells = append(cells, c.cell(v, &shown[i]))
		}
		text := watchRow(cols, cells)
		switch shown[i].State {
		case "victim":
			text = style.red(text)
		case "unsynced":
			text = style.yellow(text)
		}
		lines = append(lines, " "+text)
	}
	page := v.Last.Page
	drawn := len(lines) - 1
	more := len(shown) - drawn
	if v.Filter == "" && !v.Behind {
		more += page.Matching - len(page.Watches) // the server has them
	}
	switch {
	case len(shown) == 0 && page.Total.Watches == 0:
		lines = append(lines, " nobody watches")
	case len(shown) == 0:
		lines = append(lines, " no such watch")
	case more > 0:
		lines = append(lines, style.dim(fmt.Sprintf(" and %s more", figure.Count(int64(more)))))
	}
	return lines
}

// watchRow cuts each cell to its column.
func watchRow(cols []watchColumn, cells []string) string {
	var b strings.Builder
	for i, c := range cols {
		if i > 0 {
			b.WriteByte(' ')
		}
		width := max(c.width, -c.width)
		cell := ansi.Truncate(cells[i], width, "…")
		gap := strings.Repeat(" ", width-ansi.StringWidth(cell))
		if c.width < 0 {
			b.WriteString(cell + gap)
		} else {
			b.WriteString(gap + cell)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// Screen draws the view for a terminal: height lines of at most width columns.
func (v TopView) Screen(width, height int, style Style) string {
	lines := v.lines(width, height-1, style)
	lines = lines[:min(len(lines), max(height-1, 0))]
	for len(lines) < height-1 {
		lines = append(lines, "")
	}
	if height > 0 {
		lines = append(lines, line(width, v.foot(style), ""))
	}
	return style.locale(strings.Join(lines, "\n"))
}

func (v *TopView) foot(style Style) string {
	switch {
	case v.Failed != nil && v.Last.At.IsZero():
		return style.red(" " + v.Failed.Error())
	case v.Failed != nil:
		return style.red(fmt.Sprintf(" %v; seen %s ago", v.Failed, figure.Short(v.Since.Round(time.Second))))
	case v.Typing:
		return " filter: " + v.Filter + "_   enter to keep, esc to drop"
	case v.Last.Totals != nil:
		return style.dim(" q quit")
	}
	every := "e only behind"
	if v.Behind {
		every = "e every watch"
	}
	text := " sorted by " + v.Order.String() + "   s sort   " + every + "   / filter   q quit"
	if v.Filter != "" {
		text = " filter " + v.Filter + "  " + text
	}
	return style.dim(text)
}
