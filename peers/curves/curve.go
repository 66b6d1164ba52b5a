package curves

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
)

// Curve is how some figures change with one quantity.
type Curve struct {
	Name  string // of its files
	Title string
	X, Y  Axis
	Lines []Line
}

// Axis is what a picture counts along one of its sides.
type Axis struct {
	Label string
	Log   bool
}

// Line is the points of one engine and layout.
type Line struct {
	Name       string
	Engine     string
	Durability mvcc.Durability
	Procs      func(x float64) int // GOMAXPROCS of a point; nil leaves it
	Xs         []float64
	Scenario   func(x float64) bench.Scenario
	Figure     func(run *bench.Run) (float64, bool)
}

// relaxed is the durability of curves that are about watching: it keeps the
// disk out of the way of the writer.
func relaxed() mvcc.Durability { return mvcc.Relaxed(100 * time.Millisecond) }

// metric is the figure of that name, divided.
func metric(name string, by float64) func(run *bench.Run) (float64, bool) {
	return func(run *bench.Run) (float64, bool) {
		v, ok := run.Metrics[name]
		return v / by, ok
	}
}

const (
	keys       = 10_000
	valueBytes = 256
	history    = 1_000_000
)

var engineNames = []string{"mem", "bolt", "pebble", "badger"}

// each makes a line for each engine.
func each(names []string, line func(engine string) Line) []Line {
	lines := make([]Line, len(names))
	for i, name := range names {
		lines[i] = line(name)
		lines[i].Name, lines[i].Engine = name, name
	}
	return lines
}

// steps are powers of ten from one to another, both in it.
func steps(from, to float64) (xs []float64) {
	for x := from; x <= to*1.001; x *= 10 {
		xs = append(xs, x)
	}
	return xs
}

// live is a second's warm-up and a few seconds of puts.
func live(watchers, streams int) bench.Scenario {
	return bench.Scenario{
		Name: bench.Notify, Shape: bench.OneKey, Watchers: watchers, Streams: streams,
		Writers: 1, FullSpeed: true, Keys: keys, ValueBytes: valueBytes,
		Warmup: time.Second, Duration: 4 * time.Second,
	}
}

// replay is watchers that read all of a history of some revisions.
func replay(shape bench.Shape, watchers int, revisions int64) bench.Scenario {
	return bench.Scenario{
		Name: bench.CatchUp, Shape: shape, Watchers: watchers, Streams: min(watchers, 50),
		Keys: keys, ValueBytes: valueBytes, History: revisions,
	}
}

// fanOut is a fixed number of puts that every watcher hears of.
func fanOut(watchers, streams int) bench.Scenario {
	const events = 5_000_000 // enough for seconds
	sc := live(watchers, streams)
	sc.Name, sc.Shape = bench.FanOut, bench.Prefix
	sc.Puts = int64(min(max(events/watchers, 20), 200_000))
	sc.Warmup, sc.Duration = 100*time.Millisecond, 200*time.Millisecond
	return sc
}

// durable is writers at full speed, each waiting for the disk, one watcher.
func durable(writers int) bench.Scenario {
	sc := live(1, 1)
	sc.Writers = writers
	return sc
}

// All lists the curves in the order of docs/performance.md.
func All() []Curve {
	return []Curve{idle(), concerned(), lag(), matched(), streams(), value(), writers(), procs()}
}

// Named finds curves by name; none asked for is all.
func Named(names []string) ([]Curve, error) {
	if len(names) == 0 {
		return All(), nil
	}
	var found []Curve
	for _, name := range names {
		at := -1
		known := ""
		for i, c := range All() {
			known += " " + c.Name
			if c.Name == name {
				at = i
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("curve %q: unknown; one of%s", name, known)
		}
		found = append(found, All()[at])
	}
	return found, nil
}
