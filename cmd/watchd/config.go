package main

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/watchkv/watchkv/mvcc"
)

// config is what the daemon was told, from wherever. defaults() fills it, the
// settings given change it, check() judges the whole.
type config struct {
	name    string
	dataDir string // "" is NAME.watchd
	backend string // "" is what the data directory holds, or pebble

	durability   mvcc.Durability
	quotaBytes   int64 // 0 is etcd's 2 GiB, negative none
	minFreeBytes int64 // as mvcc.Config has it

	fromEtcd      string
	discardAuth   bool
	skipHashCheck bool // of the file of fromEtcd

	listenClient, listenHTTP, listenMetrics []*url.URL
	advertise                               []*url.URL // none: where it listens
	listenInsecure                          bool
	reusePort, reuseAddress                 bool

	maxRequestBytes int64
	maxTxnOps       int64
	maxStreams      int64 // of one connection

	keepAliveMin, keepAliveInterval, keepAliveTimeout time.Duration

	compactMode, compactRetention string
	slowRequest, slowApply        time.Duration

	progressInterval             time.Duration
	maxWatches, maxStreamWatches int64
	outboxBytes                  int64
	maxLagRevisions, maxLagBytes int64

	tls tlsSettings

	gateway       bool
	cors          []string
	hostWhitelist []string
	metrics       string
	pprof         bool

	log logSettings

	given map[string]string // settings that were given, and from where
}

// tlsSettings are what clients are secured by; files are read when they are
// needed.
type tlsSettings struct {
	certFile, keyFile      string
	clientCertAuth         bool
	trustedCAFile, crlFile string
	allowedHostnames       []string
	auto                   bool
	autoYears              int64 // how long certificates made by auto are good
	cipherSuites           []string
	minVersion, maxVersion string
}

// logSettings say what is logged, how and where to.
type logSettings struct {
	level, format string
	outputs       []string
}

// mostRequestBytes is what a message of gRPC can be, with room for the rest of
// a request.
const mostRequestBytes = 1 << 30

// defaultQuota is etcd's.
const defaultQuota = 2 << 30

// defaults is what holds without any setting: the "unset" of the table, which
// a test holds against it.
func defaults() *config {
	return &config{
		name:       "default",
		durability: mvcc.Sync(),

		listenClient: []*url.URL{{Scheme: "http", Host: "localhost:2379"}},

		maxRequestBytes: 1536 << 10,
		maxTxnOps:       128,
		maxStreams:      1<<32 - 1,

		keepAliveMin:      5 * time.Second,
		keepAliveInterval: 2 * time.Hour,
		keepAliveTimeout:  20 * time.Second,

		compactMode: "periodic", compactRetention: "0",
		slowRequest: 300 * time.Millisecond, slowApply: 100 * time.Millisecond,

		progressInterval: 10 * time.Minute,

		tls: tlsSettings{autoYears: 1, minVersion: "TLS1.2"},

		gateway: true,
		cors:    []string{"*"}, hostWhitelist: []string{"*"},
		metrics: "basic",

		log:   logSettings{level: "info", format: "auto", outputs: []string{"default"}},
		given: map[string]string{},
	}
}

// directory is where the data are.
func (c *config) directory() string {
	if c.dataDir != "" {
		return c.dataDir
	}
	return c.name + ".watchd"
}

// scratch is where snapshots stand while they are sent; "" where nothing is
// kept.
func (c *config) scratch() string {
	if info, err := os.Stat(c.directory()); err != nil || !info.IsDir() {
		return ""
	}
	return c.directory()
}

// quota is mvcc's: 0 is none there.
func (c *config) quota() int64 {
	switch {
	case c.quotaBytes == 0:
		return defaultQuota
	case c.quotaBytes < 0:
		return 0
	}
	return c.quotaBytes
}

// autoCompact reads the retention with etcd's meaning: by age history is cut
// every hour, or as often as it is old if that is less; by number of revisions
// every five minutes.
func (c *config) autoCompact() (mvcc.AutoCompact, error) {
	n, err := strconv.ParseInt(c.compactRetention, 10, 64)
	if err == nil && n < 0 {
		return mvcc.AutoCompact{}, misused("--auto-compaction-retention %q: below 0; 0 keeps all history", c.compactRetention)
	}
	if c.compactMode == "revision" {
		if err != nil {
			return mvcc.AutoCompact{}, misused("--auto-compaction-retention %q: not a number of revisions, which --auto-compaction-mode revision needs", c.compactRetention)
		}
		if n == 0 {
			return mvcc.AutoCompact{}, nil
		}
		return mvcc.AutoCompact{Revisions: n, Interval: 5 * time.Minute}, nil
	}
	age := time.Duration(n) * time.Hour
	if err != nil {
		if age, err = time.ParseDuration(c.compactRetention); err != nil || age < 0 {
			return mvcc.AutoCompact{}, misused("--auto-compaction-retention %q: neither a number of hours nor a duration; write 12 or 30m", c.compactRetention)
		}
	} else if n > 0 && age/time.Hour != time.Duration(n) {
		return mvcc.AutoCompact{}, misused("--auto-compaction-retention %q: too many hours", c.compactRetention)
	}
	if age == 0 {
		return mvcc.AutoCompact{}, nil
	}
	return mvcc.AutoCompact{Age: age, Interval: min(age, time.Hour)}, nil
}

// check judges what only the whole shows.
func (c *config) check() error {
	const all = "everybody may read and write everything"
	for _, l := range []struct {
		name   string
		urls   []*url.URL
		danger string
	}{
		{"listen-client-urls", c.listenClient, all},
		{"listen-client-http-urls", c.listenHTTP, all},
		{"listen-metrics-urls", c.listenMetrics, "everybody may see the metrics, and who watches which keys"},
	} {
		if err := checkBind(l.urls); err != nil {
			return misused("--%s: %v", l.name, err)
		}
		if open := exposed(l.urls); len(open) > 0 && !c.listenInsecure {
			return misused("--%s %s: reachable from other machines without TLS, where %s; "+
				"write https:// with --cert-file and --key-file, or --auto-tls, or allow it by --listen-insecure", l.name, strings.Join(urlTexts(open), ","), l.danger)
		}
		for _, u := range l.urls {
			if secured(u) && c.tls.certFile == "" && !c.tls.auto {
				return misused("--%s %s: TLS needs --cert-file and --key-file, or --auto-tls", l.name, u)
			}
		}
	}
	if len(c.listenClient) == 0 {
		return misused("--listen-client-urls %q: at least one URL is needed; write http://127.0.0.1:2379", "")
	}
	if c.maxRequestBytes > mostRequestBytes {
		return misused("--max-request-bytes %d: too large; at most %d", c.maxRequestBytes, mostRequestBytes)
	}
	if err := checkHosts(c.advertise); err != nil {
		return misused("--advertise-client-urls: %v", err)
	}
	if err := c.tls.check(); err != nil {
		return err
	}
	if c.discardAuth && c.fromEtcd == "" {
		return misused("--discard-auth without --from-etcd: it says what to do with the users in an etcd file; leave it out")
	}
	if c.skipHashCheck && c.fromEtcd == "" {
		return misused("--skip-hash-check without --from-etcd: it is about an etcd file; leave it out")
	}
	if strings.ContainsAny(c.name, "/\\") && c.dataDir == "" {
		return misused("--name %q: the data directory is named after it; give --data-dir", c.name)
	}
	_, err := c.autoCompact()
	return err
}

func (t *tlsSettings) check() error {
	switch {
	case (t.certFile == "") != (t.keyFile == ""):
		return misused("--cert-file and --key-file: one without the other; both are needed for TLS")
	case t.minVersion == "TLS1.3" && t.maxVersion == "TLS1.2":
		return misused("--tls-min-version TLS1.3 is above --tls-max-version TLS1.2")
	case t.minVersion == "TLS1.3" && len(t.cipherSuites) > 0:
		return misused("--cipher-suites with --tls-min-version TLS1.3: those of TLS 1.3 cannot be chosen; leave one out")
	}
	return nil
}
