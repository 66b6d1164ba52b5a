package bench

import (
	"fmt"

	"github.com/watchkv/watchkv/bench/figure"
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
	r.parts(run, []part{{"before", "before."}, {"while they come back", ""}, {"after", "after."}})
	r.line("notify is of %s that stayed; of those who came back p99 %s", counted(row.sc.Bystanders, "watcher"), r.time(run, "returned.notify.p99_ns"))
	r.line("victims          %s", r.victims(run))
}

// part is a part of a scenario, with what its metrics begin with.
type part struct{ name, of string }

// parts is what puts and watchers notice in each part of a scenario.
func (r *report) parts(run *Run, parts []part) {
	cells := [][]string{{"", "put p50", "put p99", "put max", "notify p99", "puts/s"}}
	for _, p := range parts {
		cells = append(cells, []string{
			p.name, r.time(run, p.of+"put.p50_ns"), r.time(run, p.of+"put.p99_ns"), r.time(run, p.of+"put.max_ns"),
			r.time(run, p.of+"notify.p99_ns"), r.rate(run, p.of+"put.rate_per_s"),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
}

func (r *report) churn(row row) {
	run := &row.run
	r.line("CHURN  %s watches/s come and go, %s at a time; %s stay", figure.Rate(row.sc.ChurnPerS), figure.Count(int64(row.sc.Visitors)), figure.Count(int64(row.sc.Watchers)))
	cells := [][]string{{"", "p50", "p90", "p99", "max", "per s"}}
	for _, c := range []struct{ name, metric, rate string }{
		{"due to Created", "created", "churn.creates_per_s"}, {"cancel to Canceled", "canceled", "churn.cancels_per_s"},
	} {
		cells = append(cells, []string{
			c.name, r.time(run, c.metric+".p50_ns"), r.time(run, c.metric+".p90_ns"), r.time(run, c.metric+".p99_ns"),
			r.time(run, c.metric+".max_ns"), r.rate(run, c.rate),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
	after := "nothing came after Canceled"
	if r.res.Unchecked {
		after = "what came after Canceled was not looked at"
	}
	r.line("%s cancelled, %s; %s events/s to those who come", figure.Count(int64(run.Metrics["churn.ended"])), after, r.rate(run, "churn.events_per_s"))
	r.parts(run, []part{{"quiet", "quiet."}, {"while they come and go", ""}})
	r.line("victims          %s", r.victims(run))
}

func (r *report) compaction(row row) {
	run := &row.run
	r.line("COMPACTION  history of %s cut, then %s more", counted(int(row.sc.History), "revision"), counted(max(0, int(run.Metrics["compaction.cuts"])-1), "cut"))
	told := fmt.Sprintf("%s of %s behind, once each", r.count(run, "compaction.told"), figure.Count(int64(row.sc.Behind)))
	if again := run.Metrics["compaction.told_again"]; again > 0 {
		told += fmt.Sprintf("; %s again by a later cut", figure.Count(int64(again)))
	}
	if run.Metrics["compaction.told"] < float64(row.sc.Behind) {
		told += "; the others had it queued already"
	}
	others := "told of nothing"
	if n := run.Metrics["compaction.others_told"]; n > 0 {
		others = fmt.Sprintf("%s told: they were further behind than the cut", figure.Count(int64(n)))
	}
	r.lines = append(r.lines,
		"told             "+told,
		"until told       p50 "+r.time(run, "told.p50_ns")+"   max "+r.time(run, "told.max_ns")+"   from when they read on",
		"call to answer   median "+r.time(run, "compaction.call_median_ns")+"   max "+r.time(run, "compaction.call_max_ns"),
		fmt.Sprintf("%-16s %s", "the other "+figure.Count(int64(row.sc.Watchers)), others),
	)
	r.parts(run, []part{{"before", "before."}, {"while it is cut", ""}, {"after", "after."}})
	r.line("victims          %s", r.victims(run))
}

func (r *report) mixed(row row) {
	run := &row.run
	load := figure.Rate(row.sc.RatePerS) + " writes/s"
	if row.sc.FullSpeed {
		load = "writes at full speed"
	}
	r.line("MIXED  a control plane's %s over %s objects, %s MB", load, r.count(run, "mixed.objects"), r.megabytes(run, "mixed.object_bytes"))
	cells := [][]string{{"", "p50", "p90", "p99", "p99.9", "max", "per s"}}
	for _, c := range []struct{ name, metric, rate string }{
		{"put or delete", "put", "put.rate_per_s"}, {"get", "get", "mixed.gets_per_s"},
		{"list a page", "list", "mixed.lists_per_s"}, {"put to event", "notify", "notify.events_per_s"},
	} {
		cells = append(cells, []string{
			c.name, r.time(run, c.metric+".p50_ns"), r.time(run, c.metric+".p90_ns"), r.time(run, c.metric+".p99_ns"),
			r.time(run, c.metric+".p999_ns"), r.time(run, c.metric+".max_ns"), r.rate(run, c.rate),
		})
	}
	r.lines = append(r.lines, columns(cells)...)
	r.line("written          %s MB/s: %s; read %s MB/s", r.megabytes(run, "mixed.written_bytes_per_s"), mixedShares(), r.megabytes(run, "mixed.read_bytes_per_s"))
	r.line("watched          whole resources, by %s on %s", counted(row.sc.Watchers, "watcher"), counted(row.sc.Streams, "stream"))
	r.line("victims          %s", r.victims(run))
}

// mixedShares is which writes there are.
func mixedShares() string {
	all := float64(writeWeight())
	part := func(rs ...request) string {
		sum := 0
		for _, r := range rs {
			sum += weights[r]
		}
		return fmt.Sprintf("%.0f%%", 100*float64(sum)/all)
	}
	return "leases " + part(renewLease) + ", events " + part(createEvent, expireEvent) + ", pods " + part(createPod, updatePod, deletePod)
}
