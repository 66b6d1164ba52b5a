package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// moment is what the sources said when the page was asked for.
type moment struct {
	store  mvcc.Stats
	hub    watch.Stats
	sent   StreamStats
	events int64    // sent
	alive  [2]int64 // failed keep-alive streams, by Direction
	alarms []*pb.AlarmMember
	member uint64 // this one
	quota  int64
	expire int64
	revoke int64
	leases int
	os     descriptors
}

type alarm struct {
	member uint64
	kind   pb.AlarmType
}

// reading is a family whose values are read when the page is asked for.
type reading struct {
	kind   prometheus.ValueType
	name   string
	help   string
	labels []string
	emit   func(m *moment, value func(v float64, labels ...string))
	// durations instead of kind and emit: a histogram, in seconds.
	durations func(m *moment) *Durations
	// histogram instead of durations: one of the store's, in units of unit.
	histogram func(m *moment) *mvcc.Durations
	unit      time.Duration
}

// constant is the histogram as Prometheus wants it: cumulative.
func constant(desc *prometheus.Desc, d *mvcc.Durations, unit time.Duration) prometheus.Metric {
	buckets := make(map[float64]uint64, len(d.Within))
	sum := uint64(0)
	for i, n := range d.Within {
		sum += uint64(n)
		buckets[float64(d.Base<<i)/float64(unit)] = sum
	}
	return prometheus.MustNewConstHistogram(desc, uint64(d.Count), float64(d.Sum)/float64(unit), buckets)
}

// only reads a family of one value.
func only(read func(*moment) float64) func(*moment, func(float64, ...string)) {
	return func(m *moment, value func(float64, ...string)) { value(read(m)) }
}

func gauge(name, help string, read func(*moment) float64) reading {
	return reading{kind: prometheus.GaugeValue, name: name, help: help, emit: only(read)}
}

func counter(name, help string, read func(*moment) float64) reading {
	return reading{kind: prometheus.CounterValue, name: name, help: help, emit: only(read)}
}

// readings are etcd's names first, ours behind.
func readings() []reading { return append(etcdReadings(), ourReadings()...) }

func etcdReadings() []reading {
	return []reading{
		gauge("etcd_debugging_mvcc_keys_total", "Total number of keys.", func(m *moment) float64 { return float64(m.store.LiveKeys) }),
		gauge("etcd_debugging_mvcc_current_revision", "The current revision of store.", func(m *moment) float64 { return float64(m.store.Rev) }),
		gauge("etcd_debugging_mvcc_compact_revision", "The revision of the last compaction in store.", func(m *moment) float64 {
			if m.store.CompactRev == 0 {
				return -1 // as etcd has it before the first compaction
			}
			return float64(m.store.CompactRev)
		}),
		counter("etcd_debugging_mvcc_db_compaction_keys_total", "Total number of db keys compacted.", func(m *moment) float64 { return float64(m.store.CompactedRecords) }),
		gauge("etcd_debugging_mvcc_db_compaction_last", "The unix time of the last db compaction. Resets to 0 on start.", func(m *moment) float64 {
			if m.store.LastCompaction.IsZero() {
				return 0
			}
			return float64(m.store.LastCompaction.Unix())
		}),
		{
			name: "etcd_debugging_mvcc_db_compaction_total_duration_milliseconds", help: "Bucketed histogram of db compaction total duration.",
			histogram: func(m *moment) *mvcc.Durations { return &m.store.CompactDurations }, unit: time.Millisecond,
		},
		{
			name: "etcd_disk_backend_commit_duration_seconds", help: "The latency distributions of commit called by backend.",
			histogram: func(m *moment) *mvcc.Durations { return &m.store.ApplyDurations }, unit: time.Second,
		},
		gauge("etcd_debugging_auth_revision", "The current revision of auth store.", func(*moment) float64 { return 1 }), // of one that was never enabled
		gauge("etcd_mvcc_db_total_size_in_bytes", "Total size of the underlying database physically allocated in bytes.", func(m *moment) float64 { return float64(m.store.Engine.DiskBytes) }),
		gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Total size of the underlying database logically in use in bytes.", func(m *moment) float64 { return float64(m.store.Engine.InUseBytes) }),
		gauge("etcd_mvcc_db_open_read_transactions", "The number of currently open read transactions", func(m *moment) float64 { return float64(m.store.Engine.OpenViews) }),
		gauge("etcd_debugging_mvcc_watch_stream_total", "Total number of watch streams.", func(m *moment) float64 { return float64(m.hub.Streams) }),
		gauge("etcd_debugging_mvcc_watcher_total", "Total number of watchers.", func(m *moment) float64 { return float64(m.hub.Synced + m.hub.Unsynced + m.hub.Victims) }),
		gauge("etcd_debugging_mvcc_slow_watcher_total", "Total number of unsynced slow watchers.", func(m *moment) float64 { return float64(m.hub.Unsynced + m.hub.Victims) }),
		gauge("etcd_debugging_mvcc_pending_events_total", "Total number of pending events to be sent.", func(m *moment) float64 { return float64(m.hub.PendingEvents) }),
		counter("etcd_debugging_mvcc_events_total", "Total number of events sent by this member.", func(m *moment) float64 { return float64(m.events) }),
		{
			kind: prometheus.CounterValue, name: "etcd_network_server_stream_failures_total", labels: []string{"Type", "API"},
			help: "The total number of stream failures from the local server.", emit: streamFailures,
		},
		{
			name: "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds", durations: func(m *moment) *Durations { return &m.sent.Sent },
			help: "The total duration in seconds of running through the send loop watch stream response all events.",
		},
		{
			name: "etcd_debugging_server_watch_send_loop_watch_stream_duration_per_event_seconds", durations: func(m *moment) *Durations { return &m.sent.SentPerEvent },
			help: "The average duration in seconds of running through the send loop watch stream response, per event.",
		},
		{
			name: "etcd_debugging_server_watch_send_loop_control_stream_duration_seconds", durations: func(m *moment) *Durations { return &m.sent.SentControl },
			help: "The total duration in seconds of running through the send loop control stream response.",
		},
		{
			name: "etcd_debugging_server_watch_send_loop_progress_duration_seconds", durations: func(m *moment) *Durations { return &m.sent.SentProgress },
			help: "The total duration in seconds of running through the progress loop control stream response.",
		},
		gauge("etcd_server_quota_backend_bytes", "Current backend storage quota size in bytes.", func(m *moment) float64 { return float64(m.quota) }),
		counter("etcd_debugging_lease_revoked_total", "The total number of revoked leases.", func(m *moment) float64 { return float64(m.revoke) }),
		counter("etcd_debugging_server_lease_expired_total", "The total number of expired leases.", func(m *moment) float64 { return float64(m.expire) }),
		{
			kind: prometheus.GaugeValue, name: "etcd_debugging_server_alarms", labels: []string{"server_id", "alarm_type"},
			help: "Alarms for every member in cluster. 1 for 'server_id' label with current ID. 2 for 'alarm_type' label with type of this alarm",
			emit: func(m *moment, value func(float64, ...string)) {
				raised := map[alarm]bool{{m.member, pb.AlarmType_NOSPACE}: false, {m.member, pb.AlarmType_CORRUPT}: false}
				for _, a := range m.alarms {
					raised[alarm{a.MemberID, a.Alarm}] = true
				}
				for a, is := range raised {
					value(boolean(is), hexID(a.member), a.kind.String())
				}
			},
		},
		gauge("os_fd_used", "The number of used file descriptors.", func(m *moment) float64 { return m.os.used }),
		gauge("os_fd_limit", "The file descriptor limit.", func(m *moment) float64 { return m.os.limit }),
	}
}

// streamFailures shows those there were, as etcd does.
func streamFailures(m *moment, value func(float64, ...string)) {
	for _, f := range []struct {
		count     int64
		kind, api string
	}{
		{m.sent.ReceiveFailures, "receive", "watch"},
		{m.sent.SendFailures, "send", "watch"},
		{m.alive[Receive], "receive", "lease-keepalive"},
		{m.alive[Send], "send", "lease-keepalive"},
	} {
		if f.count > 0 {
			value(float64(f.count), f.kind, f.api)
		}
	}
}

func ourReadings() []reading {
	return append(hubReadings(), storeReadings()...)
}

func hubReadings() []reading {
	return []reading{
		{
			kind: prometheus.GaugeValue, name: "watchkv_watch_watches", labels: []string{"state"},
			help: "Watches by state: synced, reading history, or victims of a full outbox.",
			emit: func(m *moment, value func(float64, ...string)) {
				value(float64(m.hub.Synced), "synced")
				value(float64(m.hub.Unsynced), "unsynced")
				value(float64(m.hub.Victims), "victim")
			},
		},
		counter("watchkv_watch_victims_total", "Times an event met the full outbox of a watch that was not a victim yet.", func(m *moment) float64 { return float64(m.hub.VictimsEver) }),
		counter("watchkv_watch_offers_total", "Offers of a run of events to a watch, taken or not.", func(m *moment) float64 { return float64(m.hub.Offers) }),
		counter("watchkv_watch_dispatched_events_total", "Events offered live, per watch.", func(m *moment) float64 { return float64(m.hub.EventsDispatched) }),
		byWay("watchkv_watch_catchup_events_total", "Events delivered from history, per watch, by the way they were read.", func(w watch.WayStats) int64 { return w.Events }),
		byWay("watchkv_watch_catchup_bytes_total", "Bytes of the events delivered from history, per watch, by the way they were read.", func(w watch.WayStats) int64 { return w.Bytes }),
		counter("watchkv_watch_chunks_read_total", "Chunks of history read by scans.", func(m *moment) float64 { return float64(m.hub.ChunksRead) }),
		counter("watchkv_watch_entries_scanned_total", "Entries of history read by scans.", func(m *moment) float64 { return float64(m.hub.EntriesScanned) }),
		{
			kind: prometheus.CounterValue, name: "watchkv_watch_plans_total", labels: []string{"way"},
			help: "Choices of a way to read history that is not in memory; revised: from the index to a scan, because many had joined.",
			emit: func(m *moment, value func(float64, ...string)) {
				value(float64(m.hub.PlansIndex), "index")
				value(float64(m.hub.PlansScan), "scan")
				value(float64(m.hub.PlansRevised), "revised")
			},
		},
		gauge("watchkv_watch_lag_revisions", "Revisions that the slowest watch is behind the newest; 0 if none is behind.", lag),
		gauge("watchkv_watch_queued_bytes", "Bytes waiting in the outboxes of all streams.", func(m *moment) float64 { return float64(m.hub.PendingBytes) }),
		gauge("watchkv_watch_queued_bytes_max", "The most bytes that ever waited in the outbox of one stream.", func(m *moment) float64 { return float64(m.hub.PendingBytesMax) }),
		counter("watchkv_watch_prev_kv_missing_total", "Events whose previous value was asked for and is compacted.", func(m *moment) float64 { return float64(m.hub.PrevKVMissing) }),
		gauge("watchkv_watch_offered_revision", "Lowest revision that all parts of the hub have offered to the watches.", func(m *moment) float64 { return float64(m.hub.OfferedRevision) }),
	}
}

func byWay(name, help string, of func(watch.WayStats) int64) reading {
	return reading{
		kind: prometheus.CounterValue, name: name, help: help, labels: []string{"way"},
		emit: func(m *moment, value func(float64, ...string)) {
			for w := range watch.WayCount {
				value(float64(of(m.hub.CatchUp[w])), w.String())
			}
		},
	}
}

// lag is of the slowest watch.
func lag(m *moment) float64 {
	next := m.store.Rev + 1
	for _, behind := range [...]int64{m.hub.VictimNext, m.hub.UnsyncedNext} {
		if behind != 0 {
			next = min(next, behind)
		}
	}
	return float64(m.store.Rev + 1 - next)
}

func storeReadings() []reading {
	return []reading{
		gauge("watchkv_store_applied_revision", "Last revision that is durable in the engine.", func(m *moment) float64 { return float64(m.store.Applied) }),
		gauge("watchkv_store_revisions", "Versions of keys in the index.", func(m *moment) float64 { return float64(m.store.Revisions) }),
		gauge("watchkv_store_pinned_bytes", "Memory of the newest events, kept for watches that follow closely.", func(m *moment) float64 { return float64(m.store.RecentBytes) }),
		gauge("watchkv_store_pinned_revisions", "Revisions whose events are in memory.", func(m *moment) float64 { return float64(m.store.RecentRevisions) }),
		gauge("watchkv_store_pending_bytes", "Bytes visible and not durable yet; 0 where every write is synced.", func(m *moment) float64 { return float64(m.store.PendingBytes) }),
		counter("watchkv_store_transactions_total", "Transactions that made a revision.", func(m *moment) float64 { return float64(m.store.Txns) }),
		counter("watchkv_store_group_commits_total", "Groups of transactions that were written together.", func(m *moment) float64 { return float64(m.store.Groups) }),
		counter("watchkv_store_applies_total", "Batches given to the engine.", func(m *moment) float64 { return float64(m.store.Applies) }),
		counter("watchkv_store_apply_seconds_total", "Time the engine took for its batches.", func(m *moment) float64 { return m.store.ApplyTime.Seconds() }),
		gauge("watchkv_store_apply_seconds_max", "The longest the engine took for one batch.", func(m *moment) float64 { return m.store.ApplyLongest.Seconds() }),
		gauge("watchkv_store_applying_seconds", "How long the engine has had its batch; 0 if it has none.", func(m *moment) float64 { return m.store.ApplyingFor.Seconds() }),
		counter("watchkv_store_compactions_total", "Compactions carried out.", func(m *moment) float64 { return float64(m.store.Compactions) }),
		gauge("watchkv_store_free_bytes", "Room left for the engine; -1 if unknown.", func(m *moment) float64 { return float64(m.store.FreeBytes) }),
		gauge("watchkv_store_floor_bytes", "Room that puts leave; 0 if none.", func(m *moment) float64 { return float64(m.store.FloorBytes) }),
		gauge("watchkv_store_refuses_puts", "1 while puts are refused for want of room, 0 otherwise.", func(m *moment) float64 { return boolean(m.store.NoSpace != "") }),
		gauge("watchkv_store_failed", "1 once writing has ended by an error, 0 otherwise.", func(m *moment) float64 { return boolean(m.store.Failed != "") }),
		gauge("watchkv_store_scan_seconds_per_entry", "What an entry of history costs to scan: a moving average.", func(m *moment) float64 { return m.store.ScanNanosPerEntry / 1e9 }),
		gauge("watchkv_store_read_seconds", "What a point read of the engine costs: a moving average.", func(m *moment) float64 { return m.store.GetNanosPerRead / 1e9 }),
		gauge("watchkv_leases", "Leases that are alive.", func(m *moment) float64 { return float64(m.leases) }),
	}
}

// reader reads all readings of one moment.
type reader struct {
	m     *Metrics
	all   []reading
	descs []*prometheus.Desc
}

func newReader(m *Metrics) *reader {
	r := &reader{m: m, all: readings()}
	for _, one := range r.all {
		m.book.note(one.typeName(), one.name, one.help, one.labels)
		r.descs = append(r.descs, prometheus.NewDesc(one.name, one.help, one.labels, nil))
	}
	return r
}

func (r *reading) typeName() string {
	switch {
	case r.durations != nil, r.histogram != nil:
		return "histogram"
	case r.kind == prometheus.CounterValue:
		return "counter"
	}
	return "gauge"
}

// Describe implements prometheus.Collector.
func (r *reader) Describe(to chan<- *prometheus.Desc) {
	for _, d := range r.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (r *reader) Collect(to chan<- prometheus.Metric) {
	s := r.m.cfg.Sources
	now := &moment{
		store: s.Store(), hub: s.Hub(), sent: s.Streams(), events: r.m.eventsSent.Load(),
		alive:  [2]int64{r.m.keepAliveFailures[Receive].Load(), r.m.keepAliveFailures[Send].Load()},
		member: r.m.cfg.Identity.MemberID, alarms: s.Alarms(), quota: s.QuotaBytes(), expire: s.LeasesExpired(), revoke: s.LeasesRevoked(), leases: s.LeasesNow(), os: readDescriptors(),
	}
	for i, one := range r.all {
		if one.durations != nil {
			d := one.durations(now)
			to <- constant(r.descs[i], &mvcc.Durations{Count: d.Count, Sum: d.Sum, Base: time.Millisecond, Within: d.Within}, time.Second)
			continue
		}
		if one.histogram != nil {
			to <- constant(r.descs[i], one.histogram(now), one.unit)
			continue
		}
		one.emit(now, func(v float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(r.descs[i], one.kind, v, labels...)
		})
	}
}
