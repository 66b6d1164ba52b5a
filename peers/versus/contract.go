package versus

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Exit codes.
const (
	exitMet      = 0
	exitMissed   = 1 // a must, or a promise is broken
	exitMisused  = 2
	exitUnknown  = 3 // something could not be measured
	fullBudget   = 2 * time.Hour
	quickBudget  = 9 * time.Minute
	budgetInHand = 0.75 // of the budget; from there on one pair must do
)

// options of one run of the command.
type options struct {
	rows    []string // empty: all
	pairs   int
	longest time.Duration
	sizes   sizes
	kind    string // full, quick or smoke
	budget  time.Duration
	dir     string
	out     string
}

const contractUsage = `usage: go run . contract [flags]
  --row P6        only this row; several as P1,P2
  --pairs 5       pairs of runs, etcd and watchkv in turn
  --quick         smaller sizes and two pairs, at most 9 minutes
  --smoke         sizes so small that they only try the machinery
  --longest 20s   a peer run that would take longer is cut
  --out FILE      the result as JSON
  --dir DIR       where temporary files go
`

func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("contract", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() { fmt.Fprint(errOut, contractUsage) }
	rows := flags.String("row", "", "")
	flags.IntVar(&o.pairs, "pairs", 0, "")
	quick := flags.Bool("quick", false, "")
	smoke := flags.Bool("smoke", false, "")
	flags.DurationVar(&o.longest, "longest", 0, "")
	flags.StringVar(&o.out, "out", "", "")
	flags.StringVar(&o.dir, "dir", "", "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	pairs, longest := 5, 20*time.Second
	o.kind, o.sizes, o.budget = "full", fullSizes, fullBudget
	switch {
	case *smoke:
		o.kind, o.sizes, pairs, longest = "smoke", tinySizes, 1, 2*time.Second
	case *quick:
		o.kind, o.sizes, o.budget, pairs, longest = "quick", quickSizes, quickBudget, 2, 8*time.Second
	}
	if o.pairs == 0 {
		o.pairs = pairs
	}
	if o.longest == 0 {
		o.longest = longest
	}
	o.rows = strings.FieldsFunc(*rows, func(c rune) bool { return c == '/' || c == ',' })
	_, lines := table(o.sizes)
	for _, row := range o.rows {
		if !slices.ContainsFunc(lines, func(l line) bool { return l.row == row }) {
			return o, fmt.Errorf("--row %s: unknown; from P1 to P14, W1 to W4", row)
		}
	}
	if len(flags.Args()) > 0 || o.pairs < 0 || o.longest < 0 {
		return o, fmt.Errorf("contract %s: not understood", strings.Join(args, " "))
	}
	return o, nil
}

// Contract is the command that measures the performance contract: for each row
// both sides in one session, the physical limit beside them, and whether the
// targets are met. It returns the exit code.
func Contract(ctx context.Context, args []string, out, errOut io.Writer) int {
	o, err := parse(args, errOut)
	if err != nil {
		if err != flag.ErrHelp {
			fmt.Fprintln(errOut, err)
		}
		return exitMisused
	}
	tmp, err := os.MkdirTemp(o.dir, "watchkv-contract-*")
	if err != nil {
		fmt.Fprintln(errOut, err)
		return exitUnknown
	}
	defer os.RemoveAll(tmp)
	began := time.Now()
	s := &session{options: o, began: began, printer: printer{out}, runner: newRunner(tmp, o.pairs, o.longest, errOut)}
	s.runner.rawFor = min(2*time.Second, o.sizes.load)
	s.run(ctx)
	s.legend()
	if o.out != "" {
		if err := s.writeFile(o.out); err != nil {
			fmt.Fprintln(errOut, err)
			return exitUnknown
		}
	}
	return s.exitCode()
}

// session is one run of the command.
type session struct {
	options
	began   time.Time
	printer printer
	runner  *runner
	machine bench.Machine

	convert  float64 // nanoseconds to copy an event of etcd's
	verdicts []verdict
	runs     map[string]*runs // by key of the measurement; nil: it failed
	failed   map[string]error // why, by key
	notes    []string
}

// run measures row after row and prints each line as soon as it is known.
func (s *session) run(ctx context.Context) {
	s.runs, s.failed = map[string]*runs{}, map[string]error{}
	s.machine, s.convert = s.runner.inspect(ctx)
	s.head()
	measurements, lines := table(s.sizes)
	for _, l := range lines {
		if len(s.rows) > 0 && !slices.Contains(s.rows, l.row) {
			continue
		}
		if _, done := s.runs[l.of]; !done {
			s.hurry()
			got, err := s.runner.measure(ctx, l.of, measurements[l.of])
			if err != nil {
				s.failed[l.of] = err
			}
			s.runs[l.of] = got
		}
		v := judge(l, s.runs[l.of])
		if s.kind == "smoke" {
			v.musts, v.reaches = "", ""
		}
		s.verdicts = append(s.verdicts, v)
		s.printVerdict(v)
	}
}

// hurry keeps a slow machine within the budget.
func (s *session) hurry() {
	if s.runner.pairs > 1 && time.Since(s.began) > time.Duration(budgetInHand*float64(s.budget)) {
		s.runner.pairs = 1
		s.notes = append(s.notes, fmt.Sprintf("the time was running out after %v: later rows have one pair", time.Since(s.began).Round(time.Second)))
	}
}

func (s *session) exitCode() int {
	code := exitMet
	for _, v := range s.verdicts {
		if v.musts == missed || isBroken(s.failed[v.of]) {
			return exitMissed
		}
		if v.musts == unknown || s.failed[v.of] != nil {
			code = exitUnknown
		}
	}
	return code
}
