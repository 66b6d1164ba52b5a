package bench

import (
	"strings"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// reportWidth is the width of the report: what people paste into issues.
const reportWidth = 80

// paint colours words; the zero value does not.
type paint struct{ on bool }

func (p paint) as(s, code string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p paint) red(s string) string    { return p.as(s, "31") }
func (p paint) green(s string) string  { return p.as(s, "32") }
func (p paint) yellow(s string) string { return p.as(s, "33") }

// columns lays rows out: the first column to the left, the others to the
// right, two spaces or more between them, no space at the end of a line.
func columns(rows [][]string) []string {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Box.PaddingLeft, style.Box.PaddingRight = "", ""
	style.Box.MiddleVertical = "  "
	style.Options = table.Options{SeparateColumns: true}
	t.SetStyle(style)
	var configs []table.ColumnConfig
	for i := range rows[0] {
		align := text.AlignRight
		if i == 0 {
			align = text.AlignLeft
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align})
	}
	t.SetColumnConfigs(configs)
	for _, row := range rows {
		cells := make(table.Row, len(row))
		for i, cell := range row {
			cells[i] = cell
		}
		t.AppendRow(cells)
	}
	lines := strings.Split(t.Render(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// heading puts left and right at the ends of a line.
func heading(left, right string) string {
	gap := reportWidth - utf8.RuneCountInString(left) - utf8.RuneCountInString(right)
	return left + strings.Repeat(" ", max(2, gap)) + right
}

// wrap fills lines of the report's width with words, behind an indent that
// the first line's label takes the place of.
func wrap(label string, indent int, words []string) []string {
	var lines []string
	line := label + strings.Repeat(" ", max(min(1, len(label)), indent-utf8.RuneCountInString(label)))
	empty := true
	for _, word := range words {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > reportWidth {
			lines = append(lines, line)
			line, empty = strings.Repeat(" ", indent), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	return append(lines, strings.TrimRight(line, " "))
}
