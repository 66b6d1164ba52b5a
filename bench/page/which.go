package page

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
)

// comparison is a chart with a row for each target: dot, interval, figure and
// change.
type comparison struct {
	Title, About string
	Name         string // the finding in a sentence
	Rows         []comparedRow
	Ticks        []tick
}

type comparedRow struct {
	Subject  string
	Class    string
	Top      bool // the best, or no different from it
	Absent   string
	Dot      string // places in percent
	From, To string
	HasRange bool
	Value    string
	Spread   string
	Change   string
	Same     bool // no difference
	P        string
}

func (b *builder) comparisons() (all []comparison) {
	for _, m := range b.measures {
		all = append(all, b.compared(m))
	}
	return all
}

func (b *builder) compared(m measure) comparison {
	direction := "Right is better."
	if m.less {
		direction = "Left is better."
	}
	c := comparison{Title: m.title, About: m.about + " " + direction}
	r := m.ranked()
	at := map[int]standing{}
	lo, hi := math.Inf(1), 0.0
	for _, s := range r.all {
		at[s.subject] = s
		low, high := s.Median, s.Median
		if s.Bounded() {
			low, high = s.Lo, s.Hi
		}
		lo, hi = math.Min(lo, low), math.Max(hi, high)
	}
	scale := m.axis(lo, hi)
	c.Ticks = across(scale.ticks)
	for i, s := range b.subjects {
		row := comparedRow{Subject: s.name, Class: s.class}
		if st, ok := at[i]; ok {
			b.fillRow(&row, m, st, scale)
			row.Top = st.best && r.told && len(r.all) > 1
		} else if row.Absent = m.scene.absent(i, m.metric); s.broken() != nil {
			row.Absent = "BROKEN " + s.broken().Rule
		}
		c.Rows = append(c.Rows, row)
	}
	c.Name = b.comparedWords(m, r.all)
	return c
}

// axis of a chart: from zero, or logarithmic when the best and the worst are
// more than 5 times apart.
func (m measure) axis(lo, hi float64) axis {
	text := tickCount
	if strings.HasSuffix(m.metric, "_ns") {
		text = tickTime
	}
	if lo > 0 && hi > 5*lo {
		return logarithmic(lo, hi, text)
	}
	a := linear(hi, 4, text)
	if strings.HasSuffix(m.metric, "_ns") && len(a.ticks) > 0 {
		a.ticks[0].Text = "0"
	}
	return a
}

func (b *builder) fillRow(row *comparedRow, m measure, st standing, scale axis) {
	row.Dot, row.Value = percent(scale.at(st.Median)), m.text(st.Median)
	if st.Bounded() {
		from, to := scale.at(st.Lo), scale.at(st.Hi)
		row.HasRange, row.From, row.To, row.Spread = true, percent(from), percent(to-from), spread(st.Summary)
	}
	switch {
	case st.subject == 0 && len(b.subjects) > 1:
		row.Change = "reference"
	case st.toFirst.Verdict == stat.Unknown:
	case st.toFirst.Verdict == stat.Equal:
		row.Change, row.Same = "the same", true
	case st.toFirst.Verdict == stat.TooFew:
		row.Change = "too few runs to tell"
	case st.toFirst.Verdict == stat.Different:
		row.Change, row.P = changeText(st.toFirst.Ratio), pText(st.toFirst)
	default:
		row.Change, row.Same, row.P = "no difference", true, pText(st.toFirst)
	}
}

// changeText writes a change as +43% or −7%, or as a factor when it is large.
func changeText(ratio float64) string {
	switch {
	case math.IsNaN(ratio):
		return "differs"
	case ratio >= 9:
		return figure.Plain(ratio+1) + " times"
	case ratio >= 0:
		return "+" + figure.Percent(ratio)
	}
	return "−" + figure.Percent(-ratio)
}

// comparedWords says what a chart of targets shows.
func (b *builder) comparedWords(m measure, ranked []standing) string {
	var parts []string
	for _, st := range ranked {
		parts = append(parts, b.subjects[st.subject].name+" "+m.text(st.Median))
	}
	return m.title + ": " + strings.Join(parts, ", ") + "."
}

// ways is the chart of how history was read.
type ways struct {
	Name string
	Rows []waysRow
}

type waysRow struct {
	Subject string
	Absent  string
	Parts   []waysPart
	Figures []string // of the table
}

type waysPart struct {
	Class, Width, Text string
}

var wayMetrics = []struct{ metric, class, words string }{
	{"catchup.memory_ratio", "b1", "recent log"},
	{"catchup.index_ratio", "b2", "index"},
	{"catchup.scan_ratio", "b3", "scan"},
}

// waysOf shows the ways of the first scene that has them; nil if none has.
func (b *builder) waysOf() *ways {
	s := b.catchUpScene()
	if s == nil {
		return nil
	}
	w := ways{}
	any := false
	var sentences []string
	for i, subject := range b.subjects {
		row := waysRow{Subject: subject.name}
		var words []string
		for _, way := range wayMetrics {
			values := s.values(i, way.metric)
			if len(values) == 0 {
				row.Absent = s.absent(i, way.metric)
				row.Figures = append(row.Figures, "n/a")
				continue
			}
			share := mean(values)
			text := figure.Percent(share)
			row.Figures = append(row.Figures, text)
			words = append(words, way.words+" "+text)
			if share <= 0 {
				continue
			}
			part := waysPart{Class: way.class, Width: percent(share)}
			if share >= 0.09 {
				part.Text = text
			}
			row.Parts = append(row.Parts, part)
		}
		if len(row.Parts) > 0 {
			any, row.Absent = true, ""
			sentences = append(sentences, subject.name+": "+strings.Join(words, ", "))
		}
		w.Rows = append(w.Rows, row)
	}
	if !any {
		return nil
	}
	w.Name = "Share of events by the way they were read. " + strings.Join(sentences, ". ") + "."
	return &w
}

func mean(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// catchUpScene is the first in which history is read until all are synced.
func (b *builder) catchUpScene() *scene {
	for _, s := range b.scenes {
		for i := range s.runs {
			if len(s.values(i, "catchup.synced_ns")) > 0 {
				return s
			}
		}
	}
	return nil
}

// figureTable is the table behind a chart.
type figureTable struct {
	Caption string
	Head    []string
	Rows    []tableRow
	Notes   []string
}

type tableRow struct {
	Name  string
	Cells []string
}

// chart is a figure with its legend and its table.
type chart struct {
	Title, About string
	Legend       []legend
	Plots        []plot
	Squares      []legend // of filled areas
	Table        figureTable
}

type legend struct {
	Class, Text string
}

// catchUpCurve draws what was still missing over time.
func (b *builder) catchUpCurve() *chart {
	s := b.catchUpScene()
	if s == nil {
		return nil
	}
	c := chart{Title: "Catch-up over time", Table: figureTable{Caption: "Until all watchers had the whole history", Head: []string{"all synced", "events", "events/s"}}}
	c.About = fmt.Sprintf("Events still missing, %s over %s. One run of each: the one in the middle.", counted(int64(s.sc.Watchers), "watcher"), b.historyWords(s))
	if b.repetitions() == 1 {
		c.About = fmt.Sprintf("Events still missing, %s over %s.", counted(int64(s.sc.Watchers), "watcher"), b.historyWords(s))
	}
	longest := 0.0
	runs := make([]*bench.Run, len(b.subjects))
	for i := range b.subjects {
		runs[i] = s.mid(i, "catchup.synced_ns", func(r *bench.Run) bool { return r.Metrics["catchup.synced_ns"] > 0 })
		if runs[i] != nil {
			longest = math.Max(longest, runs[i].Metrics["catchup.synced_ns"]/1e9)
		}
	}
	if longest == 0 {
		return nil
	}
	x, y := seconds(longest), shares()
	p := plot{Height: 220, X: x.ticks, Y: y.ticks, Last: true}
	var words []string
	for i, subject := range b.subjects {
		if runs[i] == nil {
			c.Table.Rows = append(c.Table.Rows, tableRow{subject.name, []string{"n/a", "n/a", "n/a"}})
			c.Table.note("n/a: " + s.absent(i, "catchup.synced_ns"))
			continue
		}
		r := runs[i]
		took := duration(r.Metrics["catchup.synced_ns"])
		if r.CutShort {
			took = "not in " + took
			words = append(words, fmt.Sprintf("%s was cut at %s with %s done", subject.name, duration(r.Metrics["catchup.synced_ns"]), figure.Percent(doneOf(r))))
		} else {
			words = append(words, subject.name+" done after "+took)
		}
		c.Legend = append(c.Legend, legend{subject.class, subject.name})
		p.Lines = append(p.Lines, line{subject.class, pathOf(missing(r, x, y))})
		c.Table.Rows = append(c.Table.Rows, tableRow{subject.name, []string{took, figure.Count(int64(r.Metrics["catchup.events"])), figure.Rate(r.Metrics["catchup.events_per_s"])}})
	}
	p.Name = "Events still missing over time: " + strings.Join(words, ", ") + ". Figures in the table below."
	c.Plots = []plot{p}
	return &c
}

func (b *builder) historyWords(s *scene) string {
	if s.sc.History > 0 {
		return counted(s.sc.History, "revision")
	}
	if src := b.source(); src != nil {
		return counted(src.Revisions, "revision")
	}
	return "the history"
}

func shares() axis { return linear(1, 2, figure.Percent) }

func doneOf(r *bench.Run) float64 {
	if done, ok := r.Metrics["done_ratio"]; ok {
		return clamp(done)
	}
	return 1
}

// missing is the share of events that a run had not delivered yet, over time.
func missing(r *bench.Run, x, y axis) []point {
	end, done := r.Metrics["catchup.synced_ns"]/1e9, doneOf(r)
	points := []point{{x: x.at(0), y: y.at(1)}}
	if all := r.Metrics["catchup.events"] / math.Max(done, 1e-9); r.CatchUp != nil && all > 0 {
		for i, at := range r.CatchUp.At {
			if i < len(r.CatchUp.Events) && at.Seconds() < end {
				points = append(points, point{x: x.at(at.Seconds()), y: y.at(1 - math.Min(done, float64(r.CatchUp.Events[i])/all))})
			}
		}
	}
	return append(points, point{x: x.at(end), y: y.at(1 - done)})
}

// interval of a series in seconds.
func interval(s *bench.Series) float64 {
	if s.Interval <= 0 {
		return time.Second.Seconds()
	}
	return s.Interval.Seconds()
}

// note takes down why something is n/a, once.
func (t *figureTable) note(text string) {
	for _, n := range t.Notes {
		if n == text {
			return
		}
	}
	t.Notes = append(t.Notes, text)
}
