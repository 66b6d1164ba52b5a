package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// printStart says what will be done before a single put.
func (m *measuring) printStart(w io.Writer, b bed, plan bench.Plan) {
	facts := b.kind.Facts()
	fmt.Fprintf(w, "watchbench %s   %s   %s  seed %d\n", version, facts.Name(), inside(facts), plan.Seed)
	fmt.Fprintf(w, "plan     %s   %s\n", planNames(plan), planTime(plan))
	fmt.Fprintf(w, "load     %s\n", load(plan))
	fmt.Fprintf(w, "machine  %s\n", machineLine(b.machine))
	if b.machine.Fsync != nil {
		fmt.Fprintf(w, "disk     %s\n", diskLine(b.machine.Fsync, facts.Durability))
	}
	for _, n := range b.subject.where(plan, m.output.dir) {
		fmt.Fprintf(w, "%-8s %s\n", n.heading, n.text)
	}
}

// inside is what a store keeps in memory on purpose, and its version.
func inside(facts bench.TargetFacts) string {
	if facts.Server() {
		return strings.Join(facts.Endpoints, ",")
	}
	parts := []string{fmt.Sprintf("outbox %d", facts.OutboxResponses)}
	if facts.Version != "" {
		parts = append([]string{facts.Version}, parts...)
	}
	if facts.RecentBytes > 0 {
		parts = append(parts, "recent log "+figure.ShortBytes(facts.RecentBytes))
	}
	if facts.CacheBytes > 0 {
		parts = append(parts, "cache "+figure.ShortBytes(facts.CacheBytes))
	}
	return strings.Join(parts, ", ")
}

// printPlan is all that --plan does.
func (m *measuring) printPlan(s subject, plan bench.Plan) error {
	dir := m.output.dir
	if fileKind(dir) != "directory" {
		dir = os.TempDir()
	}
	m.printStart(m.term.out, bed{subject: s, kind: planned{s}, machine: bench.InspectMachine(dir)}, plan)
	done := "nothing was done: --plan"
	if s.facts().Server() {
		done = "nothing was written: --plan; only the server's status was asked for"
	}
	if _, err := fmt.Fprintln(m.term.out, done); err != nil {
		return err
	}
	return s.check(plan)
}

// planned is the kind of a subject that is not opened.
type planned struct{ subject }

func (p planned) Facts() bench.TargetFacts { return p.facts() }

func (p planned) Open(string) (bench.Target, error) {
	return nil, fmt.Errorf("%s is only planned with", p.facts().Name())
}

// planNames lists the scenarios; the shapes where it is not all there are.
func planNames(p bench.Plan) string {
	shapes := map[string][]string{}
	var names []string
	for _, sc := range p.Scenarios {
		name, shape, several := strings.Cut(sc.Title(), "/")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
		if several {
			shapes[name] = append(shapes[name], shape)
		}
	}
	for i, name := range names {
		if list := shapes[name]; name == bench.Notify || len(list) == 1 {
			names[i] = strings.TrimSpace(name + " " + strings.Join(list, ", "))
		}
	}
	if p.Count > 1 {
		names = append(names, fmt.Sprintf("%d times", p.Count))
	}
	return strings.Join(names, " · ")
}

func planTime(p bench.Plan) string {
	var sum time.Duration
	open := false
	for _, sc := range p.Scenarios {
		sum += sc.Warmup + sc.Duration
		open = open || sc.Duration == 0
	}
	sum *= time.Duration(p.Count)
	switch {
	case open && sum == 0:
		return "until all are synced"
	case open:
		return figure.Short(sum) + " and catching up"
	}
	return figure.Short(sum)
}

// load describes the load of the first scenario, and how others differ.
func load(p bench.Plan) string {
	first := p.Scenarios[0]
	parts := []string{fmt.Sprintf("%s watchers on %d streams", figure.Count(int64(first.Watchers)), first.Streams)}
	switch {
	case first.FullSpeed:
		parts = append(parts, fmt.Sprintf("%d writers at full speed", first.Writers))
	case first.RatePerS > 0:
		parts = append(parts, figure.Rate(first.RatePerS)+" puts/s open loop")
	}
	if first.History > 0 {
		parts = append(parts, figure.Count(first.History)+" revisions")
	}
	if first.Name != bench.Replay {
		parts = append(parts, "values "+figure.ShortBytes(int64(first.ValueBytes)))
	}
	return lines(append(parts, differences(p)...), 9)
}

// differences says how later scenarios differ from the first, once for all
// that differ alike.
func differences(p bench.Plan) (parts []string) {
	first := p.Scenarios[0]
	names := map[string][]string{}
	var order []string
	for _, sc := range p.Scenarios[1:] {
		var differs []string
		if sc.Watchers != first.Watchers {
			differs = append(differs, figure.Count(int64(sc.Watchers))+" watchers")
		}
		if sc.Streams != first.Streams {
			differs = append(differs, fmt.Sprintf("%d streams", sc.Streams))
		}
		if sc.RatePerS != first.RatePerS && sc.RatePerS > 0 {
			differs = append(differs, figure.Rate(sc.RatePerS)+" puts/s")
		}
		if sc.History != first.History && sc.History > 0 {
			differs = append(differs, figure.Count(sc.History)+" revisions")
		}
		if len(differs) == 0 {
			continue
		}
		name, _, _ := strings.Cut(sc.Title(), "/")
		if sc.Name == bench.Notify {
			name = string(sc.Shape)
		}
		text := strings.Join(differs, ", ")
		if names[text] == nil {
			order = append(order, text)
		}
		if !slices.Contains(names[text], name) {
			names[text] = append(names[text], name)
		}
	}
	for _, text := range order {
		parts = append(parts, strings.Join(names[text], ", ")+" "+text)
	}
	return parts
}

// lines joins parts with dots, over as many lines of 80 columns as it takes.
func lines(parts []string, indent int) string {
	var b strings.Builder
	column := indent
	for i, part := range parts {
		if i > 0 && column+3+utf8.RuneCountInString(part) > 80 {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		} else if i > 0 {
			b.WriteString(" · ")
			column += 3
		}
		b.WriteString(part)
		column += utf8.RuneCountInString(part)
	}
	return b.String()
}

func machineLine(m bench.Machine) string {
	cores := fmt.Sprintf("%d cores", m.Cores)
	if m.Cores == 1 {
		cores = "1 core"
	}
	if m.CPU != "" {
		cores += " " + m.CPU
	}
	parts := []string{cores}
	if m.MemoryBytes > 0 {
		parts = append(parts, fmt.Sprintf("%.0f GiB", float64(m.MemoryBytes)/(1<<30)))
	}
	parts = append(parts, m.OS)
	if m.Filesystem != "" {
		parts = append(parts, m.Filesystem)
	}
	return strings.Join(append(parts, madeBy("").Go), " · ")
}

func diskLine(f *bench.Fsync, durability string) string {
	line := fmt.Sprintf("fsync p50 %s, p99 %s", figure.Duration(f.P50), figure.Duration(f.P99))
	if durability == "sync" && f.P50 > 0 {
		line += fmt.Sprintf(": a lone writer cannot pass %s puts/s", figure.Rate(float64(time.Second)/float64(f.P50)))
	}
	return line
}

// filesLine says where the data go, and about how much there will be.
func filesLine(facts bench.TargetFacts, plan bench.Plan, dir string) string {
	if facts.Volatile {
		return "none: " + facts.Engine + " keeps nothing on disk"
	}
	where := "temporary directory, %s, removed at the end"
	if dir != "" {
		where = dir + ", %s, kept"
	}
	return fmt.Sprintf(where, sizeEstimate(plan, dir != ""))
}

// Engines write a record several times over before they settle; the estimate
// is meant to be high.
const (
	recordOverhead = 128 // key and the record's own fields
	amplification  = 4
	engineFloor    = 256 << 20 // logs and files that engines make before they need them
)

func sizeEstimate(p bench.Plan, keep bool) string {
	var largest, sum int64
	for _, sc := range p.Scenarios {
		if sc.FullSpeed {
			return "size as fast as it gets"
		}
		revisions := sc.History + int64(sc.RatePerS*(sc.Warmup+sc.Duration).Seconds())
		size := engineFloor + revisions*int64(sc.ValueBytes+recordOverhead)*amplification
		largest, sum = max(largest, size), sum+size
	}
	if keep {
		largest = sum * int64(p.Count)
	}
	return "at most about " + figure.Bytes(largest)
}

func newEnv(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "env", Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return printEnv(t) },
	}
}

func printEnv(t *terminal) error {
	dir, err := os.MkdirTemp("", "watchbench-*")
	if err != nil {
		return unmeasured("no temporary directory: %v", err)
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(t.out, versionLine())
	var versions []string
	for _, d := range engines.All() {
		version, err := engineVersion(d, dir+"/"+d.Name)
		if err != nil {
			return unmeasured("%v", err)
		}
		versions = append(versions, version)
	}
	fmt.Fprintf(t.out, "engines  %s\n", strings.Join(versions, " · "))
	machine := bench.InspectMachine(dir)
	fmt.Fprintf(t.out, "machine  %s\n", machineLine(machine))
	fsync, err := bench.MeasureFsync(dir)
	if err != nil {
		return unmeasured("%v", err)
	}
	_, err = fmt.Fprintf(t.out, "disk     %s\n", diskLine(fsync, "sync"))
	return err
}

func engineVersion(d backend.Driver, dir string) (string, error) {
	k, err := bench.Embedded{Driver: d}.Probe(dir)
	if err != nil {
		return "", err
	}
	if k.Version == "" {
		return d.Name, nil
	}
	return k.Version, nil
}
