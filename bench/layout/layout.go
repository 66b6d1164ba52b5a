// Package layout sets text for terminals: colour by meaning, columns, lines of
// at most [Width] columns.
package layout

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
)

// Width of what people paste into issues.
const Width = 80

// Paint colours words, with the sixteen colours of the terminal's own theme;
// the zero value does not.
type Paint struct{ On bool }

func (p Paint) as(s, code string) string {
	if !p.On || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Red is for broken, failed and errors.
func (p Paint) Red(s string) string { return p.as(s, "31") }

// Green is for "all promises kept" and "pass".
func (p Paint) Green(s string) string { return p.as(s, "32") }

// Yellow is for warnings.
func (p Paint) Yellow(s string) string { return p.as(s, "33") }

// Bold is for the best figure and those no different from it.
func (p Paint) Bold(s string) string { return p.as(s, "1") }

// Dim is for what is context.
func (p Paint) Dim(s string) string { return p.as(s, "2") }

// Columns is how many columns a text takes; colours take none.
func Columns(s string) int { return text.StringWidthWithoutEscSequences(s) }

// Align says where a cell stands in its column.
type Align int

// The alignments.
const (
	Left Align = iota
	Right
)

// Table lays rows out, aligns[i] being that of column i and gaps[i] the spaces
// before it. Rows may be of different length. No line ends in a space.
func Table(rows [][]string, aligns []Align, gaps []int) []string {
	widths := make([]int, len(aligns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], Columns(cell))
		}
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-Columns(cell))
			b.WriteString(strings.Repeat(" ", gaps[i]))
			if aligns[i] == Right {
				b.WriteString(pad + cell)
			} else {
				b.WriteString(cell + pad)
			}
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// Heading puts left and right at the ends of a line.
func Heading(left, right string) string {
	return left + strings.Repeat(" ", max(2, Width-Columns(left)-Columns(right))) + right
}

// Wrap fills lines with words, behind an indent that the first line's label
// takes the place of.
func Wrap(label string, indent int, words []string) []string {
	var lines []string
	line := label + strings.Repeat(" ", max(min(1, len(label)), indent-Columns(label)))
	empty := true
	for _, word := range words {
		if !empty && Columns(line)+1+Columns(word) > Width {
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
