package versus

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/watchkv/watchkv/bench/figure"

	"github.com/watchkv/watchkv/peers/etcd"
	"github.com/watchkv/watchkv/peers/job"
)

const columns = "%-4s %-50s %-7s %10s %10s %8s %-13s %10s  %-18s %s"

func (s *session) head() {
	s.printer.line("watchkv against etcd, %s: %d pairs, a peer run is cut at %v", s.kind, s.runner.pairs, s.runner.longest)
	s.printer.machine(s.machine)
	s.printer.line("")
	s.printer.line(columns, "ROW", "WHAT", "ENGINE", "WATCHKV", "ETCD", "RATIO", "OF PAIRS", "LIMIT", "MUST", "REACH")
}

func (s *session) printVerdict(v verdict) {
	ratio, spread := v.ratioTexts()
	target := func(g goal, o outcome) string {
		word := string(o)
		if o == missed {
			word = "MISSED"
		}
		return strings.TrimSpace(g.text(v.show) + " " + word)
	}
	text := fmt.Sprintf(columns, v.row, v.what, v.engine, v.text(v.own), v.text(v.peer), ratio, spread,
		strings.Trim(v.text(v.limitAt), "-"), target(v.must, v.musts), target(v.reach, v.reaches))
	if v.cut != nil {
		text += "  etcd " + v.cut.cutText()
	}
	if why := s.failed[v.of]; why != nil {
		text += "  not measured: " + strings.ReplaceAll(why.Error(), "\n", "; ")
	}
	s.printer.line("%s", text)
}

// legend says what the columns mean and what could not be made equal.
func (s *session) legend() {
	s.printer.line("")
	s.printer.line("RATIO     watchkv against etcd, above 1 is better: the median of the pairs; OF PAIRS the least and the most")
	s.printer.line("LIMIT     P1 the engine's own scan, P2 reading events in memory, P3 and P14 the time of one scan of the history,")
	s.printer.line("          P4 to P8 the same load and checker with no store at all, P9 a plain struct with its key,")
	s.printer.line("          P12 the engine's own batches of 64 made durable, P13 its batches of 1,000, not made durable")
	s.printer.line("cut       the peer's run would have taken longer: its figure is that of what it did, it ran once, and the")
	s.printer.line("          ratio stands against that figure")
	s.printer.line("heap, CPU of the whole process: load, consumers and checker are in them, on both sides")
	s.printer.line("W1 to W4  a real etcd %s and watchd, each a process of its own on data of its own, durable before the answer, beside", etcd.Version())
	s.printer.line("          the same client, which reads watch, revision and number of events and checks that none is missing; CPU and")
	s.printer.line("          memory are the server's alone")
	s.printer.sides(s.runs)
	s.printer.unequal(s.runs, s.convert)
	s.checkerCost()
	for _, note := range s.notes {
		s.printer.line("note      %s", note)
	}
	if s.kind != "full" {
		s.printer.line("%-9s sizes and pairs are smaller than the contract's; the full run is without --%s", s.kind, s.kind)
	}
	s.sum()
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
		s.printer.line("%-9s %s %s: without it %s instead of %s, etcd %s instead of %s", label, v.row, v.what, v.show(own), v.show(v.own), v.show(peer), v.show(v.peer))
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
	s.printer.line("checked   %s events on both sides, no promise broken", figure.Count(events))
	s.printer.line("")
	s.printer.line("must: %d met, %d missed, %d unknown; reach: %d of %d; %v", count[met], count[missed], count[unknown], reached, wanted, time.Since(s.began).Round(time.Second))
}
