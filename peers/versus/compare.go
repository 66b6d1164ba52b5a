package versus

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

// compared are the figures of each scenario, in the order they are shown.
var compared = map[string][]line{
	bench.Notify:  concat(latencies("notify", "put"), rates("put.rate_per_s", "notify.events_per_s"), usage),
	bench.CatchUp: concat([]line{{what: "until synced", figure: metric("catchup.synced_ns"), show: nanos, less: true}}, rates("catchup.events_per_s"), usage),
	bench.Slow: concat(latencies("before.notify", "notify", "put"),
		[]line{{what: "recovery", figure: metric("slow.recovery_ns"), show: nanos, less: true}}, rates("put.rate_per_s"), usage),
	bench.Interference: concat(latencies("quiet.notify", "quiet.put", "notify", "put"), rates("replay.events_per_s", "put.rate_per_s"), usage),
}

var usage = []line{
	{what: "cores used", figure: metric("cpu.cores"), show: func(v float64) string { return fmt.Sprintf("%.2f", v) }, less: true},
	{what: "most heap", figure: metric("memory.heap_max_bytes"), show: size, less: true},
	{what: "files", figure: metric("disk.data_bytes"), show: size, less: true},
}

func concat(parts ...[]line) (all []line) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func latencies(of ...string) (lines []line) {
	for _, name := range of {
		for _, q := range []struct{ metric, word string }{{"p50", "p50"}, {"p99", "p99"}, {"p999", "p99.9"}, {"max", "longest"}} {
			lines = append(lines, line{what: strings.ReplaceAll(name, ".", ": ") + " " + q.word, figure: metric(name + "." + q.metric + "_ns"), show: nanos, less: true})
		}
	}
	return lines
}

func rates(names ...string) (lines []line) {
	for _, name := range names {
		what := strings.NewReplacer("put.rate_per_s", "puts", "notify.events_per_s", "events", "catchup.events_per_s", "events", "replay.events_per_s", "replayed events").Replace(name)
		lines = append(lines, line{what: what, figure: metric(name), show: rate})
	}
	return lines
}

// Compare is the command that compares one or more scenarios of the benchmark.
// It returns the exit code.
func Compare(ctx context.Context, args []string, out, errOut io.Writer) int {
	c, err := parseCompare(args, errOut)
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(errOut, err)
		}
		return exitMisused
	}
	tmp, err := os.MkdirTemp(c.dir, "watchkv-compare-*")
	if err != nil {
		fmt.Fprintln(errOut, err)
		return exitUnknown
	}
	defer os.RemoveAll(tmp)
	s := &comparing{comparison: c, began: time.Now(), runner: newRunner(tmp, c.pairs, c.longest, errOut)}
	s.p = printer{out}
	s.runner.seed = c.plan.Seed
	code := s.run(ctx)
	if c.out != "" {
		if err := s.writeFile(c.out); err != nil {
			fmt.Fprintln(errOut, err)
			return exitUnknown
		}
	}
	return code
}

// comparing is one run of compare.
type comparing struct {
	comparison
	began   time.Time
	p       printer
	runner  *runner
	machine bench.Machine
	convert float64
	done    []comparedScenario
}

// comparedScenario is what was found of one scenario.
type comparedScenario struct {
	scenario bench.Scenario
	runs     *runs
	verdicts []verdict
	failed   error
}

const compareColumns = "%-24s %-7s %11s %11s %8s  %s"

func (s *comparing) run(ctx context.Context) (code int) {
	s.machine, s.convert = s.runner.inspect(ctx)
	s.p.line("watchkv against etcd: %d pairs, a peer run is cut at %v", s.pairs, s.longest)
	s.p.machine(s.machine)
	all := map[string]*runs{}
	for _, sc := range s.plan.Scenarios {
		m := &measurement{
			scenario: sc, sync: s.sync, engines: s.engines, unchecked: 1, everyone: true,
			prepared: sc.History > 0, copied: sc.Name == bench.Interference,
		}
		got, err := s.runner.measure(ctx, sc.Title(), m)
		d := comparedScenario{scenario: sc, runs: got, failed: err}
		s.p.line("")
		s.p.line("%s", scenarioText(sc))
		if err != nil {
			s.p.line("not measured: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
			code = exitUnknown
			if isBroken(err) {
				code = exitMissed
			}
			s.done = append(s.done, d)
			continue
		}
		all[sc.Title()] = got
		s.scenario(&d)
		s.done = append(s.done, d)
	}
	s.p.line("")
	s.p.line("RATIO     watchkv against etcd, above 1 is better: the median of the pairs; then the least and the most of them")
	s.p.line("cut       the peer's run would have taken longer: its figure is that of what it did, and it ran once")
	s.p.line("heap, cores are those of the whole process: load, consumers and checker are in them, on both sides")
	s.p.sides(all)
	s.p.unequal(all, s.convert)
	return code
}

// scenarioText says what both sides had to do.
func scenarioText(sc bench.Scenario) string {
	parts := []string{fmt.Sprintf("%s: %s watchers on %d streams, %s keys, values of %s", sc.Title(), figure.Count(int64(sc.Watchers)), sc.Streams, figure.Count(int64(sc.Keys)), figure.ShortBytes(int64(sc.ValueBytes)))}
	if sc.RatePerS > 0 {
		parts = append(parts, figure.Rate(sc.RatePerS)+" puts/s open loop")
	}
	if sc.FullSpeed {
		parts = append(parts, fmt.Sprintf("%d writers at full speed", sc.Writers))
	}
	if sc.History > 0 {
		parts = append(parts, figure.Count(sc.History)+" revisions")
	}
	if sc.Duration > 0 {
		parts = append(parts, figure.Short(sc.Duration))
	}
	return strings.Join(parts, ", ")
}

func (s *comparing) scenario(d *comparedScenario) {
	s.p.line(compareColumns, "", "ENGINE", "WATCHKV", "ETCD", "RATIO", "OF PAIRS")
	for _, l := range compared[d.scenario.Name] {
		for _, m := range []mode{checked, unchecked} {
			for _, engine := range s.engines {
				l.engine, l.mode, l.of = engine, m, d.scenario.Title()
				v := judge(l, d.runs)
				if math.IsNaN(v.own) && math.IsNaN(v.peer) {
					continue
				}
				d.verdicts = append(d.verdicts, v)
				if m == checked {
					s.p.compared(v)
				}
			}
		}
	}
	for _, v := range d.verdicts {
		if v.mode == unchecked && v.engine == s.engines[0] && (v.what == "events" || v.what == "cores used") {
			with := judge(line{engine: v.engine, figure: v.figure, show: v.show}, d.runs)
			s.p.line("UNCHECKED, one run each: %s %s instead of %s, etcd %s instead of %s", v.what, v.text(v.own), v.text(with.own), v.text(v.peer), v.text(with.peer))
		}
	}
	for _, side := range append([]string{job.Etcd}, s.engines...) {
		var events int64
		for _, sample := range d.runs.of(side, checked) {
			events += sample.events
		}
		promised := "all promises"
		if side == job.Etcd {
			promised = "all that etcd promises"
		}
		s.p.line("checker   %s: %s events compared with what was written, %s kept", side, figure.Count(events), promised)
	}
}

// CompareSchema names the form of a result file of Compare.
const CompareSchema = "watchkv.compare/1"

// compareFile is the result as JSON; see file.
type compareFile struct {
	fileHead
	Scenarios []comparedOutcome `json:"scenarios"`
}

type comparedOutcome struct {
	fileMeasurement
	Lines []fileLine `json:"lines"`
}

func (s *comparing) writeFile(path string) error {
	f := compareFile{
		fileHead: fileHead{
			Schema: CompareSchema, Started: s.began.UTC().Truncate(time.Second), Took: time.Since(s.began), Machine: s.machine,
			Seed: s.plan.Seed, Pairs: s.pairs, Longest: s.longest, Convert: s.convert, Unequal: Unequal,
		},
	}
	for _, d := range s.done {
		o := comparedOutcome{fileMeasurement: measurementOf(d.scenario, d.runs, d.failed)}
		for _, v := range d.verdicts {
			o.Lines = append(o.Lines, lineOf(v, nil))
		}
		f.Scenarios = append(f.Scenarios, o)
	}
	return writeJSON(path, f)
}

func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
