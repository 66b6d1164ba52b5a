package bench

import (
	"fmt"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// kept says how many responses of the watch are there.
func (b *Broken) kept() string {
	if int64(len(b.Responses)) >= b.Seen {
		return counted(len(b.Responses), "response") + " of this watch"
	}
	return fmt.Sprintf("the last %d of its %s responses", len(b.Responses), figure.Count(b.Seen))
}

// recordBegin is when Record begins, in the time of Responses.
func (b *Broken) recordBegin() time.Duration {
	if n := len(b.Responses) - len(b.Record); n >= 0 && n < len(b.Responses) {
		return b.Responses[n].At
	}
	return 0
}

// clip cuts a line that is too wide.
func clip(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-3]) + "..."
	}
	return line
}

// broken takes the place of everything else.
func (r *report) broken(b *Broken) {
	const word = "BROKEN"
	lines := wrap(word, len(word)+2, strings.Fields(b.Rule+" "+b.Name+": "+b.Detail))
	lines[0] = r.paint.red(word) + lines[0][len(word):]
	r.lines = append(r.lines, lines...)
	where := "in " + b.Scenario
	if b.Stream != "" {
		where = b.Stream + ", " + b.Watch + ", " + where
	}
	r.lines = append(r.lines, wrap("", 2, strings.Fields(where))...)
	if r.o.Verbose {
		for _, seen := range b.Responses[:max(0, len(b.Responses)-len(b.Record))] {
			r.lines = append(r.lines, clip(fmt.Sprintf("     %+.3f s   %s", (seen.At-b.recordBegin()).Seconds(), seen.Text), reportWidth))
		}
	}
	for i, record := range b.Record {
		mark := "     "
		if i == len(b.Record)-1 {
			mark = "   > "
		}
		if len(b.RecordAt) == len(b.Record) {
			mark += fmt.Sprintf("%+.3f s   ", b.RecordAt[i].Seconds())
		}
		r.lines = append(r.lines, clip(mark+record, reportWidth))
	}
	if r.o.Again != "" {
		r.line("  again      %s", r.o.Again)
	}
	if r.o.Evidence != "" && len(b.Responses) > 0 {
		r.line("  evidence   %s   %s", r.o.Evidence, b.kept())
	}
	r.line("No figures are shown for a run that broke a promise.")
}
