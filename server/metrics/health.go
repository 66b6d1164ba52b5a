package metrics

import "github.com/prometheus/client_golang/prometheus"

type health struct {
	success, failures prometheus.Counter
	check             *prometheus.GaugeVec
	checks            *prometheus.CounterVec
}

func (h *health) define(b *book) {
	h.success = b.counter("etcd_server_health_success", "The total number of successful health checks")
	h.failures = b.counter("etcd_server_health_failures", "The total number of failed health checks")
	h.check = b.gauges("etcd_server_healthcheck", "The result of each kind of healthcheck.", "type", "name")
	h.checks = b.counters("etcd_server_healthchecks_total", "The total number of each kind of healthcheck.", "type", "name", "status")
}

// Health counts an answer of /health.
func (m *Metrics) Health(healthy bool) {
	if healthy {
		m.health.success.Inc()
	} else {
		m.health.failures.Inc()
	}
}

// HealthCheck counts one check of /livez or /readyz, by etcd's words: kind is
// "livez" or "readyz", name such as "serializable_read".
func (m *Metrics) HealthCheck(kind, name string, healthy bool) {
	result := "error"
	if healthy {
		result = "success"
	}
	m.health.check.WithLabelValues(kind, name).Set(boolean(healthy))
	m.health.checks.WithLabelValues(kind, name, result).Inc()
}
