package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/compare"
	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/bench/stat"
)

// measure is a figure that the page draws for each target.
type measure struct {
	scene  *scene
	metric string
	family family
	title  string
	about  string // load and meaning, in words
	less   bool   // less is better
}

// family groups measures that answer the same question; the headline and the
// cards name one of each.
type family int

const (
	otherFamily family = iota
	notifyFamily
	catchUpFamily
	putsFamily
)

func (m measure) text(v float64) string { return metricText(m.metric, v) }

func (m measure) better(a, b float64) bool { return (a < b) == m.less && a != b }

// measuresOf lists what says most about a scene: the first of its headlines in
// a comparison, and what else the page has words for.
func measuresOf(s *scene) (all []measure) {
	add := func(metric string, f family, title, about string) {
		all = append(all, measure{scene: s, metric: metric, family: f, title: title, about: about, less: bench.Better(metric) == bench.Less})
	}
	sc := s.sc
	watchers := counted(int64(sc.Watchers), "watcher") + shapeOf(sc)
	switch sc.Name {
	case bench.Notify:
		add("notify.p99_ns", notifyFamily, "Notify latency, p99", watchers+"; "+loadWords(sc)+"; from intended put to event.")
		if sc.FullSpeed {
			add("put.rate_per_s", putsFamily, "Puts at full speed", counted(int64(sc.Writers), "writer")+", each puts again when it is answered; watched by "+watchers+".")
		}
	case bench.CatchUp, bench.Replay:
		what := "the history"
		if sc.History > 0 {
			what = counted(sc.History, "revision")
		}
		add("catchup.events_per_s", catchUpFamily, "Catch-up", watchers+", over "+what+"; events delivered to all of them together.")
	case bench.Slow:
		stalled := stalls(sc, "stops", "stop") + " reading for " + figure.Short(roundTime(sc.Stall))
		add("notify.p99_ns", otherFamily, "Notify p99 of the healthy while others stall", watchers+"; "+loadWords(sc)+"; "+stalled+".")
		add("slow.recovery_ns", otherFamily, "Recovery", "From reading again until all watchers are synced; "+stalled+".")
	case bench.Interference:
		add("put.p99_ns", otherFamily, "Put p99 while others catch up", fmt.Sprintf("%s, from intended put to answer, while %s replay %s.",
			upper(loadWords(sc)), counted(int64(sc.Watchers), "watcher"), counted(sc.History, "revision")))
	case bench.Storm:
		add("storm.synced_ns", otherFamily, "Storm: until all are back", fmt.Sprintf("%s on %s come back at once, %s behind; from the first stream opened again until all are synced.",
			counted(int64(sc.Watchers), "watcher"), counted(int64(sc.Streams), "stream"), counted(sc.History, "revision")))
	case bench.Churn:
		add("created.p99_ns", otherFamily, "Churn: from due to created, p99", fmt.Sprintf("%s watches a second begin and as many end, beside %s.", figure.Rate(sc.ChurnPerS), watchers))
	case bench.Compaction:
		add("notify.p99_ns", otherFamily, "Notify p99 while history is cut", fmt.Sprintf("%s; %s; %s behind when it is cut.", watchers, loadWords(sc), counted(int64(sc.Behind), "watcher")))
	case bench.Mixed:
		add("notify.p99_ns", otherFamily, "Notify p99 in the mix of a control plane",
			watchers+"; "+loadWords(sc)+"; from intended put to event.")
	default:
		about := watchers + "; " + loadWords(sc) + "."
		if brief, _ := bench.DescribeScenario(sc.Name); brief != "" {
			about = upper(brief) + ". " + about
		}
		if lead := compare.Headlines(sc.Name); len(lead) > 0 {
			add(lead[0], otherFamily, upper(sc.Name)+": "+strings.ReplaceAll(bench.ShortName(lead[0]), ".", " "), about)
		}
	}
	return all
}

// chosen are the measures of the first scene of each scenario by name that any
// target has, and the puts at full speed of any: those are drawn; figures of
// further scenes stand in the table of all.
func chosen(scenes []*scene) (all []measure) {
	seen := map[string]bool{}
	for _, s := range scenes {
		if seen[s.sc.Name] && !s.sc.FullSpeed {
			continue
		}
		again := seen[s.sc.Name]
		for _, m := range measuresOf(s) {
			if m.measured() && (!again || m.family == putsFamily) {
				seen[s.sc.Name] = true
				all = append(all, m)
			}
		}
	}
	return all
}

// measured says whether any target has the figure.
func (m measure) measured() bool {
	for i := range m.scene.runs {
		if len(m.scene.values(i, m.metric)) > 0 {
			return true
		}
	}
	return false
}

// first is the first measure of a family.
func first(all []measure, f family) (measure, bool) {
	for _, m := range all {
		if m.family == f {
			return m, true
		}
	}
	return measure{}, false
}

// standing is where a target stands in a measure.
type standing struct {
	subject int
	stat.Summary
	best    bool        // the best, or not told from it
	toFirst stat.Change // to the reference, the first target
	toBest  stat.Change
}

// ranking is the order of the targets that have a figure, the best first.
type ranking struct {
	all  []standing
	best []int // subjects: the best and those not told from it
	// told: the runs of all are enough to say who is best, or that there is no
	// difference.
	told bool
}

func (m measure) ranked() ranking {
	var r ranking
	for i := range m.scene.runs {
		if values := m.scene.values(i, m.metric); len(values) > 0 {
			r.all = append(r.all, standing{subject: i, Summary: stat.Summarize(values)})
		}
	}
	if len(r.all) == 0 {
		return r
	}
	slices.SortStableFunc(r.all, func(a, b standing) int {
		switch {
		case m.better(a.Median, b.Median):
			return -1
		case m.better(b.Median, a.Median):
			return 1
		}
		return 0
	})
	first, reference := m.scene.values(r.all[0].subject, m.metric), m.scene.values(0, m.metric)
	r.told = true
	for i := range r.all {
		s := &r.all[i]
		values := m.scene.values(s.subject, m.metric)
		s.toFirst, s.toBest = stat.Compare(reference, values), stat.Compare(first, values)
		if s.best = i == 0 || s.toBest.Verdict != stat.Different; s.best {
			r.best = append(r.best, s.subject)
		}
		if s.N < stat.MinRuns {
			r.told = false
		}
	}
	return r
}
