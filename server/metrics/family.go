package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Family is one name on the page.
type Family struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// book makes metrics in one registry and remembers their families.
type book struct {
	registry *prometheus.Registry
	families []Family
}

func (b *book) note(kind, name, help string, labels []string) {
	b.families = append(b.families, Family{Name: name, Type: kind, Labels: labels, Help: help})
}

func (b *book) counter(name, help string) prometheus.Counter {
	b.note("counter", name, help, nil)
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	b.registry.MustRegister(c)
	return c
}

func (b *book) counters(name, help string, labels ...string) *prometheus.CounterVec {
	b.note("counter", name, help, labels)
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	b.registry.MustRegister(c)
	return c
}

func (b *book) gauge(name, help string) prometheus.Gauge {
	b.note("gauge", name, help, nil)
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	b.registry.MustRegister(g)
	return g
}

func (b *book) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	b.note("gauge", name, help, labels)
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	b.registry.MustRegister(g)
	return g
}

func (b *book) histogram(name, help string, buckets []float64) prometheus.Histogram {
	b.note("histogram", name, help, nil)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	b.registry.MustRegister(h)
	return h
}

func (b *book) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	b.note("histogram", name, help, labels)
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	b.registry.MustRegister(h)
	return h
}

// Families are the names that this package makes, sorted. Those of libraries
// (go_*, process_*, promhttp_*) are not among them.
func (m *Metrics) Families() []Family {
	out := slices.Clone(m.book.families)
	slices.SortFunc(out, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	return out
}
