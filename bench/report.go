package bench

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// ReportOptions say how a report looks.
type ReportOptions struct {
	Color   bool
	Blank   bool   // a blank line between the parts, for terminals
	Verbose bool   // rules and settings one by one
	Again   string // the command that shows a broken promise again
	// Evidence is the file with all responses that were kept of a watch whose
	// promise broke; it is named only with them.
	Evidence string
	Next     []string // commands to try next, a line each
}

// Report writes a result as text of 80 columns: the answer first, its doubts
// next. A broken promise takes the place of all figures.
func Report(w io.Writer, res *Result, o ReportOptions) error {
	r := &report{res: res, o: o, paint: paint{o.Color}}
	r.write()
	_, err := io.WriteString(w, strings.Join(r.lines, "\n")+"\n")
	return err
}

type report struct {
	res   *Result
	o     ReportOptions
	paint paint
	lines []string
	notes []string // reasons of what is n/a, once each
}

func (r *report) line(format string, args ...any) {
	r.lines = append(r.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (r *report) part() {
	if r.o.Blank && len(r.lines) > 0 {
		r.lines = append(r.lines, "")
	}
}

func (r *report) write() {
	if r.res.Broken != nil {
		r.broken(r.res.Broken)
		return
	}
	if cut := r.res.CutShort; cut != nil {
		r.line("%s", r.cutShort(cut))
	}
	if r.res.Failed != "" {
		r.incomplete()
	}
	r.head()
	r.warnings()
	for i := 0; i < len(r.res.Plan.Scenarios); {
		n := r.sameName(i)
		r.scenarios(i, i+n)
		i += n
	}
	r.foot()
}

// sameName counts the scenarios from i on that share a table.
func (r *report) sameName(i int) int {
	n := 1
	for i+n < len(r.res.Plan.Scenarios) && r.res.Plan.Scenarios[i+n].Name == r.res.Plan.Scenarios[i].Name {
		n++
	}
	return n
}

func (r *report) scenarios(from, to int) {
	var rows []row
	for i := from; i < to; i++ {
		if m, ok := r.median(i); ok {
			rows = append(rows, row{r.res.Plan.Scenarios[i], m})
		}
	}
	if len(rows) == 0 {
		return
	}
	r.part()
	switch rows[0].sc.Name {
	case Notify:
		r.notify(rows)
	case CatchUp:
		r.catchUp(rows)
	case Replay:
		r.replay(rows)
	case Slow:
		r.slow(rows[0])
	case Interference:
		r.interference(rows[0])
	case Storm:
		r.storm(rows[0])
	case Churn:
		r.churn(rows[0])
	case Compaction:
		r.compaction(rows[0])
	case Mixed:
		r.mixed(rows[0])
	}
	r.spread(rows)
	for _, note := range r.notes {
		r.line("%s", note)
	}
	r.notes = nil
}

// row is a scenario with its figures: those of its run, or the medians of its
// repetitions.
type row struct {
	sc  Scenario
	run Run
}

// median is the run of scenario i, or one with the median of every metric.
func (r *report) median(i int) (Run, bool) {
	var runs []Run
	for _, run := range r.res.Runs {
		if run.Planned == i && run.Metrics != nil {
			runs = append(runs, run)
		}
	}
	if len(runs) == 0 {
		return Run{}, false
	}
	mid := runs[0]
	mid.Metrics = map[string]float64{}
	for name := range runs[0].Metrics {
		mid.Metrics[name] = medianOf(runs, name)
	}
	return mid, true
}

// values of one metric in all runs that have it, ascending.
func values(runs []Run, name string) (all []float64) {
	for _, run := range runs {
		if v, ok := run.Metrics[name]; ok {
			all = append(all, v)
		}
	}
	sort.Float64s(all)
	return all
}

func medianOf(runs []Run, name string) float64 {
	all := values(runs, name)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// spread says how far apart repetitions were.
func (r *report) spread(rows []row) {
	if r.res.Plan.Count < 2 {
		return
	}
	for _, row := range rows {
		var runs []Run
		for _, run := range r.res.Runs {
			if run.Scenario == row.run.Scenario {
				runs = append(runs, run)
			}
		}
		name, what, format := "notify.p99_ns", "notify p99", func(v float64) string { return figure.Duration(time.Duration(v)) }
		if row.sc.Name == CatchUp || row.sc.Name == Replay {
			name, what, format = "catchup.events_per_s", "events/s", figure.Rate
		}
		if all := values(runs, name); len(all) > 1 {
			r.line("median of %d: %s %s from %s to %s", len(all), row.run.Scenario, what, format(all[0]), format(all[len(all)-1]))
		}
	}
}

// incomplete says why the run ended before its time.
func (r *report) incomplete() {
	const word = "INCOMPLETE"
	lines := wrap(word, len(word)+2, strings.Fields(strings.ReplaceAll(r.res.Failed, "\n", "; ")))
	lines[0] = r.paint.yellow(word) + lines[0][len(word):]
	r.lines = append(r.lines, lines...)
}

func (r *report) cutShort(cut *CutShort) string {
	const word = "CUT SHORT"
	s := word
	var parts []string
	if cut.Scenario != "" {
		s += " after " + figure.Short(cut.After.Round(100*time.Millisecond))
		if cut.Of > 0 {
			s += " of " + figure.Short(cut.Of)
		}
		measured := "nothing"
		if cut.Measured > 0 {
			measured = figure.Short(cut.Measured.Round(100 * time.Millisecond))
		}
		parts = append(parts, measured+" of "+cut.Scenario+" measured")
	}
	if len(cut.NotRun) > 0 {
		parts = append(parts, joinAnd(cut.NotRun)+" not run")
	}
	s = strings.Join(wrap("", 0, strings.Fields(s+": "+strings.Join(parts, "; "))), "\n")
	return r.paint.yellow(word) + s[len(word):]
}

func joinAnd(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// head: what was measured, and the verdict.
func (r *report) head() {
	name := r.res.Target.Name()
	watchers, streams := 0, 0
	for _, sc := range r.res.Plan.Scenarios {
		watchers, streams = max(watchers, sc.Watchers), max(streams, sc.Streams)
	}
	verdict := "all promises kept"
	switch {
	case len(r.res.Runs) == 0:
		verdict = "nothing was measured"
	case r.res.Unchecked:
		verdict = r.paint.yellow("NOT CHECKED: no promise was looked at")
	case r.res.CutShort != nil, r.res.Failed != "":
		verdict = "promises kept until then"
		if rules, _ := r.allowed(); len(rules) > 0 {
			verdict = r.paint.yellow(verdict + " but " + joinAnd(rules))
		}
	default:
		verdict = r.paint.green(verdict)
		if rules, _ := r.allowed(); len(rules) > 0 {
			verdict = r.paint.yellow("all promises kept but " + joinAnd(rules))
		}
	}
	r.line("%s   %s, %s   seed %d   %s", name, counted(watchers, "watcher"), counted(streams, "stream"), r.res.Plan.Seed, verdict)
	if src := r.res.Source; src != nil {
		r.line("%s is opened read-only: %s events of %s keys, revisions %d to %d", src.File, figure.Count(src.Events), figure.Count(src.Keys), src.FirstRev, src.LastRev)
	}
	if len(r.res.Runs) > 0 && !r.res.Unchecked {
		r.verdicts()
	}
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return figure.Count(int64(n)) + " " + what
}

// verdictIndent is where the verdicts' text begins.
const verdictIndent = 15

// verdicts names the promises by what became of them.
func (r *report) verdicts() {
	t := r.res.Target
	var names []string
	kept := map[string]bool{}
	var checked int64
	for _, run := range r.res.Runs {
		for _, p := range run.Promises {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
			kept[p.Name] = kept[p.Name] || p.Verdict == "kept"
			if p.Rule == "G1" {
				checked += p.Checked
			}
		}
	}
	var good, unseen []string
	for _, name := range names {
		if word := strings.ReplaceAll(name, " ", "-"); kept[name] {
			good = append(good, word)
		} else {
			unseen = append(unseen, word)
		}
	}
	const indent = verdictIndent
	_, allowed := r.allowed()
	r.lines = append(r.lines, allowed...)
	lines := wrap("  kept", indent, good)
	tail := figure.Count(checked) + " events checked"
	if last := lines[len(lines)-1]; len(last)+2+len(tail) <= reportWidth {
		lines[len(lines)-1] = heading(last, tail)
	} else {
		lines = append(lines, heading("", tail))
	}
	r.lines = append(r.lines, lines...)
	if ours := r.ours(); len(ours) > 0 {
		r.lines = append(r.lines, wrap("  ours", indent, strings.Fields("not promised by "+t.Kind+", not kept: "+strings.Join(ours, ", ")))...)
	}
	label := "  not checked"
	if len(unseen) > 0 {
		r.lines = append(r.lines, wrap(label, indent, strings.Fields(strings.Join(unseen, " ")+": nothing here could break them"))...)
		label = ""
	}
	r.line("%s", wrap(label, indent, []string{"durable before seen (G7): needs a power cut"})[0])
	if r.o.Verbose {
		r.rules()
	}
}

// ours are the promises that the target does not give and was seen not to
// keep, with how often.
func (r *report) ours() (all []string) {
	seen := map[string]int64{}
	names := map[string]string{}
	for _, run := range r.res.Runs {
		for _, p := range run.Promises {
			if p.NotKept > 0 {
				if seen[p.Rule] == 0 {
					all = append(all, p.Rule)
				}
				seen[p.Rule] += p.NotKept
				names[p.Rule] = p.Name
			}
		}
	}
	for i, rule := range all {
		all[i] = fmt.Sprintf("%s %s (%s)", rule, names[rule], counted(int(seen[rule]), "response"))
	}
	return all
}

// rules lists every rule with how often it could have broken.
func (r *report) rules() {
	type sum struct {
		p       Promise
		checked int64
		broke   bool
	}
	var order []string
	all := map[string]*sum{}
	for _, run := range r.res.Runs {
		for _, p := range run.Promises {
			if all[p.Rule] == nil {
				all[p.Rule] = &sum{p: p}
				order = append(order, p.Rule)
			}
			all[p.Rule].checked += p.Checked
			all[p.Rule].broke = all[p.Rule].broke || p.Verdict == "broken"
		}
	}
	for _, id := range order {
		s := all[id]
		verdict := "kept"
		if s.checked == 0 {
			verdict = "not checked"
		}
		if s.p.Verdict == "not promised" {
			verdict = s.p.Verdict
		}
		if s.broke {
			verdict = "broken"
		}
		r.line("  %-4s %-13s %-5s %-12s %s", id, s.p.Name, s.p.Class, verdict, figure.Count(s.checked))
	}
}
