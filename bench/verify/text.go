package verify

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/layout"
)

// TextOptions say how a report is shown.
type TextOptions struct {
	Color   bool
	Verbose bool // every rule on a line of its own
	// Allow is how a break is accepted, such as "--allow-broken"; empty where
	// it cannot be.
	Allow string
	// Cut: it was stopped before its end.
	Cut bool
}

// labelWidth is where the lists begin.
const labelWidth = 20

// Text writes a report for people.
func Text(w io.Writer, r *Report, o TextOptions) error {
	t := &texter{r: r, o: o, paint: layout.Paint{On: o.Color}}
	if o.Verbose {
		t.rules()
	} else {
		t.summary()
	}
	for _, v := range r.Of(Broken) {
		t.record(v, t.paint.Red("BROKEN"))
	}
	if o.Verbose {
		for _, v := range r.Of(OursBroken) {
			t.record(v, "ours")
		}
	}
	t.conclusion()
	_, err := io.WriteString(w, strings.Join(t.lines, "\n")+"\n")
	return err
}

type texter struct {
	r     *Report
	o     TextOptions
	paint layout.Paint
	lines []string
}

func (t *texter) add(lines ...string) { t.lines = append(t.lines, lines...) }

// list is one outcome: how many rules, and which.
func (t *texter) list(word string, n int, words []string) {
	label := fmt.Sprintf("  %-12s %3d ", word, n)
	if word == "BROKEN" {
		label = "  " + t.paint.Red(word) + label[2+len(word):]
	}
	t.add(layout.Wrap(label, labelWidth, words)...)
}

func (t *texter) summary() {
	if kept := t.r.Of(Kept); len(kept) > 0 {
		t.list("kept", len(kept), ranges(kept))
	}
	if broken := t.r.Of(Broken); len(broken) > 0 {
		t.list("BROKEN", len(broken), phrases(broken, func(v Verdict) string { return v.Rule + " " + v.Name }))
	}
	if ours := t.r.Of(OursBroken); len(ours) > 0 {
		words := append(strings.Fields("not promised by etcd, not kept:"), phrases(ours, func(v Verdict) string {
			id, _, _ := strings.Cut(v.Rule, " ")
			return id + " " + v.Name
		})...)
		t.list("ours", len(ours), words)
	}
	if not := t.r.Of(NotChecked); len(not) > 0 {
		t.list("not checked", len(not), reasons(not))
	}
}

// phrases are words to wrap: what belongs together stays together.
func phrases(verdicts []Verdict, text func(Verdict) string) (out []string) {
	for i, v := range verdicts {
		words := strings.Fields(text(v))
		out = append(out, words...)
		if i < len(verdicts)-1 {
			out = append(out, "·")
		}
	}
	return out
}

// reasons groups what was not checked by why.
func reasons(verdicts []Verdict) (out []string) {
	var order []string
	groups := map[string][]Verdict{}
	for _, v := range verdicts {
		if groups[v.Reason] == nil {
			order = append(order, v.Reason)
		}
		groups[v.Reason] = append(groups[v.Reason], v)
	}
	for i, reason := range order {
		out = append(out, ranges(groups[reason])...)
		out[len(out)-1] += ":"
		out = append(out, strings.Fields(reason)...)
		if i < len(order)-1 {
			out = append(out, "·")
		}
	}
	return out
}

// ranges writes rules short: G1-6 G8. Parts of a rule whose other part is
// there are left out.
func ranges(verdicts []Verdict) (out []string) {
	letter, from, to := "", 0, 0
	flush := func() {
		switch {
		case letter == "":
		case from == to:
			out = append(out, letter+strconv.Itoa(from))
		default:
			out = append(out, fmt.Sprintf("%s%d-%d", letter, from, to))
		}
		letter = ""
	}
	there := func(id string) bool {
		return slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Rule == id })
	}
	for _, v := range verdicts {
		id, part, parted := strings.Cut(v.Rule, " ")
		n, _ := strconv.Atoi(id[1:])
		switch {
		case parted && there(id):
		case parted:
			flush()
			out = append(out, id+" "+part)
		case letter == id[:1] && n == to+1:
			to = n
		default:
			flush()
			letter, from, to = id[:1], n, n
		}
	}
	flush()
	return out
}

// rules lists every rule on a line of its own.
func (t *texter) rules() {
	rows := [][]string{}
	for _, v := range t.r.Verdicts {
		outcome, times := string(v.Outcome), ""
		if v.Times > 0 {
			times = figure.Count(v.Times)
		}
		text := v.Text
		switch v.Outcome {
		case Broken:
			outcome = t.paint.Red("BROKEN")
		case OursBroken:
			outcome = "ours, not kept"
		case NotChecked:
			text += "; " + v.Reason
		}
		id, _, parted := strings.Cut(v.Rule, " ")
		if parted {
			id += "+"
		}
		rows = append(rows, []string{"  " + id, outcome, times, text})
	}
	t.add(layout.Table(rows, []layout.Align{layout.Left, layout.Left, layout.Right, layout.Left}, []int{0, 2, 2, 2})...)
}

// record is a break with the steps that show it.
func (t *texter) record(v Verdict, word string) {
	t.add(fmt.Sprintf("%s  %s  %s", word, v.Rule, v.Text))
	rows := make([][]string, len(v.Break.Record))
	for i, l := range v.Break.Record {
		rows[i] = []string{"     ", l.What, l.Text}
		if l.Mark {
			rows[i][0] = "    >"
		}
	}
	for i, line := range layout.Table(rows, make([]layout.Align, 3), []int{0, 1, 2}) {
		note := v.Break.Record[i].Note
		pad := max(2, noteColumn-layout.Columns(line))
		switch {
		case note == "":
			t.add(line)
		case layout.Columns(line)+pad+layout.Columns(note) <= layout.Width:
			t.add(line + strings.Repeat(" ", pad) + note)
		default:
			t.add(line, strings.Repeat(" ", noteIndent)+note)
		}
	}
	t.add(layout.Wrap("", 6, strings.Fields(v.Break.Detail+times(v.Times)))...)
}

// Where notes begin: beside a step, and below one that leaves no room.
const (
	noteColumn = 44
	noteIndent = 18
)

func times(n int64) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (seen %s times)", figure.Count(n))
}

// conclusion is the last line: what it comes to.
func (t *texter) conclusion() {
	var refused, accepted []string
	for _, v := range t.r.Of(Broken) {
		if v.Allowed {
			accepted = append(accepted, v.Rule)
		} else {
			refused = append(refused, v.Rule)
		}
	}
	if t.r.Left != "" {
		t.add(layout.Wrap("", 0, strings.Fields(t.r.Left))...)
	}
	took := figure.Short(t.r.Took)
	if t.o.Cut {
		t.add("CUT SHORT after " + took)
	}
	switch {
	case t.o.Cut && len(refused) == 0:
		t.add("nothing broken until then")
	case len(refused) > 0:
		line := fmt.Sprintf("%d broken, exit 1.", len(refused))
		if t.o.Allow != "" {
			line += fmt.Sprintf(" Accept them by name: %s %s", t.o.Allow, strings.Join(append(accepted, refused...), ","))
		}
		t.add(line)
	case len(accepted) > 0:
		t.add(fmt.Sprintf("nothing broken but %s, which is allowed; %s", strings.Join(accepted, ", "), took))
	case len(t.r.Of(Kept)) == 0:
		t.add("nothing could be checked")
	default:
		t.add(t.paint.Green("all promises kept") + " that were looked at, in " + took)
	}
}
