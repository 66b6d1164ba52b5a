package etcd

import (
	"errors"
	"fmt"
	"io"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Names on etcd's metrics page.
const (
	cpuMetric    = "process_cpu_seconds_total"
	memoryMetric = "process_resident_memory_bytes"
	slowMetric   = "etcd_debugging_mvcc_slow_watcher_total"
	fsyncMetric  = "etcd_disk_wal_fsync_duration_seconds"
	dbMetric     = "etcd_mvcc_db_total_size_in_bytes"
)

// parseMetrics reads Prometheus' text format.
func parseMetrics(r io.Reader) (u Usage, err error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return u, fmt.Errorf("no Prometheus text: %w", err)
	}
	if len(families) == 0 {
		return u, errors.New("the page holds no metrics")
	}
	var seconds, bytes, slow, db float64
	seconds, u.KnowsCPU = value(families[cpuMetric])
	bytes, u.KnowsMemory = value(families[memoryMetric])
	slow, u.KnowsSlow = value(families[slowMetric])
	db, u.KnowsDB = value(families[dbMetric])
	u.CPU, u.MemoryBytes, u.SlowWatchers, u.DBBytes = time.Duration(seconds*float64(time.Second)), int64(bytes), int64(slow), int64(db)
	if f := families[fsyncMetric]; len(f.GetMetric()) > 0 && f.GetMetric()[0].GetHistogram() != nil {
		h := f.GetMetric()[0].GetHistogram()
		u.KnowsFsync, u.Fsyncs, u.FsyncTime = true, float64(h.GetSampleCount()), time.Duration(h.GetSampleSum()*float64(time.Second))
	}
	return u, nil
}

// value is the sum over a family's metrics.
func value(f *dto.MetricFamily) (sum float64, known bool) {
	for _, m := range f.GetMetric() {
		switch {
		case m.GetGauge() != nil:
			sum += m.GetGauge().GetValue()
		case m.GetCounter() != nil:
			sum += m.GetCounter().GetValue()
		case m.GetUntyped() != nil:
			sum += m.GetUntyped().GetValue()
		default:
			continue
		}
		known = true
	}
	return sum, known
}
