package live

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Style says what the terminal can show.
type Style struct {
	Color bool // 16 colours of its own theme
	ASCII bool // its locale is not UTF-8
}

func (s Style) paint(text string, style lipgloss.Style) string {
	if !s.Color || text == "" {
		return text
	}
	return style.Render(text)
}

// Context is dim, warnings are yellow, errors red.
func (s Style) dim(text string) string  { return s.paint(text, lipgloss.NewStyle().Faint(true)) }
func (s Style) bold(text string) string { return s.paint(text, lipgloss.NewStyle().Bold(true)) }
func (s Style) yellow(text string) string {
	return s.paint(text, lipgloss.NewStyle().Foreground(lipgloss.Yellow))
}
func (s Style) red(text string) string {
	return s.paint(text, lipgloss.NewStyle().Foreground(lipgloss.Red))
}

// plainer replaces what only UTF-8 has.
var plainer = strings.NewReplacer(
	"µ", "u", "·", "-", "█", "#", "━", "=", "╸", "-", "─", "-",
	"│", "|", "┤", "+", "└", "+", "┬", "+", "╭", ".", "╮", ".", "╰", "'", "╯", "'", "╌", ".", "┊", ":", "╴", "-", "╶", "-",
)

// locale writes text in the characters of the terminal.
func (s Style) locale(text string) string {
	if s.ASCII {
		return plainer.Replace(text)
	}
	return text
}

// bar draws a share of width columns; what is there at all shows.
func bar(part float64, width int) string {
	n := int(part*float64(width) + 0.5)
	if part > 0 {
		n = max(n, 1)
	}
	return strings.Repeat("█", min(max(n, 0), width))
}

// line puts left and right at the ends of width columns, and cuts what does
// not fit.
func line(width int, left, right string) string {
	gap := width - ansi.StringWidth(left) - ansi.StringWidth(right)
	switch {
	case right != "" && gap > 0:
		return left + strings.Repeat(" ", gap) + right
	case ansi.StringWidth(left) > width:
		return ansi.Truncate(left, width, "")
	}
	return strings.TrimRight(left, " ")
}
