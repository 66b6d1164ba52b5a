package contract

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// Main is the command contract: it returns the exit code.
func Main(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("contract", flag.ContinueOnError)
	flags.SetOutput(errOut)
	rows := flags.String("row", "", "rows, such as P6 or P1/P2")
	pairs := flags.Int("pairs", 5, "pairs of runs")
	quick := flags.Bool("quick", false, "smaller")
	longest := flags.Duration("longest", 20*time.Second, "cut a peer run after")
	dir := flags.String("dir", "", "directory for temporary files")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	z := fullSizes
	if *quick {
		z = quickSizes
	}
	tmp, err := os.MkdirTemp(*dir, "watchkv-contract-*")
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 3
	}
	defer os.RemoveAll(tmp)
	began := time.Now()
	r := &runner{dir: tmp, pairs: *pairs, longest: *longest, made: map[string]bool{}, log: func(format string, args ...any) {
		fmt.Fprintf(errOut, "%6.0f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}}
	measurements, lines := table(z)
	if *rows != "" {
		wanted := strings.FieldsFunc(*rows, func(c rune) bool { return c == '/' || c == ',' })
		lines = slices.DeleteFunc(lines, func(l line) bool { return !slices.Contains(wanted, l.row) })
	}
	measured := map[string]*runs{}
	missedAny := false
	for _, l := range lines {
		if measured[l.of] == nil {
			got, err := r.measure(ctx, l.of, measurements[l.of])
			if err != nil {
				fmt.Fprintln(errOut, err)
				return 3
			}
			measured[l.of] = got
		}
		v := judge(l, measured[l.of])
		missedAny = missedAny || v.must == missed
		fmt.Fprintln(out, v.String())
	}
	if missedAny {
		return 1
	}
	return 0
}

func (v verdict) String() string {
	show := func(x float64) string {
		if math.IsNaN(x) {
			return "n/a"
		}
		return v.show(x)
	}
	ratio := "n/a"
	if !math.IsNaN(v.ratio) {
		ratio = fmt.Sprintf("%.2fx (%.2f-%.2f)", v.ratio, v.low, v.high)
	}
	limit := ""
	if v.limitAt > 0 {
		limit = v.show(v.limitAt)
	}
	cut := ""
	if v.cut > 0 {
		cut = fmt.Sprintf("  cut at %.0f s, %.1f%% done", v.cut.Seconds(), 100*v.done)
	}
	return fmt.Sprintf("%-4s %-58s %-7s %11s %11s %22s %11s  must %-12s %-7s reach %-12s %s%s", v.row, v.what, v.engine, show(v.own), show(v.peer), ratio, limit,
		v.line.must.text(v.show), v.must, v.line.reach.text(v.show), v.reach, cut)
}
