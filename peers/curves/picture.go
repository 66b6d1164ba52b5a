package curves

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	pictureWidth  = 18 * vg.Centimeter
	pictureHeight = 9 * vg.Centimeter
	legendWidth   = 4 * vg.Centimeter
	titleHeight   = 1 * vg.Centimeter
	margin        = 3 * vg.Millimeter
)

// WritePicture draws the points of a curve as SVG, on white, so that it reads
// on a dark page too. Lines differ in colour, dash and mark.
func (c Curve) WritePicture(w io.Writer, points []Point) error {
	plot.DefaultFont.Variant = "Sans"
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text = c.Title
	p.X.Label.Text, p.Y.Label.Text = c.X.Label, c.Y.Label
	scale(&p.X, c.X.Log)
	scale(&p.Y, c.Y.Log)
	p.Add(plotter.NewGrid())
	legend := plot.NewLegend()
	legend.Top, legend.Left = true, true
	for i, line := range c.Lines {
		drawn := pointsOf(points, line.Name)
		if len(drawn) == 0 {
			continue
		}
		stroke, marks, err := plotter.NewLinePoints(drawn)
		if err != nil {
			return fmt.Errorf("draw %s, %s: %w", c.Name, line.Name, err)
		}
		bars, err := plotter.NewYErrorBars(drawn)
		if err != nil {
			return fmt.Errorf("draw %s, %s: %w", c.Name, line.Name, err)
		}
		stroke.Color, stroke.Dashes, stroke.Width = plotutil.Color(i), plotutil.Dashes(i), vg.Points(1.5)
		marks.Color, marks.Shape, marks.Radius = plotutil.Color(i), plotutil.Shape(i), vg.Points(3)
		bars.Color = plotutil.Color(i)
		p.Add(bars, stroke, marks)
		legend.Add(line.Name, stroke, marks)
	}
	extend(&p.X, c.X.Log)
	extend(&p.Y, c.Y.Log)
	canvas, err := draw.NewFormattedCanvas(pictureWidth, pictureHeight, "svg")
	if err != nil {
		return err
	}
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	inside := draw.Crop(all, margin, -margin, margin, -margin)
	p.Draw(draw.Crop(inside, 0, -legendWidth, 0, 0))
	legend.Draw(draw.Crop(inside, inside.Max.X-inside.Min.X-legendWidth+margin, 0, 0, -titleHeight))
	_, err = canvas.WriteTo(w)
	return err
}

// scale gives an axis ticks that people read: 10k, not 1e+04.
func scale(a *plot.Axis, log bool) {
	var ticks plot.Ticker = plot.DefaultTicks{}
	if log {
		a.Scale, ticks = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	a.Tick.Marker = plot.TickerFunc(func(low, high float64) []plot.Tick {
		marks := slices.DeleteFunc(ticks.Ticks(low, high), func(t plot.Tick) bool { return t.Value < low || t.Value > high })
		for i := range marks {
			if marks[i].Label != "" {
				marks[i].Label = short(marks[i].Value)
			}
		}
		return marks
	})
}

// short writes a round number: 250, 10k, 1.5M.
func short(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// extend makes an axis end at something round: at whole powers of ten, or 0.
func extend(a *plot.Axis, log bool) {
	if !log {
		a.Min = 0
		return
	}
	a.Min = math.Pow(10, math.Floor(math.Log10(a.Min)))
	a.Max = math.Pow(10, math.Ceil(math.Log10(a.Max)))
	if a.Min == a.Max {
		a.Max *= 10
	}
}

// lineOf is the points of one line, for the plotter.
type lineOf []Point

func pointsOf(points []Point, name string) (of lineOf) {
	for _, p := range points {
		if p.Line == name {
			of = append(of, p)
		}
	}
	return of
}

// Len and XY make a lineOf a plotter.XYer, YError a plotter.YErrorer.
func (l lineOf) Len() int                { return len(l) }
func (l lineOf) XY(i int) (x, y float64) { return l[i].X, l[i].Median }
func (l lineOf) YError(i int) (low, high float64) {
	return l[i].Median - l[i].Min, l[i].Max - l[i].Median
}
