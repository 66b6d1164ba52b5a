package compare

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/layout"
	"github.com/watchkv/watchkv/bench/stat"
)

// Figure writes a median with its interval: "1.84 ms ±4%".
func Figure(metric string, s stat.Summary) string {
	text := bench.UnitOf(metric).Format(s.Median)
	spread, ok := s.Spread()
	switch {
	case !ok || s.Median == 0:
		return text
	case spread >= 10:
		return text + " ±>999%"
	}
	return text + fmt.Sprintf(" ±%.0f%%", 100*spread)
}

// ChangeText writes a change: "+43%", or same where chance explains it. Where
// the runs are too few to tell, it is what they could have told, as "<20%?",
// or "?" if nothing. It is empty where all figures are the same.
func ChangeText(c stat.Change, same string) string {
	switch c.Verdict {
	case stat.Different:
		if math.IsNaN(c.Ratio) {
			return "from " + figure.Plain(c.Old.Median)
		}
		return Share(c.Ratio)
	case stat.NoDifference:
		return same
	case stat.TooFew:
		if math.IsInf(c.Floor, 1) {
			return "?"
		}
		return fmt.Sprintf("<%.0f%%?", 100*c.Floor)
	}
	return ""
}

// Share writes a change as a share with its sign: "+43%", "-0.4%", "-99.97%",
// and from eleven times on "25x".
func Share(ratio float64) string {
	percent := 100 * ratio
	switch {
	case ratio >= 10:
		return figure.Plain(1+ratio) + "x"
	case math.Abs(percent) < 0.95:
		return fmt.Sprintf("%+.1f%%", percent)
	case percent < -99.95:
		return fmt.Sprintf("%+.4g%%", percent)
	case percent < -99:
		return fmt.Sprintf("%+.1f%%", percent)
	}
	return fmt.Sprintf("%+.0f%%", percent)
}

// cut says that a figure is of what was done until then.
func (v *view) cut(c Cell) string {
	if c.Cut == 0 {
		return ""
	}
	text := "cut"
	if c.Cut < c.N {
		text = fmt.Sprintf("%d of %d cut", c.Cut, c.N)
	}
	if c.After > 0 {
		text += " at " + figure.Short(c.After.Round(100*time.Millisecond)) + ", " + figure.Percent(c.Done) + " done"
	}
	return text
}

// head is what must be known before the figures are read.
func (v *view) head() {
	if n := v.notTaken(); n > 0 {
		word := "CUT SHORT"
		v.add(v.paint.Yellow(word) + fmt.Sprintf(": %s of %d not measured; the figures are of the others", counted(n, "run"), v.planned()))
	}
	var servers []string
	short := v.shortNames()
	for i, res := range v.Results {
		if res.Target.Kind != "embedded" {
			servers = append(servers, short[i])
		}
	}
	if len(servers) > 0 && len(servers) < len(v.Results) {
		is, it := "is", "it"
		if len(servers) > 1 {
			is, it = "are", "them"
		}
		text := fmt.Sprintf("%s %s reached over gRPC, the others are in this process: a difference to %s holds the wire", and(servers), is, it)
		v.add(layout.Wrap("note", 6, strings.Fields(text))...)
	}
	v.doubted()
}

// planned counts the runs that were to be measured.
func (v *view) planned() (n int) {
	for _, res := range v.Results {
		n += res.Plan.Count * len(res.Plan.Scenarios)
	}
	return n
}

// notTaken counts the runs that were stopped before they began.
func (v *view) notTaken() (n int) {
	for _, res := range v.Results {
		if res.CutShort != nil {
			n += len(res.CutShort.NotRun)
		}
	}
	return n
}

// promises says what became of them on a target.
func (v *view) promises(target int) string {
	res := v.Results[target]
	switch {
	case res.Broken != nil:
		return v.paint.Red("BROKEN " + res.Broken.Rule)
	case res.Unchecked, len(res.Runs) == 0:
		return "not checked"
	}
	if rules := allowed(res); len(rules) > 0 {
		return v.paint.Red("broken "+strings.Join(rules, " ")) + ", allowed"
	}
	if n := len(v.uncheckedHere(target)); n > 0 {
		return fmt.Sprintf("kept, %d not checked", n)
	}
	return "kept"
}

// allowed are the rules that broke and were allowed to.
func allowed(res *bench.Result) (rules []string) {
	for _, run := range res.Runs {
		for _, broken := range run.Allowed {
			if !slices.Contains(rules, broken.Rule) {
				rules = append(rules, broken.Rule)
			}
		}
	}
	slices.Sort(rules)
	return rules
}

// uncheckedHere are the rules that were checked on another target and not on
// this one.
func (v *view) uncheckedHere(target int) (rules []string) {
	kept := func(res *bench.Result) map[string]bool {
		all := map[string]bool{}
		for _, run := range res.Runs {
			for _, p := range run.Promises {
				all[p.Rule] = all[p.Rule] || p.Verdict == "kept"
			}
		}
		return all
	}
	here := kept(v.Results[target])
	for i, res := range v.Results {
		if i == target || res.Broken != nil {
			continue
		}
		for rule, looked := range kept(res) {
			if looked && !here[rule] && !slices.Contains(rules, rule) {
				rules = append(rules, rule)
			}
		}
	}
	slices.Sort(rules)
	return rules
}

// foot says how the figures came about, and what they say. reference is what
// the first target is called there.
func (v *view) foot(reference string) {
	tested, few := v.judged()
	line := v.runs() + ", alternating; medians, changes against " + reference
	if tested {
		line = v.runs() + ", alternating; median ±95% interval; a change is shown only at p<0.05 against " + reference
	}
	context := layout.Wrap("", 0, strings.Fields(line))
	if few != "" {
		context = append(context, layout.Wrap("", 0, strings.Fields(few))...)
	}
	var notes []string
	for i, text := range v.footnotes {
		notes = append(notes, letter(i)+" "+text)
	}
	for _, line := range append(context, joined(notes)...) {
		v.add(v.paint.Dim(line))
	}
	said := Sentences(v.Table)
	for i, res := range v.Results {
		if res.Broken != nil {
			said = append(said, capital(v.Names[i])+" broke a promise: its figures are not shown.")
		}
	}
	if len(said) > 0 {
		v.add(layout.Wrap("", 0, strings.Fields(strings.Join(said, " ")))...)
	}
}

// joined sets notes beside each other where they fit.
func joined(notes []string) (lines []string) {
	for _, note := range notes {
		last := len(lines) - 1
		if last >= 0 && layout.Columns(lines[last])+3+layout.Columns(note) <= layout.Width {
			lines[last] += "   " + note
			continue
		}
		lines = append(lines, layout.Wrap("", 0, strings.Fields(note))...)
	}
	return lines
}

// runs says how many repetitions the figures are of.
func (v *view) runs() string {
	var counts []int
	for i := range v.Results {
		n := 0
		for _, row := range v.Rows {
			n = max(n, row.Cells[i].N)
		}
		counts = append(counts, n)
	}
	most := slices.Max(counts)
	text := fmt.Sprintf("n=%d each", most)
	var others []string
	for i, n := range counts {
		if n != most && v.Results[i].Broken == nil {
			others = append(others, fmt.Sprintf("%d of %s", n, v.Names[i]))
		}
	}
	if len(others) > 0 {
		text = fmt.Sprintf("n=%d, %s", most, strings.Join(others, ", "))
	}
	return text
}

// judged tells whether anything was tested, and what too few runs cannot tell;
// that is empty where they are enough.
func (v *view) judged() (tested bool, few string) {
	n, least := 0, 0 // of those with a floor, and of all that are few
	var floors []float64
	for _, row := range v.Rows {
		for i, cell := range row.Cells {
			if i == 0 || cell.Change.Verdict == stat.Unknown || cell.Change.Verdict == stat.Equal {
				continue
			}
			if !cell.Change.Few() {
				tested = true
				continue
			}
			runs := min(cell.Change.Old.N, cell.Change.New.N)
			if least == 0 || runs < least {
				least = runs
			}
			if math.IsInf(cell.Change.Floor, 1) {
				continue
			}
			floors = append(floors, cell.Change.Floor)
			if n == 0 || runs < n {
				n = runs
			}
		}
	}
	switch {
	case least == 0:
		return tested, ""
	case len(floors) == 0 && least > 1:
		return tested, fmt.Sprintf("n=%d is too few to tell any difference from chance; --count %d is enough", least, stat.MinRuns)
	case len(floors) == 0:
		return tested, fmt.Sprintf("one run a side cannot tell a difference from chance; --count %d can", stat.MinRuns)
	}
	few = fmt.Sprintf("n=%d is too few to tell differences below %.0f%%", n, 100*slices.Max(floors))
	if low := slices.Min(floors); low < slices.Max(floors) {
		few += fmt.Sprintf(" (%.0f%% in the calmest row)", 100*low)
	}
	return tested, few + fmt.Sprintf("; --count %d tells which is best", stat.MinRuns)
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return figure.Count(int64(n)) + " " + what
}
