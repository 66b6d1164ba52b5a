package curves

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/mvcc"
)

// Cell is one figure of the matrix: the median of several measurements.
type Cell struct {
	Engine, Durability, Column string
	Median, Min, Max           float64
	Count                      int
	Missing                    string // why there is none
}

// column is one figure of one scenario.
type column struct {
	name   string
	figure func(*bench.Run) (float64, bool)
	write  func(float64) string
}

// part is a scenario and what the matrix takes from it.
type part struct {
	scenario bench.Scenario
	columns  []column
}

// matrixParts are the scenarios of the matrix: those named, or all.
func matrixParts(names []string) (parts []part) {
	for _, p := range everyPart() {
		if len(names) == 0 || slices.Contains(names, p.scenario.Title()) {
			parts = append(parts, p)
		}
	}
	return parts
}

func everyPart() []part {
	notify := live(1000, 50)
	notify.FullSpeed, notify.RatePerS, notify.Writers, notify.Keys = false, 1000, 64, 1000
	throughput := live(1000, 50)
	throughput.Writers, throughput.Keys = 64, 1000
	stall := live(1000, 10)
	stall.Name, stall.FullSpeed, stall.RatePerS, stall.Writers, stall.Keys = bench.Slow, false, 2000, 64, 1000
	stall.Shape = bench.Prefix // the stalled stream hears of every put: more than its outbox holds
	stall.Duration, stall.StalledStreams, stall.Stall = 9*time.Second, 1, 3*time.Second
	return []part{
		{notify, []column{
			{"notify p50", metric("notify.p50_ns", 1), duration},
			{"notify p99", metric("notify.p99_ns", 1), duration},
			{"put p99", metric("put.p99_ns", 1), duration},
		}},
		{throughput, []column{{"puts/s", metric("put.rate_per_s", 1), figure.Rate}}},
		{stall, []column{{"victims", metric("victims_ratio", 1), figure.Percent}}},
		{replay(bench.Prefix, 1000, 100_000), []column{{"catch-up, all", metric("catchup.events_per_s", 1), perSecond}}},
		{replay(bench.OneKey, 1000, history), []column{
			{"catch-up, one key", metric("catchup.synced_ns", 1), duration},
			{"heap", metric("memory.heap_max_bytes", 1), bytes},
			{"disk", metric("disk.data_bytes", 1), bytes},
		}},
	}
}

func duration(v float64) string  { return figure.Duration(time.Duration(v)) }
func perSecond(v float64) string { return figure.Rate(v) + "/s" }
func bytes(v float64) string     { return figure.Bytes(int64(v)) }

// MeasureMatrix takes scenarios, by their titles or all, on every engine in both durabilities. It
// goes round all of them once before it begins again, so that a slow hour
// falls on everybody.
func MeasureMatrix(ctx context.Context, names, scenarios []string, o Options) ([]Cell, error) {
	parts := matrixParts(scenarios)
	var cells []Cell
	values := map[[3]string][]float64{}
	for range o.count() {
		for _, engine := range names {
			for _, d := range []mvcc.Durability{mvcc.Sync(), relaxed()} {
				for _, p := range parts {
					run, err := measure(ctx, engine, d, p.scenario, o)
					if err != nil {
						return nil, fmt.Errorf("%s, %s, %s: %w", engine, d, p.scenario.Title(), err)
					}
					for _, col := range p.columns {
						key := [3]string{engine, d.String(), col.name}
						if v, ok := col.figure(run); ok {
							values[key] = append(values[key], v)
						} else {
							values[key] = values[key][:0:0]
						}
					}
					if o.Tell != nil {
						o.Tell(fmt.Sprintf("%-8s %-16s %s", engine, d, p.scenario.Title()))
					}
				}
			}
		}
	}
	for _, engine := range names {
		for _, d := range []mvcc.Durability{mvcc.Sync(), relaxed()} {
			for _, p := range parts {
				for _, col := range p.columns {
					cells = append(cells, cellOf(engine, d.String(), col.name, values[[3]string{engine, d.String(), col.name}]))
				}
			}
		}
	}
	return cells, nil
}

func cellOf(engine, durability, name string, values []float64) Cell {
	c := Cell{Engine: engine, Durability: durability, Column: name, Count: len(values)}
	if len(values) == 0 {
		c.Missing = "not measured here"
		return c
	}
	slices.Sort(values)
	c.Median, c.Min, c.Max = values[len(values)/2], values[0], values[len(values)-1]
	return c
}

// WriteMatrix writes cells as a table in Markdown, a row for each engine and
// durability.
func WriteMatrix(w io.Writer, cells []Cell) error {
	write := map[string]func(float64) string{}
	for _, p := range everyPart() {
		for _, col := range p.columns {
			write[col.name] = col.write
		}
	}
	var rows []string
	var names []string
	row := ""
	for _, c := range cells {
		if at := "| " + c.Engine + " | " + c.Durability + " |"; at != row {
			row = at
			rows = append(rows, at)
		}
		if len(rows) == 1 {
			names = append(names, c.Column)
		}
		cell := " -"
		if c.Missing == "" {
			cell = " " + write[c.Column](c.Median)
		}
		rows[len(rows)-1] += cell + " |"
	}
	head := append([]string{"engine", "durability"}, names...)
	_, err := fmt.Fprintf(w, "| %s |\n%s|\n%s\n", strings.Join(head, " | "), strings.Repeat("|---", len(head)), strings.Join(rows, "\n"))
	return err
}
