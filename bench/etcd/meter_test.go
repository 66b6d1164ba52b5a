package etcd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = `# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.5
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 1.048576e+06
# TYPE etcd_debugging_mvcc_slow_watcher_total gauge
etcd_debugging_mvcc_slow_watcher_total 42
# TYPE etcd_disk_wal_fsync_duration_seconds histogram
etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"} 5
etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"} 10
etcd_disk_wal_fsync_duration_seconds_sum 0.02
etcd_disk_wal_fsync_duration_seconds_count 10
`

func TestParseMetrics(t *testing.T) {
	u, err := parseMetrics(strings.NewReader(page))
	require.NoError(t, err)
	assert.Equal(t, Usage{
		CPU: 12500 * time.Millisecond, MemoryBytes: 1 << 20, SlowWatchers: 42, Fsyncs: 10, FsyncTime: 20 * time.Millisecond,
		KnowsCPU: true, KnowsMemory: true, KnowsSlow: true, KnowsFsync: true,
	}, u)
	_, err = parseMetrics(strings.NewReader("<html>not it</html>\n"))
	assert.ErrorContains(t, err, "no Prometheus text")
	_, err = parseMetrics(strings.NewReader(""))
	assert.ErrorContains(t, err, "holds no metrics")
}

func TestMetricsMeter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, page)
	}))
	u, err := MetricsMeter{URL: server.URL + "/metrics"}.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, int64(42), u.SlowWatchers)
	_, err = MetricsMeter{URL: server.URL + "/other"}.Read(t.Context())
	assert.EqualError(t, err, "the answer is 404 Not Found")
	server.Close()
	_, err = MetricsMeter{URL: server.URL + "/metrics"}.Read(t.Context())
	assert.ErrorContains(t, err, "refused")
}

// readings is a meter that was read before.
type readings struct {
	all []Usage
	err error
}

func (r *readings) Name() string { return "readings" }

func (r *readings) Read(context.Context) (u Usage, err error) {
	if len(r.all) == 0 {
		return u, r.err
	}
	u, r.all = r.all[0], r.all[1:]
	return u, nil
}

// What a part used is the difference, or the most seen; what was not told is
// absent with its reason.
func TestMeterServer(t *testing.T) {
	meter := &readings{all: []Usage{
		{CPU: time.Second, MemoryBytes: 100, KnowsCPU: true, KnowsMemory: true},
		{CPU: 3 * time.Second, MemoryBytes: 70, KnowsCPU: true, KnowsMemory: true},
	}}
	stop := (&target{kind: &Kind{config: Config{Meter: meter}}}).MeterServer()
	metrics, absent := stop()
	assert.Positive(t, metrics["server.cpu_cores"])
	assert.Equal(t, 100.0, metrics["server.memory_max_bytes"])
	assert.Equal(t, "readings does not tell it", absent["server.slow_watchers_max"])
	assert.Len(t, serverMetrics, len(metrics)+len(absent))

	stop = (&target{kind: &Kind{config: Config{Meter: &readings{all: []Usage{
		{CPU: 3 * time.Second, Fsyncs: 5, MemoryBytes: 100, KnowsCPU: true, KnowsFsync: true, KnowsMemory: true},
		{CPU: time.Second, Fsyncs: 9, MemoryBytes: 70, KnowsCPU: true, KnowsFsync: true, KnowsMemory: true},
	}}}}}).MeterServer()
	metrics, absent = stop()
	assert.Equal(t, map[string]float64{"server.memory_max_bytes": 100}, metrics)
	for _, name := range []string{"server.cpu_cores", "server.fsyncs_per_s", "server.fsync_mean_ns"} {
		assert.Equal(t, "the server was restarted meanwhile", absent[name])
	}

	stop = (&target{kind: &Kind{config: Config{Meter: &readings{err: errors.New("it is gone")}}}}).MeterServer()
	metrics, absent = stop()
	assert.Empty(t, metrics)
	assert.Equal(t, "readings: it is gone", absent["server.cpu_cores"])

	metrics, absent = (&target{kind: &Kind{}}).MeterServer()()
	assert.Empty(t, metrics)
	assert.Equal(t, "no --server-pid and no --server-metrics", absent["server.cpu_cores"])
}

func TestPIDMeter(t *testing.T) {
	u, err := PIDMeter{PID: os.Getpid()}.Read(t.Context())
	if err != nil { // not on Linux
		assert.ErrorContains(t, err, "use --server-metrics")
		return
	}
	assert.Positive(t, u.MemoryBytes)
	_, err = PIDMeter{PID: 1 << 30}.Read(t.Context())
	assert.EqualError(t, err, "no process 1073741824 here")
}

// steadyMeter uses half a processor, as far as it tells.
type steadyMeter struct {
	began time.Time
	reads chan struct{}
}

func (steadyMeter) Name() string { return "steady" }

func (m steadyMeter) Read(context.Context) (Usage, error) {
	select {
	case m.reads <- struct{}{}:
	default:
	}
	return Usage{CPU: time.Since(m.began) / 2, KnowsCPU: true, SlowWatchers: 3, KnowsSlow: true}, nil
}

// A live view sees what was read, and -1 for what is not told.
func TestServerNow(t *testing.T) {
	m := steadyMeter{time.Now(), make(chan struct{}, 1)}
	target := &target{kind: &Kind{config: Config{Meter: m}}}
	assert.Nil(t, target.ServerNow())
	stop := target.MeterServer()
	first := target.ServerNow()
	require.NotNil(t, first)
	assert.InDelta(t, -1, first.CPU, 0, "one look tells no rate")
	assert.Equal(t, int64(-1), first.MemoryBytes)
	<-m.reads
	<-m.reads
	stop()
	now := target.ServerNow()
	assert.InDelta(t, 0.5, now.CPU, 0.1)
	assert.Equal(t, int64(3), now.SlowWatchers)
}
