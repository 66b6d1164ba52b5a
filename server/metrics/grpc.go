package metrics

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// calls are counted by the interceptors.
type calls struct {
	requests       *prometheus.CounterVec
	versions       sync.Map // of clients' APIs, that have a series
	versionsSeen   atomic.Int64
	sent, received prometheus.Counter
	duration       *prometheus.HistogramVec
	slow           prometheus.Counter

	hash, hashRev, defrag, snapshot prometheus.Histogram
	defragging                      prometheus.Gauge
}

// milliseconds are the buckets of most of etcd's durations: 1 ms to 8.192 s.
func milliseconds() []float64 { return prometheus.ExponentialBuckets(0.001, 2, 14) }

func (c *calls) define(b *book) {
	c.requests = b.counters("etcd_server_client_requests_total", "The total number of client requests per client version.", "type", "client_api_version")
	c.sent = b.counter("etcd_network_client_grpc_sent_bytes_total", "The total number of bytes sent to grpc clients.")
	c.received = b.counter("etcd_network_client_grpc_received_bytes_total", "The total number of bytes received from grpc clients.")
	c.duration = b.histograms("etcd_server_request_duration_seconds", "Response latency distribution in seconds for each type.", milliseconds(), "type", "success")
	c.slow = b.counter("etcd_server_slow_apply_total", "The total number of slow apply requests (likely overloaded from slow disk).")
	c.hash = b.histogram("etcd_mvcc_hash_duration_seconds", "The latency distribution of storage hash operation.", prometheus.ExponentialBuckets(.01, 2, 15))
	c.hashRev = b.histogram("etcd_mvcc_hash_rev_duration_seconds", "The latency distribution of storage hash by revision operation.", prometheus.ExponentialBuckets(.01, 2, 15))
	c.defrag = b.histogram("etcd_disk_backend_defrag_duration_seconds", "The latency distribution of backend defragmentation.", prometheus.ExponentialBuckets(.1, 2, 13))
	c.snapshot = b.histogram("etcd_disk_backend_snapshot_duration_seconds", "The latency distribution of backend snapshots.", prometheus.ExponentialBuckets(.01, 2, 17))
	c.defragging = b.gauge("etcd_disk_defrag_inflight", "Whether or not defrag is active on the member. 1 means active, 0 means not.")
}

// Unary are the interceptors of unary calls, the outermost first.
func (m *Metrics) Unary() []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{m.methods.unary, m.unary}
}

// Streaming are the interceptors of streams, the outermost first.
func (m *Metrics) Streaming() []grpc.StreamServerInterceptor {
	return []grpc.StreamServerInterceptor{m.methods.streaming, m.streaming}
}

// Sent and Received count the bytes of one message, as encoded and not
// compressed. They are for the codec.
func (m *Metrics) Sent(bytes int) { m.calls.sent.Add(float64(bytes)) }

// Received counts the bytes of one message that came.
func (m *Metrics) Received(bytes int) { m.calls.received.Add(float64(bytes)) }

func (m *Metrics) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := m.countRequest(ctx, "unary"); err != nil {
		return nil, err
	}
	switch info.FullMethod {
	case pb.Maintenance_Defragment_FullMethodName:
		m.calls.defragging.Set(1)
		defer m.calls.defragging.Set(0)
		defer observe(m.calls.defrag, time.Now())
	case pb.Maintenance_Hash_FullMethodName:
		defer observe(m.calls.hash, time.Now())
	case pb.Maintenance_HashKV_FullMethodName:
		defer observe(m.calls.hashRev, time.Now())
	}
	began := time.Now()
	resp, err := handler(ctx, req)
	if kind := requestKind(req); kind != "" && !refused(err) {
		m.took(kind, time.Since(began), err == nil || decidedByStore(kind, err))
	}
	return resp, err
}

func (m *Metrics) streaming(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := m.countRequest(ss.Context(), "stream"); err != nil {
		return err
	}
	if info.FullMethod == pb.Maintenance_Snapshot_FullMethodName {
		defer observe(m.calls.snapshot, time.Now())
	}
	return handler(srv, ss)
}

// countRequest counts a call by the version of the client's API. One that is
// no text is refused, as etcd does.
func (m *Metrics) countRequest(ctx context.Context, kind string) error {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return nil
	}
	version := "unknown"
	if given := md.Get(rpctypes.MetadataClientAPIVersionKey); len(given) > 0 {
		version = given[0]
	}
	if !utf8.ValidString(version) {
		return rpctypes.ErrGRPCInvalidClientAPIVersion
	}
	m.calls.requests.WithLabelValues(kind, m.calls.versionLabel(version)).Inc()
	return nil
}

// A client says what version it likes, and each is a series for good: so only
// so many, and none that is longer than versions are.
const (
	versionsMost = 32
	versionLong  = 16
	versionOther = "other"
)

// versionLabel is the version if it is one of the first that were seen.
func (c *calls) versionLabel(version string) string {
	if _, known := c.versions.Load(version); known {
		return version
	}
	if len(version) > versionLong || c.versionsSeen.Load() >= versionsMost || c.versionsSeen.Add(1) > versionsMost {
		return versionOther
	}
	c.versions.Store(version, true)
	return version
}

func observe(h prometheus.Histogram, began time.Time) { h.Observe(time.Since(began).Seconds()) }

func (m *Metrics) took(kind string, d time.Duration, success bool) {
	m.calls.duration.WithLabelValues(kind, strconv.FormatBool(success)).Observe(d.Seconds())
	if d > m.cfg.SlowApply && kind != "Compaction" { // which may wait until all is deleted
		m.calls.slow.Inc()
	}
}

// requestKind is etcd's name for a request that reaches the store; "" for
// others.
func requestKind(req any) string {
	switch r := req.(type) {
	case *pb.RangeRequest:
		return "Range"
	case *pb.PutRequest:
		return "Put"
	case *pb.DeleteRangeRequest:
		return "DeleteRange"
	case *pb.TxnRequest:
		if readOnly(r) {
			return "ReadonlyTxn"
		}
		return "Txn"
	case *pb.CompactionRequest:
		return "Compaction"
	case *pb.LeaseGrantRequest:
		return "LeaseGrant"
	case *pb.LeaseRevokeRequest:
		return "LeaseRevoke"
	case *pb.AlarmRequest:
		return "Alarm"
	case *pb.AuthenticateRequest: // refused before it gets so far
	case proto.Message:
		if name := string(proto.MessageName(r).Name()); strings.HasPrefix(name, "Auth") {
			return strings.TrimSuffix(name, "Request")
		}
	}
	return ""
}

// refused tells that a request had the wrong form: it never reached the store,
// and etcd does not count its duration.
func refused(err error) bool {
	return is(err, rpctypes.ErrGRPCEmptyKey, rpctypes.ErrGRPCValueProvided, rpctypes.ErrGRPCLeaseProvided,
		rpctypes.ErrGRPCTooManyOps, rpctypes.ErrGRPCDuplicateKey, rpctypes.ErrGRPCInvalidSortOption)
}

// decidedByStore tells that the store refused a write for what it holds, or
// for its size. With etcd such a request was a success.
func decidedByStore(kind string, err error) bool {
	if strings.HasPrefix(kind, "Auth") {
		return true
	}
	return kind != "Range" && kind != "ReadonlyTxn" &&
		is(err, rpctypes.ErrGRPCKeyNotFound, rpctypes.ErrGRPCLeaseNotFound, rpctypes.ErrGRPCLeaseExist, rpctypes.ErrGRPCCompacted,
			rpctypes.ErrGRPCFutureRev, rpctypes.ErrGRPCPermissionDenied, rpctypes.ErrGRPCNoSpace, rpctypes.ErrGRPCRequestTooLarge)
}

// is tells whether err is one of etcd's, by code and text.
func is(err error, of ...error) bool {
	if err == nil {
		return false
	}
	got := status.Convert(err)
	return slices.ContainsFunc(of, func(e error) bool {
		want := status.Convert(e)
		return got.Code() == want.Code() && got.Message() == want.Message()
	})
}
