package page

import (
	"fmt"
	"math"
	"strings"

	"github.com/watchkv/watchkv/bench/figure"
)

// latency is the section with whole distributions.
type latency struct {
	Charts []chart
}

// drawn is one line of the section: a target, or a scene of the only target.
type drawn struct {
	name, class string
	scene       *scene
	subject     int
}

const (
	notifyHistogram = "notify_ns"
	ackHistogram    = "ack_to_event_ns"
)

func (b *builder) latencies() *latency {
	var l latency
	if c := b.byPercentile(); c != nil {
		l.Charts = append(l.Charts, *c)
	}
	if c := b.signedChart(); c != nil {
		l.Charts = append(l.Charts, *c)
	}
	if len(l.Charts) == 0 {
		return nil
	}
	return &l
}

// drawnOf lists what has a histogram: of several targets the first scene that
// any has, of one target all scenes.
func (b *builder) drawnOf(histogram string) (all []drawn) {
	has := func(s *scene, i int) bool {
		for _, run := range s.runs[i] {
			if _, ok := run.Histograms[histogram]; ok {
				return true
			}
		}
		return false
	}
	for _, s := range b.scenes {
		for i, subject := range b.subjects {
			if !has(s, i) {
				continue
			}
			d := drawn{name: subject.name, class: subject.class, scene: s, subject: i}
			if len(b.subjects) == 1 {
				d.name = s.name
				if n := len(all); n > 0 {
					d.class += fmt.Sprintf(" v%d", (n-1)%3+1)
				}
			}
			all = append(all, d)
		}
		if len(b.subjects) > 1 && len(all) > 0 {
			return all
		}
	}
	if len(b.subjects) == 1 && len(all) > 4 {
		all = all[:4]
	}
	return all
}

var tableQuantiles = []struct {
	at   float64
	head string
}{{0.5, "p50"}, {0.9, "p90"}, {0.99, "p99"}, {0.999, "p99.9"}, {1, "max"}}

// byPercentile draws the latency of each share of events.
func (b *builder) byPercentile() *chart {
	lines := b.drawnOf(notifyHistogram)
	if len(lines) == 0 {
		return nil
	}
	c := chart{Title: "From intended put to event", Table: figureTable{Caption: "Notify latency, intended put to event"}}
	for _, q := range tableQuantiles {
		c.Table.Head = append(c.Table.Head, q.head)
	}
	c.Table.Head = append(c.Table.Head, "events")
	all := make([]distribution, len(lines))
	lo, hi := math.Inf(1), 0.0
	var samples int64
	for i, d := range lines {
		all[i] = distributionOf(d.scene.runs[d.subject], notifyHistogram)
		if all[i].total == 0 {
			continue
		}
		lo, hi = math.Min(lo, math.Max(1, all[i].quantile(0))), math.Max(hi, all[i].quantile(1))
		samples = max(samples, all[i].total)
	}
	if samples == 0 {
		return nil
	}
	x, y := percentiles(samples), logarithmic(math.Max(lo, 1), math.Max(hi, 10), tickTime)
	p := plot{Height: 300, X: x.ticks, Y: upright(y.ticks, deskTall), Last: true}
	var words []string
	for i, d := range lines {
		if all[i].total == 0 {
			continue
		}
		c.Legend = append(c.Legend, legend{d.class, d.name})
		p.Lines = append(p.Lines, line{d.class, pathOf(curve(all[i], samples, x, y))})
		words = append(words, d.name+" "+duration(all[i].quantile(0.99)))
		row := tableRow{Name: d.name}
		for _, q := range tableQuantiles {
			row.Cells = append(row.Cells, duration(all[i].quantile(q.at)))
		}
		row.Cells = append(row.Cells, figure.Count(all[i].total))
		c.Table.Rows = append(c.Table.Rows, row)
	}
	c.About = "A put that had to wait is counted from when it was due. Both axes logarithmic; " + b.ofScene(lines) + b.eventWords(len(lines), samples) + "."
	p.Name = "Notify latency by percentile, logarithmic on both axes. At p99: " + strings.Join(words, ", ") + ". Figures in the table below."
	c.Plots = []plot{p}
	return &c
}

// ofScene names the scene where the lines are of several targets.
func (b *builder) ofScene(lines []drawn) string {
	if len(b.subjects) == 1 {
		return ""
	}
	return lines[0].scene.name + ", "
}

func (b *builder) eventWords(lines int, most int64) string {
	if lines > 1 {
		return "at most " + counted(most, "event") + " a line"
	}
	return counted(most, "event")
}

// curve is a distribution by percentile, up to the last event that it has.
func curve(d distribution, samples int64, x, y axis) (points []point) {
	const steps = 90
	end := math.Log10(math.Max(10, float64(samples)))
	own := 1 - 1/float64(max(d.total, 2))
	for i := range steps + 1 {
		q := 1 - math.Pow(10, -end*float64(i)/steps)
		if q > own {
			break
		}
		points = append(points, point{x: x.at(q), y: y.at(d.quantile(q))})
	}
	return append(points, point{x: math.Min(1, x.at(own)), y: y.at(d.quantile(1))})
}

// signedChart draws the share of events by the time since the answer.
func (b *builder) signedChart() *chart {
	lines := b.drawnOf(ackHistogram)
	c := chart{Title: "From acknowledgement to event", Table: figureTable{Caption: "Acknowledgement to event, signed", Head: []string{"p1", "p50", "p99", "before the acknowledgement"}}}
	all := make([]distribution, len(lines))
	lo, hi, known := 0.0, 0.0, false
	for i, d := range lines {
		if all[i] = distributionOf(d.scene.runs[d.subject], ackHistogram); all[i].total > 0 {
			lo, hi = math.Min(lo, all[i].quantile(0.0005)), math.Max(hi, all[i].quantile(0.9995))
			known = true
		}
	}
	if !known {
		return nil
	}
	x, y := signed(lo, hi), shares()
	p := plot{Height: 200, X: x.ticks, Y: y.ticks, Last: true}
	if zero := x.at(0); zero > 0 {
		p.Shades = append(p.Shades, shade{"neg", bandOf(0, zero)})
	}
	var grid []float64
	for i := range 121 {
		grid = append(grid, x.value(float64(i)/120))
	}
	var words []string
	for i, d := range lines {
		if all[i].total == 0 {
			continue
		}
		var points []point
		for k, share := range all[i].below(grid) {
			points = append(points, point{x: float64(k) / 120, y: y.at(share)})
		}
		early := all[i].below([]float64{-1})[0]
		c.Legend = append(c.Legend, legend{d.class, d.name})
		p.Lines = append(p.Lines, line{d.class, pathOf(points)})
		words = append(words, d.name+" "+figure.Percent(early))
		c.Table.Rows = append(c.Table.Rows, tableRow{d.name, []string{
			duration(all[i].quantile(0.01)), duration(all[i].quantile(0.5)), duration(all[i].quantile(0.99)), figure.Percent(early),
		}})
	}
	c.About = "Signed: left of zero the watcher knew before the writer did. Share of events up to each time; the axis is linear within 1 µs of zero and logarithmic beyond. "
	if len(b.subjects) > 1 {
		c.About += upper(lines[0].scene.name) + "."
	}
	p.Name = "Share of events by time from acknowledgement to event, signed. Before the acknowledgement: " + strings.Join(words, ", ") + ". Figures in the table below."
	p.Zero = thousand(x.at(0))
	c.Plots = []plot{p}
	return &c
}
