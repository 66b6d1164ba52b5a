package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

const (
	// lateShare of an event's latency is what the generator may take of it.
	lateShare = 0.10
	// reached is the share of the intended rate that counts as reached.
	reached = 0.99
	// unsteady is the growth of p99 from the first to the second half, over
	// at least steadySamples seconds, that is worth a word.
	unsteady      = 0.25
	steadySamples = 8
)

// warnings says what makes the figures doubtful, above them: each kind of
// doubt once, with the worst case and the scenarios it concerns.
func (r *report) warnings() {
	var order []string
	worst := map[string]Doubt{}
	where := map[string][]string{}
	for _, run := range r.res.Runs {
		for _, d := range Doubts(r.res.Plan.Scenarios[run.Planned], run) {
			if d.OfAllowed() { // the verdicts say it
				continue
			}
			if len(where[d.Kind]) == 0 {
				order = append(order, d.Kind)
			}
			if !slices.Contains(where[d.Kind], run.Scenario) {
				where[d.Kind] = append(where[d.Kind], run.Scenario)
			}
			if d.Size > worst[d.Kind].Size {
				worst[d.Kind] = d
			}
		}
	}
	for _, kind := range order {
		text := worst[kind].Text + " (" + strings.Join(where[kind], ", ") + ")"
		for _, line := range wrap("!", 2, strings.Fields(text)) {
			r.lines = append(r.lines, r.paint.yellow(line))
		}
	}
}

// Doubt is a reason why figures are less than they seem.
type Doubt struct {
	Kind string  // doubts of one kind differ in size only
	Size float64 // to compare doubts of one kind
	Text string
}

// allowedKind begins the kind of an allowed break; its rule ends it.
const allowedKind = "allowed "

// OfAllowed says that the doubt is of a promise that broke and was allowed to.
func (d Doubt) OfAllowed() bool { return strings.HasPrefix(d.Kind, allowedKind) }

// Doubts lists what makes the figures of a run less than they seem.
func Doubts(sc Scenario, run Run) (doubts []Doubt) {
	for _, a := range run.Allowed {
		doubts = append(doubts, Doubt{allowedKind + a.Rule, float64(a.Watches), fmt.Sprintf("BROKEN %s %s, allowed: %s; %s", a.Rule, a.Name, a.Detail, countedWatches(a.Watches))})
	}
	late, notify := run.Metrics["generator.late_p99_ns"], run.Metrics["notify.p99_ns"]
	if late > lateShare*notify && notify > 0 {
		doubts = append(doubts, Doubt{"late", late, fmt.Sprintf("the client was the bottleneck: generator late by %s (p99), figures are a floor for the target", figure.Duration(time.Duration(late))) + busy(run)})
	}
	for _, part := range ratedParts(sc) {
		rate, ok := run.metric(part + "put.rate_per_s")
		if ok && sc.RatePerS > 0 && rate < reached*sc.RatePerS {
			text := fmt.Sprintf("%s of %s intended puts/s were achieved", figure.Rate(rate), figure.Rate(sc.RatePerS))
			if busy := run.Metrics["generator.backlog_ratio"]; busy > 1-reached {
				text += fmt.Sprintf("; for %s of them no writer was free in time", figure.Percent(busy))
			}
			doubts = append(doubts, Doubt{"rate", sc.RatePerS / max(1, rate), text})
			break
		}
	}
	if rate, ok := run.metric("churn.creates_per_s"); ok && rate < reached*sc.ChurnPerS {
		doubts = append(doubts, Doubt{"churn", sc.ChurnPerS / max(1, rate), fmt.Sprintf("%s of %s intended watches/s were created", figure.Rate(rate), figure.Rate(sc.ChurnPerS))})
	}
	if n, ok := run.metric("put.unanswered"); ok {
		doubts = append(doubts, Doubt{"unanswered", n, fmt.Sprintf("%s were not answered, so nobody knows whether they were done; they count with the time waited, and events from then on were not compared with what was written", counted(int(n), "put"))})
	}
	if n, ok := run.metric("put.refused"); ok {
		doubts = append(doubts, Doubt{"refused", n, fmt.Sprintf("the target refused %s as too many at once", counted(int(n), "put"))})
	}
	if n := run.Metrics["prevkv.absent"]; n > 0 {
		doubts = append(doubts, Doubt{"prevkv", n, "prevKV absent after compaction: " + figure.Count(int64(n))})
	}
	if grew, ok := Growth(sc, run); ok && grew > unsteady {
		doubts = append(doubts, Doubt{"steady", grew, fmt.Sprintf("not steady: p99 grew %s from first to second half", figure.Percent(grew))})
	}
	return doubts
}

// saturated is the share of the processors from which on they are the likely
// reason of lateness.
const saturated = 0.9

// busy is a reason why the generator was late.
func busy(run Run) string {
	if share := run.Metrics["cpu.busy_ratio"]; share >= saturated {
		return fmt.Sprintf("; the processors here were busy for %s of the time", figure.Percent(min(1, share)))
	}
	return ""
}

// ratedParts are the parts of a scenario in which the intended rate should be
// reached: those that are long enough to tell.
func ratedParts(sc Scenario) []string {
	switch sc.Name {
	case Storm:
		return []string{"before.", "after."}
	case Compaction:
		return []string{"", "before.", "after."}
	}
	return []string{"", "quiet."}
}

// Growth is by how much the notify p99 of the measured seconds grew from their
// first half to their second; in scenarios in which something happens, of those
// before it. ok is false where nothing is put all the time, or the seconds are
// too few to tell.
func Growth(sc Scenario, run Run) (ratio float64, ok bool) {
	if run.Series == nil {
		return 0, false
	}
	if len(run.Series.Parts) == 0 { // older than parts
		if sc.Name != Notify {
			return 0, false
		}
		return growth(run.Series.NotifyP99, int(sc.Warmup/time.Second)+1)
	}
	first, every := run.Series.Parts[0], run.Series.Interval
	if every <= 0 {
		return 0, false
	}
	whole := func(at time.Duration) int { return int(max(0, at) / every) }
	from, to := whole(first.From+every-1), whole(first.To) // seconds that lie in it from end to end
	from = min(from, len(run.Series.NotifyP99))
	return growth(run.Series.NotifyP99[from:max(from, min(to, len(run.Series.NotifyP99)))], 0)
}

// growth compares the mean of a series' second half with that of its first,
// without the first few and those that say nothing.
func growth(series []int64, skip int) (ratio float64, ok bool) {
	var seen []float64
	for i, v := range series {
		if i >= skip && v >= 0 {
			seen = append(seen, float64(v))
		}
	}
	if len(seen) < steadySamples {
		return 0, false
	}
	mean := func(part []float64) (sum float64) {
		for _, v := range part {
			sum += v
		}
		return sum / float64(len(part))
	}
	first := mean(seen[:len(seen)/2])
	return mean(seen[len(seen)/2:])/first - 1, first > 0
}

// foot: what it took, and what to try next.
func (r *report) foot() {
	if len(r.res.Runs) > 0 {
		r.part()
		r.lines = append(r.lines, r.cost()...)
		r.line("%s", r.res.Target.Buffers())
	}
	for _, note := range r.notes {
		r.line("%s", note)
	}
	if r.o.Verbose {
		r.settings()
	}
	for i, next := range r.o.Next {
		label := "next   "
		if i > 0 {
			label = "       "
		}
		r.line("%s%s", label, next)
	}
}

// cost is what the most expensive scenario took of the machine.
func (r *report) cost() (lines []string) {
	top := Run{Metrics: map[string]float64{}, NotMeasured: map[string]string{}}
	for _, run := range r.res.Runs {
		for _, name := range []string{"cpu.cores", "memory.heap_max_bytes", "memory.rss_max_bytes", "disk.data_bytes"} {
			if v, ok := run.metric(name); ok {
				top.Metrics[name] = max(top.Metrics[name], v)
			} else {
				top.NotMeasured[name] = run.NotMeasured[name]
			}
		}
	}
	cpu := r.cell(&top, "cpu.cores", func(v float64) string { return fmt.Sprintf("%.1f", v) })
	whose := ""
	if r.res.Target.Server() {
		whose = "client  "
		lines = append(lines, r.serverCost())
	}
	line := fmt.Sprintf("%sCPU %s of %s", whose, cpu, counted(r.res.Machine.Cores, "core"))
	if _, ok := top.metric("memory.rss_max_bytes"); ok {
		line += "   memory " + r.size(&top, "memory.rss_max_bytes")
	}
	line += "   heap " + r.size(&top, "memory.heap_max_bytes")
	if _, ok := top.metric("disk.data_bytes"); ok {
		line += "   disk " + r.size(&top, "disk.data_bytes")
	}
	lines = append(lines, line)
	for _, run := range r.res.Runs {
		late, timed := run.metric("generator.late_p99_ns")
		notify, seen := run.metric("notify.p99_ns")
		if timed && seen && notify > 0 {
			return append(lines, fmt.Sprintf("generator late p99 %s, %s of notify p99 (%s)", figure.Duration(time.Duration(late)), figure.Percent(late/notify), run.Scenario))
		}
	}
	return lines
}

// serverCost is what the server used in the scenario in which it used most.
func (r *report) serverCost() string {
	top := Run{Metrics: map[string]float64{}, NotMeasured: map[string]string{}}
	for _, run := range r.res.Runs {
		for _, name := range []string{"server.cpu_cores", "server.memory_max_bytes", "server.slow_watchers_max"} {
			if v, ok := run.metric(name); ok {
				top.Metrics[name] = max(top.Metrics[name], v)
			} else if top.NotMeasured[name] == "" {
				top.NotMeasured[name] = run.NotMeasured[name]
			}
		}
	}
	if len(top.Metrics) == 0 {
		return "server  CPU and memory n/a: " + top.NotMeasured["server.cpu_cores"]
	}
	line := "server  CPU " + r.cell(&top, "server.cpu_cores", func(v float64) string { return fmt.Sprintf("%.1f", v) }) +
		"   memory " + r.size(&top, "server.memory_max_bytes")
	if _, ok := top.metric("server.slow_watchers_max"); ok {
		line += "   slow watchers at most " + r.count(&top, "server.slow_watchers_max")
	}
	return line
}

// unmeasured lists what could not be measured, by reason.
func (r *report) unmeasured() {
	var reasons []string
	names := map[string][]string{}
	for _, run := range r.res.Runs {
		for _, name := range slices.Sorted(maps.Keys(run.NotMeasured)) {
			why := run.NotMeasured[name]
			if names[why] == nil {
				reasons = append(reasons, why)
			}
			if !slices.Contains(names[why], name) {
				names[why] = append(names[why], name)
			}
		}
	}
	for _, why := range reasons {
		r.lines = append(r.lines, wrap("not measured", 18, strings.Fields(strings.Join(names[why], " ")+": "+why))...)
	}
}

// settings lists the plan of every scenario and what the engine did.
func (r *report) settings() {
	for _, sc := range r.res.Plan.Scenarios {
		words := []string{
			fmt.Sprintf("watchers %s", figure.Count(int64(sc.Watchers))), fmt.Sprintf("streams %d", sc.Streams),
			fmt.Sprintf("keys %s", figure.Count(int64(sc.Keys))), "value " + figure.ShortBytes(int64(sc.ValueBytes)),
		}
		if sc.Writers > 0 {
			words = append(words, fmt.Sprintf("writers %d", sc.Writers))
		}
		if sc.RatePerS > 0 {
			words = append(words, figure.Rate(sc.RatePerS)+" puts/s")
		}
		if sc.FullSpeed {
			words = append(words, "full speed")
		}
		if sc.History > 0 {
			words = append(words, "history "+figure.Count(sc.History))
		}
		if sc.Bystanders > 0 {
			words = append(words, fmt.Sprintf("bystanders %d", sc.Bystanders))
		}
		if sc.Duration > 0 {
			words = append(words, "for "+figure.Short(sc.Duration)+" after "+figure.Short(sc.Warmup))
		}
		for i := range words[1:] {
			words[i] += ","
		}
		r.lines = append(r.lines, wrap(sc.Title(), 18, words)...)
	}
	r.unmeasured()
	for _, run := range r.res.Runs {
		if v, ok := run.metric("commit.puts_per_group"); ok {
			r.line("%-17s %.1f puts a commit, longest batch %s", run.Scenario, v, figure.Duration(time.Duration(run.Metrics["engine.apply_max_ns"])))
		}
	}
}
