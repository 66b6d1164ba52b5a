package compare

import (
	"slices"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

// Table is a comparison, metric by metric; the first target is what the others
// are compared with.
type Table struct {
	Results []*bench.Result // a column each
	Names   []string        // of the columns, no two alike
	Rows    []Row
}

// Row is one metric of one scenario.
type Row struct {
	Metric   string // its full name
	Scenario string // title
	Name     string // as gates call it, so short that it is no other row's
	Cells    []Cell
}

// Cell is what one target says in a row.
type Cell struct {
	stat.Sample
	stat.Summary
	// Change against the first target; that itself has the zero Change.
	Change stat.Change
	// Best figure of the row, or not told from it. False in the whole row
	// where no target can be told from another.
	Best bool
}

// headlines are the metrics of each scenario that a table shows unless all are
// asked for; the first is what a sentence is made of.
var headlines = map[string][]string{
	bench.Notify:       {"notify.p99_ns", "notify.p50_ns", "put.p99_ns"},
	bench.CatchUp:      {"catchup.events_per_s"},
	bench.Replay:       {"catchup.events_per_s"},
	bench.Slow:         {"notify.p99_ns", "slow.recovery_ns"},
	bench.Interference: {"put.p99_ns", "put.max_ns", "notify.p99_ns"},
	bench.Storm:        {"storm.synced_ns", "storm.events_per_s", "notify.p99_ns"},
	bench.Churn:        {"notify.p99_ns", "created.p99_ns", "put.p99_ns"},
	bench.Compaction:   {"notify.p99_ns", "told.p99_ns", "put.p99_ns"},
	bench.Mixed:        {"notify.p99_ns", "put.p99_ns", "get.p99_ns", "list.p99_ns"},
	bench.FanOut:       {"fanout.events_per_s"},
	bench.Register:     {"register.heap_per_watcher_bytes"},
	bench.Reopen:       {"open.median_ns"},
}

const victims = "victims"

// Headlines lists the metrics of a scenario, by its name, that say most about
// it: its own first.
func Headlines(scenario string) []string {
	if listed, ok := headlines[scenario]; ok {
		return listed
	}
	var own []string
	for _, name := range bench.MetricNames() {
		if strings.HasPrefix(name, scenario+".") && bench.Better(name) != bench.Neither && len(own) < 3 {
			own = append(own, name)
		}
	}
	return append(own, "notify.p99_ns", "put.p99_ns")
}

// Tabulate makes the table of results in the order of the targets: the
// headlines of every scenario, or with everything each metric that anybody has
// and that is better one way.
func Tabulate(results []*bench.Result, everything bool) Table {
	t := Table{Results: results, Names: names(results)}
	scenarios := titles(results)
	for _, title := range scenarios {
		name, _, _ := strings.Cut(title, "/")
		metrics := Headlines(name)
		if everything {
			metrics = t.measured(title)
		}
		for _, metric := range metrics {
			if row, known := t.row(title, metric); known {
				t.Rows = append(t.Rows, row)
			}
		}
	}
	if !everything {
		t.addVictims(scenarios)
	}
	for i := range t.Rows {
		t.name(&t.Rows[i])
	}
	return t
}

// names tells the targets apart.
func names(results []*bench.Result) (all []string) {
	for _, res := range results {
		own := res.Target.Name()
		if own == "" {
			own = "unnamed"
		}
		name := own
		for n := 2; slices.Contains(all, name); n++ {
			name = own + " (" + strconv.Itoa(n) + ")"
		}
		all = append(all, name)
	}
	return all
}

// titles lists the scenarios that any target was asked for.
func titles(results []*bench.Result) (all []string) {
	for _, res := range results {
		for _, sc := range res.Plan.Scenarios {
			if !slices.Contains(all, sc.Title()) {
				all = append(all, sc.Title())
			}
		}
	}
	return all
}

// measured lists what anybody has of a scenario and is better one way.
func (t Table) measured(title string) (all []string) {
	for _, name := range bench.MetricNames() {
		if bench.Better(name) == bench.Neither {
			continue
		}
		for _, res := range t.Results {
			if len(stat.Of(res, title, name).Values) > 0 {
				all = append(all, name)
				break
			}
		}
	}
	return all
}

// row is false where nobody has the metric and nobody says why.
func (t Table) row(title, metric string) (row Row, known bool) {
	row = Row{Metric: metric, Scenario: title}
	for i, res := range t.Results {
		cell := Cell{Sample: stat.Of(res, title, metric)}
		cell.Summary = stat.Summarize(cell.Values)
		if i > 0 {
			cell.Change = stat.Compare(row.Cells[0].Values, cell.Values)
		}
		if len(cell.Values) > 0 {
			known = true
		}
		for _, run := range res.Runs {
			known = known || run.Scenario == title && run.NotMeasured[metric] != ""
		}
		row.Cells = append(row.Cells, cell)
	}
	row.mark()
	return row, known
}

// best is the column of the best median, -1 if there is none.
func (r Row) best() int {
	best := -1
	for i, cell := range r.Cells {
		if cell.N == 0 {
			continue
		}
		if best < 0 || bench.Better(r.Metric) == bench.Less && cell.Median < r.Cells[best].Median ||
			bench.Better(r.Metric) == bench.More && cell.Median > r.Cells[best].Median {
			best = i
		}
	}
	return best
}

// mark finds the best and those not told from it.
func (r *Row) mark() {
	best := r.best()
	if best < 0 || bench.Better(r.Metric) == bench.Neither {
		return
	}
	told := false
	for i := range r.Cells {
		verdict := stat.Compare(r.Cells[best].Values, r.Cells[i].Values).Verdict
		r.Cells[i].Best = r.Cells[i].N > 0 && verdict != stat.Different
		told = told || verdict == stat.Different
	}
	for i := range r.Cells {
		r.Cells[i].Best = r.Cells[i].Best && told
	}
}

// addVictims adds a row for each scenario in which somebody had victims, or
// one for all where nobody had.
func (t *Table) addVictims(scenarios []string) {
	var none *Row
	some := false
	for _, title := range scenarios {
		row, known := t.row(title, victims)
		if !known {
			continue
		}
		if none == nil {
			none = &row
		}
		if slices.ContainsFunc(row.Cells, func(c Cell) bool { return c.N > 0 && slices.Max(c.Values) > 0 }) {
			t.Rows, some = append(t.Rows, row), true
		}
	}
	if none != nil && !some {
		none.Name = victims
		t.Rows = append(t.Rows, *none)
	}
}

// name gives a row the shortest selector that is of no other scenario.
func (t Table) name(row *Row) {
	if row.Name != "" {
		return
	}
	var others []string
	for _, title := range titles(t.Results) {
		for _, res := range t.Results {
			if len(stat.Of(res, title, row.Metric).Values) > 0 {
				others = append(others, title)
				break
			}
		}
	}
	if len(others) == 0 {
		others = []string{row.Scenario} // it is n/a everywhere
	}
	row.Name = bench.SelectorOf(row.Metric, row.Scenario, others).String()
}
