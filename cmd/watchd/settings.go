package main

import (
	"math"
	"net/url"
	"strings"
	"time"
)

// Groups of settings, as help heads them, in this order.
const (
	groupData    = "Data"
	groupListen  = "Where it listens"
	groupTLS     = "TLS"
	groupLimits  = "Limits"
	groupHistory = "History and watches"
	groupShown   = "Logs and metrics"
	groupIgnored = "Ignored"
)

var groupOrder = []string{groupData, groupListen, groupTLS, groupLimits, groupHistory, groupShown}

const tlsKey = "client-transport-security."

// settings is the table, in the order in which help shows it.
func settings() []setting {
	all := append(dataSettings(), listenSettings()...)
	all = append(all, tlsSettingsTable()...)
	all = append(all, limitSettings()...)
	all = append(all, historySettings()...)
	all = append(all, shownSettings()...)
	return append(all, ignoredSettings()...)
}

func dataSettings() []setting {
	return []setting{
		{
			name: "backend", group: groupData, origin: ofOurs, word: strings.Join(engineNames(), "|"), unset: "pebble", values: engineNames(),
			text: "engine that keeps the data",
			more: "Without it a data directory that holds data is opened with the engine that wrote them. mem keeps nothing over a stop.",
			take: toOneOf(engineNames(), func(c *config) *string { return &c.backend }),
		},
		{
			name: "data-dir", group: groupData, word: "DIR", unset: "NAME.watchd", text: "where the data are",
			more: "Made with mode 0700. A data directory of etcd is refused: see --from-etcd.",
			take: toText(func(c *config) *string { return &c.dataDir }),
		},
		{
			name: "name", group: groupData, word: "NAME", unset: "default", text: "of this member",
			take: toText(func(c *config) *string { return &c.name }),
		},
		{
			name: "durability", group: groupData, origin: ofOurs, word: "sync|relaxed[:100ms]", unset: "sync", values: []string{"sync", "relaxed", "relaxed:100ms"},
			text: "on disk before the answer, or soon after",
			more: "relaxed answers before a write is on disk: a crash loses at most one interval, and watchers who saw what was lost are told.",
			take: toDurability,
		},
		{
			name: "from-etcd", group: groupData, origin: ofOurs, word: "FILE", text: "start from an etcd snapshot, or a stopped member's file",
			more: "Only into a data directory that holds no data yet; the same start repeated goes on with what is there.",
			take: toText(func(c *config) *string { return &c.fromEtcd }),
		},
		{
			name: "discard-auth", group: groupData, origin: ofOurs, form: onOff, text: "with --from-etcd: take it although users are lost",
			more: "Without it a file with authentication enabled is refused, since here everybody may do everything.",
			take: toSwitch(func(c *config) *bool { return &c.discardAuth }),
		},
		{
			name: "skip-hash-check", group: groupData, origin: ofOurs, form: onOff, text: "with --from-etcd: take a file without its hash",
			more: "Needed for a member's own file, member/snap/db, which has none.",
			take: toSwitch(func(c *config) *bool { return &c.skipHashCheck }),
		},
		{
			name: "config-file", group: groupData, word: "FILE", text: "settings from a YAML file with etcd's keys",
			more: "Then etcd's flags and variables do not count. Settings that etcd does not have may still be given by flag or variable, and then count before the file.",
			take: func(*config, string) error { return nil }, // read before all others
		},
	}
}

func listenSettings() []setting {
	return []setting{
		{
			name: "listen-client-urls", group: groupListen, word: "URL,...", unset: "http://localhost:2379", form: list, text: "for clients, gRPC and HTTP",
			more: "Both on one port. http://, https://, unix:// or unixs://. Port 0 picks a free one; the line that tells that it is ready has it.",
			take: toURLs(func(c *config) *[]*url.URL { return &c.listenClient }),
		},
		{
			name: "listen-client-http-urls", group: groupListen, word: "URL,...", form: list, text: "HTTP for clients apart: those above then are gRPC's",
			take: toURLs(func(c *config) *[]*url.URL { return &c.listenHTTP }),
		},
		{
			name: "listen-metrics-urls", group: groupListen, word: "URL,...", form: list, text: "/metrics and /health for others besides",
			take: toURLs(func(c *config) *[]*url.URL { return &c.listenMetrics }),
		},
		{
			name: "advertise-client-urls", group: groupListen, word: "URL,...", unset: "where it listens", form: list, text: "what clients are told to connect to",
			take: toURLs(func(c *config) *[]*url.URL { return &c.advertise }),
		},
		{
			name: "listen-insecure", group: groupListen, origin: ofOurs, form: onOff, text: "allow other machines without TLS",
			more: "Without it only loopback addresses and sockets are listened on without TLS.",
			take: toSwitch(func(c *config) *bool { return &c.listenInsecure }),
		},
		{
			name: "enable-grpc-gateway", group: groupListen, unset: "true", form: onOff, text: "the API as JSON under /v3/",
			take: toSwitch(func(c *config) *bool { return &c.gateway }),
		},
		{
			name: "cors", group: groupListen, word: "ORIGIN,...", unset: "*", form: list, text: "pages of which browsers may use HTTP",
			take: toList(func(c *config) *[]string { return &c.cors }),
		},
		{
			name: "host-whitelist", group: groupListen, word: "HOST,...", unset: "*", form: list, text: "host names that HTTP without TLS answers to",
			take: toList(func(c *config) *[]string { return &c.hostWhitelist }),
		},
		{
			name: "socket-reuse-port", group: groupListen, key: "socket-options.reuse-port", form: onOff, text: "SO_REUSEPORT",
			take: toSwitch(func(c *config) *bool { return &c.reusePort }),
		},
		{
			name: "socket-reuse-address", group: groupListen, key: "socket-options.reuse-address", form: onOff, text: "SO_REUSEADDR; on Unix set in any case",
			take: toSwitch(func(c *config) *bool { return &c.reuseAddress }),
		},
	}
}

func tlsSettingsTable() []setting {
	versions := []string{"TLS1.2", "TLS1.3"}
	return []setting{
		{
			name: "cert-file", group: groupTLS, key: tlsKey + "cert-file", word: "FILE", text: "certificate for clients; read again when renewed",
			take: toText(func(c *config) *string { return &c.tls.certFile }),
		},
		{
			name: "key-file", group: groupTLS, key: tlsKey + "key-file", word: "FILE", text: "its key",
			take: toText(func(c *config) *string { return &c.tls.keyFile }),
		},
		{
			name: "client-cert-auth", group: groupTLS, key: tlsKey + "client-cert-auth", form: onOff, text: "only clients with a certificate of --trusted-ca-file",
			take: toSwitch(func(c *config) *bool { return &c.tls.clientCertAuth }),
		},
		{
			name: "trusted-ca-file", group: groupTLS, key: tlsKey + "trusted-ca-file", word: "FILE", text: "who signs clients' certificates",
			more: "Alone it requires them too, as in etcd.",
			take: toText(func(c *config) *string { return &c.tls.trustedCAFile }),
		},
		{
			name: "client-crl-file", group: groupTLS, key: tlsKey + "crl-file", word: "FILE", text: "certificates that are revoked",
			take: toText(func(c *config) *string { return &c.tls.crlFile }),
		},
		{
			name: "client-cert-allowed-hostname", group: groupTLS, key: tlsKey + "allowed-hostname", word: "NAME,...", form: list, text: "names of which a client's certificate needs one",
			take: toList(func(c *config) *[]string { return &c.tls.allowedHostnames }),
		},
		{
			name: "auto-tls", group: groupTLS, key: tlsKey + "auto-tls", form: onOff, text: "a certificate made here, signed by nobody",
			take: toSwitch(func(c *config) *bool { return &c.tls.auto }),
		},
		{
			name: "self-signed-cert-validity", group: groupTLS, word: "YEARS", unset: "1", text: "how long that is good",
			take: toCount(1, 100, func(c *config) *int64 { return &c.tls.autoYears }),
		},
		{
			name: "cipher-suites", group: groupTLS, word: "NAME,...", unset: "Go's", form: list, text: "of TLS 1.2",
			take: toList(func(c *config) *[]string { return &c.tls.cipherSuites }),
		},
		{
			name: "tls-min-version", group: groupTLS, word: "TLS1.2|TLS1.3", unset: "TLS1.2", values: versions, text: "lowest version",
			take: toOneOf(versions, func(c *config) *string { return &c.tls.minVersion }),
		},
		{
			name: "tls-max-version", group: groupTLS, word: "TLS1.2|TLS1.3", unset: "Go's", values: versions, text: "highest version",
			take: toOneOf(versions, func(c *config) *string { return &c.tls.maxVersion }),
		},
	}
}

func limitSettings() []setting {
	return []setting{
		{
			name: "quota-backend-bytes", group: groupLimits, word: "SIZE", unset: "2 GiB", text: "most the data may take; -1 is no limit",
			more: "At the quota puts are refused with etcd's NOSPACE until there is room and the alarm is disarmed; history counts, free pages inside files do not.",
			take: toBytes(math.MinInt64, func(c *config) *int64 { return &c.quotaBytes }),
		},
		{
			name: "min-free-bytes", group: groupLimits, origin: ofOurs, word: "SIZE", unset: "the engine's need", text: "room that puts leave on the disk",
			more: "-1 is none. Engines hang, stop or lose data on a full disk; so puts are refused before.",
			take: toBytes(-1, func(c *config) *int64 { return &c.minFreeBytes }),
		},
		{
			name: "max-request-bytes", group: groupLimits, word: "SIZE", unset: "1.5 MiB", text: "largest request",
			take: toBytes(1, func(c *config) *int64 { return &c.maxRequestBytes }),
		},
		{
			name: "max-txn-ops", group: groupLimits, word: "N", unset: "128", text: "most operations of a transaction",
			take: toCount(1, math.MaxInt32, func(c *config) *int64 { return &c.maxTxnOps }),
		},
		{
			name: "max-concurrent-streams", group: groupLimits, word: "N", unset: "4294967295", text: "most calls at a time on one connection",
			take: toCount(1, math.MaxUint32, func(c *config) *int64 { return &c.maxStreams }),
		},
		{
			name: "grpc-keepalive-min-time", group: groupLimits, word: "TIME", unset: "5s", form: duration, text: "clients that ping more often are sent away",
			take: toDuration(0, func(c *config) *time.Duration { return &c.keepAliveMin }),
		},
		{
			name: "grpc-keepalive-interval", group: groupLimits, word: "TIME", unset: "2h", form: duration, text: "a silent client is pinged after; 0 never",
			take: toDuration(0, func(c *config) *time.Duration { return &c.keepAliveInterval }),
		},
		{
			name: "grpc-keepalive-timeout", group: groupLimits, word: "TIME", unset: "20s", form: duration, text: "and sent away when it does not answer for",
			take: toDuration(0, func(c *config) *time.Duration { return &c.keepAliveTimeout }),
		},
	}
}

func historySettings() []setting {
	modes := []string{"periodic", "revision"}
	return []setting{
		{
			name: "auto-compaction-mode", group: groupHistory, word: "periodic|revision", unset: "periodic", values: modes, text: "how --auto-compaction-retention is read",
			take: toOneOf(modes, func(c *config) *string { return &c.compactMode }),
		},
		{
			name: "auto-compaction-retention", group: groupHistory, word: "N|TIME", unset: "0", text: "history kept: hours, time or revisions; 0 all",
			more: "periodic: history older than this is cut every hour, or as often as it is old if that is less. revision: all but that many revisions, every 5 minutes.",
			take: toText(func(c *config) *string { return &c.compactRetention }),
		},
		{
			name: "watch-progress-notify-interval", group: groupHistory, word: "TIME", unset: "10m", form: duration, text: "watches that want it hear of progress every",
			more: "Up to a tenth is added at random.",
			take: toDuration(100*time.Millisecond, func(c *config) *time.Duration { return &c.progressInterval }),
		},
		{
			name: "max-watches", group: groupHistory, origin: ofOurs, word: "N", unset: "no limit", text: "most watches in all", more: "0 is no limit.",
			take: toCount(0, math.MaxInt32, func(c *config) *int64 { return &c.maxWatches }),
		},
		{
			name: "max-watches-per-stream", group: groupHistory, origin: ofOurs, word: "N", unset: "no limit", text: "most watches of one stream", more: "0 is no limit.",
			take: toCount(0, math.MaxInt32, func(c *config) *int64 { return &c.maxStreamWatches }),
		},
		{
			name: "watch-outbox-bytes", group: groupHistory, origin: ofOurs, word: "SIZE", unset: "1 MiB", text: "what waits for a slow stream in memory",
			more: "A stream that is behind by more keeps its place and reads history later; it costs the others nothing.",
			take: toBytes(0, func(c *config) *int64 { return &c.outboxBytes }),
		},
		{
			name: "watch-max-lag-revisions", group: groupHistory, origin: ofOurs, word: "N", unset: "0", text: "cancel a watch further behind; 0 is never",
			take: toCount(0, math.MaxInt64, func(c *config) *int64 { return &c.maxLagRevisions }),
		},
		{
			name: "watch-max-lag-bytes", group: groupHistory, origin: ofOurs, word: "SIZE", unset: "0", text: "the same in bytes of history",
			take: toBytes(0, func(c *config) *int64 { return &c.maxLagBytes }),
		},
	}
}

func shownSettings() []setting {
	details := []string{"basic", "extensive"}
	return []setting{
		{
			name: "log-level", group: groupShown, word: "LEVEL", unset: "info", values: logLevels(), text: "debug, info, warn or error",
			more: "panic and fatal are taken as error.",
			take: toOneOf(logLevels(), func(c *config) *string { return &c.log.level }),
		},
		{
			name: "log-format", group: groupShown, word: "json|console", unset: "json, console on a terminal", values: logFormats, text: "form of a line",
			take: toOneOf(logFormats, func(c *config) *string { return &c.log.format }),
		},
		{
			name: "log-outputs", group: groupShown, word: "FILE,...", unset: "stderr", form: list, text: "stderr, stdout or files, appended to",
			more: "default and systemd/journal are stderr.",
			take: toList(func(c *config) *[]string { return &c.log.outputs }),
		},
		{
			name: "warning-unary-request-duration", group: groupShown, word: "TIME", unset: "300ms", form: duration, text: "requests that take longer are logged",
			take: toDuration(0, func(c *config) *time.Duration { return &c.slowRequest }),
		},
		{
			name: "warning-apply-duration", group: groupShown, word: "TIME", unset: "100ms", form: duration, text: "requests that take longer count as slow",
			more: "In etcd_server_slow_apply_total.",
			take: toDuration(0, func(c *config) *time.Duration { return &c.slowApply }),
		},
		{
			name: "metrics", group: groupShown, word: "basic|extensive", unset: "basic", values: details, text: "extensive adds histograms of gRPC calls",
			take: toOneOf(details, func(c *config) *string { return &c.metrics }),
		},
		{
			name: "enable-pprof", group: groupShown, form: onOff, text: "profiles under /debug/pprof/",
			take: toSwitch(func(c *config) *bool { return &c.pprof }),
		},
	}
}
