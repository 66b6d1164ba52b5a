package page

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/stat"
)

// shownMetrics are those of the tables of all figures, in their order.
var shownMetrics = []string{
	"notify.p50_ns", "notify.p90_ns", "notify.p99_ns", "notify.p999_ns", "notify.max_ns",
	"before.notify.p99_ns", "after.notify.p99_ns", "stalled.notify.p99_ns", "quiet.notify.p99_ns",
	"put.p50_ns", "put.p99_ns", "put.max_ns", "quiet.put.p99_ns", "put.rate_per_s", "notify.events_per_s",
	"ack_to_event.p50_ns", "ack_to_event.p99_ns", "ack_to_event.negative_ratio",
	"catchup.synced_ns", "catchup.events_per_s", "catchup.bytes_per_s", "replay.events_per_s",
	"returned.notify.p99_ns", "storm.synced_ns", "storm.half_synced_ns", "storm.streams_per_s", "storm.events_per_s", "storm.bytes_per_s",
	"victims", "victims_per_s", "victims_ratio", "slow.recovery_ns", "pinned_bytes",
	"created.p50_ns", "created.p99_ns", "canceled.p99_ns", "churn.creates_per_s", "churn.cancels_per_s", "churn.ended", "churn.events_per_s",
	"compaction.cuts", "compaction.call_median_ns", "compaction.call_max_ns", "compaction.told", "compaction.told_again", "compaction.others_told", "told.p50_ns", "told.max_ns",
	"get.p50_ns", "get.p99_ns", "list.p50_ns", "list.p99_ns", "mixed.gets_per_s", "mixed.lists_per_s", "mixed.deletes_per_s", "mixed.read_bytes_per_s", "mixed.written_bytes_per_s", "mixed.objects", "mixed.object_bytes",
	"server.cpu_cores", "server.memory_max_bytes", "server.slow_watchers_max", "server.fsyncs_per_s", "server.fsync_mean_ns", "server.db_grown_bytes",
	"generator.late_p99_ns", "cpu.cores", "memory.rss_max_bytes", "memory.heap_max_bytes", "disk.data_bytes",
}

// allFigures is a table for each scene, a row for each figure and a column for
// each target.
func (b *builder) allFigures() (tables []figureTable) {
	for _, s := range b.scenes {
		t := figureTable{Caption: s.name}
		if n := b.most(s); n > 1 {
			t.Caption += fmt.Sprintf(", medians of %d", n)
		}
		var with []int
		for i, subject := range b.subjects {
			if len(s.runs[i]) > 0 {
				with = append(with, i)
				t.Head = append(t.Head, subject.name)
			}
		}
		if len(with) == 0 {
			continue
		}
		for _, metric := range shownMetrics {
			if t.knows(s, with, metric) {
				row := tableRow{Name: bench.ShortName(metric)}
				for _, i := range with {
					row.Cells = append(row.Cells, t.cell(s, i, metric))
				}
				t.Rows = append(t.Rows, row)
			}
		}
		tables = append(tables, t)
	}
	return tables
}

// most is the largest number of runs that a target has of a scene.
func (b *builder) most(s *scene) (n int) {
	for _, runs := range s.runs {
		n = max(n, len(runs))
	}
	return n
}

// knows says whether a metric belongs to a scene: a target has it, or says why
// not.
func (t *figureTable) knows(s *scene, subjects []int, metric string) bool {
	for _, i := range subjects {
		for _, run := range s.runs[i] {
			if _, ok := run.Metrics[metric]; ok || run.NotMeasured[metric] != "" {
				return true
			}
		}
	}
	return false
}

// singleRow is a figure of the only target on a page.
type singleRow struct {
	Title, Value, About string
}

// singles lists the telling figures of the only target, of all scenes.
func (b *builder) singles() (rows []singleRow) {
	for _, s := range b.scenes {
		for _, m := range measuresOf(s) {
			if values := s.values(0, m.metric); len(values) > 0 {
				rows = append(rows, singleRow{m.title, withSpread(values, m.metric), m.about})
			}
		}
	}
	return rows
}

// withSpread is a median with the 95% interval, where there is one.
func withSpread(values []float64, metric string) string {
	s := stat.Summarize(values)
	return strings.TrimSpace(metricText(metric, s.Median) + " " + spread(s))
}
