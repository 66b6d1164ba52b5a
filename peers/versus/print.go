package versus

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

// printer writes for a terminal, line by line.
type printer struct{ out io.Writer }

func (p printer) line(format string, args ...any) {
	fmt.Fprintln(p.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (p printer) machine(m bench.Machine) {
	p.line("%d cores %s, %s, %s %s", m.Cores, m.CPU, figure.Bytes(m.MemoryBytes), m.OS, m.Filesystem)
	if m.Fsync != nil {
		p.line("fsync p50 %s, p99 %s", figure.Duration(m.Fsync.P50), figure.Duration(m.Fsync.P99))
	}
}

// compared is one line of compare.
func (p printer) compared(v verdict) {
	ratio, spread := v.ratioTexts()
	text := fmt.Sprintf(compareColumns, v.what, v.engine, v.text(v.own), v.text(v.peer), ratio, spread)
	if v.cut != nil {
		text += "  etcd " + v.cut.cutText()
	}
	p.line("%s", text)
}

// text shows a figure of the line, or that there is none.
func (l line) text(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return l.show(v)
}

func (v verdict) ratioTexts() (ratio, spread string) {
	if math.IsNaN(v.ratio) {
		return "", ""
	}
	return ratioText(v.ratio) + "x", ratioText(v.lowest) + " " + ratioText(v.most)
}

// ratioText has three digits, or all before the point.
func ratioText(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// sides prints the buffers of each side that was measured.
func (p printer) sides(all map[string]*runs) {
	facts := map[string]bench.TargetFacts{}
	for _, r := range all {
		if r == nil {
			continue
		}
		for side, samples := range r.samples {
			for _, sample := range samples {
				if !sample.server {
					facts[side+" "+sample.facts.Durability] = sample.facts
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		p.line("side      %s", sideText(facts[name]))
	}
}

func sideText(f bench.TargetFacts) string {
	name := "watchkv on " + f.Engine
	if f.EtcdRules {
		name = f.Kind + " on " + f.Engine
	}
	return fmt.Sprintf("%s (%s), %s: %s", name, cmp.Or(f.Version, "no version"), f.Durability, f.Buffers())
}

// Unequal is what could not be made equal, printed with every comparison.
var Unequal = []string{
	"an outbox holds 128 responses on both sides; etcd's response is for one watch and has no bound in bytes, ours is for",
	"  all watches of a stream with one range, and all of them together have 1 MiB",
	"etcd's rules are checked on both sides; ours besides (the revision of a response is a resume point, the end of",
	"  catch-up is told) only on ours. A watch of etcd's has caught up when it has as many events as are there for it",
	"Created and the asking for progress, which etcd's server makes, are made in the adapter, and each event is copied",
	"  into the form of our consumers; both are in etcd's figures",
	"no previous values and no periodic progress are asked for: etcd's server makes them, not its store",
	"etcd's store is what its server stands on: what raft, its log and the wire cost is on neither side",
}

func (p printer) unequal(all map[string]*runs, convert float64) {
	for i, text := range Unequal {
		label := ""
		if i == 0 {
			label = "unequal"
		}
		p.line("%-9s %s", label, text)
	}
	if convert == 0 {
		return
	}
	share := 0.0
	for _, r := range all {
		if r == nil {
			continue
		}
		for _, sample := range r.of(job.Etcd, checked) {
			for _, name := range []string{"catchup.events_per_s", "fanout.events_per_s", "notify.events_per_s"} {
				share = max(share, sample.metrics[name]*convert/float64(time.Second))
			}
		}
	}
	p.line("          copying one event: %.1f ns, at most %.1f%% of one core in any row here", convert, 100*share)
}
