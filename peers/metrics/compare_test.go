package metrics_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gauge is the sum over a family; -1 if it is not there.
func gauge(page families, name string) float64 {
	sum, metrics := 0.0, page[name].GetMetric()
	if len(metrics) == 0 {
		return -1
	}
	for _, m := range metrics {
		sum += m.GetGauge().GetValue()
	}
	return sum
}

// counter is the sum over a family.
func counter(page families, name string) (sum float64) {
	for _, m := range page[name].GetMetric() {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

// point is one metric with the figure that is compared.
type point struct {
	name   string // with labels
	figure float64
}

// points are the figures of a family: gauges as they are, counters as they
// are, histograms by their count.
func points(f *dto.MetricFamily) (all []point) {
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		slices.Sort(labels)
		p := point{name: f.GetName() + "{" + strings.Join(labels, ",") + "}"}
		switch f.GetType() {
		case dto.MetricType_GAUGE:
			p.figure = m.GetGauge().GetValue()
		case dto.MetricType_COUNTER:
			p.figure = m.GetCounter().GetValue()
		case dto.MetricType_HISTOGRAM:
			p.figure = float64(m.GetHistogram().GetSampleCount())
		case dto.MetricType_SUMMARY:
			p.figure = float64(m.GetSummary().GetSampleCount())
		default:
			p.figure = m.GetUntyped().GetValue()
		}
		all = append(all, p)
	}
	return all
}

// grown are what the script did to a family: what counters and histograms
// grew by, gauges as they stand. What is 0 is not told apart from what is not
// there: etcd shows some of its labels only once they counted. Points with one
// of the labels are left out.
func grown(before, after *dto.MetricFamily, without ...string) map[string]float64 {
	out := map[string]float64{}
	for _, p := range points(after) {
		out[p.name] = p.figure
	}
	if after.GetType() != dto.MetricType_GAUGE {
		for _, p := range points(before) {
			out[p.name] -= p.figure
		}
	}
	for name, figure := range out {
		if figure == 0 || slices.ContainsFunc(without, func(label string) bool { return strings.Contains(name, label) }) {
			delete(out, name)
		}
	}
	return out
}

// labels are the names of a family's labels.
func labels(f *dto.MetricFamily) (names []string) {
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			if !slices.Contains(names, l.GetName()) {
				names = append(names, l.GetName())
			}
		}
	}
	slices.Sort(names)
	return names
}

// bounds are the buckets of a histogram.
func bounds(f *dto.MetricFamily) (all []float64) {
	if len(f.GetMetric()) > 0 {
		for _, b := range f.GetMetric()[0].GetHistogram().GetBucket() {
			all = append(all, b.GetUpperBound())
		}
	}
	return all
}

// Metrics: one script against a real etcd and this server; what both claim has
// the same type, labels and value, but for the differences in docs/metrics.md;
// what etcd has alone is listed there, with the reason.
func TestMetrics_AsEtcds(t *testing.T) {
	doc := readDoc(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sides := []*side{startEtcd(t), startOurs(t)}
	before, after := make([]families, 2), make([]families, 2)
	asked := make([]*script, 2)
	for i, s := range sides { // both leases run at the same time
		before[i] = s.page(t)
		asked[i] = &script{side: s, t: t, ctx: ctx}
		asked[i].shortLease()
	}
	for i, s := range sides {
		asked[i].expired() // before all else, so that every revision is the same
		asked[i].run()
		after[i] = s.settled(t)
		asked[i].health() // with etcd it counts ranges too, here it does not
		asked[i].slow()
		page := s.page(t)
		for name := range page {
			if strings.HasPrefix(name, "etcd_server_health") {
				after[i][name] = page[name]
			}
		}
	}
	theirs, ours := after[0], after[1]
	for name, f := range theirs {
		mine, both := ours[name]
		if !both {
			assert.Contains(t, doc.absent, name, "ABSENT %s: etcd has it, this server has not, and docs/metrics.md does not say why", name)
			continue
		}
		assert.NotContains(t, doc.absent, name, "docs/metrics.md says it is not here")
		assert.Equal(t, f.GetType(), mine.GetType(), name)
		assert.Equal(t, f.GetHelp(), mine.GetHelp(), name)
		if doc.unlike[name] != "" {
			continue
		}
		if l := labels(f); len(l) > 0 && len(labels(mine)) > 0 {
			assert.Equal(t, l, labels(mine), name)
		}
		if b := bounds(f); b != nil && bounds(mine) != nil {
			assert.Equal(t, b, bounds(mine), name)
		}
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && !strings.HasPrefix(name, "promhttp_") {
			without := doc.points[name]
			assert.Equal(t, grown(before[0][name], f, without...), grown(before[1][name], mine, without...), name)
		}
	}
	const received = "etcd_network_client_grpc_received_bytes_total"
	assert.InDelta(t, grown(before[0][received], theirs[received])[received+"{}"], grown(before[1][received], ours[received])[received+"{}"], 20, "but for the lengths of ids")
	for name := range ours {
		_, both := theirs[name]
		assert.True(t, both || strings.HasPrefix(name, "watchkv_"), "%s is not etcd's, and does not begin with watchkv_", name)
	}
	for name := range doc.absent {
		assert.True(t, theirs[name] != nil, "docs/metrics.md speaks of %s, which etcd does not have", name)
	}
	for name := range doc.unlike {
		assert.True(t, theirs[name] != nil && ours[name] != nil, "docs/metrics.md speaks of %s, which not both have", name)
	}
}

// settled is the page once nothing is under way but the script's first watch
// stream.
func (s *side) settled(t *testing.T) (page families) {
	require.Eventually(t, func() bool {
		page = s.page(t)
		return gauge(page, "etcd_debugging_mvcc_pending_events_total") == 0 && gauge(page, "etcd_debugging_mvcc_watcher_total") == 2 &&
			counter(page, "grpc_server_started_total")-counter(page, "grpc_server_handled_total") == 1
	}, time.Minute, 10*time.Millisecond, s.name)
	return page
}
