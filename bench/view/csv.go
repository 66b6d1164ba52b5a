package view

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Columns of CSV, in order.
func Columns() []string {
	return []string{
		"file", "started", "complete", "target", "engine", "durability", "seed",
		"scenario", "repetition", "metric", "unit", "value", "reason",
	}
}

// CSV writes a row for each metric of each run. What was not measured has an
// empty value, and its reason. A result that broke a promise has one row, whose
// reason names it.
func CSV(w io.Writer, inputs []Input) error {
	c := csv.NewWriter(w)
	_ = c.Write(Columns()) // the error stays in c
	for _, in := range inputs {
		res := in.Result
		head := []string{
			in.File, res.Started.UTC().Format(time.RFC3339), strconv.FormatBool(res.Complete),
			res.Target.Name(), res.Target.Engine, res.Target.Durability, strconv.FormatUint(res.Plan.Seed, 10),
		}
		row := func(cells ...string) { _ = c.Write(append(slices.Clone(head), cells...)) }
		if b := res.Broken; b != nil {
			row(b.Scenario, "", "", "", "", "broken "+b.Rule+" "+b.Name+": "+b.Detail)
			continue
		}
		for i := range res.Runs {
			runRows(&res.Runs[i], row)
		}
	}
	c.Flush()
	return c.Error()
}

func runRows(run *bench.Run, row func(...string)) {
	rep := strconv.Itoa(run.Repetition)
	for _, name := range slices.Sorted(maps.Keys(run.Metrics)) {
		_, unit := SplitUnit(name)
		row(run.Scenario, rep, name, unit, number(run.Metrics[name]), "")
	}
	for _, name := range slices.Sorted(maps.Keys(run.NotMeasured)) {
		_, unit := SplitUnit(name)
		row(run.Scenario, rep, name, unit, "", run.NotMeasured[name])
	}
}
