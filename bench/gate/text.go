package gate

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/layout"
	"github.com/watchkv/watchkv/bench/stat"
)

// TextOptions say how the text looks.
type TextOptions struct {
	Color bool
	Width int // in columns; at least layout.Width is taken
}

// Text writes a table of outcomes, then a line for each gate that is broken.
func Text(w io.Writer, outcomes []Outcome, o TextOptions) error {
	v := view{paint: layout.Paint{On: o.Color}}
	lines := v.table(outcomes, max(o.Width, layout.Width), true)
	for _, o := range outcomes {
		if o.Failed {
			lines = append(lines, v.paint.Red("FAIL")+" "+o.Why())
		}
	}
	return write(w, lines)
}

// Changes writes how two results differ where nothing is demanded: the
// headlines of every scenario that both have, or every metric.
func Changes(w io.Writer, old, new *bench.Result, everything bool, o TextOptions) error {
	var rows []Outcome
	for _, row := range compare.Tabulate([]*bench.Result{Whole(old), Whole(new)}, everything).Rows {
		if row.Cells[0].N > 0 && row.Cells[1].N > 0 {
			rows = append(rows, Outcome{
				Gate: Gate{Selector: bench.Selector{Metric: row.Metric}}, Scenario: row.Scenario, Name: row.Name, Change: row.Cells[1].Change,
			})
		}
	}
	return write(w, view{paint: layout.Paint{On: o.Color}}.table(rows, max(o.Width, layout.Width), false))
}

func write(w io.Writer, lines []string) error {
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

type view struct{ paint layout.Paint }

// table sets outcomes in columns, in shorter words where they do not fit.
func (v view) table(outcomes []Outcome, width int, judged bool) (lines []string) {
	for _, same := range []string{"no difference", "no diff."} {
		rows := [][]string{{"", "old", "new", "change"}}
		for _, o := range outcomes {
			row := []string{o.Name, compare.Figure(o.Metric, o.Change.Old), compare.Figure(o.Metric, o.Change.New), changeText(o.Change, same)}
			if judged {
				verdict := v.paint.Green("pass")
				if o.Failed {
					verdict = v.paint.Red("FAIL")
				}
				row = append(row, verdict, o.Allowed())
			}
			rows = append(rows, row)
		}
		l, r := layout.Left, layout.Right
		lines = layout.Table(rows, []layout.Align{l, r, r, l, l, l}, []int{0, 2, 2, 2, 2, 2})
		if fit(lines, width) {
			break
		}
	}
	if !fit(lines, width) {
		lines = v.tall(outcomes, judged)
	}
	return append(lines, few(outcomes)...)
}

func fit(lines []string, width int) bool {
	for _, line := range lines {
		if layout.Columns(line) > width {
			return false
		}
	}
	return true
}

// tall gives the name of each outcome a line of its own.
func (v view) tall(outcomes []Outcome, judged bool) (lines []string) {
	for _, o := range outcomes {
		line := "  " + compare.Figure(o.Metric, o.Change.Old) + " to " + compare.Figure(o.Metric, o.Change.New) + "  " + changeText(o.Change, "no difference")
		head := o.Name
		if judged {
			verdict := v.paint.Green("pass")
			if o.Failed {
				verdict = v.paint.Red("FAIL")
			}
			head += "  " + verdict + "  " + o.Allowed()
		}
		lines = append(lines, head, strings.TrimRight(line, " "))
	}
	return lines
}

// changeText is a change and what it rests on.
func changeText(c stat.Change, same string) string {
	text := compare.ChangeText(c, same)
	switch {
	case c.Verdict == stat.Equal:
		return "none"
	case Alone(c) && !math.IsNaN(c.Ratio):
		return compare.Share(c.Ratio) + " (one run)"
	case c.Few():
		return text + fmt.Sprintf(" (n=%d)", min(c.Old.N, c.New.N))
	}
	return text + " (" + pText(c.P) + ")"
}

// pText writes a p as people do: "p=0.002", "p<0.001".
func pText(p float64) string {
	switch {
	case p < .001:
		return "p<0.001"
	case p < .1:
		return fmt.Sprintf("p=%.3f", p)
	}
	return fmt.Sprintf("p=%.2f", p)
}

// few says what runs below stat.MinRuns cannot tell.
func few(outcomes []Outcome) (lines []string) {
	alone, n, least := false, 0, 0.
	for _, o := range outcomes {
		switch c := o.Change; {
		case c.Verdict == stat.Equal, !c.Few():
		case Alone(c):
			alone = true
		case o.ByFigures: // said of the gate
		default:
			if m := min(c.Old.N, c.New.N); n == 0 || m < n {
				n = m
			}
			if !math.IsInf(c.Floor, 1) {
				least = max(least, c.Floor)
			}
		}
	}
	if alone {
		lines = append(lines, "one run a side: by the figures alone, which chance may explain; --count 6 tells")
	}
	switch {
	case n > 0 && least > 0:
		lines = append(lines, fmt.Sprintf("n=%d is too few to tell differences below %.0f%%; --count %d tells more", n, 100*least, stat.MinRuns))
	case n > 0:
		lines = append(lines, fmt.Sprintf("n=%d is too few to tell any difference; --count %d is enough", n, stat.MinRuns))
	}
	return lines
}

// Why says in one line how a gate was broken.
func (o Outcome) Why() string {
	format := bench.UnitOf(o.Metric).Format
	c := o.Change
	runs := fmt.Sprintf("n=%d+%d", c.Old.N, c.New.N)
	if o.Demand == Below || o.Demand == Above {
		word := map[Demand]string{Below: "less than", Above: "more than"}[o.Demand]
		return fmt.Sprintf("%s is %s, %s %s is demanded (n=%d)", o.Name, format(c.New.Median), word, o.Value(), c.New.N)
	}
	verb, share := "grew", strings.TrimPrefix(compare.Share(c.Ratio), "+")
	if o.Demand == MayFall {
		verb, share = "fell", strings.TrimPrefix(compare.Share(c.Ratio), "-")
	}
	if strings.HasSuffix(share, "x") {
		share = "to " + share
	} else if math.IsNaN(c.Ratio) {
		share = "from 0"
	}
	rests := pText(c.P) + ", " + runs
	switch {
	case Alone(c):
		rests = "one run a side: by the figures alone"
	case o.ByFigures:
		rests = runs + ": by the figures alone"
	case c.Few():
		rests = fmt.Sprintf("told beyond %.0f%%, %s", 100*c.Floor, runs)
		if math.IsInf(c.Floor, 1) || c.Floor == 0 {
			rests = runs
		}
	}
	return fmt.Sprintf("%s %s %s, %s is allowed (%s to %s, %s)", o.Name, verb, share, strings.TrimLeft(o.Allowed(), "+-"), format(c.Old.Median), format(c.New.Median), rests)
}
