package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
)

// hurt is the section on the scenario that costs the most: its figures over
// time.
type hurt struct {
	Lead  string
	Chart chart
}

// worstFirst is the order in which scenarios are looked for: those that are
// made to hurt come first.
var worstFirst = []string{bench.Slow, bench.Storm, bench.Compaction, bench.Interference, bench.Churn, bench.Mixed, bench.Notify}

// worst is the scene shown over time; nil when no run has a series.
func (b *builder) worst() *scene {
	for _, name := range worstFirst {
		for _, s := range b.scenes {
			if s.sc.Name != name {
				continue
			}
			for i := range s.runs {
				if b.inTime(s, i) != nil {
					return s
				}
			}
		}
	}
	return nil
}

// inTime is the run of a target that is shown over time: the one whose p99 is
// in the middle.
func (b *builder) inTime(s *scene, subject int) *bench.Run {
	return s.mid(subject, "notify.p99_ns", func(r *bench.Run) bool { return r.Series != nil && len(r.Series.NotifyP99) > 1 })
}

func (b *builder) hurts() *hurt {
	s := b.worst()
	if s == nil {
		return nil
	}
	runs := make([]*bench.Run, len(b.subjects))
	length := 0.0
	for i := range b.subjects {
		if runs[i] = b.inTime(s, i); runs[i] != nil {
			length = math.Max(length, float64(len(runs[i].Series.NotifyP99))*interval(runs[i].Series))
		}
	}
	h := hurt{Lead: b.hurtWords(s), Chart: chart{Title: storyOf(s).title, About: storyOf(s).about(b, s)}}
	x := seconds(length)
	shades, squares := storyOf(s).shades(firstOf(runs), x)
	for i, subject := range b.subjects {
		if runs[i] != nil {
			h.Chart.Legend = append(h.Chart.Legend, legend{subject.class, subject.name})
		}
	}
	h.Chart.Squares = squares
	if p := b.latencyOverTime(s, runs, x); p != nil {
		h.Chart.Plots = append(h.Chart.Plots, *p)
	}
	h.Chart.Plots = append(h.Chart.Plots, b.countsOverTime(runs, x)...)
	for i := range h.Chart.Plots {
		h.Chart.Plots[i].X = x.ticks
		h.Chart.Plots[i].Shades = append(append([]shade(nil), shades...), h.Chart.Plots[i].Shades...)
		h.Chart.Plots[i].Last = i == len(h.Chart.Plots)-1
	}
	h.Chart.Table = b.hurtTable(s)
	return &h
}

func firstOf(runs []*bench.Run) *bench.Run {
	for _, r := range runs {
		if r != nil {
			return r
		}
	}
	return nil
}

// hurtWords say what the scene cost, where the runs tell.
func (b *builder) hurtWords(s *scene) string {
	y := storyOf(s)
	if y.during == nil {
		return ""
	}
	var parts, same []string
	for i, subject := range b.subjects {
		before, during := s.values(i, y.quiet+"notify.p99_ns"), s.values(i, "notify.p99_ns")
		if len(before) == 0 || len(during) == 0 {
			continue
		}
		c := stat.Compare(before, during)
		switch {
		case c.Verdict == stat.NoDifference, c.Verdict == stat.Equal:
			same = append(same, fmt.Sprintf("%s (%s)", subject.name, duration(c.New.Median)))
		default:
			parts = append(parts, fmt.Sprintf("%s on %s, %s before", duration(c.New.Median), subject.name, duration(c.Old.Median)))
		}
	}
	if len(same) > 0 {
		parts = append(parts, "no difference to before on "+listed(same))
	}
	if len(parts) == 0 {
		return ""
	}
	return "Notify p99 " + y.during(s.sc) + ": " + strings.Join(parts, "; ") + "."
}

// shades marks the warm-up and the parts that hurt on the time axis.
func (y story) shades(run *bench.Run, x axis) (shades []shade, squares []legend) {
	if run == nil || len(run.Series.Parts) == 0 {
		return nil, nil
	}
	if warm := run.Series.Parts[0].From.Seconds(); warm > 0 {
		shades = append(shades, shade{"warm", bandOf(0, x.at(warm))})
		squares = append(squares, legend{"iW", "warm-up"})
	}
	for _, part := range run.Series.Parts {
		if part.Name == y.part && part.To > part.From {
			shades = append(shades, shade{"stall", bandOf(x.at(part.From.Seconds()), x.at(part.To.Seconds()))})
			squares = append(squares, legend{"iS", y.legend})
		}
	}
	return shades, squares
}

// latencyOverTime draws the notify p99 of each interval.
func (b *builder) latencyOverTime(s *scene, runs []*bench.Run, x axis) *plot {
	lo, hi := math.Inf(1), 0.0
	for _, r := range runs {
		if r == nil {
			continue
		}
		for _, v := range r.Series.NotifyP99 {
			if v > 0 {
				lo, hi = math.Min(lo, float64(v)), math.Max(hi, float64(v))
			}
		}
	}
	if hi == 0 {
		return nil
	}
	y := logarithmic(lo, hi, tickTime)
	title := "Notify p99, logarithmic"
	if among := storyOf(s).among; among != "" {
		title = "Notify p99 of all watchers, " + among + " included; logarithmic"
	}
	p := plot{Title: title, Height: 190, Y: upright(y.ticks, 190)}
	var words []string
	for i, r := range runs {
		if r == nil {
			continue
		}
		series := r.Series.NotifyP99
		points, low, high := overTime(len(series), interval(r.Series), x, func(i int) (float64, bool) {
			return float64(series[i]), series[i] > 0
		}, y)
		p.Lines = append(p.Lines, line{b.subjects[i].class, pathOf(points)})
		if high > 0 {
			words = append(words, fmt.Sprintf("%s between %s and %s", b.subjects[i].name, duration(low), duration(high)))
		}
	}
	p.Name = "Notify p99 over time: " + strings.Join(words, ", ") + ". Figures in the table below."
	return &p
}

// overTime places a series on its axes: each value stands in the middle of its
// interval, and a value without neighbours takes the whole of it.
func overTime(n int, step float64, x axis, at func(int) (float64, bool), y axis) (points []point, low, high float64) {
	low = math.Inf(1)
	known := func(i int) bool {
		if i < 0 || i >= n {
			return false
		}
		_, ok := at(i)
		return ok
	}
	value := func(i int) float64 { v, _ := at(i); return v }
	for _, i := range thinned(n, value) {
		v, ok := at(i)
		if !ok {
			points = append(points, point{gap: true})
			continue
		}
		low, high = math.Min(low, v), math.Max(high, v)
		middle := (float64(i) + 0.5) * step
		if !known(i - 1) {
			points = append(points, point{x: x.at(float64(i) * step), y: y.at(v)})
		}
		points = append(points, point{x: x.at(middle), y: y.at(v)})
		if !known(i + 1) {
			points = append(points, point{x: x.at(float64(i+1) * step), y: y.at(v)})
		}
	}
	return points, low, high
}

// counted over time: figures of the hub, for the targets that show them.
var countSeries = []struct {
	title, name string
	pick        func(*bench.Series) []float64
}{
	{"Victims per second", "Victims per second", func(s *bench.Series) []float64 { return s.VictimsPerS }},
	{"Watchers not synced", "Watchers that are not synced", notSynced},
}

// notSynced are the victims and those who read history.
func notSynced(s *bench.Series) (sum []float64) {
	for i := range min(len(s.VictimWatchers), len(s.UnsyncedWatcher)) {
		sum = append(sum, float64(s.VictimWatchers[i]+s.UnsyncedWatcher[i]))
	}
	return sum
}

// countsOverTime draws victims and watchers that are not synced; a series that
// is zero all the time is left to the table.
func (b *builder) countsOverTime(runs []*bench.Run, x axis) (plots []plot) {
	for _, c := range countSeries {
		top := 0.0
		for _, r := range runs {
			if r != nil {
				for _, v := range c.pick(r.Series) {
					top = math.Max(top, v)
				}
			}
		}
		if top <= 0 {
			continue
		}
		y := linear(top, 2, tickCount)
		p := plot{Title: c.title, Height: 96, Y: upright(y.ticks, 96)}
		var words []string
		for i, r := range runs {
			if r == nil {
				continue
			}
			series := c.pick(r.Series)
			if len(series) == 0 {
				continue
			}
			points, _, high := overTime(len(series), interval(r.Series), x, func(i int) (float64, bool) { return series[i], true }, y)
			if len(b.subjects) == 1 {
				p.Shades = append(p.Shades, shade{"vb", areaOf(points)})
			} else {
				p.Lines = append(p.Lines, line{b.subjects[i].class, pathOf(points)})
			}
			words = append(words, fmt.Sprintf("%s at most %s", b.subjects[i].name, figure.Rate(high)))
		}
		p.Name = c.name + ", over time: " + strings.Join(words, ", ") + ". Figures in the table below."
		plots = append(plots, p)
	}
	return plots
}

// hurtTable has the figures of the scene.
func (b *builder) hurtTable(s *scene) figureTable {
	columns := storyOf(s).table
	t := figureTable{Caption: storyOf(s).title}
	for _, c := range columns {
		t.Head = append(t.Head, c.head)
	}
	for i, subject := range b.subjects {
		if len(s.runs[i]) == 0 {
			continue
		}
		row := tableRow{Name: subject.name}
		for _, c := range columns {
			row.Cells = append(row.Cells, t.cell(s, i, c.metric))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// cell is the median of a metric, or n/a with its reason under the table.
func (t *figureTable) cell(s *scene, subject int, metric string) string {
	values := s.values(subject, metric)
	if len(values) == 0 {
		t.note("n/a: " + s.absent(subject, metric))
		return "n/a"
	}
	return metricText(metric, stat.Summarize(values).Median)
}
