package bench

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/bench/figure"
)

// shapeNames are the shapes in words.
var shapeNames = map[Shape]string{OneKey: "one key", Prefix: "prefix", Ranges: "ranges"}

// cell writes a metric, or n/a and takes down why.
func (r *report) cell(run *Run, name string, format func(float64) string) string {
	if v, ok := run.metric(name); ok {
		return format(v)
	}
	if why := run.NotMeasured[name]; why != "" {
		r.note("n/a: " + why)
	}
	return "n/a"
}

func (r *report) note(text string) {
	for _, n := range r.notes {
		if n == text {
			return
		}
	}
	r.notes = append(r.notes, text)
}

func (r *report) time(run *Run, name string) string {
	return r.cell(run, name, func(v float64) string { return figure.Duration(time.Duration(v)) })
}

func (r *report) rate(run *Run, name string) string { return r.cell(run, name, figure.Rate) }

func (r *report) count(run *Run, name string) string {
	return r.cell(run, name, func(v float64) string { return figure.Count(int64(v)) })
}

func (r *report) megabytes(run *Run, name string) string {
	return r.cell(run, name, func(v float64) string { return figure.Plain(v / 1e6) })
}

func (r *report) ratio(run *Run, name string) string { return r.cell(run, name, figure.Percent) }

// length is how long a scenario was measured, for its heading.
func (r *report) length(row row) string {
	s := figure.Short(row.sc.Duration)
	if row.run.CutShort {
		s = figure.Short(time.Duration(row.run.Metrics["measured_ns"]).Round(100 * time.Millisecond))
	}
	if row.sc.Warmup > 0 {
		s += " after " + figure.Short(row.sc.Warmup) + " warm-up"
	}
	return s
}

func (r *report) notify(rows []row) {
	r.line("%s", heading("NOTIFY  intended put to event", r.length(rows[0])))
	cells := [][]string{{"", "p50", "p90", "p99", "p99.9", "max", "puts/s", "events/s"}}
	for _, row := range rows {
		run := &row.run
		cells = append(cells, []string{
			shapeNames[row.sc.Shape],
			r.time(run, "notify.p50_ns"), r.time(run, "notify.p90_ns"), r.time(run, "notify.p99_ns"),
			r.time(run, "notify.p999_ns"), r.time(run, "notify.max_ns"),
			r.rate(run, "put.rate_per_s"), r.rate(run, "notify.events_per_s"),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
	first := &rows[0].run
	of := ""
	if len(rows) > 1 {
		of = shapeNames[rows[0].sc.Shape] + ": "
	}
	line := fmt.Sprintf("%sacknowledged to event  p50 %s  p99 %s", of, r.time(first, "ack_to_event.p50_ns"), r.time(first, "ack_to_event.p99_ns"))
	if early, ok := first.metric("ack_to_event.negative_ratio"); ok && early > 0 {
		line += "  " + figure.Percent(early) + " before the answer"
	}
	r.line("%s", line)
	r.line("%sput to its answer      p50 %s  p99 %s  max %s", of, r.time(first, "put.p50_ns"), r.time(first, "put.p99_ns"), r.time(first, "put.max_ns"))
	r.line("%svictims                %s", of, r.victims(first))
}

// victims is their number, and their share of all offers where there are any.
func (r *report) victims(run *Run) string {
	s := r.count(run, "victims")
	if share, ok := run.metric("victims_ratio"); ok && run.Metrics["victims"] > 0 {
		s += ", " + figure.Percent(share) + " of offers"
	}
	return s
}

func (r *report) ways(run *Run) string {
	if _, ok := run.metric("catchup.scan_ratio"); !ok {
		return r.ratio(run, "catchup.scan_ratio")
	}
	short := func(name string) string {
		s := r.ratio(run, name)
		if s == "0%" {
			return "0"
		}
		return s
	}
	return short("catchup.memory_ratio") + " / " + short("catchup.index_ratio") + " / " + short("catchup.scan_ratio")
}

func (r *report) catchUp(rows []row) {
	run := &rows[0].run
	r.line("CATCH-UP  over %s, %s MB; heap at most %s", counted(int(rows[0].sc.History), "revision"),
		r.megabytes(run, "catchup.history_bytes"), r.largest(rows, "memory.heap_max_bytes"))
	r.caughtUp(rows)
}

func (r *report) replay(rows []row) {
	r.line("REPLAY  of %s, %s MB; heap at most %s", counted(int(r.res.Source.Revisions), "revision"),
		r.megabytes(&rows[0].run, "catchup.history_bytes"), r.largest(rows, "memory.heap_max_bytes"))
	r.caughtUp(rows)
}

func (r *report) caughtUp(rows []row) {
	cells := [][]string{{"", "watchers", "all synced", "events/s", "MB/s", "memory/index/scan"}}
	for _, row := range rows {
		run := &row.run
		name := map[Shape]string{OneKey: "one key each", Prefix: "whole keyspace", Ranges: "a range each"}[row.sc.Shape]
		if row.sc.Shape == Prefix && r.res.Target.Shared {
			name = "our whole prefix"
		}
		synced := r.time(run, "catchup.synced_ns")
		if run.CutShort {
			synced = "not in " + synced
		}
		cells = append(cells, []string{
			name, figure.Count(int64(row.sc.Watchers)), synced,
			r.rate(run, "catchup.events_per_s"), r.megabytes(run, "catchup.bytes_per_s"), r.ways(run),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
}

// largest is the largest value of a size among rows.
func (r *report) largest(rows []row, name string) string {
	top := rows[0]
	for _, row := range rows[1:] {
		if row.run.Metrics[name] > top.run.Metrics[name] {
			top = row
		}
	}
	return r.size(&top.run, name)
}

func (r *report) size(run *Run, name string) string {
	return r.cell(run, name, func(v float64) string { return figure.Bytes(int64(v)) })
}

func (r *report) slow(row row) {
	run := &row.run
	r.line("SLOW  %d of %s stop reading for %s", row.sc.StalledStreams, counted(row.sc.Streams, "stream"), figure.Short(row.sc.Stall.Round(100*time.Millisecond)))
	victims := r.count(run, "victims")
	if v, ok := run.metric("victims_per_s"); ok && v > 0 {
		victims += fmt.Sprintf("   %s/s while stalled, %s of offers", figure.Rate(v), r.ratio(run, "victims_ratio"))
	}
	if v, ok := run.metric("victims"); ok && v == 0 {
		victims += ": no outbox filled; fewer --streams or larger --value-size do"
	}
	bound := int64(row.sc.Streams) * r.res.Target.OutboxBytes
	recovery := r.time(run, "slow.recovery_ns")
	if _, ok := run.metric("slow.recovery_ns"); ok {
		recovery += " from reading again until all are synced"
	}
	pinned := r.size(run, "pinned_bytes")
	if _, ok := run.metric("pinned_bytes"); ok && bound > 0 {
		pinned += fmt.Sprintf(" in outboxes (bound %s)", figure.ShortBytes(bound))
	}
	r.lines = append(r.lines,
		"victims          "+victims,
		"recovery         "+recovery,
		"healthy p99      "+r.time(run, "notify.p99_ns")+", "+r.time(run, "before.notify.p99_ns")+" before the stall",
		"pinned           "+pinned,
		"put to answer    p50 "+r.time(run, "put.p50_ns")+"   p99 "+r.time(run, "put.p99_ns")+"   max "+r.time(run, "put.max_ns"),
	)
}

func (r *report) interference(row row) {
	run := &row.run
	what := counted(row.sc.Watchers, "watcher")
	load := figure.Rate(row.sc.RatePerS) + " puts/s"
	if row.sc.FullSpeed {
		load = "puts at full speed"
	}
	r.line("INTERFERENCE  %s replaying %s beside %s", what, counted(int(row.sc.History), "revision"), load)
	cells := [][]string{{"", "put p50", "put p99", "put max", "notify p99", "puts/s"}}
	for _, part := range []struct{ name, of string }{{"quiet", "quiet."}, {"while replaying", ""}} {
		cells = append(cells, []string{
			part.name, r.time(run, part.of+"put.p50_ns"), r.time(run, part.of+"put.p99_ns"), r.time(run, part.of+"put.max_ns"),
			r.time(run, part.of+"notify.p99_ns"), r.rate(run, part.of+"put.rate_per_s"),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
	if rate, ok := run.metric("replay.events_per_s"); ok {
		line := fmt.Sprintf("replay  %s events/s", figure.Rate(rate))
		if passes, ok := run.metric("replay.passes"); ok {
			line += fmt.Sprintf(", %s times over", figure.Plain(passes))
		}
		r.line("%s   memory/index/scan %s", line, r.ways(run))
	}
}
