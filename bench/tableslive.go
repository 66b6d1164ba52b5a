package bench

import (
	"fmt"
)

// storm: until when they were synced, then what it cost.
func (r *report) storm(row row) {
	run := &row.run
	r.line("STORM  %s on %s come back, %s behind", counted(row.sc.Watchers, "watcher"), counted(row.sc.Streams, "stream"), counted(int(row.sc.History), "revision"))
	synced := r.time(run, "storm.synced_ns")
	if _, ok := run.metric("storm.half_synced_ns"); ok {
		synced += ", half of the streams after " + r.time(run, "storm.half_synced_ns")
	}
	created := r.time(run, "storm.created_ns")
	if _, ok := run.metric("storm.streams_per_s"); ok {
		created += fmt.Sprintf(", %s streams/s with all of their watches", r.rate(run, "storm.streams_per_s"))
	}
	caught := r.rate(run, "storm.events_per_s") + " events/s, " + r.megabytes(run, "storm.bytes_per_s") + " MB/s"
	r.lines = append(r.lines,
		"all synced       "+synced,
		"all created      "+created,
		"caught up        "+caught+"   memory/index/scan "+r.ways(run),
	)
	cells := [][]string{{"", "put p50", "put p99", "put max", "notify p99", "puts/s"}}
	for _, part := range []struct{ name, of string }{{"before", "before."}, {"while they come back", ""}, {"after", "after."}} {
		cells = append(cells, []string{
			part.name, r.time(run, part.of+"put.p50_ns"), r.time(run, part.of+"put.p99_ns"), r.time(run, part.of+"put.max_ns"),
			r.time(run, part.of+"notify.p99_ns"), r.rate(run, part.of+"put.rate_per_s"),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
	r.line("notify is of %s that stayed; of those who came back p99 %s", counted(row.sc.Bystanders, "watcher"), r.time(run, "returned.notify.p99_ns"))
	r.line("victims          %s", r.victims(run))
}
