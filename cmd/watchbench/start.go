package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// printStart says what will be done before a single put.
func (r *runCommand) printStart(w io.Writer, machine bench.Machine) {
	facts := r.kind.Facts()
	inside := fmt.Sprintf("outbox %d", facts.OutboxResponses)
	if facts.Version != "" {
		inside = facts.Version + ", " + inside
	}
	if facts.CacheBytes > 0 {
		inside += ", cache " + figure.ShortBytes(facts.CacheBytes)
	}
	fmt.Fprintf(w, "watchbench %s   %s/%s   %s  seed %d\n", version, facts.Engine, facts.Durability, inside, r.plan.Seed)
	fmt.Fprintf(w, "plan     %s   %s\n", planNames(r.plan), planTime(r.plan))
	for _, line := range loads(r.plan) {
		fmt.Fprintf(w, "load     %s\n", line)
	}
	fmt.Fprintf(w, "machine  %s\n", machineLine(machine))
	if machine.Fsync != nil {
		fmt.Fprintf(w, "disk     %s\n", diskLine(machine.Fsync, facts.Durability))
	}
	fmt.Fprintf(w, "files    %s\n", r.filesLine())
}

func (r *runCommand) printPlan() error {
	dir := r.flags.dir
	if fileKind(dir) != "directory" {
		dir = os.TempDir()
	}
	r.printStart(r.term.out, bench.InspectMachine(dir))
	_, err := fmt.Fprintln(r.term.out, "nothing was done: --plan")
	return err
}

// planNames lists the scenarios, with the shapes of each.
func planNames(p bench.Plan) string {
	var parts []string
	last := ""
	for _, sc := range p.Scenarios {
		name, shape, several := strings.Cut(sc.Title(), "/")
		switch {
		case name == last && several:
			parts[len(parts)-1] += ", " + shape
		case several:
			parts = append(parts, name+" "+shape)
		default:
			parts = append(parts, name)
		}
		last = name
	}
	s := strings.Join(parts, " · ")
	if p.Count > 1 {
		s += fmt.Sprintf(" · %d times", p.Count)
	}
	return s
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

// loads describes the load, a line for each that differs from the first.
func loads(p bench.Plan) []string {
	var lines []string
	for i, sc := range p.Scenarios {
		line := fmt.Sprintf("%s watchers on %d streams", figure.Count(int64(sc.Watchers)), sc.Streams)
		switch {
		case sc.FullSpeed:
			line += fmt.Sprintf(" · %d writers at full speed", sc.Writers)
		case sc.RatePerS > 0:
			line += fmt.Sprintf(" · %s puts/s open loop", figure.Rate(sc.RatePerS))
		}
		if sc.History > 0 {
			line += fmt.Sprintf(" · history %s", figure.Count(sc.History))
		}
		if i == 0 {
			line += " · values " + figure.ShortBytes(int64(sc.ValueBytes))
		}
		known := false
		for _, l := range lines {
			known = known || l == line || strings.HasPrefix(l, line+" ")
		}
		if !known {
			if i > 0 {
				line += " (" + sc.Title() + ")"
			}
			lines = append(lines, line)
		}
	}
	return lines
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
func (r *runCommand) filesLine() string {
	if r.kind.Driver.Volatile {
		return "none: " + r.kind.Driver.Name + " keeps nothing on disk"
	}
	where := "temporary directory, %s, removed at the end"
	if r.flags.dir != "" {
		where = r.flags.dir + ", %s, kept"
	}
	return fmt.Sprintf(where, sizeEstimate(r.plan, r.flags.dir != ""))
}

// Engines write a record several times over before they settle; the estimate
// is meant to be high.
const (
	recordOverhead = 128 // key and the record's own fields
	amplification  = 4
	engineFloor    = 16 << 20 // logs and preallocated files of an empty engine
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
	made := madeBy("")
	line := "watchbench " + made.Watchbench
	if made.Commit != "" {
		line += "   commit " + made.Commit[:min(12, len(made.Commit))]
	}
	fmt.Fprintln(t.out, line)
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
