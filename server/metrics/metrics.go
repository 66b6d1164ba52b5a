package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
)

// Metrics is one server's figures. Its methods may be called from any
// goroutine.
type Metrics struct {
	cfg  Config
	book book

	methods methods
	calls   calls
	ops     ops
	leases  leases
	health  health

	eventsSent        atomic.Int64
	keepAliveFailures [2]atomic.Int64 // by Direction

	mu   sync.Mutex // guards open; a leaf
	open map[string]*Stream
	last int64 // number of the newest stream
}

// New makes the figures of a server.
func New(cfg Config) *Metrics {
	m := &Metrics{
		cfg:  cfg.withDefaults(),
		book: book{registry: prometheus.NewRegistry()},
		open: map[string]*Stream{},
	}
	m.book.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.methods.define(&m.book, cfg.Extensive)
	m.calls.define(&m.book)
	m.ops.define(&m.book)
	m.leases.define(&m.book)
	m.health.define(&m.book)
	m.identify()
	m.book.registry.MustRegister(newReader(m))
	return m
}

// identify sets what never changes.
func (m *Metrics) identify() {
	id := m.cfg.Identity
	m.book.gauges("etcd_server_version", "Which version is running. 1 for 'server_version' label with current version.", "server_version").
		WithLabelValues(id.Version).Set(1)
	m.book.gauges("etcd_server_go_version", "Which Go version server is running with. 1 for 'server_go_version' label with current version.", "server_go_version").
		WithLabelValues(runtime.Version()).Set(1)
	m.book.gauges("etcd_server_id", "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.", "server_id").
		WithLabelValues(hexID(id.MemberID)).Set(1)
	m.book.gauges("etcd_cluster_version", "Which version is running. 1 for 'cluster_version' label with current cluster version", "cluster_version").
		WithLabelValues(id.ClusterVersion).Set(1)
	m.book.gauges("watchkv_info", "Always 1; the labels say what is running.", "program", "engine", "durability").
		WithLabelValues(id.Program, id.Engine, id.Durability).Set(1)
	// A single member leads itself from its beginning.
	m.book.gauge("etcd_server_has_leader", "Whether or not a leader exists. 1 is existence, 0 is not.").Set(1)
	m.book.gauge("etcd_server_is_leader", "Whether or not this member is a leader. 1 if is, 0 otherwise.").Set(1)
	m.book.gauge("etcd_server_is_learner", "Whether or not this member is a learner. 1 if is, 0 otherwise.").Set(0)
	m.book.counter("etcd_server_leader_changes_seen_total", "The number of leader changes seen.").Inc()
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Registered gives every method of g its place on the page before its first
// call, as etcd does. Call it when all services are registered.
func (m *Metrics) Registered(g *grpc.Server) {
	for service, info := range g.GetServiceInfo() {
		for _, method := range info.Methods {
			m.methods.named("/"+service+"/"+method.Name, method.IsClientStream, method.IsServerStream)
		}
	}
}

// Gather reads all figures.
func (m *Metrics) Gather() prometheus.Gatherer { return m.book.registry }

// Page is the handler of /metrics.
func (m *Metrics) Page() http.Handler {
	return promhttp.InstrumentMetricHandler(m.book.registry,
		promhttp.HandlerFor(m.book.registry, promhttp.HandlerOpts{}))
}
