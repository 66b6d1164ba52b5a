package bench

import (
	"runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/watchkv/watchkv/watch"
)

// quantiles of every latency, by the name they have in metrics.
var quantiles = []struct {
	name string
	at   float64
}{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}}

// latency adds a distribution to a run as metrics and as a histogram.
func (r *Run) latency(name string, h *hdrhistogram.Histogram, why string) {
	if h == nil {
		for _, q := range quantiles {
			r.absent(name+"."+q.name+"_ns", why)
		}
		r.absent(name+".max_ns", why)
		return
	}
	for _, q := range quantiles {
		r.set(name+"."+q.name+"_ns", float64(h.ValueAtQuantile(q.at)))
	}
	r.set(name+".max_ns", float64(h.Max()))
	if text, err := encode(h); err == nil {
		r.Histograms[name+"_ns"] = Histogram{HDR: text}
	}
}

// length is how long a phase was measured.
func (s *session) length(phase int) time.Duration {
	from, to := s.rec.phases.marks[phase-1].Load(), s.rec.phases.marks[phase].Load()
	return time.Duration(max(0, min(to, s.ended)-from))
}

// measured is how long all measured phases were together.
func (s *session) measured() (sum time.Duration) {
	for phase := 1; phase <= maxPhases; phase++ {
		if s.rec.phases.marks[phase-1].Load() < s.ended {
			sum += s.length(phase)
		}
	}
	return sum
}

func (s *session) notifyOf(class, phase int) *hdrhistogram.Histogram {
	return s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.notify[class][phase] })
}

func (s *session) putOf(phase int) *hdrhistogram.Histogram {
	return s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.put[phase] })
}

func (s *session) answerOf(kind, phase int) *hdrhistogram.Histogram {
	return s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.asked[kind][phase] })
}

// perSecond divides a counter by the length of its phase.
func (s *session) perSecond(phase int, pick func(*lane) int64) float64 {
	took := s.length(phase).Seconds()
	if took <= 0 {
		return 0
	}
	return float64(s.rec.total(pick)) / took
}

const (
	noEvents = "no event was measured"
	noPuts   = "no put was measured"
)

// phaseFigures adds the latency and the rates of one phase, under a name that
// tells phases apart or is empty.
func (s *session) phaseFigures(run *Run, of string, class, phase int) {
	run.latency(of+"notify", s.notifyOf(class, phase), noEvents)
	run.latency(of+"put", s.putOf(phase), noPuts)
	run.set(of+"put.rate_per_s", s.perSecond(phase, func(l *lane) int64 { return l.acked[phase] }))
	run.set(of+"notify.events_per_s", s.perSecond(phase, func(l *lane) (n int64) {
		return l.events[classHealthy][phase] + l.events[classAffected][phase]
	}))
}

// loadFigures adds what every scenario with a load has.
func (s *session) loadFigures(run *Run) {
	positive := s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.ackToEvent[0] })
	negative := s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.ackToEvent[1] })
	signed := signedLatency{positive: positive, negative: negative}
	if n := signed.count(); n == 0 {
		run.absent("ack_to_event.p50_ns", noEvents)
		run.absent("ack_to_event.p99_ns", noEvents)
	} else {
		run.set("ack_to_event.p50_ns", float64(signed.quantile(50)))
		run.set("ack_to_event.p99_ns", float64(signed.quantile(99)))
		run.set("ack_to_event.negative_ratio", float64(countOf(negative))/float64(n))
		neg, errNeg := encode(negative)
		pos, errPos := encode(positive)
		if errNeg == nil && errPos == nil {
			run.Histograms["ack_to_event_ns"] = Histogram{Signed: true, Negative: neg, Positive: pos}
		}
	}
	late := s.rec.merged(func(l *lane) *hdrhistogram.Histogram { return l.late })
	switch {
	case late != nil:
		run.set("generator.late_p50_ns", float64(late.ValueAtQuantile(50)))
		run.set("generator.late_p99_ns", float64(late.ValueAtQuantile(99)))
	case s.sc.FullSpeed:
		run.absent("generator.late_p99_ns", "at full speed no put has a due time")
	default:
		run.absent("generator.late_p99_ns", "no put was begun in time")
	}
	puts := s.rec.total(func(l *lane) (n int64) {
		for _, v := range l.acked {
			n += v
		}
		return n
	})
	if puts > 0 && !s.sc.FullSpeed {
		run.set("generator.backlog_ratio", float64(s.rec.total(func(l *lane) int64 { return l.backlogged }))/float64(puts))
	}
	if n := s.unanswered.Load(); n > 0 {
		run.set("put.unanswered", float64(n))
	}
	if n := s.refused.Load(); n > 0 {
		run.set("put.refused", float64(n))
	}
	if lost := s.rec.total(func(l *lane) int64 { return l.outOfRange }); lost > 0 {
		run.set("latency_above_1h", float64(lost))
	}
}

// machineFigures adds what the scenario used, generator and checker included.
func (s *session) machineFigures(run *Run) {
	if cpuUnmeasured != "" {
		run.absent("cpu.cores", cpuUnmeasured)
		run.absent("cpu.busy_ratio", cpuUnmeasured)
	} else if s.usage.wall > 0 {
		cores := s.usage.cpu.Seconds() / s.usage.wall.Seconds()
		run.set("cpu.cores", cores)
		run.set("cpu.busy_ratio", cores/float64(runtime.GOMAXPROCS(0)))
	}
	run.set("memory.heap_max_bytes", float64(s.usage.heapMax))
	run.set("memory.heap_grown_bytes", float64(s.usage.heapMax-s.usage.heapStart))
	for name, v := range s.server {
		run.set(name, v)
	}
	for name, why := range s.serverUnmeasured {
		run.absent(name, why)
	}
	if s.usage.rssMax > 0 {
		run.set("memory.rss_max_bytes", float64(s.usage.rssMax))
	} else {
		run.absent("memory.rss_max_bytes", "resident memory cannot be read on this system")
	}
	if t, ok := s.target.(Inspector); ok {
		stats := t.StoreStats()
		if stats.Groups > 0 {
			run.set("commit.puts_per_group", float64(stats.Puts)/float64(stats.Groups))
		}
		if stats.Applies > 0 {
			run.set("engine.apply_max_ns", float64(stats.ApplyLongest))
		}
	}
}

// hubFigures adds what the hub says happened between two readings.
func (r *Run) hubFigures(known bool, before, after watch.Stats) {
	if !known {
		r.absent("victims", "not visible from outside")
		return
	}
	victims, offers := after.VictimsEver-before.VictimsEver, after.Offers-before.Offers
	r.set("victims", float64(victims))
	if offers > 0 {
		r.set("victims_ratio", float64(victims)/float64(offers))
	}
}

// wayFigures adds the share of each way of catching up.
func (r *Run) wayFigures(inside insideStats) {
	names := [watch.WayCount]string{"catchup.memory_ratio", "catchup.index_ratio", "catchup.scan_ratio"}
	var events [watch.WayCount]int64
	var sum int64
	for way := range events {
		events[way] = inside.after.CatchUp[way].Events - inside.before.CatchUp[way].Events
		sum += events[way]
	}
	for way, name := range names {
		switch {
		case !inside.known:
			r.absent(name, "not visible from outside")
		case sum == 0:
			r.absent(name, "no history was read")
		default:
			r.set(name, float64(events[way])/float64(sum))
		}
	}
}

func (*notifyRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, 1)
	s.loadFigures(run)
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.length(1)))
}

func (m *catchUpRun) figures(s *session, run *Run) {
	var events, bytes int64
	for phase := range maxPhases + 2 {
		events += s.rec.total(func(l *lane) int64 { return l.events[classHealthy][phase] })
		bytes += s.rec.total(func(l *lane) int64 { return l.eventBytes[classHealthy][phase] })
	}
	if s.curve != nil { // its last look may have come before a consumer's last count
		s.curve.Events[len(s.curve.Events)-1] = events
	}
	run.set("catchup.synced_ns", float64(m.took))
	run.set("catchup.events", float64(events))
	run.set("catchup.events_per_s", float64(events)/m.took.Seconds())
	if planned := s.planned.Load(); planned > 0 {
		run.set("done_ratio", float64(events)/float64(planned))
	}
	run.set("catchup.bytes_per_s", float64(bytes)/m.took.Seconds())
	run.set("catchup.history_bytes", float64(s.historyBytes))
	run.wayFigures(s.inside)
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(m.took))
}

func (m *slowRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, phaseDuring)
	s.phaseFigures(run, "before.", classHealthy, phaseBefore)
	s.phaseFigures(run, "after.", classHealthy, phaseAfter)
	run.latency("stalled.notify", s.notifyOf(classAffected, phaseDuring), noEvents)
	s.loadFigures(run)
	if m.inspected && m.resumedAt != (watch.Stats{}) {
		run.hubFigures(true, m.stalledAt, m.resumedAt)
		run.set("victims_per_s", run.Metrics["victims"]/s.sc.Stall.Seconds())
		run.set("pinned_bytes", float64(s.inside.pinned))
	} else {
		run.hubFigures(false, watch.Stats{}, watch.Stats{})
		run.absent("pinned_bytes", "not visible from outside")
		if s.inside.known {
			run.absent("victims", "the run ended before the stall did")
			run.absent("pinned_bytes", "the run ended before the stall did")
		}
	}
	if m.recovery > 0 {
		run.set("slow.recovery_ns", float64(m.recovery))
	} else {
		run.absent("slow.recovery_ns", "the run ended before all were synced again")
	}
	run.set("measured_ns", float64(s.measured()))
}

func (m *interferenceRun) figures(s *session, run *Run) {
	s.phaseFigures(run, "", classHealthy, phaseDuring)
	s.phaseFigures(run, "quiet.", classHealthy, phaseBefore)
	s.loadFigures(run)
	var replayed float64 // also while the last puts were waited for, which is no part of the phase
	for phase := range maxPhases + 2 {
		replayed += float64(s.rec.total(func(l *lane) int64 { return l.events[classAffected][phase] }))
	}
	if s.length(phaseDuring) > 0 && s.rec.phases.marks[phaseDuring-1].Load() < s.ended {
		run.set("replay.events_per_s", s.perSecond(phaseDuring, func(l *lane) int64 { return l.events[classAffected][phaseDuring] }))
	}
	if s.replayShape() == wholeKeyspace {
		run.set("replay.passes", replayed/float64(s.sc.History*int64(s.sc.Watchers)))
	} else {
		run.absent("replay.passes", "watches of single keys read different parts")
	}
	run.set("replay.watches_done", float64(m.rounds.Load()))
	run.wayFigures(s.inside)
	run.hubFigures(s.inside.known, s.inside.before, s.inside.after)
	run.set("measured_ns", float64(s.measured()))
}

// signedLatency is a distribution on both sides of zero.
type signedLatency struct {
	positive, negative *hdrhistogram.Histogram // amounts; either may be nil
}

func countOf(h *hdrhistogram.Histogram) int64 {
	if h == nil {
		return 0
	}
	return h.TotalCount()
}

func (l signedLatency) count() int64 { return countOf(l.positive) + countOf(l.negative) }

// quantile is the value at q percent of a distribution that is not empty.
func (l signedLatency) quantile(q float64) time.Duration {
	below, above := countOf(l.negative), countOf(l.positive)
	rank := q / 100 * float64(below+above)
	if below > 0 && rank <= float64(below) {
		// The smallest value is the largest amount below zero.
		return -time.Duration(l.negative.ValueAtQuantile(100 * (1 - rank/float64(below))))
	}
	return time.Duration(l.positive.ValueAtQuantile(100 * (rank - float64(below)) / float64(above)))
}
