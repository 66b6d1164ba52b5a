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
var worstFirst = []string{bench.Slow, "storm", "compaction", bench.Interference, "churn", "mixed", bench.Notify}

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
	h := hurt{Lead: b.hurtWords(s), Chart: chart{Title: upper(sceneWords(s)), About: b.hurtAbout(s)}}
	x := seconds(length)
	shades, squares := shadesOf(s.sc, x)
	for i, subject := range b.subjects {
		if runs[i] != nil {
			h.Chart.Legend = append(h.Chart.Legend, legend{subject.class, subject.name})
		}
	}
	h.Chart.Squares = squares
	if p := b.latencyOverTime(runs, x); p != nil {
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

// sceneWords name a scene for people.
func sceneWords(s *scene) string {
	switch s.sc.Name {
	case bench.Slow:
		return "slow consumers"
	case bench.Interference:
		return "puts and notifications beside catch-up"
	}
	return s.name
}

func (b *builder) hurtAbout(s *scene) string {
	text := ""
	switch {
	case s.sc.StalledStreams > 0:
		text = fmt.Sprintf("Shaded: %s of %s do not read for %s.", figure.Count(int64(s.sc.StalledStreams)), counted(int64(s.sc.Streams), "stream"), figure.Short(roundTime(s.sc.Stall)))
	case s.sc.Name == bench.Interference:
		text = fmt.Sprintf("Shaded: %s replay %s.", counted(int64(s.sc.Watchers), "watcher"), counted(s.sc.History, "revision"))
	default:
		text = counted(int64(s.sc.Watchers), "watcher") + "; " + loadWords(s.sc) + "."
	}
	if s.sc.Warmup > 0 {
		text += " The warm-up is shown, and in no other figure."
	}
	if b.repetitions() > 1 {
		text += " One run of each: the one whose p99 is in the middle."
	}
	return text
}

// hurtWords say what the scene cost, where the runs tell.
func (b *builder) hurtWords(s *scene) string {
	quiet := quietPart(s.sc)
	if quiet == "" {
		return ""
	}
	var parts []string
	for i, subject := range b.subjects {
		before, during := s.values(i, quiet+"notify.p99_ns"), s.values(i, "notify.p99_ns")
		if len(before) == 0 || len(during) == 0 {
			continue
		}
		was, is := stat.Summarize(before), stat.Summarize(during)
		c := stat.Compare(before, during)
		switch {
		case c.Verdict == stat.NoDifference:
			parts = append(parts, fmt.Sprintf("on %s it shows no difference (%s)", subject.name, duration(is.Median)))
		default:
			parts = append(parts, fmt.Sprintf("on %s it is %s, %s before", subject.name, duration(is.Median), duration(was.Median)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	if len(parts) > 4 {
		parts = append(parts[:4], "the others are in the table")
	}
	return hurtBegin(s.sc) + ": " + strings.Join(parts, "; ") + "."
}

// quietPart is the prefix of metrics from before a scenario begins to hurt.
func quietPart(sc bench.Scenario) string {
	switch sc.Name {
	case bench.Slow:
		return "before."
	case bench.Interference:
		return "quiet."
	}
	return ""
}

func hurtBegin(sc bench.Scenario) string {
	if sc.Name == bench.Slow {
		return fmt.Sprintf("Notify p99 of the healthy watchers while %d of %s stall", sc.StalledStreams, counted(int64(sc.Streams), "stream"))
	}
	return fmt.Sprintf("Notify p99 while %s catch up", counted(int64(sc.Watchers), "watcher"))
}

// shadesOf marks the parts of a scenario on its time axis.
func shadesOf(sc bench.Scenario, x axis) (shades []shade, squares []legend) {
	warm := sc.Warmup.Seconds()
	if warm > 0 {
		shades = append(shades, shade{"warm", bandOf(0, x.at(warm))})
		squares = append(squares, legend{"iW", "warm-up"})
	}
	from, to, what := 0.0, 0.0, ""
	switch {
	case sc.StalledStreams > 0:
		from = warm + (sc.Duration-sc.Stall).Seconds()/2
		to, what = from+sc.Stall.Seconds(), "stall"
	case sc.Name == bench.Interference:
		quiet := sc.Quiet
		if quiet == 0 {
			quiet = sc.Duration / 2
		}
		from, to, what = warm+quiet.Seconds(), warm+sc.Duration.Seconds(), "others catch up"
	}
	if to > from {
		shades = append(shades, shade{"stall", bandOf(x.at(from), x.at(to))})
		squares = append(squares, legend{"iS", what})
	}
	return shades, squares
}

// latencyOverTime draws the notify p99 of each interval.
func (b *builder) latencyOverTime(runs []*bench.Run, x axis) *plot {
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
	p := plot{Title: "Notify p99 of all watchers, each second; logarithmic", Height: 190, Y: upright(y.ticks, 190)}
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

// countsOverTime draws the watchers that are not synced, for the targets that
// show them.
func (b *builder) countsOverTime(runs []*bench.Run, x axis) (plots []plot) {
	for _, c := range []struct {
		title string
		pick  func(*bench.Series) []int
	}{
		{"Victims: watchers behind a full outbox", func(s *bench.Series) []int { return s.VictimWatchers }},
		{"Unsynced: watchers reading history", func(s *bench.Series) []int { return s.UnsyncedWatcher }},
	} {
		top, shown := 0, false
		for _, r := range runs {
			if r != nil {
				for _, v := range c.pick(r.Series) {
					top, shown = max(top, v), true
				}
			}
		}
		if !shown || top == 0 {
			continue
		}
		y := linear(float64(top), 2, tickCount)
		p := plot{Title: c.title, Height: 96, Y: upright(y.ticks, 96)}
		var words []string
		for i, r := range runs {
			if r == nil || len(c.pick(r.Series)) == 0 {
				continue
			}
			series := c.pick(r.Series)
			points, _, high := overTime(len(series), interval(r.Series), x, func(i int) (float64, bool) { return float64(series[i]), true }, y)
			p.Lines = append(p.Lines, line{b.subjects[i].class, pathOf(points)})
			words = append(words, fmt.Sprintf("%s at most %s", b.subjects[i].name, figure.Count(int64(high))))
		}
		p.Name = c.title + ", over time: " + strings.Join(words, ", ") + "."
		plots = append(plots, p)
	}
	return plots
}

// hurtTable has the figures of the scene.
func (b *builder) hurtTable(s *scene) figureTable {
	quiet := quietPart(s.sc)
	columns := []struct{ head, metric string }{{"notify p99", "notify.p99_ns"}, {"notify max", "notify.max_ns"}, {"victims", "victims"}}
	switch s.sc.Name {
	case bench.Slow:
		columns = []struct{ head, metric string }{{"p99 before", quiet + "notify.p99_ns"}, {"p99 while they stall", "notify.p99_ns"}, {"victims", "victims"}, {"victims/s", "victims_per_s"}, {"recovery", "slow.recovery_ns"}, {"pinned", "pinned_bytes"}}
	case bench.Interference:
		columns = []struct{ head, metric string }{{"notify p99 quiet", quiet + "notify.p99_ns"}, {"while others catch up", "notify.p99_ns"}, {"put p99 quiet", quiet + "put.p99_ns"}, {"while others catch up", "put.p99_ns"}, {"victims", "victims"}}
	}
	t := figureTable{Caption: upper(sceneWords(s))}
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
