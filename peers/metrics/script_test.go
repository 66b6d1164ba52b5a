package metrics_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// script is what both sides are asked. Every step waits for its answer, so
// that the counts are of the same things.
type script struct {
	*side
	t   *testing.T
	ctx context.Context
}

func (s *script) run() {
	s.puts()
	s.ranges()
	s.deletes()
	s.transactions()
	s.watches()
	s.leases()
	s.compactions()
	s.maintenance()
	s.others()
}

func (s *script) fine(_ any, err error) { require.NoError(s.t, err, s.name) }

func (s *script) refused(want error) func(any, error) {
	return func(_ any, err error) {
		require.Error(s.t, err, s.name)
		require.Equal(s.t, rpctypes.ErrorDesc(want), rpctypes.ErrorDesc(err), s.name)
	}
}

func (s *script) puts() {
	kv := pb.NewKVClient(s.conn)
	for i := range 20 {
		s.fine(s.client.Put(s.ctx, fmt.Sprintf("k%02d", i), "value"))
	}
	s.fine(s.client.Put(s.ctx, "k00", "again", clientv3.WithPrevKV()))
	s.fine(s.client.Put(s.ctx, "k00", "", clientv3.WithIgnoreValue()))
	s.fine(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("plain")}))
	s.refused(rpctypes.ErrGRPCKeyNotFound)(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("none"), IgnoreLease: true}))
	s.refused(rpctypes.ErrGRPCLeaseNotFound)(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k00"), Lease: 77}))
	s.refused(rpctypes.ErrGRPCEmptyKey)(kv.Put(s.ctx, &pb.PutRequest{}))
	s.refused(rpctypes.ErrGRPCRequestTooLarge)(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k"), Value: bytes.Repeat([]byte("x"), 1700<<10)}))
}

func (s *script) ranges() {
	kv := pb.NewKVClient(s.conn)
	s.fine(s.client.Get(s.ctx, "k", clientv3.WithPrefix()))
	s.fine(s.client.Get(s.ctx, "k", clientv3.WithPrefix(), clientv3.WithCountOnly()))
	s.fine(s.client.Get(s.ctx, "k00", clientv3.WithSerializable()))
	s.fine(s.client.Get(s.ctx, "nothing"))
	s.refused(rpctypes.ErrGRPCFutureRev)(kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), Revision: 1 << 40}))
	s.refused(rpctypes.ErrGRPCEmptyKey)(kv.Range(s.ctx, &pb.RangeRequest{}))
	stream, err := kv.RangeStream(s.ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), CountOnly: true})
	require.NoError(s.t, err)
	s.drain(func() error { _, err := stream.Recv(); return err })
}

// drain receives to the end.
func (s *script) drain(recv func() error) {
	for {
		if err := recv(); err != nil {
			require.Equal(s.t, "EOF", err.Error(), s.name)
			return
		}
	}
}

func (s *script) deletes() {
	s.fine(s.client.Delete(s.ctx, "k19"))
	s.fine(s.client.Delete(s.ctx, "k1", clientv3.WithPrefix(), clientv3.WithPrevKV()))
	s.fine(s.client.Delete(s.ctx, "nothing"))
}

func (s *script) transactions() {
	is := func(key string) clientv3.Cmp { return clientv3.Compare(clientv3.Version(key), ">", 0) }
	s.fine(s.client.Txn(s.ctx).If(is("k00")).Then(clientv3.OpPut("t", "1"), clientv3.OpGet("k00")).Commit())
	s.fine(s.client.Txn(s.ctx).If(is("none")).Then(clientv3.OpPut("t", "2")).Else(clientv3.OpDelete("t"), clientv3.OpPut("u", "1", clientv3.WithPrevKV())).Commit())
	s.fine(s.client.Txn(s.ctx).If(is("k00"), is("k01")).Then(clientv3.OpGet("k00")).Commit())
	s.fine(s.client.Txn(s.ctx).Then(
		clientv3.OpPut("v", "1"),
		clientv3.OpTxn([]clientv3.Cmp{is("k00")}, []clientv3.Op{clientv3.OpPut("w", "1"), clientv3.OpDelete("none")}, nil),
	).Commit())
	s.refused(rpctypes.ErrGRPCDuplicateKey)(s.client.Txn(s.ctx).Then(clientv3.OpPut("v", "1"), clientv3.OpPut("v", "2")).Commit())
}

// watches has three watches on a stream: one is cancelled, two stay to the end
// of the script; and a stream that is ended.
func (s *script) watches() {
	kv := pb.NewKVClient(s.conn)
	w := s.openWatch(s.ctx)
	w.create(&pb.WatchCreateRequest{Key: []byte("w/"), RangeEnd: []byte("w0")})
	w.create(&pb.WatchCreateRequest{Key: []byte("w/1")})
	w.create(&pb.WatchCreateRequest{Key: []byte("w/2")})
	for i := range 3 {
		s.fine(kv.Put(s.ctx, &pb.PutRequest{Key: []byte(fmt.Sprintf("w/%d", i)), Value: []byte("x")}))
	}
	w.events(5)
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: 2}}})
	require.True(s.t, w.recv().Canceled)
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("x"), StartRevision: -1}}})
	require.True(s.t, w.recv().Canceled)
	s.fine(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("w/2"), Value: []byte("y")}))
	w.events(1)
	s.fine(kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte("w/1")}))
	w.events(2)

	// The answer to a request for progress comes once all watches are synced,
	// and etcd drops it until then.
	require.Eventually(s.t, func() bool { return gauge(s.page(s.t), "etcd_debugging_mvcc_slow_watcher_total") == 0 }, time.Minute, 10*time.Millisecond)
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
	require.Empty(s.t, w.recv().Events)

	ctx, cancel := context.WithCancel(s.ctx)
	gone := s.openWatch(ctx)
	gone.create(&pb.WatchCreateRequest{Key: []byte("w/0")})
	cancel()
	require.Eventually(s.t, func() bool { return gauge(s.page(s.t), "etcd_debugging_mvcc_watcher_total") == 2 }, time.Minute, 10*time.Millisecond)
}

type watchStream struct {
	*script
	pb.Watch_WatchClient
}

func (s *script) openWatch(ctx context.Context) watchStream {
	w, err := pb.NewWatchClient(s.conn).Watch(ctx)
	require.NoError(s.t, err)
	return watchStream{s, w}
}

func (w watchStream) send(r *pb.WatchRequest) { require.NoError(w.t, w.Send(r)) }

func (w watchStream) recv() *pb.WatchResponse {
	r, err := w.Recv()
	require.NoError(w.t, err, w.name)
	return r
}

func (w watchStream) create(r *pb.WatchCreateRequest) {
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}})
	require.True(w.t, w.recv().Created)
}

// events receives n of them.
func (w watchStream) events(n int) {
	for n > 0 {
		n -= len(w.recv().Events)
	}
	require.Zero(w.t, n, w.name)
}

func (s *script) compactions() {
	kv := pb.NewKVClient(s.conn)
	get, err := kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k00")})
	require.NoError(s.t, err)
	s.fine(kv.Compact(s.ctx, &pb.CompactionRequest{Revision: get.Header.Revision - 2, Physical: true}))
	s.refused(rpctypes.ErrGRPCCompacted)(kv.Compact(s.ctx, &pb.CompactionRequest{Revision: 3}))
	s.refused(rpctypes.ErrGRPCCompacted)(kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k00"), Revision: 3}))
	ctx, cancel := context.WithCancel(s.ctx) // etcd counts such a watch until its stream ends
	defer cancel()
	w := s.openWatch(ctx)
	w.create(&pb.WatchCreateRequest{Key: []byte("k00"), StartRevision: 2})
	require.Equal(s.t, get.Header.Revision-2, w.recv().CompactRevision)
}

func (s *script) leases() {
	l := pb.NewLeaseClient(s.conn)
	for id := range int64(3) {
		s.fine(l.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: 100 + id, TTL: 60 << id}))
	}
	s.refused(rpctypes.ErrGRPCLeaseExist)(l.LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: 100, TTL: 60}))
	s.fine(s.client.Put(s.ctx, "l/1", "x", clientv3.WithLease(100)))
	s.fine(s.client.Put(s.ctx, "l/2", "x", clientv3.WithLease(100)))
	s.fine(s.client.Put(s.ctx, "l/3", "x", clientv3.WithLease(101)))
	alive, err := l.LeaseKeepAlive(s.ctx)
	require.NoError(s.t, err)
	for _, id := range []int64{100, 101, 100, 999} {
		require.NoError(s.t, alive.Send(&pb.LeaseKeepAliveRequest{ID: id}))
		s.fine(alive.Recv())
	}
	require.NoError(s.t, alive.CloseSend())
	s.fine(l.LeaseTimeToLive(s.ctx, &pb.LeaseTimeToLiveRequest{ID: 100, Keys: true}))
	s.fine(l.LeaseLeases(s.ctx, &pb.LeaseLeasesRequest{}))
	s.fine(l.LeaseRevoke(s.ctx, &pb.LeaseRevokeRequest{ID: 100}))
	s.fine(l.LeaseRevoke(s.ctx, &pb.LeaseRevokeRequest{ID: 101}))
	s.refused(rpctypes.ErrGRPCLeaseNotFound)(l.LeaseRevoke(s.ctx, &pb.LeaseRevokeRequest{ID: 101}))
}

func (s *script) maintenance() {
	m := pb.NewMaintenanceClient(s.conn)
	status, err := m.Status(s.ctx, &pb.StatusRequest{})
	require.NoError(s.t, err)
	s.fine(m.Hash(s.ctx, &pb.HashRequest{}))
	s.fine(m.HashKV(s.ctx, &pb.HashKVRequest{}))
	s.fine(m.Defragment(s.ctx, &pb.DefragmentRequest{}))
	stream, err := m.Snapshot(s.ctx, &pb.SnapshotRequest{})
	require.NoError(s.t, err)
	s.drain(func() error { _, err := stream.Recv(); return err })
	alarm := &pb.AlarmRequest{MemberID: status.Header.MemberId, Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_NOSPACE}
	s.fine(m.Alarm(s.ctx, alarm))
	s.refused(rpctypes.ErrGRPCNoSpace)(s.client.Put(s.ctx, "full", "x"))
	require.EqualValues(s.t, 1, gauge(s.page(s.t), "etcd_debugging_server_alarms"), s.name)
	alarm.Action = pb.AlarmRequest_DEACTIVATE
	s.fine(m.Alarm(s.ctx, alarm))
	alarm.Action = pb.AlarmRequest_GET
	s.fine(m.Alarm(s.ctx, alarm))
}

func (s *script) others() {
	s.fine(pb.NewClusterClient(s.conn).MemberList(s.ctx, &pb.MemberListRequest{Linearizable: true}))
	s.fine(pb.NewAuthClient(s.conn).AuthStatus(s.ctx, &pb.AuthStatusRequest{}))
	s.fine(healthpb.NewHealthClient(s.conn).Check(s.ctx, &healthpb.HealthCheckRequest{}))
}

func (s *script) health() {
	for _, path := range []string{"/health", "/health?serializable=true", "/livez", "/readyz", "/readyz?verbose"} {
		code, text := s.get(path)
		require.Equal(s.t, 200, code, "%s %s: %s", s.name, path, text)
	}
}

// shortLease ends by itself, with two keys.
func (s *script) shortLease() {
	s.fine(pb.NewLeaseClient(s.conn).LeaseGrant(s.ctx, &pb.LeaseGrantRequest{ID: 5, TTL: 1}))
	s.fine(s.client.Put(s.ctx, "short/1", "x", clientv3.WithLease(5)))
	s.fine(s.client.Put(s.ctx, "short/2", "x", clientv3.WithLease(5)))
}

func (s *script) expired() {
	require.Eventually(s.t, func() bool {
		return counter(s.page(s.t), "etcd_debugging_server_lease_expired_total") == 1
	}, time.Minute, 20*time.Millisecond, s.name)
}

// slow does not read a watch until it is slow and events wait, then reads all.
// How they are cut into responses is each server's own.
func (s *script) slow() {
	before := counter(s.page(s.t), "etcd_debugging_mvcc_events_total")
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	w := s.openWatch(ctx)
	w.create(&pb.WatchCreateRequest{Key: []byte("slow")})
	const puts = 200 // of 16 KiB: etcd holds 128 responses for a watch, the server 1 MiB
	value := bytes.Repeat([]byte("x"), 16<<10)
	kv := pb.NewKVClient(s.conn)
	for range puts {
		s.fine(kv.Put(s.ctx, &pb.PutRequest{Key: []byte("slow"), Value: value}))
	}
	page := s.page(s.t)
	require.EqualValues(s.t, 1, gauge(page, "etcd_debugging_mvcc_slow_watcher_total"), s.name)
	require.Positive(s.t, gauge(page, "etcd_debugging_mvcc_pending_events_total"), s.name)
	require.EqualValues(s.t, 3, gauge(page, "etcd_debugging_mvcc_watcher_total"), s.name)
	require.EqualValues(s.t, 2, gauge(page, "etcd_debugging_mvcc_watch_stream_total"), s.name)
	w.events(puts)
	require.Eventually(s.t, func() bool {
		page := s.page(s.t)
		return gauge(page, "etcd_debugging_mvcc_slow_watcher_total") == 0 && gauge(page, "etcd_debugging_mvcc_pending_events_total") == 0 &&
			counter(page, "etcd_debugging_mvcc_events_total") == before+puts
	}, time.Minute, 20*time.Millisecond, s.name)
}
