package contract

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/job"
)

const columns = "%-4s %-50s %-7s %10s %10s %8s %-13s %10s  %-18s %s"

func (s *session) print(format string, args ...any) {
	fmt.Fprintln(s.out, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

func (s *session) head() {
	m := s.machine
	s.print("watchkv against etcd's own store, %s: %d pairs, a peer run is cut at %v", s.kind, s.runner.pairs, s.runner.longest)
	s.print("%d cores %s, %s, %s %s", m.Cores, m.CPU, figure.Bytes(m.MemoryBytes), m.OS, m.Filesystem)
	if m.Fsync != nil {
		s.print("fsync p50 %s, p99 %s", figure.Duration(m.Fsync.P50), figure.Duration(m.Fsync.P99))
	}
	s.print("")
	s.print(columns, "ROW", "WHAT", "ENGINE", "WATCHKV", "ETCD", "RATIO", "OF PAIRS", "LIMIT", "MUST", "REACH")
}

func (s *session) line(v verdict) {
	show := func(x float64) string {
		if math.IsNaN(x) {
			return "-"
		}
		return v.show(x)
	}
	spread := ""
	if !math.IsNaN(v.ratio) {
		spread = ratioText(v.lowest) + " " + ratioText(v.most)
	}
	ratio := ""
	if !math.IsNaN(v.ratio) {
		ratio = ratioText(v.ratio) + "x"
	}
	target := func(g goal, o outcome) string {
		word := string(o)
		if o == missed {
			word = "MISSED"
		}
		return strings.TrimSpace(g.text(v.show) + " " + word)
	}
	text := fmt.Sprintf(columns, v.row, v.what, v.engine, show(v.own), show(v.peer), ratio, spread,
		strings.Trim(show(v.limitAt), "-"), target(v.must, v.musts), target(v.line.reach, v.reaches))
	if v.cut != nil {
		text += "  etcd " + v.cut.cutText()
	}
	if why := s.failed[v.of]; why != "" {
		text += "  not measured: " + strings.ReplaceAll(why, "\n", "; ")
	}
	s.print("%s", text)
}

// ratioText has three digits, or all before the point.
func ratioText(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// legend says what the columns mean and what could not be made equal.
func (s *session) legend() {
	s.print("")
	s.print("RATIO     watchkv against etcd, above 1 is better: the median of the pairs; OF PAIRS the least and the most")
	s.print("LIMIT     P1 the engine's own scan, P2 reading events in memory, P3 and P14 the time of one scan of the history,")
	s.print("          P4 to P8 the same load and checker with no store at all, P9 a plain struct with its key,")
	s.print("          P12 the engine's own batches of 64 made durable, P13 its batches of 1,000, not made durable")
	s.print("cut       the peer's run would have taken longer: its figure is that of what it did, it ran once, and the")
	s.print("          ratio stands against that figure")
	s.print("heap, CPU of the whole process: load, consumers and checker are in them, on both sides")
	s.sides()
	s.unequal()
	s.checkerCost()
	for _, note := range s.notes {
		s.print("note      %s", note)
	}
	if s.kind != "full" {
		s.print("%-9s sizes and pairs are smaller than the contract's; the full run is without --%s", s.kind, s.kind)
	}
	s.sum()
}

// sides prints the buffers of each side that was measured.
func (s *session) sides() {
	facts := map[string]bench.TargetFacts{}
	for _, r := range s.runs {
		if r == nil {
			continue
		}
		for side, samples := range r.samples {
			for _, sample := range samples {
				facts[side+" "+sample.facts.Durability] = sample.facts
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(facts)) {
		s.print("side      %s", sideText(facts[name]))
	}
}

func sideText(f bench.TargetFacts) string {
	bytes := "unbounded in bytes"
	if f.OutboxBytes > 0 {
		bytes = figure.ShortBytes(f.OutboxBytes)
	}
	none := func(n int64) string {
		if n == 0 {
			return "none"
		}
		return figure.ShortBytes(n)
	}
	name := "watchkv on " + f.Engine
	if f.EtcdRules {
		name = f.Kind + " on " + f.Engine
	}
	return fmt.Sprintf("%s (%s), %s: outbox of a stream %d responses, %s; recent log %s; cache %s",
		name, cmp.Or(f.Version, "no version"), f.Durability, f.OutboxResponses, bytes, none(f.RecentBytes), none(f.CacheBytes))
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

func (s *session) unequal() {
	for i, text := range Unequal {
		label := ""
		if i == 0 {
			label = "unequal"
		}
		s.print("%-9s %s", label, text)
	}
	if s.convert == 0 {
		return
	}
	share := 0.0
	for _, r := range s.runs {
		if r == nil {
			continue
		}
		for _, sample := range r.of(job.Etcd, checked) {
			for _, name := range []string{"catchup.events_per_s", "fanout.events_per_s", "notify.events_per_s"} {
				share = max(share, sample.metrics[name]*s.convert/float64(time.Second))
			}
		}
	}
	s.print("          copying one event: %.1f ns, at most %.1f%% of one core in any row here", s.convert, 100*share)
}

// checkerCost shows figures with and without the checker.
func (s *session) checkerCost() {
	label := "checker"
	for _, v := range s.verdicts {
		r := s.runs[v.of]
		if r == nil || v.mode != checked || strings.HasPrefix(v.what, "  ") || v.engine != paired {
			continue
		}
		own, peer := median(v.figures(r.of(v.engine, unchecked))), median(v.figures(r.of(job.Etcd, unchecked)))
		if math.IsNaN(own) || math.IsNaN(peer) {
			continue
		}
		s.print("%-9s %s %s: without it %s instead of %s, etcd %s instead of %s", label, v.row, v.what, v.show(own), v.show(v.own), v.show(peer), v.show(v.peer))
		label = ""
	}
}

// sum is the last word.
func (s *session) sum() {
	count := map[outcome]int{}
	reached, wanted := 0, 0
	for _, v := range s.verdicts {
		count[v.musts]++
		if v.reaches != "" {
			wanted++
			if v.reaches == met {
				reached++
			}
		}
	}
	var events int64
	for _, r := range s.runs {
		if r != nil {
			for _, samples := range r.samples {
				for _, sample := range samples {
					events += sample.events
				}
			}
		}
	}
	s.print("checked   %s events on both sides, no promise broken", figure.Count(events))
	s.print("")
	s.print("must: %d met, %d missed, %d unknown; reach: %d of %d; %v", count[met], count[missed], count[unknown], reached, wanted, time.Since(s.began).Round(time.Second))
}
