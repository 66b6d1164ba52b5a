package page

import (
	"fmt"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// story is how a scenario that hurts is told: what happens in its shaded part,
// and what it costs.
type story struct {
	title  string                      // of its chart
	shaded func(bench.Scenario) string // what happens meanwhile, as a sentence
	during func(bench.Scenario) string // the same behind "Notify p99 "
	legend string                      // of the shade
	part   string                      // the name of the part in a series
	quiet  string                      // prefix of the metrics from before
	among  string                      // whose latency is in the series too
	table  []tableColumn
}

// tableColumn is a metric with its heading.
type tableColumn struct{ head, metric string }

var stories = map[string]story{
	bench.Slow: {
		title: "Slow consumers",
		shaded: func(sc bench.Scenario) string {
			return stalls(sc, "does", "do") + " not read for " + figure.Short(roundTime(sc.Stall))
		},
		during: func(sc bench.Scenario) string {
			return "of the healthy watchers while " + stalls(sc, "stalls", "stall")
		},
		legend: "stall", part: "stalled", quiet: "before.", among: "those who stalled",
		table: []tableColumn{
			{"p99 before", "before.notify.p99_ns"}, {"p99 while they stall", "notify.p99_ns"}, {"victims", "victims"},
			{"victims/s", "victims_per_s"}, {"recovery", "slow.recovery_ns"}, {"pinned", "pinned_bytes"},
		},
	},
	bench.Storm: {
		title: "Everybody comes back at once",
		shaded: func(sc bench.Scenario) string {
			return fmt.Sprintf("%s come back at once, %s behind", counted(int64(sc.Watchers), "watcher"), counted(sc.History, "revision"))
		},
		during: func(sc bench.Scenario) string {
			return fmt.Sprintf("of the others while %s come back", counted(int64(sc.Watchers), "watcher"))
		},
		legend: "all come back", part: "storm", quiet: "before.", among: "those who come back",
		table: []tableColumn{
			{"p99 before", "before.notify.p99_ns"}, {"p99 in the storm", "notify.p99_ns"}, {"all synced", "storm.synced_ns"},
			{"events/s", "storm.events_per_s"}, {"victims", "victims"},
		},
	},
	bench.Compaction: {
		title:  "History is cut under the watchers",
		shaded: func(sc bench.Scenario) string { return fmt.Sprintf("history is cut, %d times in all", sc.Cuts) },
		during: func(bench.Scenario) string { return "while history is cut" },
		legend: "history is cut", part: "compacting", quiet: "before.",
		table: []tableColumn{
			{"p99 before", "before.notify.p99_ns"}, {"p99 while it is cut", "notify.p99_ns"}, {"call to answer", "compaction.call_median_ns"},
			{"told", "compaction.told"}, {"until told, max", "told.max_ns"}, {"victims", "victims"},
		},
	},
	bench.Interference: {
		title: "Puts and notifications beside catch-up",
		shaded: func(sc bench.Scenario) string {
			return fmt.Sprintf("%s replay %s", counted(int64(sc.Watchers), "watcher"), counted(sc.History, "revision"))
		},
		during: func(sc bench.Scenario) string {
			return fmt.Sprintf("while %s catch up", counted(int64(sc.Watchers), "watcher"))
		},
		legend: "others catch up", part: "replaying", quiet: "quiet.",
		table: []tableColumn{
			{"notify p99 quiet", "quiet.notify.p99_ns"}, {"notify p99 meanwhile", "notify.p99_ns"}, {"put p99 quiet", "quiet.put.p99_ns"},
			{"put p99 meanwhile", "put.p99_ns"}, {"victims", "victims"},
		},
	},
	bench.Mixed: {
		title: "The store of a Kubernetes control plane",
		table: []tableColumn{
			{"notify p99", "notify.p99_ns"}, {"put p99", "put.p99_ns"}, {"get p99", "get.p99_ns"}, {"list p99", "list.p99_ns"}, {"victims", "victims"},
		},
	},
	bench.Churn: {
		title: "Watches that come and go",
		shaded: func(sc bench.Scenario) string {
			return fmt.Sprintf("%s watches a second begin, and as many end", figure.Rate(sc.ChurnPerS))
		},
		during: func(bench.Scenario) string { return "of those who stay while others come and go" },
		legend: "watches come and go", part: "churning", quiet: "quiet.",
		table: []tableColumn{
			{"notify p99 quiet", "quiet.notify.p99_ns"}, {"notify p99 meanwhile", "notify.p99_ns"}, {"due to Created, p99", "created.p99_ns"},
			{"cancel to Canceled, p99", "canceled.p99_ns"}, {"victims", "victims"},
		},
	},
}

// storyOf a scene that has none of its own is that of a steady load.
func storyOf(s *scene) story {
	if known, ok := stories[s.sc.Name]; ok {
		return known
	}
	return story{
		title: upper(s.name),
		table: []tableColumn{{"notify p99", "notify.p99_ns"}, {"notify max", "notify.max_ns"}, {"victims", "victims"}},
	}
}

// about says under a chart what it shows.
func (y story) about(b *builder, s *scene) string {
	text := counted(int64(s.sc.Watchers), "watcher") + shapeOf(s.sc) + "; " + loadWords(s.sc) + "."
	if y.shaded != nil {
		text = "Shaded: " + y.shaded(s.sc) + "."
	}
	if s.sc.Warmup > 0 {
		text += " The warm-up is shown, and in no other figure."
	}
	if b.repetitions() > 1 {
		text += " One run of each: the one whose p99 is in the middle."
	}
	return text
}
