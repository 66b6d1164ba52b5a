package page

import (
	"math"
	"strconv"
	"strings"
)

// plot is one drawing: a square of 1000 by 1000 that the page stretches to its
// width, with labels of text beside it.
type plot struct {
	Title  string // above the drawing; may be empty
	Name   string // the finding in a sentence, for those who do not see it
	Height int    // CSS pixels
	X, Y   []tick
	Shades []shade
	Lines  []line
	Zero   string // where a vertical line marks zero; empty for none
	Last   bool   // of several over one axis: the one that shows its labels
}

// shade is a filled part of a drawing.
type shade struct {
	Class string
	Path  string
}

// line is one drawn series.
type line struct {
	Class string
	Path  string
}

// Place is where a label stands, in percent.
func (t tick) Place() string { return percent(t.At) }

// Down is where a label of a vertical axis stands, in percent from the top.
func (t tick) Down() string { return percent(1 - t.At) }

// Line is where its grid line stands.
func (t tick) Line() string { return thousand(t.At) }

// Across is where a horizontal grid line stands, from the top.
func (t tick) Across() string { return thousand(1 - t.At) }

func percent(v float64) string { return strconv.FormatFloat(v*100, 'f', 1, 64) + "%" }

// thousand is a place in the square, from 0 to 1000.
func thousand(v float64) string { return strconv.Itoa(int(math.Round(clamp(v) * 1000))) }

// point of a line, each from 0 to 1, y upwards. A gap parts lines.
type point struct {
	x, y float64
	gap  bool
}

// pathOf draws points.
func pathOf(points []point) string {
	var b strings.Builder
	pen := "M"
	last := ""
	for _, p := range points {
		if p.gap {
			pen, last = "M", ""
			continue
		}
		at := thousand(p.x) + " " + thousand(1-p.y)
		if at == last {
			continue
		}
		b.WriteString(pen + at)
		pen, last = "L", at
	}
	return b.String()
}

// areaOf fills the space between points and the foot of the drawing.
func areaOf(points []point) string {
	if len(points) == 0 {
		return ""
	}
	first, last := points[0], points[len(points)-1]
	all := append([]point{{x: first.x}}, points...)
	return pathOf(append(all, point{x: last.x})) + "Z"
}

// bandOf fills the height of the drawing between two places.
func bandOf(from, to float64) string {
	return "M" + thousand(from) + " 0H" + thousand(to) + "V1000H" + thousand(from) + "Z"
}

// maxPoints is how many points of a series are drawn, or kept where the page
// would grow too large.
const maxPoints = 600

// thinned picks at most maxPoints indices of a series, so that the smallest
// and the largest of what lies between are among them.
func thinned(n int, at func(i int) float64) []int {
	picked := make([]int, 0, min(n, maxPoints))
	if n <= maxPoints {
		for i := range n {
			picked = append(picked, i)
		}
		return picked
	}
	const buckets = maxPoints / 2
	for b := range buckets {
		from, to := b*n/buckets, (b+1)*n/buckets
		low, high := from, from
		for i := from; i < to; i++ {
			if at(i) < at(low) {
				low = i
			}
			if at(i) > at(high) {
				high = i
			}
		}
		picked = append(picked, min(low, high))
		if low != high {
			picked = append(picked, max(low, high))
		}
	}
	return picked
}
