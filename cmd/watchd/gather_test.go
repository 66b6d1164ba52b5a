package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/mvcc"
)

// gathering is what the program makes of a command line, an environment and a
// config file ("" is none).
func gathering(t *testing.T, args, environ []string, file string) (gathered, error) {
	if file != "" {
		path := filepath.Join(t.TempDir(), "watchd.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		args = append([]string{"--config-file", path}, args...)
	}
	root := newRoot(io.Discard)
	if err := root.ParseFlags(normal(args, root.Flags())); err != nil {
		return gathered{}, flagMistake(root, err)
	}
	return gather(root.Flags(), environ)
}

// What is given by no flag is what the table says.
func TestDefaults(t *testing.T) {
	g, err := gathering(t, nil, nil, "")
	require.NoError(t, err)
	assert.Equal(t, defaults(), g.config)
	assert.Empty(t, g.notes)
	assert.EqualValues(t, 2<<30, g.config.quota())
	assert.Equal(t, "default.watchd", g.config.directory())
	var args []string
	for _, s := range settings() {
		switch s.name { // those whose default is told in words
		case "backend", "data-dir", "advertise-client-urls", "cipher-suites", "tls-max-version", "min-free-bytes", "quota-backend-bytes",
			"max-watches", "max-watches-per-stream", "watch-outbox-bytes", "log-format":
			continue
		}
		if s.unset != "" {
			args = append(args, "--"+s.name+"="+s.unset)
		}
	}
	require.Greater(t, len(args), 15)
	g, err = gathering(t, args, nil, "")
	require.NoError(t, err)
	g.config.given = map[string]string{}
	g.config.log.outputs = []string{"default"}
	assert.Equal(t, defaults(), g.config)
}

// A row of the table has what each of its readers needs.
func TestSettings(t *testing.T) {
	names, places, variables := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range settings() {
		assert.False(t, names[s.name] || places[s.place()] || variables[s.env()], "%s: twice", s.name)
		names[s.name], places[s.place()], variables[s.env()] = true, true, true
		assert.NotEmpty(t, s.text, s.name)
		assert.Equal(t, s.form == onOff, s.word == "", "%s: a switch has no word, others have one", s.name)
		assert.True(t, s.origin == ignored || s.take != nil, "%s: nobody reads it", s.name)
		assert.Equal(t, s.origin == ignored, s.group == groupIgnored, s.name)
	}
}

// Help fits 100 columns.
func TestHelp_Width(t *testing.T) {
	for line := range strings.Lines(helpOf(newRoot(io.Discard))) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), helpWidth, line)
	}
}

// The reference in the documentation is made from the table.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/watchd.md")
	require.NoError(t, err)
	want, err := withReference(string(page))
	require.NoError(t, err)
	assert.Equal(t, want, string(page), "run: go generate ./cmd/watchd")
}

func TestGather_Flags(t *testing.T) {
	g, err := gathering(t, []string{
		"-name", "-x", "--data-dir=/d", "-backend=bolt", "--durability", "relaxed:50ms", "--quota-backend-bytes", "-1",
		"--max-request-bytes", "2MiB", "--enable-grpc-gateway=false", "--auto-tls", "--listen-client-urls", "https://0.0.0.0:1,unix:///s",
		"--grpc-keepalive-interval=0", "--auto-compaction-retention", "12", "--cipher-suites", "A, B",
	}, []string{"ETCD_MAX_TXN_OPS=7", "WATCHD_MAX_WATCHES=9", "ETCD_NAME=", "HOME=/"}, "")
	require.NoError(t, err)
	c := g.config
	assert.Equal(t, []any{"-x", "/d", "bolt", "relaxed:50ms", int64(0), int64(2 << 20), false, true, int64(7), int64(9), time.Duration(0)},
		[]any{c.name, c.dataDir, c.backend, c.durability.String(), c.quota(), c.maxRequestBytes, c.gateway, c.tls.auto, c.maxTxnOps, c.maxWatches, c.keepAliveInterval})
	assert.Equal(t, []string{"https://0.0.0.0:1", "unix:///s"}, urlTexts(c.listenClient))
	assert.Equal(t, []string{"A", "B"}, c.tls.cipherSuites)
	compact, err := c.autoCompact()
	require.NoError(t, err)
	assert.Equal(t, mvcc.AutoCompact{Age: 12 * time.Hour, Interval: time.Hour}, compact)
	assert.Equal(t, map[string]string{"backend": "--backend", "max-txn-ops": "ETCD_MAX_TXN_OPS", "max-watches": "WATCHD_MAX_WATCHES"},
		map[string]string{"backend": c.given["backend"], "max-txn-ops": c.given["max-txn-ops"], "max-watches": c.given["max-watches"]})
}

// What kubeadm gives to an etcd is taken as it is.
func TestGather_Kubeadm(t *testing.T) {
	g, err := gathering(t, []string{
		"--advertise-client-urls=https://10.0.0.1:2379", "--cert-file=/etc/kubernetes/pki/etcd/server.crt", "--client-cert-auth=true", "--data-dir=/var/lib/etcd",
		"--feature-gates=InitialCorruptCheck=true", "--watch-progress-notify-interval=5s", "--initial-advertise-peer-urls=https://10.0.0.1:2380",
		"--initial-cluster=node=https://10.0.0.1:2380", "--key-file=/etc/kubernetes/pki/etcd/server.key",
		"--listen-client-urls=https://127.0.0.1:2379,https://10.0.0.1:2379", "--listen-metrics-urls=http://127.0.0.1:2381",
		"--listen-peer-urls=https://10.0.0.1:2380", "--name=node", "--peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt", "--peer-client-cert-auth=true",
		"--peer-key-file=/etc/kubernetes/pki/etcd/peer.key", "--peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt", "--snapshot-count=10000",
		"--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt",
	}, nil, "")
	require.NoError(t, err)
	require.Len(t, g.notes, 1)
	assert.Equal(t, "--listen-peer-urls --initial-advertise-peer-urls --initial-cluster --snapshot-count --peer-cert-file --peer-key-file --peer-client-cert-auth "+
		"--peer-trusted-ca-file --feature-gates", g.notes[0].args[1])
	assert.Equal(t, 5*time.Second, g.config.progressInterval)
}

// The file of etcd's own sample, but for comments.
const sample = `
name: 'machine1'
data-dir: /var/lib/x
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379,https://127.0.0.1:2390
max-snapshots: 5
cors:
initial-advertise-peer-urls: http://localhost:2380
advertise-client-urls: http://localhost:2379
discovery-fallback: 'proxy'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
proxy: 'off'
proxy-read-timeout: 0
client-transport-security:
  cert-file: c.pem
  key-file: k.pem
  client-cert-auth: true
  trusted-ca-file: ca.pem
  allowed-hostname: [a, b]
  auto-tls: false
peer-transport-security:
  cert-file:
  auto-tls: false
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr, /tmp/l]
force-new-cluster: false
auto-compaction-mode: revision
auto-compaction-retention: "1000"
watch-progress-notify-interval: 60000000000
grpc-keepalive-timeout: 3s
socket-options:
  reuse-port: true
cipher-suites: [
  TLS_A,
  TLS_B
]
tls-min-version: 'TLS1.2'
`

func TestGather_File(t *testing.T) {
	g, err := gathering(t, []string{"--backend", "bolt", "--name", "unheard"}, []string{"ETCD_MAX_TXN_OPS=unheard", "ETCD_CONFIG_FIEL=1"}, sample+"durability: relaxed\nbackend: mem\n")
	require.NoError(t, err)
	c := g.config
	assert.Equal(t, []any{"machine1", "/var/lib/x", "bolt", "relaxed:100ms", true, true, int64(128), time.Minute, 3 * time.Second},
		[]any{c.name, c.dataDir, c.backend, c.durability.String(), c.pprof, c.reusePort, c.maxTxnOps, c.progressInterval, c.keepAliveTimeout})
	assert.Equal(t, tlsSettings{
		certFile: "c.pem", keyFile: "k.pem", clientCertAuth: true, trustedCAFile: "ca.pem", allowedHostnames: []string{"a", "b"},
		autoYears: 1, cipherSuites: []string{"TLS_A", "TLS_B"}, minVersion: "TLS1.2",
	}, c.tls)
	assert.Equal(t, []string{"stderr", "/tmp/l"}, c.log.outputs)
	compact, err := c.autoCompact()
	require.NoError(t, err)
	assert.Equal(t, mvcc.AutoCompact{Revisions: 1000, Interval: 5 * time.Minute}, compact)
	var out bytes.Buffer
	for _, n := range g.notes {
		out.WriteString(n.text + ": " + n.args[len(n.args)-1].(string) + "\n")
	}
	assert.Equal(t, `unrecognized environment variable: ETCD_CONFIG_FIEL (did you mean ETCD_CONFIG_FILE?)
a config file stands alone, as in etcd: these flags and variables do not count: --name ETCD_MAX_TXN_OPS
settings of etcd that have no meaning here are ignored: listen-peer-urls initial-advertise-peer-urls initial-cluster-state heartbeat-interval strict-reconfig-check force-new-cluster snapshot-count max-snapshots discovery-fallback proxy proxy-read-timeout peer-transport-security logger
`, out.String())
}

// inFile is the path of the config file in an error.
var inFile = regexp.MustCompile(`/\S*watchd\.yaml`)

func TestGather_Mistakes(t *testing.T) {
	flag := func(args ...string) []string { return args }
	for want, given := range map[string]struct {
		args, environ []string
		file          string
	}{
		`unknown flag --bakend; did you mean --backend?`: {args: flag("--bakend", "bolt")},
		`unknown flag --experimental-watch-progress-notify-interval; etcd 3.7 has it as --watch-progress-notify-interval`: {
			args: flag("--experimental-watch-progress-notify-interval=5s"),
		},
		`unknown flag --etcd; all: watchd help`:                                                               {args: flag("-etcd=1")},
		`--name needs a value; see watchd help`:                                                               {args: flag("--name")},
		`--backend "boltt": unknown; one of mem, bolt, pebble, badger; did you mean "bolt"?`:                  {args: flag("--backend", "boltt")},
		`ETCD_MAX_TXN_OPS "0": not a number from 1 to 2147483647`:                                             {environ: flag("ETCD_MAX_TXN_OPS=0")},
		`--max-request-bytes "-5": too small; at least 1`:                                                     {args: flag("--max-request-bytes", "-5")},
		`--max-request-bytes 2147483648: too large; at most 1073741824`:                                       {args: flag("--max-request-bytes", "2GiB")},
		`--max-request-bytes "5q": not a size; write 1048576 or 1MiB`:                                         {args: flag("--max-request-bytes", "5q")},
		`--auto-tls "yes": not a switch; true or false`:                                                       {args: flag("--auto-tls=yes")},
		`--grpc-keepalive-timeout "20": not a duration; write 500ms, 10s or 1m30s`:                            {args: flag("--grpc-keepalive-timeout", "20")},
		`--watch-progress-notify-interval "1ms": too short; at least 100ms`:                                   {args: flag("--watch-progress-notify-interval", "1ms")},
		`--durability "fast": unknown; sync, or relaxed:100ms, which answers before it is on disk`:            {args: flag("--durability", "fast")},
		`--name and ETCD_NAME: given twice; leave the flag out or unset the variable`:                         {args: flag("--name", "a"), environ: flag("ETCD_NAME=a")},
		`WATCHD_BACKEDN: no such setting (did you mean WATCHD_BACKEND?)`:                                      {environ: flag("WATCHD_BACKEDN=bolt")},
		`--discard-auth without --from-etcd: it says what to do with the users in an etcd file; leave it out`: {args: flag("--discard-auth")},
		`--listen-client-urls "http://127.0.0.1": the port is missing; write http://127.0.0.1:2379`:           {args: flag("--listen-client-urls", "http://127.0.0.1")},
		`--listen-client-urls: "example.org" is no IP address; to listen on every address write http://0.0.0.0:1`: {
			args: flag("--listen-client-urls", "http://example.org:1", "--listen-insecure"),
		},
		`--listen-client-urls "": at least one URL is needed; write http://127.0.0.1:2379`: {args: flag("--listen-client-urls=")},
		`--listen-metrics-urls https://127.0.0.1:1: TLS needs --cert-file and --key-file, or --auto-tls`: {
			args: flag("--listen-metrics-urls", "https://127.0.0.1:1"),
		},
		`--cipher-suites with --tls-min-version TLS1.3: those of TLS 1.3 cannot be chosen; leave one out`: {args: flag("--cipher-suites", "A", "--tls-min-version", "TLS1.3")},
		`--auto-compaction-retention "1h": not a number of revisions, which --auto-compaction-mode revision needs`: {
			args: flag("--auto-compaction-retention", "1h", "--auto-compaction-mode", "revision"),
		},
		`--auto-compaction-retention "9000000000": too many hours`: {args: flag("--auto-compaction-retention", "9000000000")},
		`--feature-gates "AllBeta=1,Foo": unrecognized feature gate "Foo"; one of AllAlpha, AllBeta, CompactHashCheck, FastLeaseKeepAlive, InitialCorruptCheck, LeaseCheckpoint, LeaseCheckpointPersist, PriorityRequest, SetMemberLocalAddr, StopGRPCServiceOnDefrag, TxnModeWriteWithSharedBuffer`: {args: flag("--feature-gates", "AllBeta=1,Foo")},
		`FILE:2: no such setting "nmae"; did you mean "name"?`:                                                              {file: "\nnmae: x\n"},
		`FILE:1: no such setting "client-transport-security.certfile"; did you mean "client-transport-security.cert-file"?`: {file: "client-transport-security: {certfile: x}"},
		`FILE:1: max-txn-ops "many": not a number from 1 to 2147483647`:                                                     {file: "max-txn-ops: many"},
		`FILE:1: name: a list, but one value is wanted`:                                                                     {file: "name: [a]"},
		`FILE:1: client-transport-security: not a mapping; write KEY: VALUE lines`:                                          {file: "client-transport-security: x"},
		`--config-file "FILE": line 1: did not find expected node content`:                                                  {file: "name: [\n"},
		`--config-file "nowhere": no such file or directory`:                                                                {environ: flag("ETCD_CONFIG_FILE=nowhere")},
	} {
		_, err := gathering(t, given.args, given.environ, given.file)
		var exit *exitError
		if assert.ErrorAs(t, err, &exit, want) {
			assert.Equal(t, exitUse, exit.code)
			assert.Equal(t, want, inFile.ReplaceAllString(exit.text, "FILE"))
		}
	}
}

// Who may be reached from other machines without TLS has to say so.
func TestGather_BeyondLoopback(t *testing.T) {
	for url, open := range map[string]bool{
		"http://127.0.0.1:1": false, "http://127.9.9.9:1": false, "http://[::1]:1": false, "http://localhost:1": false, "unix:///s": false,
		"http://0.0.0.0:1": true, "http://10.0.0.1:1": true, "http://[::]:1": true, "http://[fe80::1%25eth0]:1": true, "https://0.0.0.0:1": false,
	} {
		for _, name := range []string{"--listen-client-urls", "--listen-client-http-urls", "--listen-metrics-urls"} {
			_, err := gathering(t, []string{name, url, "--auto-tls"}, nil, "")
			if open {
				assert.ErrorContains(t, err, "without TLS", "%s %s", name, url)
				assert.ErrorContains(t, err, "--listen-insecure", "%s %s", name, url)
				assert.Equal(t, name != "--listen-metrics-urls", strings.Contains(err.Error(), "write everything"))
			} else {
				assert.NoError(t, err, "%s %s", name, url)
			}
			_, err = gathering(t, []string{name, url, "--auto-tls", "--listen-insecure"}, nil, "")
			assert.NoError(t, err, "%s %s", name, url)
		}
	}
}

// A certificate made here is good for the names that clients may use.
func TestSecureHosts(t *testing.T) {
	name, err := os.Hostname()
	require.NoError(t, err)
	for urls, want := range map[string][]string{
		"http://127.0.0.1:1":                   nil,
		"unixs:///s":                           {"localhost"},
		"https://127.0.0.1:1,https://[::1]:1":  {"127.0.0.1", "::1"},
		"https://localhost:1":                  {"localhost", "127.0.0.1", "::1"},
		"https://0.0.0.0:1,https://10.0.0.1:1": {"localhost", "127.0.0.1", "::1", name, "10.0.0.1"},
	} {
		g, err := gathering(t, []string{"--auto-tls", "--listen-client-urls", urls}, nil, "")
		require.NoError(t, err)
		assert.Equal(t, want, g.config.secureHosts(), urls)
	}
}

func TestAutoCompact(t *testing.T) {
	for retention, want := range map[string]mvcc.AutoCompact{
		"0": {}, "0s": {}, "1": {Age: time.Hour, Interval: time.Hour}, "5m": {Age: 5 * time.Minute, Interval: 5 * time.Minute},
		"24h": {Age: 24 * time.Hour, Interval: time.Hour},
	} {
		c := defaults()
		c.compactRetention = retention
		got, err := c.autoCompact()
		require.NoError(t, err)
		assert.Equal(t, want, got, retention)
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"5": 5, "-1": -1, "1MiB": 1 << 20, "1.5 KiB": 1536, "2MB": 2_000_000} {
		got, err := parseBytes(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "x", "20EB", "-1MiB"} {
		_, err := parseBytes(text)
		assert.Error(t, err, text)
	}
}
