package metrics_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/watch"
)

// value reads one line of the page; "" if it is not there.
func value(t *testing.T, m *metrics.Metrics, line string) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Page().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body)
	for l := range strings.Lines(w.Body.String()) {
		if v, ok := strings.CutPrefix(l, line+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Every value of a source stands under its name.
func TestPage_ReadsItsSources(t *testing.T) {
	store := mvcc.Stats{Rev: 20, Applied: 19, CompactRev: 4, LiveKeys: 3, CompactedRecords: 5, LastCompaction: time.Unix(1234, 5), NoSpace: "full", ApplyTime: 1500 * time.Millisecond}
	store.Engine.DiskBytes, store.Engine.InUseBytes, store.Engine.OpenViews = 100, 60, 2
	hub := watch.Stats{Streams: 2, Synced: 5, Unsynced: 3, Victims: 1, PendingEvents: 9, VictimNext: 11, UnsyncedNext: 18, VictimsEver: 7}
	hub.CatchUp[watch.WayScan] = watch.WayStats{Events: 8, Bytes: 800}
	m := metrics.New(metrics.Config{
		Identity: metrics.Identity{Program: "watchd 1", Version: "3.7.3", ClusterVersion: "3.7.0", MemberID: 0xabc},
		Sources: metrics.Sources{
			Store: func() mvcc.Stats { return store }, Hub: func() watch.Stats { return hub },
			Alarms:     func() []*pb.AlarmMember { return []*pb.AlarmMember{{MemberID: 0xabc, Alarm: pb.AlarmType_NOSPACE}} },
			QuotaBytes: func() int64 { return 4096 }, LeasesExpired: func() int64 { return 6 }, LeasesRevoked: func() int64 { return 8 }, LeasesNow: func() int { return 2 },
		},
	})
	for line, want := range map[string]string{
		`etcd_server_version{server_version="3.7.3"}`:                        "1",
		`etcd_cluster_version{cluster_version="3.7.0"}`:                      "1",
		`etcd_server_id{server_id="abc"}`:                                    "1",
		`etcd_debugging_mvcc_keys_total`:                                     "3",
		`etcd_debugging_mvcc_current_revision`:                               "20",
		`etcd_debugging_mvcc_compact_revision`:                               "4",
		`etcd_debugging_mvcc_db_compaction_keys_total`:                       "5",
		`etcd_debugging_mvcc_db_compaction_last`:                             "1234",
		`etcd_mvcc_db_total_size_in_bytes`:                                   "100",
		`etcd_mvcc_db_total_size_in_use_in_bytes`:                            "60",
		`etcd_mvcc_db_open_read_transactions`:                                "2",
		`etcd_debugging_mvcc_watch_stream_total`:                             "2",
		`etcd_debugging_mvcc_watcher_total`:                                  "9",
		`etcd_debugging_mvcc_slow_watcher_total`:                             "4",
		`etcd_debugging_mvcc_pending_events_total`:                           "9",
		`etcd_server_quota_backend_bytes`:                                    "4096",
		`etcd_debugging_lease_revoked_total`:                                 "8",
		`etcd_debugging_server_lease_expired_total`:                          "6",
		`etcd_debugging_server_alarms{alarm_type="NOSPACE",server_id="abc"}`: "1",
		`watchkv_watch_watches{state="victim"}`:                              "1",
		`watchkv_watch_victims_total`:                                        "7",
		`watchkv_watch_catchup_bytes_total{way="scan"}`:                      "800",
		`watchkv_watch_lag_revisions`:                                        "10",
		`watchkv_store_apply_seconds_total`:                                  "1.5",
		`watchkv_store_refuses_puts`:                                         "1",
		`watchkv_store_failed`:                                               "0",
		`watchkv_leases`:                                                     "2",
		`watchkv_info{durability="",engine="",program="watchd 1"}`:           "1",
	} {
		assert.Equal(t, want, value(t, m, line), line)
	}
}

// A page of nothing is whole all the same, and no family is noted that is not
// registered, or the other way round.
func TestFamilies_AreThePage(t *testing.T) {
	m := metrics.New(metrics.Config{})
	assert.Equal(t, "-1", value(t, m, "etcd_debugging_mvcc_compact_revision"), "before the first compaction, as etcd")
	noted := map[string]metrics.Family{}
	for _, f := range m.Families() {
		require.NotContains(t, noted, f.Name)
		require.NotEmpty(t, f.Help)
		noted[f.Name] = f
	}
	families, err := m.Gather().Gather()
	require.NoError(t, err)
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		require.Contains(t, noted, name)
		assert.Equal(t, noted[name].Type, strings.ToLower(f.GetType().String()), name)
	}
}

// Two servers in one process do not mix.
func TestNew_SharesNothing(t *testing.T) {
	a, b := metrics.New(metrics.Config{}), metrics.New(metrics.Config{})
	a.Health(true)
	a.HealthCheck("readyz", "data_corruption", false)
	assert.Equal(t, "1", value(t, a, "etcd_server_health_success"))
	assert.Equal(t, "1", value(t, a, `etcd_server_healthchecks_total{name="data_corruption",status="error",type="readyz"}`))
	assert.Equal(t, "0", value(t, b, "etcd_server_health_success"))
	b.Health(false)
	assert.Equal(t, "1", value(t, b, "etcd_server_health_failures"))
}

// Our own names follow Prometheus' rules.
func TestNames_Lint(t *testing.T) {
	m := metrics.New(metrics.Config{})
	w := httptest.NewRecorder()
	m.Page().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	problems, err := promlint.New(bytes.NewReader(w.Body.Bytes())).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		assert.False(t, strings.HasPrefix(p.Metric, "watchkv_"), "%s: %s", p.Metric, p.Text)
	}
}

// fakeKV answers as told.
type fakeKV struct {
	pb.UnimplementedKVServer
	txn *pb.TxnResponse
	err error
}

func (f *fakeKV) Range(context.Context, *pb.RangeRequest) (*pb.RangeResponse, error) {
	return &pb.RangeResponse{}, f.err
}

func (f *fakeKV) Put(context.Context, *pb.PutRequest) (*pb.PutResponse, error) {
	return &pb.PutResponse{}, f.err
}

func (f *fakeKV) DeleteRange(context.Context, *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	return &pb.DeleteRangeResponse{}, f.err
}

func (f *fakeKV) Txn(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) { return f.txn, f.err }

// counts are ranges, puts, deletes, transactions and put bytes.
func counts(t *testing.T, m *metrics.Metrics) (all [5]string) {
	for i, name := range []string{"etcd_mvcc_range_total", "etcd_mvcc_put_total", "etcd_mvcc_delete_total", "etcd_mvcc_txn_total", "etcd_debugging_mvcc_total_put_size_in_bytes"} {
		all[i] = value(t, m, name)
	}
	return all
}

func TestKV_CountsAsEtcdDoes(t *testing.T) {
	put := func(r *pb.PutRequest) *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
	}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("k")}}}
	remove := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("k")}}}
	nested := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{
		Compare: []*pb.Compare{{Key: []byte("k")}}, Success: []*pb.RequestOp{remove}, Failure: []*pb.RequestOp{get},
	}}}
	ran := func(succeeded bool) *pb.ResponseOp {
		return &pb.ResponseOp{Response: &pb.ResponseOp_ResponseTxn{ResponseTxn: &pb.TxnResponse{Succeeded: succeeded}}}
	}
	key, val := []byte("k"), []byte("value")
	ctx := context.Background()
	for _, row := range []struct {
		name string
		fake fakeKV
		call func(s pb.KVServer) (any, error)
		want [5]string
	}{
		{"range", fakeKV{}, func(s pb.KVServer) (any, error) { return s.Range(ctx, &pb.RangeRequest{Key: key}) }, [5]string{"1", "0", "0", "0", "0"}},
		{"range of a compacted revision", fakeKV{err: rpctypes.ErrGRPCCompacted}, func(s pb.KVServer) (any, error) { return s.Range(ctx, &pb.RangeRequest{Key: key}) }, [5]string{"1", "0", "0", "0", "0"}},
		{"range without a key", fakeKV{err: rpctypes.ErrGRPCEmptyKey}, func(s pb.KVServer) (any, error) { return s.Range(ctx, &pb.RangeRequest{}) }, [5]string{"0", "0", "0", "0", "0"}},
		{"put", fakeKV{}, func(s pb.KVServer) (any, error) { return s.Put(ctx, &pb.PutRequest{Key: key, Value: val}) }, [5]string{"0", "1", "0", "0", "6"}},
		{"put that looks back", fakeKV{}, func(s pb.KVServer) (any, error) {
			return s.Put(ctx, &pb.PutRequest{Key: key, Value: val, PrevKv: true})
		}, [5]string{"1", "1", "0", "1", "6"}},
		{"put on nothing", fakeKV{err: rpctypes.ErrGRPCKeyNotFound}, func(s pb.KVServer) (any, error) { return s.Put(ctx, &pb.PutRequest{Key: key, IgnoreValue: true}) }, [5]string{"1", "0", "0", "0", "0"}},
		{"put with a lost lease", fakeKV{err: rpctypes.ErrGRPCLeaseNotFound}, func(s pb.KVServer) (any, error) { return s.Put(ctx, &pb.PutRequest{Key: key, Lease: 1}) }, [5]string{"0", "0", "0", "0", "0"}},
		{"delete with the previous", fakeKV{}, func(s pb.KVServer) (any, error) {
			return s.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key, PrevKv: true})
		}, [5]string{"1", "0", "1", "1", "0"}},
		{"one put in a transaction", fakeKV{txn: &pb.TxnResponse{Succeeded: true, Responses: make([]*pb.ResponseOp, 1)}}, func(s pb.KVServer) (any, error) {
			return s.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{put(&pb.PutRequest{Key: key, Value: val})}})
		}, [5]string{"0", "1", "0", "0", "6"}},
		{"conditions and writes are two", fakeKV{txn: &pb.TxnResponse{Responses: make([]*pb.ResponseOp, 2)}}, func(s pb.KVServer) (any, error) {
			return s.Txn(ctx, &pb.TxnRequest{Compare: []*pb.Compare{{Key: key}, {Key: key}}, Failure: []*pb.RequestOp{put(&pb.PutRequest{Key: key}), get}})
		}, [5]string{"3", "1", "0", "2", "1"}},
		{"what only reads is one", fakeKV{txn: &pb.TxnResponse{Succeeded: true, Responses: make([]*pb.ResponseOp, 1)}}, func(s pb.KVServer) (any, error) {
			return s.Txn(ctx, &pb.TxnRequest{Compare: []*pb.Compare{{Key: key}}, Success: []*pb.RequestOp{get}})
		}, [5]string{"2", "0", "0", "1", "0"}},
		{"nested, the other branch", fakeKV{txn: &pb.TxnResponse{Succeeded: true, Responses: []*pb.ResponseOp{ran(false)}}}, func(s pb.KVServer) (any, error) {
			return s.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{nested}})
		}, [5]string{"2", "0", "0", "0", "0"}},
		{"nested, the branch that writes", fakeKV{txn: &pb.TxnResponse{Succeeded: true, Responses: []*pb.ResponseOp{ran(true)}}}, func(s pb.KVServer) (any, error) {
			return s.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{nested}})
		}, [5]string{"1", "0", "1", "0", "0"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := metrics.New(metrics.Config{})
			_, err := row.call(m.KV(&row.fake))
			assert.Equal(t, row.fake.err, err)
			assert.Equal(t, row.want, counts(t, m))
		})
	}
}

// intercept runs a handler behind all unary interceptors.
func intercept(m *metrics.Metrics, ctx context.Context, method string, req any, handler grpc.UnaryHandler) (any, error) {
	for _, i := range m.Unary() {
		inner := handler
		handler = func(ctx context.Context, req any) (any, error) {
			return i(ctx, req, &grpc.UnaryServerInfo{FullMethod: method}, inner)
		}
	}
	return handler(ctx, req)
}

func TestUnary_CountsCallsAndDurations(t *testing.T) {
	m := metrics.New(metrics.Config{Extensive: true, SlowApply: time.Nanosecond})
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(rpctypes.MetadataClientAPIVersionKey, "3.7"))
	answer := func(err error) grpc.UnaryHandler {
		return func(context.Context, any) (any, error) { return nil, err }
	}
	for _, err := range []error{nil, rpctypes.ErrGRPCLeaseNotFound, rpctypes.ErrGRPCEmptyKey, rpctypes.ErrGRPCTimeout} {
		_, got := intercept(m, ctx, pb.KV_Put_FullMethodName, &pb.PutRequest{}, answer(err))
		assert.Equal(t, err, got)
	}
	_, _ = intercept(m, ctx, pb.KV_Range_FullMethodName, &pb.RangeRequest{}, answer(rpctypes.ErrGRPCCompacted))
	_, _ = intercept(m, context.Background(), pb.KV_Txn_FullMethodName, &pb.TxnRequest{}, answer(nil))
	_, _ = intercept(m, metadata.NewIncomingContext(context.Background(), metadata.MD{}), pb.Maintenance_HashKV_FullMethodName, &pb.HashKVRequest{}, answer(nil))
	_, err := intercept(m, metadata.NewIncomingContext(context.Background(), metadata.Pairs(rpctypes.MetadataClientAPIVersionKey, "\xff")), pb.KV_Range_FullMethodName, &pb.RangeRequest{}, func(context.Context, any) (any, error) {
		t.Error("called")
		return nil, nil
	})
	assert.Equal(t, rpctypes.ErrGRPCInvalidClientAPIVersion, err)
	for line, want := range map[string]string{
		`etcd_server_client_requests_total{client_api_version="3.7",type="unary"}`:                                     "5",
		`etcd_server_client_requests_total{client_api_version="unknown",type="unary"}`:                                 "1",
		`etcd_server_request_duration_seconds_count{success="true",type="Put"}`:                                        "2",
		`etcd_server_request_duration_seconds_count{success="false",type="Put"}`:                                       "1",
		`etcd_server_request_duration_seconds_count{success="false",type="Range"}`:                                     "1",
		`etcd_server_request_duration_seconds_count{success="true",type="ReadonlyTxn"}`:                                "1",
		`etcd_server_slow_apply_total`:                                                                                 "5",
		`etcd_mvcc_hash_rev_duration_seconds_count`:                                                                    "1",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}`: "1",
		`grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"}`:       "4",
	} {
		assert.Equal(t, want, value(t, m, line), line)
	}
}

// A client's end is no failure.
func TestKeepAliveFailed(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, row := range []struct {
		name  string
		ctx   context.Context
		err   error
		count bool
	}{
		{"no error", context.Background(), nil, false},
		{"the call has ended", ended, status.Error(codes.Internal, "x"), false},
		{"cancelled", context.Background(), status.Error(codes.Canceled, "context canceled"), false},
		{"too late", context.Background(), status.Error(codes.DeadlineExceeded, "x"), false},
		{"gone, by TLS", context.Background(), status.Error(codes.Unavailable, "client disconnected"), false},
		{"stream cancelled", context.Background(), status.Error(codes.Unavailable, "stream error: stream ID 21; CANCEL"), false},
		{"a broken transport", context.Background(), status.Error(codes.Unavailable, "transport is closing"), true},
		{"no status at all", context.Background(), assert.AnError, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := metrics.New(metrics.Config{})
			assert.Equal(t, row.count, m.KeepAliveFailed(row.ctx, metrics.Receive, row.err))
			want := ""
			if row.count {
				want = "1"
			}
			assert.Equal(t, want, value(t, m, `etcd_network_server_stream_failures_total{API="lease-keepalive",Type="receive"}`))
		})
	}
}

// What the send loops took is etcd's histograms.
func TestStreams_Durations(t *testing.T) {
	m := metrics.New(metrics.Config{Sources: metrics.Sources{Streams: func() metrics.StreamStats {
		sent := metrics.Durations{Count: 6, Sum: 2 * time.Second}
		sent.Within[0], sent.Within[2] = 3, 2
		return metrics.StreamStats{SendFailures: 2, Sent: sent}
	}}})
	s := m.OpenStream(context.Background())
	defer s.Close()
	s.Sent(3)
	const name = "etcd_debugging_server_watch_send_loop_watch_stream_duration_seconds"
	for line, want := range map[string]string{
		"etcd_debugging_mvcc_events_total": "3",
		name + "_count":                    "6",
		name + "_sum":                      "2",
		name + `_bucket{le="0.001"}`:       "3",
		name + `_bucket{le="0.002"}`:       "3",
		name + `_bucket{le="0.004"}`:       "5",
		name + `_bucket{le="8.192"}`:       "5",
		name + `_bucket{le="+Inf"}`:        "6",
		`etcd_network_server_stream_failures_total{API="watch",Type="send"}`:    "2",
		`etcd_network_server_stream_failures_total{API="watch",Type="receive"}`: "",
	} {
		assert.Equal(t, want, value(t, m, line), line)
	}
	assert.NotEqual(t, s.Name(), m.OpenStream(context.Background()).Name())
}

// Messages of a stream count whether or not they get through; so does a call
// that ends by an error of its context, or by a code that grpc does not know.
func TestStreaming_CountsMessages(t *testing.T) {
	m := metrics.New(metrics.Config{})
	run := func(info *grpc.StreamServerInfo, end error) {
		handler := func(_ any, s grpc.ServerStream) error {
			for range 3 {
				_ = s.SendMsg(nil)
			}
			_ = s.RecvMsg(nil)
			return end
		}
		for _, i := range m.Streaming() {
			inner := handler
			handler = func(srv any, s grpc.ServerStream) error { return i(srv, s, info, inner) }
		}
		assert.Equal(t, end, handler(nil, silent{}))
	}
	run(&grpc.StreamServerInfo{FullMethod: pb.Watch_Watch_FullMethodName, IsClientStream: true, IsServerStream: true}, context.Canceled)
	run(&grpc.StreamServerInfo{FullMethod: pb.Maintenance_Snapshot_FullMethodName, IsServerStream: true}, nil)
	run(&grpc.StreamServerInfo{FullMethod: "/s/m", IsClientStream: true}, status.Error(codes.Code(99), "odd"))
	for line, want := range map[string]string{
		`grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}`:                           "1",
		`grpc_server_msg_sent_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}`:                          "3",
		`grpc_server_msg_received_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}`:                      "1",
		`grpc_server_handled_total{grpc_code="Canceled",grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}`:      "1",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Snapshot",grpc_service="etcdserverpb.Maintenance",grpc_type="server_stream"}`: "1",
		`grpc_server_handled_total{grpc_code="Code(99)",grpc_method="m",grpc_service="s",grpc_type="client_stream"}`:                         "1",
	} {
		assert.Equal(t, want, value(t, m, line), line)
	}
}

// A client cannot make more series than there is room for.
func TestUnary_VersionsAreBounded(t *testing.T) {
	m := metrics.New(metrics.Config{})
	say := func(version string) {
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(rpctypes.MetadataClientAPIVersionKey, version))
		_, err := intercept(m, ctx, pb.KV_Range_FullMethodName, &pb.RangeRequest{}, func(context.Context, any) (any, error) { return nil, nil })
		require.NoError(t, err)
	}
	say("3.7")
	for i := range 100 {
		say(strconv.Itoa(i))
		say(strings.Repeat("x", 1000+i))
	}
	say("3.7")
	assert.Equal(t, "2", value(t, m, `etcd_server_client_requests_total{client_api_version="3.7",type="unary"}`))
	assert.Equal(t, "169", value(t, m, `etcd_server_client_requests_total{client_api_version="other",type="unary"}`))
	assert.Equal(t, "1", value(t, m, `etcd_server_client_requests_total{client_api_version="30",type="unary"}`))
	assert.Empty(t, value(t, m, `etcd_server_client_requests_total{client_api_version="31",type="unary"}`))
}
