package compare

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/layout"
)

// TextOptions say how the text looks.
type TextOptions struct {
	Color bool
	// Width in columns; at least layout.Width is taken. Where columns side by
	// side do not fit, a target is a block.
	Width   int
	Verbose bool // every metric that is better one way
	// Again is the command that shows the broken promise of a target, by its
	// number, again; nil is none.
	Again func(target int) string
}

// Text writes the table of results for people, then what may be said of it in
// words. The record of a broken promise follows.
func Text(w io.Writer, results []*bench.Result, o TextOptions) error {
	v := &view{Table: Tabulate(results, o.Verbose), paint: layout.Paint{On: o.Color}}
	v.head()
	if body := v.columns(); fits(body, max(o.Width, layout.Width)) {
		v.add(body...)
		v.foot("column one")
	} else {
		v.blocks()
		v.foot(v.Names[0])
	}
	if _, err := io.WriteString(w, strings.Join(v.lines, "\n")+"\n"); err != nil {
		return err
	}
	for i, res := range results {
		if res.Broken == nil {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s:\n", v.Names[i]); err != nil {
			return err
		}
		report := bench.ReportOptions{Color: o.Color}
		if o.Again != nil {
			report.Again = o.Again(i)
		}
		if err := bench.Report(w, res, report); err != nil {
			return err
		}
	}
	return nil
}

func fits(lines []string, width int) bool {
	return !slices.ContainsFunc(lines, func(line string) bool { return layout.Columns(line) > width })
}

// view is a text that is being written.
type view struct {
	Table
	paint     layout.Paint
	lines     []string
	footnotes []string // a, b, c ...
}

func (v *view) add(lines ...string) { v.lines = append(v.lines, lines...) }

// columns sets the targets side by side.
func (v *view) columns() []string {
	names := []string{""}
	for _, row := range v.Rows {
		names = append(names, row.Name)
	}
	names = append(names, "promises")
	rows := make([][]string, len(names))
	for i, name := range names {
		rows[i] = []string{name}
	}
	aligns, gaps := []layout.Align{layout.Left}, []int{0}
	for i := range v.Results {
		group := append([]string{v.Names[i]}, v.group(i, "no diff.")...)
		for j, line := range group {
			rows[j] = append(rows[j], line)
		}
		aligns, gaps = append(aligns, layout.Left), append(gaps, 2)
	}
	return layout.Table(rows, aligns, gaps)
}

// group are the lines of one target: a figure, a change and the mark of a
// footnote for each row, then what became of the promises.
func (v *view) group(target int, same string) []string {
	var rows [][]string
	for i := range v.Rows {
		rows = append(rows, v.cell(&v.Rows[i], target, same))
	}
	lines := layout.Table(rows, []layout.Align{layout.Right, layout.Right, layout.Left}, []int{0, 2, 1})
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, " ")
	}
	indent := ""
	if len(rows) > 0 {
		indent = strings.Repeat(" ", max(0, widest(rows)-layout.Columns("kept")))
	}
	if v.Results[target].Broken != nil || len(v.promises(target)) > len("kept") {
		indent = ""
	}
	return append(lines, indent+v.promises(target))
}

// widest is the width of the first column.
func widest(rows [][]string) (width int) {
	for _, row := range rows {
		width = max(width, layout.Columns(row[0]))
	}
	return width
}

// blocks gives each target lines of its own.
func (v *view) blocks() {
	v.footnotes = nil // the columns that were too wide had asked for them
	width := 0
	for _, row := range v.Rows {
		width = max(width, layout.Columns(row.Name))
	}
	for i := range v.Results {
		v.add(v.Names[i])
		for j, line := range v.group(i, "no difference") {
			name := "promises"
			if j < len(v.Rows) {
				name = v.Rows[j].Name
			}
			v.add(strings.TrimRight("  "+name+strings.Repeat(" ", max(0, width-layout.Columns(name)))+"  "+line, " "))
		}
	}
}

// cell is the figure, the change and the footnote's mark of a target in a row.
func (v *view) cell(row *Row, target int, same string) []string {
	c := row.Cells[target]
	if broken := v.Results[target].Broken; broken != nil {
		return []string{v.paint.Red("BROKEN " + broken.Rule), "", ""}
	}
	if c.N == 0 {
		return []string{"n/a", "", v.footnote(c.Absent)}
	}
	figure := Figure(row.Metric, c.Summary)
	if c.Best {
		figure = v.paint.Bold(figure)
	}
	change := ""
	if target > 0 {
		change = ChangeText(c.Change, same)
	}
	return []string{figure, change, v.footnote(v.cut(c))}
}

// footnote is the letter of a text under the table; none for no text.
func (v *view) footnote(text string) string {
	if text == "" {
		return ""
	}
	i := slices.Index(v.footnotes, text)
	if i < 0 {
		i = len(v.footnotes)
		v.footnotes = append(v.footnotes, text)
	}
	return letter(i)
}

// letter counts a, b ... z, aa, ab ...
func letter(i int) string {
	const letters = 26
	if i < letters {
		return string(rune('a' + i))
	}
	return letter(i/letters-1) + letter(i%letters)
}
