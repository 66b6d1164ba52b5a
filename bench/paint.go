package bench

import "github.com/watchkv/watchkv/bench/layout"

// reportWidth is the width of the report: what people paste into issues.
const reportWidth = layout.Width

// paint colours words; the zero value does not.
type paint struct{ on bool }

func (p paint) red(s string) string    { return layout.Paint{On: p.on}.Red(s) }
func (p paint) green(s string) string  { return layout.Paint{On: p.on}.Green(s) }
func (p paint) yellow(s string) string { return layout.Paint{On: p.on}.Yellow(s) }

// columns lays rows out: the first column to the left, the others to the
// right, two spaces or more between them.
func columns(rows [][]string) []string {
	widest := 0
	for _, row := range rows {
		widest = max(widest, len(row))
	}
	aligns, gaps := make([]layout.Align, widest), make([]int, widest)
	for i := 1; i < widest; i++ {
		aligns[i], gaps[i] = layout.Right, 2
	}
	return layout.Table(rows, aligns, gaps)
}

func heading(left, right string) string { return layout.Heading(left, right) }

func wrap(label string, indent int, words []string) []string {
	return layout.Wrap(label, indent, words)
}
