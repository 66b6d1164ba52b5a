package bench

// Metric explains one name of Run.Metrics.
type Metric struct {
	Name string // its unit ends it
	Text string
}

// latencyNames are the distributions that have quantiles and a maximum.
var latencyNames = []Metric{
	{"notify", "intended put to event; of those not made to be slow or behind"},
	{"put", "intended put to its answer"},
	{"before.notify", "slow, storm, compaction: of the healthy, before it"},
	{"before.put", "slow, storm, compaction: before it"},
	{"after.notify", "slow, storm, compaction: of the healthy, after it"},
	{"after.put", "slow, storm, compaction: after it"},
	{"returned.notify", "storm: of those who came back, for what was put meanwhile"},
	{"stalled.notify", "slow: of those who stalled"},
	{"quiet.notify", "interference, churn: before anybody replays or comes"},
	{"quiet.put", "interference, churn: before anybody replays or comes"},
	{"created", "churn: from when a watch was due to its Created"},
	{"canceled", "churn: from the request for a watch's end to its Canceled"},
	{"told", "compaction: from when those behind read on until each was told"},
	{"get", "mixed: from when a read of one key was due to its answer"},
	{"list", "mixed: the same of a read of a page"},
	{"alone.put", "fanout: before anybody watches"},
}

var otherMetrics = []Metric{
	{"put.rate_per_s", "puts answered"},
	{"put.unanswered", "puts without an answer: done or not, nobody knows"},
	{"put.refused", "puts that the target refused as too many"},
	{"before.put.rate_per_s", "slow, storm, compaction: before it"},
	{"after.put.rate_per_s", "slow, storm, compaction: after it"},
	{"quiet.put.rate_per_s", "interference, churn: before anybody replays or comes"},
	{"notify.events_per_s", "events delivered, for each watch"},
	{"before.notify.events_per_s", "slow, storm, compaction: before it"},
	{"after.notify.events_per_s", "slow, storm, compaction: after it"},
	{"quiet.notify.events_per_s", "interference, churn: before anybody replays or comes"},
	{"ack_to_event.p50_ns", "put's answer to event; below zero when the event came first"},
	{"ack_to_event.p99_ns", "the same; in storm large: those who came back count too"},
	{"ack_to_event.negative_ratio", "events that came before the answer"},
	{"catchup.synced_ns", "until every watch has read the history"},
	{"catchup.events", "delivered until then, for each watch"},
	{"catchup.events_per_s", "the same a second: sync throughput"},
	{"catchup.bytes_per_s", "keys and values of them"},
	{"catchup.history_bytes", "keys and values of the history"},
	{"catchup.memory_ratio", "of what catch-up delivered: from memory"},
	{"catchup.index_ratio", "by point reads of what the key index names"},
	{"catchup.scan_ratio", "by scans of the history"},
	{"replay.events_per_s", "interference: delivered to those who replay"},
	{"replay.passes", "interference: how often each watch read the history, on average"},
	{"replay.watches_done", "interference: watches that read the history to its end"},
	{"storm.synced_ns", "storm: from the first stream opened again until all are synced"},
	{"storm.half_synced_ns", "storm: the same until half of the streams are"},
	{"storm.created_ns", "storm: the same until every watch is created"},
	{"storm.streams_per_s", "storm: streams opened in that time, with all of their watches"},
	{"storm.events", "storm: delivered to those who came back, until all are synced"},
	{"storm.events_per_s", "storm: the same a second"},
	{"storm.bytes_per_s", "storm: keys and values of them"},
	{"churn.creates_per_s", "churn: watches created"},
	{"churn.cancels_per_s", "churn: watches cancelled"},
	{"churn.ended", "churn: watches that were cancelled, all together"},
	{"churn.events_per_s", "churn: delivered to the watches that come and go"},
	{"compaction.cuts", "compaction: how often history was cut"},
	{"compaction.call_median_ns", "compaction: until the call that cuts is answered"},
	{"compaction.call_max_ns", "the longest"},
	{"compaction.told", "compaction: watches behind that were told of the first cut"},
	{"compaction.told_again", "compaction: those of them that a later cut overtook"},
	{"compaction.others_told", "compaction: watches that should have noticed nothing"},
	{"mixed.gets_per_s", "mixed: reads of one key"},
	{"mixed.lists_per_s", "mixed: reads of a page"},
	{"mixed.deletes_per_s", "mixed: of the writes, deletes"},
	{"mixed.read_bytes_per_s", "mixed: keys and values read"},
	{"mixed.written_bytes_per_s", "mixed: keys and values put"},
	{"mixed.objects", "mixed: objects at the beginning"},
	{"mixed.object_bytes", "mixed: keys and values of them"},
	{"fanout.took_ns", "fanout: from the first put to the last watcher's last event"},
	{"fanout.events", "delivered in that time, for each watch"},
	{"fanout.events_per_s", "the same a second"},
	{"fanout.cpu_per_event_ns", "processor time of the whole process for each of them"},
	{"register.heap_per_watcher_bytes", "register: heap for each watcher, its stream included"},
	{"register.watch_ns", "register: time in the call that begins a watch, on average"},
	{"open.median_ns", "reopen: from the call to a store that answers"},
	{"open.min_ns", "the shortest"},
	{"open.max_ns", "the longest"},
	{"open.keys", "keys that the history has"},
	{"done_ratio", "part of what was planned that was done"},
	{"victims", "watches that met a full outbox; in slow, during the stall"},
	{"victims_per_s", "slow: the same a second"},
	{"victims_ratio", "of all offers of events to a watch"},
	{"slow.recovery_ns", "from reading again until all are synced"},
	{"pinned_bytes", "slow: most bytes seen in all outboxes together"},
	{"generator.late_p50_ns", "how late the generator itself began a put"},
	{"generator.late_p99_ns", "the same"},
	{"generator.backlog_ratio", "puts for which no writer was free at their time"},
	{"latency_above_1h", "latencies too long for the histograms"},
	{"cpu.cores", "processors used, generator and checker included"},
	{"cpu.busy_ratio", "the same, of those that the process may use"},
	{"prevkv.absent", "events whose previous value was asked for and is compacted"},
	{"memory.heap_max_bytes", "most heap in use, generator and checker included"},
	{"memory.heap_grown_bytes", "the same above what was in use when the measurement began"},
	{"memory.rss_max_bytes", "most resident memory of the process"},
	{"server.cpu_cores", "processors that the server used"},
	{"server.memory_max_bytes", "most resident memory of the server seen"},
	{"server.slow_watchers_max", "most watchers that were not synced, by the gauge of etcd"},
	{"server.fsyncs_per_s", "log writes that the server waited for the disk with"},
	{"server.fsync_mean_ns", "how long one of them took, on average"},
	{"server.db_grown_bytes", "growth of the server's file"},
	{"disk.data_bytes", "files of the store at the end"},
	{"commit.puts_per_group", "puts that shared one durable write"},
	{"engine.apply_max_ns", "longest batch in the engine"},
	{"measured_ns", "time that was measured"},
}

// Metrics lists every metric a run can have.
func Metrics() []Metric {
	var all []Metric
	for _, m := range latencyNames {
		for _, q := range quantiles {
			all = append(all, Metric{m.Name + "." + q.name + "_ns", m.Text})
		}
		all = append(all, Metric{m.Name + ".max_ns", m.Text})
	}
	return append(all, otherMetrics...)
}

// MetricNames lists the names alone.
func MetricNames() []string {
	var names []string
	for _, m := range Metrics() {
		names = append(names, m.Name)
	}
	return names
}
