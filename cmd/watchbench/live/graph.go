package live

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/guptarohit/asciigraph"
)

// The lines of the graph. asciigraph draws each with runes of its own, so that
// they can be told apart afterwards; the later ones lie on top.
var curves = []struct {
	name  string
	of    func(Point) time.Duration
	first rune // of eight in a private area of Unicode
	dim   bool
}{
	{"max", func(p Point) time.Duration { return p.Max }, 0xE000, true},
	{"p50", func(p Point) time.Duration { return p.P50 }, 0xE100, true},
	{"p99", func(p Point) time.Duration { return p.P99 }, 0xE200, false},
}

// strokes are what the eight runes of a curve become, in the order of charSet.
var strokes = []rune("─│╭╮╰╯──")

func charSet(first rune) asciigraph.CharSet {
	r := func(i rune) string { return string(first + i) }
	return asciigraph.CharSet{
		Horizontal: r(0), VerticalLine: r(1), ArcDownRight: r(2), ArcDownLeft: r(3),
		ArcUpRight: r(4), ArcUpLeft: r(5), EndCap: r(6), StartCap: r(7),
	}
}

const (
	graphLeft  = 10 // columns of the labels before the axis
	graphRight = 4  // and behind the plot
)

// graph draws latency over the last 50 s on a log scale: rows lines, then the
// time axis and its labels.
func (v view) graph(rows int) []string {
	width := v.width - graphLeft - 1 - graphRight
	data := make([][]float64, len(curves))
	for i, c := range curves {
		data[i] = resample(v.s.Past, width, c.of)
	}
	low, high := decades(data)
	for i := range data {
		for j := range data[i] {
			data[i][j] -= float64(low)
		}
	}
	lines := make([]string, rows)
	plot := plotted(data, rows, float64(high-low))
	labels := axisLabels(low, high, rows)
	ends := curveEnds(data, rows, float64(high-low))
	begins := beginnings(v.s.Past, plot, width)
	for i := range lines {
		axis := "│"
		if labels[i] != "" {
			axis = "┤"
		}
		label := strings.Repeat(" ", max(0, graphLeft-1-len([]rune(labels[i])))) + labels[i] + " "
		lines[i] = v.dim(label+axis) + v.strokes(plot[i], begins[i]) + " " + v.dim(ends[i])
	}
	return append(lines, v.timeAxis(width)...)
}

// plotted asks asciigraph for the rows of the plot, without its axis.
func plotted(data [][]float64, rows int, height float64) [][]rune {
	var sets []asciigraph.CharSet
	for _, c := range curves {
		sets = append(sets, charSet(c.first))
	}
	const offset = 3
	text := asciigraph.PlotMany(data,
		asciigraph.Height(rows-1), asciigraph.LowerBound(0), asciigraph.UpperBound(height), asciigraph.Offset(offset),
		asciigraph.SeriesChars(sets...), asciigraph.YAxisValueFormatter(func(float64) string { return "" }))
	out := make([][]rune, rows)
	for i, row := range strings.SplitN(text, "\n", rows) {
		if runes := []rune(row); len(runes) > offset {
			out[i] = runes[offset:]
		}
	}
	return out
}

// strokes turns a row of the plot into what the terminal shows; what is behind
// it shows where no curve is.
func (v view) strokes(row, behind []rune) string {
	var b, run strings.Builder
	dim := false
	flush := func(next bool) {
		if dim {
			b.WriteString(v.dim(run.String()))
		} else {
			b.WriteString(run.String())
		}
		run.Reset()
		dim = next
	}
	for i := range behind {
		r, isDim := behind[i], dim || behind[i] != ' '
		if i < len(row) {
			for _, c := range curves {
				if n := row[i] - c.first; n >= 0 && int(n) < len(strokes) {
					r, isDim = strokes[n], c.dim
				}
			}
		}
		if isDim != dim {
			flush(isDim)
		}
		run.WriteRune(r)
	}
	flush(false)
	return b.String()
}

// beginnings are what stands behind the curves: where a scenario or target
// began, and its name in the first row with room for it.
func beginnings(past []Point, plot [][]rune, width int) [][]rune {
	out := make([][]rune, len(plot))
	for i := range out {
		out[i] = []rune(strings.Repeat(" ", width))
	}
	for i, p := range past {
		col := columnOf(past, p, width)
		if p.Label == "" || col < 0 {
			continue
		}
		for row := range out {
			out[row][col] = '┊'
		}
		room := width - col - 1
		for _, next := range past[i+1:] {
			if next.Label != "" {
				room = columnOf(past, next, width) - col - 1
				break
			}
		}
		name := []rune(p.Label)
		for row := range out {
			if len(name) <= room && free(plot[row], col+1, len(name)) {
				copy(out[row][col+1:], name)
				break
			}
		}
	}
	return out
}

// free reports whether n columns of a row are blank.
func free(row []rune, from, n int) bool {
	for i := from; i < min(from+n, len(row)); i++ {
		if row[i] != ' ' {
			return false
		}
	}
	return true
}

// columnOf is where a point is in the plot; below 0: too long ago.
func columnOf(past []Point, p Point, width int) int {
	now := past[len(past)-1].At
	return width - 1 - int(float64(now-p.At)/float64(span)*float64(width-1)+0.5)
}

// resample makes one value for each column: the highest of its time, as
// logarithm of nanoseconds. A column without a point is NaN.
func resample(past []Point, width int, of func(Point) time.Duration) []float64 {
	out := make([]float64, width)
	for i := range out {
		out[i] = math.NaN()
	}
	for _, p := range past {
		d, i := of(p), columnOf(past, p, width)
		if d < 0 || i < 0 {
			continue
		}
		if y := math.Log10(float64(max(d, 1))); math.IsNaN(out[i]) || y > out[i] {
			out[i] = y
		}
	}
	return out
}

// decades bounds the values by whole powers of ten, at least two apart.
func decades(data [][]float64) (low, high int) {
	least, most := math.Inf(1), math.Inf(-1)
	for _, series := range data {
		for _, y := range series {
			if !math.IsNaN(y) {
				least, most = min(least, y), max(most, y)
			}
		}
	}
	if math.IsInf(least, 1) {
		return 5, 7 // 100 µs to 10 ms
	}
	low, high = int(math.Floor(least)), int(math.Ceil(most))
	if high-low < 2 {
		high = low + 2
	}
	return low, high
}

// axisLabels names the powers of ten in the rows they fall into.
func axisLabels(low, high, rows int) []string {
	out := make([]string, rows)
	step := 1
	for (high-low)/step+1 > rows { // not every decade has a row
		step++
	}
	for exp := low; exp <= high; exp += step {
		row := rows - 1 - int(math.Round(float64(exp-low)*float64(rows-1)/float64(high-low)))
		unit, n := []string{"ns", "µs", "ms", "s"}[min(exp/3, 3)], exp-3*min(exp/3, 3)
		out[row] = fmt.Sprintf("1%s %s", strings.Repeat("0", n), unit)
	}
	return out
}

// curveEnds names the curves in the rows where they end, or beside.
func curveEnds(data [][]float64, rows int, height float64) []string {
	out := make([]string, rows)
	row := -1
	for _, i := range []int{0, 2, 1} { // max, p99, p50: from above
		y := data[i][len(data[i])-1]
		if math.IsNaN(y) {
			continue
		}
		at := rows - 1 - int(math.Round(y*float64(rows-1)/height))
		row = max(row+1, at)
		if row < rows {
			out[row] = curves[i].name
		}
	}
	return out
}

// timeAxis is the line below the plot, and its labels.
func (v view) timeAxis(width int) []string {
	axis := []rune(strings.Repeat("─", width))
	labels := []rune(strings.Repeat(" ", graphLeft+1+width))
	step := 10
	if width < 60 {
		step = 25
	}
	for age := 0; age <= int(span/time.Second); age += step {
		col := width - 1 - int(math.Round(float64(age)/span.Seconds()*float64(width-1)))
		axis[col] = '┬'
		text := "now"
		if age > 0 {
			text = fmt.Sprintf("-%d s", age)
		}
		start := graphLeft + 1 + col - len(text)/2
		start = min(start, len(labels)-len(text))
		copy(labels[start:], []rune(text))
	}
	return []string{v.dim(strings.Repeat(" ", graphLeft) + "└" + string(axis)), v.dim(strings.TrimRight(string(labels), " "))}
}
