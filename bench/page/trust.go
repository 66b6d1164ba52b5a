package page

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
)

// note is a warning, its point in bold.
type note struct {
	Point, Text string
}

// trust is what speaks for the figures, and what against.
type trust struct {
	Lead    string
	Notes   []note
	Facts   []fact
	Checked string // how much the checker saw
	Table   promiseTable
}

func (b *builder) trust() trust {
	t := trust{Notes: b.reservations(), Table: b.promises()}
	switch n := len(t.Notes); {
	case b.runs == 0:
		t.Lead = "There are no figures to trust."
	case n == 0:
		t.Lead = "Yes: the figures were looked over for what usually spoils them, and nothing was found."
	case n == 1:
		t.Lead = "With one reservation."
	default:
		t.Lead = fmt.Sprintf("With %d reservations.", n)
	}
	t.Checked = fmt.Sprintf("Every event of every watcher was checked while it was measured: %s events.", figure.Count(b.checked))
	switch rules, _ := b.allowedRules(); {
	case b.checked == 0:
		t.Checked = "No event was checked."
	case len(rules) > 0:
		t.Checked = fmt.Sprintf("Events were checked while they were measured, those of a watch until it broke what was allowed: %s events.", figure.Count(b.checked))
	}
	if b.runs == 0 {
		t.Facts = []fact{b.disk()}
		return t
	}
	t.Facts = []fact{b.generator(), b.steady(), b.disk(), factOf("Clock", "one clock, of one process, times the put and its event: no offset between machines"), b.leftOut()}
	return t
}

// reservations lists what makes the figures less than they seem, the worst
// first.
func (b *builder) reservations() (notes []note) {
	notes = append(notes, b.excused()...)
	notes = append(notes, b.ends()...)
	notes = append(notes, b.unlike()...)
	return append(notes, b.doubts()...)
}

// ends tells of results that are not whole, or not checked.
func (b *builder) ends() (notes []note) {
	for _, s := range b.subjects {
		for _, res := range s.results {
			switch {
			case res.Failed != "":
				notes = append(notes, note{s.name + " ended before its time.", upper(oneLine(res.Failed)) + ". The figures cover what was measured until then."})
			case res.CutShort != nil:
				notes = append(notes, note{s.name + " was cut short.", cutWords(res.CutShort)})
			case !res.Complete && res.Broken == nil:
				notes = append(notes, note{s.name + " is not complete.", "The figures cover what was measured."})
			}
			if res.Unchecked {
				notes = append(notes, note{s.name + " was not checked.", "The checker was left out, so nothing is known about the promises."})
			}
			if res.Unread {
				notes = append(notes, note{s.name + " counted events without reading them.", "None was delivered in the sense of other results."})
			}
		}
	}
	return compact(notes)
}

func compact(notes []note) []note {
	var once []note
	for _, n := range notes {
		if !slices.Contains(once, n) {
			once = append(once, n)
		}
	}
	return once
}

func cutWords(cut *bench.CutShort) string {
	var parts []string
	if cut.Scenario != "" {
		measured := "Nothing"
		if cut.Measured > 0 {
			measured = figure.Short(cut.Measured.Round(100 * time.Millisecond))
		}
		parts = append(parts, fmt.Sprintf("%s of %s was measured.", measured, cut.Scenario))
	}
	if len(cut.NotRun) > 0 {
		parts = append(parts, "Not run: "+listed(cut.NotRun)+".")
	}
	return strings.Join(parts, " ")
}

// unlike tells of targets that cannot be set side by side as they are.
func (b *builder) unlike() (notes []note) {
	if len(b.subjects) < 2 {
		return nil
	}
	paths := map[bool][]string{}
	machines, machineNames := map[string]bool{}, []string{}
	durabilities := map[string]bool{}
	for _, s := range b.subjects {
		inside := !s.served()
		paths[inside] = append(paths[inside], s.short)
		id := identityOf(s.results[0])
		if !machines[id.machine] {
			machineNames = append(machineNames, id.machine)
		}
		machines[id.machine] = true
		if inside { // what a server does is its own affair, and said above
			durabilities[durabilityWords(s)] = true
		}
	}
	if len(paths[true]) > 0 && len(paths[false]) > 0 {
		is, are := "is", "are"
		if len(paths[false]) > 1 {
			is = are
		}
		notes = append(notes, note{fmt.Sprintf("%s %s reached over the network, %s in the same process.", upper(listed(paths[false])), is, listed(paths[true])),
			"A difference between them holds the wire as well as the store."})
	}
	if len(machines) > 1 {
		notes = append(notes, note{"Not the same machine.", strings.Join(machineNames, "; ") + ". A difference holds the machines as well."})
	}
	if len(durabilities) > 1 {
		notes = append(notes, note{"Not the same durability.", "What is on disk when a put is answered differs between the targets; see above."})
	}
	for _, s := range b.scenes {
		var lacking []string
		for i, runs := range s.runs {
			if len(runs) == 0 && b.subjects[i].broken() == nil {
				lacking = append(lacking, b.subjects[i].name)
			}
		}
		if len(lacking) > 0 {
			notes = append(notes, note{s.name + " was not run, with these settings, on " + listed(lacking) + ".", "It is compared only where it was."})
		}
	}
	if n := b.fewest(); n > 0 && n < stat.MinRuns {
		notes = append(notes, note{fmt.Sprintf("n=%d is few.", n), fmt.Sprintf("A difference is told only where the runs stand far enough apart for their number; %d runs of each tell smaller ones.", stat.MinRuns)})
	}
	return notes
}

// fewest is the smallest number of runs of a scene that several targets have.
func (b *builder) fewest() int {
	n := 0
	for _, s := range b.scenes {
		for _, runs := range s.runs {
			if len(runs) > 0 && (n == 0 || len(runs) < n) {
				n = len(runs)
			}
		}
	}
	return n
}

// doubts are those of bench, each kind once, with the worst case and whom it
// concerns.
func (b *builder) doubts() (notes []note) {
	var order []string
	worst, where := map[string]bench.Doubt{}, map[string][][]string{}
	for i := range b.subjects {
		for _, s := range b.scenes {
			for _, run := range s.runs[i] {
				for _, d := range bench.Doubts(s.sc, run) {
					if d.OfAllowed() { // said of each rule
						continue
					}
					if where[d.Kind] == nil {
						order = append(order, d.Kind)
						where[d.Kind] = make([][]string, len(b.subjects))
					}
					if !slices.Contains(where[d.Kind][i], s.name) {
						where[d.Kind][i] = append(where[d.Kind][i], s.name)
					}
					if d.Size >= worst[d.Kind].Size {
						worst[d.Kind] = d
					}
				}
			}
		}
	}
	for _, kind := range order {
		point, text, found := strings.Cut(worst[kind].Text, ": ")
		n := note{Point: upper(point) + ".", Text: b.whom(where[kind])}
		if found {
			n.Point, n.Text = upper(point)+":", text+". "+n.Text
		}
		notes = append(notes, n)
	}
	return notes
}

// whom lists the scenes that something is said of, by target where there are
// several.
func (b *builder) whom(scenes [][]string) string {
	if len(b.subjects) == 1 {
		return "It concerns " + strings.Join(scenes[0], ", ") + "."
	}
	lines := grouped(len(scenes), func(i int) (text, of string) { return strings.Join(scenes[i], ", "), b.subjects[i].name })
	var parts []string
	for _, l := range lines {
		of := l.Of
		if of == "" {
			of = "all targets"
		}
		parts = append(parts, of+": "+l.Text)
	}
	return "It concerns " + strings.Join(parts, "; ") + "; the worst case is shown."
}

// generator tells how late the load generator itself was, in the worst run.
func (b *builder) generator() fact {
	var late, notify, cores float64
	var where, why string
	measured := false
	for i := range b.subjects {
		for _, s := range b.scenes {
			for _, run := range s.runs[i] {
				cores = max(cores, run.Metrics["cpu.cores"])
				v, ok := run.Metrics["generator.late_p99_ns"]
				if !ok {
					if why == "" {
						why = run.NotMeasured["generator.late_p99_ns"]
					}
					continue
				}
				if !measured || v > late {
					late, notify, where = v, run.Metrics["notify.p99_ns"], b.where(i, s)
				}
				measured = true
			}
		}
	}
	f := fact{Name: "Load generator"}
	switch {
	case measured && notify > 0:
		f.add(fmt.Sprintf("late by at most %s at p99, %s of the notify p99 there (%s)", duration(late), figure.Percent(late/notify), where))
	case measured:
		f.add(fmt.Sprintf("late by at most %s at p99 (%s)", duration(late), where))
	case why != "":
		f.add("delay n/a: " + why)
	default:
		f.add("delay n/a: nothing was put by a schedule")
	}
	if cores > 0 {
		f.add(fmt.Sprintf("client, checker and what is in this process: at most %.1f of %s", cores, counted(int64(b.subjects[0].results[0].Machine.Cores), "core")))
	}
	return f
}

// where names a target and a scene; the target only where there are several.
func (b *builder) where(subject int, s *scene) string {
	if len(b.subjects) == 1 {
		return s.name
	}
	return b.subjects[subject].name + ", " + s.name
}

// steady tells whether the notify latency grew while it was measured.
func (b *builder) steady() fact {
	judged, grew := 0, false
	for i := range b.subjects {
		for _, s := range b.scenes {
			for _, run := range s.runs[i] {
				if _, ok := bench.Growth(s.sc, run); !ok {
					continue
				}
				judged++
				for _, d := range bench.Doubts(s.sc, run) {
					grew = grew || d.Kind == "steady"
				}
			}
		}
	}
	switch {
	case judged == 0:
		return factOf("Steady", "n/a: no notify run was long enough to set its halves side by side")
	case grew:
		return factOf("Steady", "no: see above")
	}
	return factOf("Steady", fmt.Sprintf("yes: in %s p99 grew by no more than a quarter from the first half to the second", counted(int64(judged), "notify run")))
}

// disk tells what the disk allows.
func (b *builder) disk() fact {
	f := b.bySubject("Disk", func(s *subject) string {
		var p50, p99 []time.Duration
		for _, res := range s.results {
			if m := res.Machine.Fsync; m != nil {
				p50, p99 = append(p50, m.P50), append(p99, m.P99)
			}
		}
		on := s.results[0].Machine.Filesystem
		if on != "" {
			on = " (" + on + ")"
		}
		switch {
		case len(p50) > 0:
			return fmt.Sprintf("fsync p50 %s, p99 %s, measured before the load%s", span(p50), span(p99), on)
		case s.facts().Volatile:
			return "fsync n/a: nothing is written to disk"
		case s.served():
			return "fsync n/a: the disk of a server is not seen from here"
		}
		return "fsync n/a: not measured"
	})
	return f
}

func span(all []time.Duration) string {
	low, high := figure.Duration(slices.Min(all)), figure.Duration(slices.Max(all))
	if low == high {
		return low
	}
	return low + " to " + high
}

func (b *builder) leftOut() fact {
	f := fact{"Left out", b.byScene(func(sc bench.Scenario) string {
		if sc.Warmup <= 0 {
			return ""
		}
		return "a warm-up of " + figure.Short(roundTime(sc.Warmup)) + " in each run"
	})}
	var lost float64
	for _, s := range b.scenes {
		for _, runs := range s.runs {
			for _, run := range runs {
				lost += run.Metrics["latency_above_1h"]
			}
		}
	}
	if lost > 0 {
		f.add(figure.Count(int64(lost)) + " latencies above one hour: counted, but in no percentile")
		return f
	}
	f.add("no sample was dropped, none clamped: latencies below zero stay below zero")
	return f
}

func (f *fact) add(text string) { f.Lines = append(f.Lines, factLine{Text: text}) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
