package arch

import "strings"

const module = "github.com/watchkv/watchkv"

// rule says what a package may import. Patterns are import paths below the
// module; a last element of * stands for any one element or more.
type rule struct {
	pkg    string   // pattern of the packages it is for; the first match wins
	ours   []string // patterns of our packages that code, not tests, may import
	libs   []string // prefixes of foreign import paths that code may import
	isTest bool     // a package for tests: it may import testing, testify and rapid
}

// Data flows from the top of this table to the bottom of the way of a write,
// imports flow the other way. Everybody may use
// golang.org/x/sys, and packages for tests testify and rapid.
var rules = []rule{
	{pkg: "backend"},
	{pkg: "backend/bolt", ours: []string{"backend"}, libs: []string{"go.etcd.io/bbolt"}},
	{pkg: "backend/pebble", ours: []string{"backend"}, libs: []string{"github.com/cockroachdb/pebble/v2"}},
	{pkg: "backend/badger", ours: []string{"backend"}, libs: []string{"github.com/dgraph-io/badger/v4"}},
	{pkg: "backend/mem", ours: []string{"backend"}, libs: []string{"github.com/google/btree"}},
	{pkg: "backend/engines", ours: []string{"backend", "backend/*"}},
	{pkg: "backend/backendtest", ours: []string{"backend"}, isTest: true},
	{
		pkg:  "mvcc",
		ours: []string{"backend", "internal/invariant", "internal/slab", "mvcc/*"},
		libs: []string{"google.golang.org/protobuf/encoding/protowire"},
	},
	{
		pkg:  "mvcc/*",
		ours: []string{"internal/invariant"},
		libs: []string{"google.golang.org/protobuf/encoding/protowire"},
	},
	{pkg: "lease", ours: []string{"backend", "mvcc"}, libs: []string{"google.golang.org/protobuf/encoding/protowire"}},
	// The checker works outside tests too, so it may not know the testing
	// package.
	{pkg: "watch/watchtest", ours: []string{"mvcc", "watch", "internal/interval"}},
	{pkg: "watch", ours: []string{"mvcc", "internal/interval", "internal/invariant", "internal/slab"}},
	{
		pkg:  "bench",
		ours: []string{"backend", "mvcc", "watch", "watch/watchtest", "bench/*"},
		libs: []string{
			"github.com/HdrHistogram/hdrhistogram-go", "github.com/jedib0t/go-pretty/v6/",
			// A real etcd file is decoded by etcd's own type, as a second opinion.
			"go.etcd.io/etcd/api/v3/mvccpb", "google.golang.org/protobuf/proto",
		},
	},
	{pkg: "bench/stat", ours: []string{"bench"}, libs: []string{"golang.org/x/perf/benchmath", "github.com/aclements/go-moremath/stats"}},
	{
		pkg:  "bench/page",
		ours: []string{"bench", "bench/compare", "bench/figure", "bench/stat", "watch/watchtest"},
		libs: []string{"github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/net/html"},
	},
	{pkg: "bench/verify", ours: []string{"backend", "mvcc", "watch", "watch/watchtest", "bench/figure", "bench/layout"}},
	// Raw streams of etcd's protocol: what no client library would send.
	{
		pkg:  "bench/verify/wire",
		ours: []string{"mvcc", "watch", "bench/verify"},
		libs: []string{"go.etcd.io/etcd/api/v3", "google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		pkg:  "bench/etcd",
		ours: []string{"bench", "bench/figure", "mvcc", "watch"},
		libs: []string{
			"go.etcd.io/etcd/client/v3", "go.etcd.io/etcd/api/v3/", "google.golang.org/grpc", "go.uber.org/zap",
			"github.com/prometheus/common/expfmt", "github.com/prometheus/common/model", "github.com/prometheus/client_model/go",
			"github.com/prometheus/procfs",
		},
	},
	{
		pkg:  "bench/scenariofile",
		ours: []string{"bench", "bench/figure"},
		libs: []string{"go.yaml.in/yaml/v3", "github.com/agext/levenshtein"},
	},
	{
		pkg:  "bench/*",
		ours: []string{"bench", "bench/*"},
		libs: []string{"github.com/HdrHistogram/hdrhistogram-go", "github.com/jedib0t/go-pretty/v6/"},
	},
	{
		pkg: "cmd/watchbench",
		ours: []string{
			"backend", "backend/engines", "backend/bolt", "mvcc", "watch", "watch/watchtest",
			"bench", "bench/*", "bench/verify/wire", "cmd/watchbench/*",
		},
		libs: []string{
			"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/agext/levenshtein",
			"github.com/jedib0t/go-pretty/v6/", "golang.org/x/term",
			"github.com/prometheus/common/expfmt", "github.com/prometheus/common/model", "github.com/prometheus/client_model/go",
		},
	},
	{pkg: "bench/view", ours: []string{"bench"}, libs: []string{"github.com/HdrHistogram/hdrhistogram-go"}},
	{
		pkg:  "cmd/watchbench/*",
		ours: []string{"backend", "mvcc", "watch", "bench", "bench/*", "cmd/watchbench/*"},
		libs: []string{
			"github.com/jedib0t/go-pretty/v6/", "golang.org/x/term",
			// The live view.
			"charm.land/bubbletea/v2", "charm.land/lipgloss/v2", "github.com/charmbracelet/colorprofile",
			"github.com/charmbracelet/x/ansi", "github.com/guptarohit/asciigraph",
		},
	},
	{
		pkg:  "server",
		ours: []string{"backend", "mvcc", "watch", "lease", "server/*"},
		libs: []string{
			"go.etcd.io/etcd/api/v3", "go.etcd.io/etcd/client/v3", "google.golang.org/grpc", "google.golang.org/protobuf",
			"go.etcd.io/etcd/client/pkg/v3/types", "go.uber.org/zap",
			// Messages and services that etcd's api module lacks, no more of its server.
			"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb",
			"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb",
		},
	},
	// The file is bbolt's whatever the engine.
	{
		pkg:  "server/etcdfile",
		ours: []string{"backend", "backend/bolt", "mvcc"},
		libs: []string{"go.etcd.io/bbolt", "go.etcd.io/etcd/api/v3", "google.golang.org/protobuf"},
	},
	{
		pkg:  "server/metrics",
		ours: []string{"mvcc", "watch"},
		libs: []string{
			"go.etcd.io/etcd/api/v3", "google.golang.org/grpc", "google.golang.org/protobuf/proto",
			"github.com/prometheus/client_golang/prometheus", "github.com/prometheus/procfs",
		},
	},
	{
		pkg: "server/gateway",
		libs: []string{
			"go.etcd.io/etcd/api/v3", "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock", "go.etcd.io/etcd/server/v3/etcdserver/api/v3election",
			"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/grpc-ecosystem/grpc-gateway/v2/runtime", "github.com/coder/websocket",
		},
	},
	{pkg: "server/tlsconf", libs: []string{"go.etcd.io/etcd/client/pkg/v3/tlsutil"}},
	{
		pkg:  "server/*",
		ours: []string{"backend", "mvcc", "watch", "lease", "server", "server/*"},
		libs: []string{"go.etcd.io/etcd/api/v3", "google.golang.org/grpc", "google.golang.org/protobuf"},
	},
	{
		pkg:  "cmd/watchd",
		ours: []string{"backend", "backend/engines", "mvcc", "watch", "lease", "server", "server/*", "cmd/watchd/*"},
		libs: []string{
			"github.com/dustin/go-humanize", "github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/agext/levenshtein", "google.golang.org/grpc",
			"github.com/coreos/go-systemd/v22/daemon", "github.com/dustin/go-humanize", "go.etcd.io/etcd/api/v3/version",
			"go.yaml.in/yaml/v3", "golang.org/x/term", "google.golang.org/protobuf/proto",
		},
	},
	{pkg: "examples"},
	{pkg: "examples/embed-bolt", ours: []string{"backend", "backend/bolt", "mvcc", "watch"}},
	{pkg: "examples/embed-pebble", ours: []string{"backend", "backend/pebble", "mvcc", "watch"}},
	{pkg: "examples/embed-badger", ours: []string{"backend", "backend/badger", "mvcc", "watch"}},
	{pkg: "examples/embed-mem", ours: []string{"backend", "backend/mem", "mvcc", "watch"}},
	{pkg: "internal/interval", ours: []string{"internal/slab"}},
	{pkg: "internal/slab"},
	{pkg: "internal/invariant"},
	{pkg: "internal/arch"},
	// Certificates for the tests of the server.
	{pkg: "internal/testca", isTest: true},
	{pkg: "internal/examples"},
	{pkg: "internal/model", ours: []string{"mvcc", "watch"}, isTest: true},
	// Packages of tests alone: whatever the core has, on every engine.
	{pkg: "internal/faults", ours: []string{"backend", "backend/*", "mvcc", "watch", "watch/watchtest", "internal/model"}, isTest: true},
	{pkg: "internal/soak", ours: []string{"backend", "backend/*", "mvcc", "watch", "watch/watchtest", "internal/model"}, isTest: true},
	{
		pkg:    "internal/metamorphic",
		ours:   []string{"backend", "backend/*", "mvcc", "watch", "watch/watchtest", "internal/model"},
		libs:   []string{"github.com/anishathalye/porcupine"},
		isTest: true,
	},
}

// ruleFor finds the row of a package named by its path below the module.
func ruleFor(pkg string) (rule, bool) {
	for _, r := range rules {
		if matches(r.pkg, pkg) {
			return r, true
		}
	}
	return rule{}, false
}

// allows reports whether code under the rule may import path, a full import
// path outside the standard library.
func (r rule) allows(path string) bool {
	if below, ours := strings.CutPrefix(path, module+"/"); ours {
		return matchesAny(r.ours, below)
	}
	if strings.HasPrefix(path, "golang.org/x/sys/") {
		return true
	}
	if r.isTest && (strings.HasPrefix(path, "github.com/stretchr/testify/") || path == "pgregory.net/rapid") {
		return true
	}
	for _, lib := range r.libs {
		if path == lib || strings.HasPrefix(path, strings.TrimSuffix(lib, "/")+"/") {
			return true
		}
	}
	return false
}

func matchesAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if matches(p, pkg) {
			return true
		}
	}
	return false
}

func matches(pattern, pkg string) bool {
	if parent, any := strings.CutSuffix(pattern, "/*"); any {
		return strings.HasPrefix(pkg, parent+"/")
	}
	return pattern == pkg
}
