package curves

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
)

// Options say how often and where.
type Options struct {
	Count int    // measurements of each point; 0 is 3
	Dir   string // for data, which is removed; empty is the system's
	Seed  uint64
	// Limit leaves out points above it; 0 is none.
	Limit float64
	// Tell is told of each point; nil is nobody.
	Tell func(line string)
}

func (o Options) count() int {
	if o.Count <= 0 {
		return 3
	}
	return o.Count
}

// Point is one place on a curve.
type Point struct {
	Line             string
	X                float64
	Median, Min, Max float64
	Count            int
}

// ErrNoFigure says that a measurement did not have what a curve shows.
var ErrNoFigure = errors.New("curves: the measurement has no such figure")

// Measure takes every point of a curve, in the order of its lines.
func (c Curve) Measure(ctx context.Context, o Options) ([]Point, error) {
	var points []Point
	for _, line := range c.Lines {
		for _, x := range line.Xs {
			if o.Limit > 0 && x > o.Limit {
				continue
			}
			p, err := line.point(ctx, x, o)
			if err != nil {
				return points, fmt.Errorf("%s, %s at %g: %w", c.Name, line.Name, x, err)
			}
			points = append(points, p)
			if o.Tell != nil {
				o.Tell(fmt.Sprintf("%-10s %-18s %10g  %14.4g  (%.4g to %.4g of %d)", c.Name, line.Name, x, p.Median, p.Min, p.Max, p.Count))
			}
		}
	}
	return points, nil
}

func (l Line) point(ctx context.Context, x float64, o Options) (Point, error) {
	if l.Procs != nil {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(l.Procs(x)))
	}
	values := make([]float64, 0, o.count())
	for range o.count() {
		run, err := measure(ctx, l.Engine, l.Durability, l.Scenario(x), o)
		if err != nil {
			return Point{}, err
		}
		v, ok := l.Figure(run)
		if !ok {
			return Point{}, ErrNoFigure
		}
		values = append(values, v)
	}
	slices.Sort(values)
	return Point{Line: l.Name, X: x, Median: values[len(values)/2], Min: values[0], Max: values[len(values)-1], Count: len(values)}, nil
}

// measure takes one scenario on one engine, in a directory of its own.
func measure(ctx context.Context, engine string, d mvcc.Durability, sc bench.Scenario, o Options) (_ *bench.Run, err error) {
	driver, ok := engines.Lookup(engine)
	if !ok {
		return nil, fmt.Errorf("engine %q is unknown", engine)
	}
	dir, err := os.MkdirTemp(o.Dir, "curves-")
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(dir))
		debug.FreeOSMemory() // what one measurement left is not the next one's
	}()
	plan := bench.Plan{Seed: o.Seed, Count: 1, Scenarios: []bench.Scenario{sc}}
	res, err := bench.Measure(ctx, plan, bench.Options{Kind: bench.Embedded{Driver: driver, Durability: d}, Dir: dir})
	switch {
	case err != nil:
		return nil, err
	case res.Broken != nil:
		return nil, fmt.Errorf("promise %s is broken: %s", res.Broken.Rule, res.Broken.Detail)
	case res.CutShort != nil || len(res.Runs) != 1:
		return nil, context.Cause(ctx)
	}
	return &res.Runs[0], nil
}
