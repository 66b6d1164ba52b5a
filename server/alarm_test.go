package server_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
)

// R7: at the quota puts are refused, the alarm is raised and outlives a
// restart; deletes, reads and compaction go on. After that made room, puts go
// on once the alarm is disarmed, not before.
func TestAlarm_Quota(t *testing.T) {
	engine := openMem(t)
	storing := mvcc.Config{QuotaBytes: 1 << 20}
	var s *serving
	t.Run("raised", func(t *testing.T) {
		s = serveStore(t, unclosed{engine}, storing, server.Config{})
		c, ctx := s.client(t), ctxOf(t)
		var err error
		for i := 0; err == nil; i++ {
			require.Less(t, i, 100)
			_, err = c.Put(ctx, fmt.Sprint("key", i%3), string(make([]byte, 50_000)))
		}
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
		requireAlarm(t, c, pb.AlarmType_NOSPACE)
		st, err := c.Status(ctx, s.address)
		require.NoError(t, err)
		assert.EqualValues(t, 1<<20, st.DbSizeQuota)
		require.Len(t, st.Errors, 1)
		assert.Contains(t, st.Errors[0], "alarm:NOSPACE")
	})
	s = serveStore(t, engine, storing, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	requireAlarm(t, c, pb.AlarmType_NOSPACE)
	_, err := c.Delete(ctx, "key", clientv3.WithPrefix())
	require.NoError(t, err)
	_, err = c.Compact(ctx, s.store.Rev(), clientv3.WithCompactPhysical())
	require.NoError(t, err)
	_, err = c.Get(ctx, "key1")
	require.NoError(t, err)
	refused := func() {
		t.Helper()
		_, err := c.Put(ctx, "small", "x")
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
		_, err = c.Txn(ctx).If(clientv3.Compare(clientv3.Version("small"), "=", 0)).
			Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("small", "x")}, nil)).Commit()
		require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	}
	refused()
	_, err = c.Txn(ctx).Then(clientv3.OpDelete("small"), clientv3.OpGet("small")).Commit()
	require.NoError(t, err, "a transaction without puts goes on")
	disarmed, err := c.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	require.NoError(t, err)
	require.Len(t, disarmed.Alarms, 1)
	_, err = c.Put(ctx, "small", "x")
	require.NoError(t, err)
	list, err := c.AlarmList(ctx)
	require.NoError(t, err)
	require.Empty(t, list.Alarms)
}

// unclosed keeps an engine over the end of a test.
type unclosed struct{ backend.Engine }

func (unclosed) Close() error { return nil }

func requireAlarm(t *testing.T, c *clientv3.Client, kind pb.AlarmType) {
	t.Helper()
	list, err := c.AlarmList(ctxOf(t))
	require.NoError(t, err)
	require.Len(t, list.Alarms, 1)
	require.Equal(t, kind, list.Alarms[0].Alarm)
}

// R5: damage that a request meets raises CORRUPT: what writes is refused,
// reads go on.
func TestAlarm_DamageFound(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	s := serveOver(t, engine, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	_, err = c.Put(ctx, "a", "b")
	require.NoError(t, err)
	var b backend.Batch
	b.Put(backend.SpaceKey, append([]byte{0, 0, 0, 0, 0, 0, 0, 2, '_'}, make([]byte, 8)...), []byte("\xff"))
	require.NoError(t, engine.Apply(&b, backend.Sync))
	snap, err := c.SnapshotWithVersion(ctx)
	if err == nil {
		_, err = snap.Snapshot.Read(make([]byte, 1))
	}
	require.ErrorContains(t, err, "corrupt cluster")
	requireAlarm(t, c, pb.AlarmType_CORRUPT)
	_, err = c.Put(ctx, "a", "b")
	require.ErrorIs(t, err, rpctypes.ErrCorrupt)
	_, err = c.Delete(ctx, "a")
	require.ErrorIs(t, err, rpctypes.ErrCorrupt)
	_, err = c.Compact(ctx, 2)
	require.ErrorIs(t, err, rpctypes.ErrCorrupt)
	_, err = c.Txn(ctx).Then(clientv3.OpDelete("a")).Commit()
	require.ErrorIs(t, err, rpctypes.ErrCorrupt)
	_, err = c.Txn(ctx).Then(clientv3.OpGet("a")).Commit()
	require.NoError(t, err)
	_, err = c.Get(ctx, "a")
	require.NoError(t, err)
}

// R5: so does damage that a watch meets in history.
func TestAlarm_DamageFoundByWatch(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	s := serveStore(t, engine, mvcc.Config{RecentBytes: 1}, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	for range 5 {
		_, err = c.Put(ctx, "a", "b")
		require.NoError(t, err)
	}
	var b backend.Batch
	b.Put(backend.SpaceKey, append([]byte{0, 0, 0, 0, 0, 0, 0, 3, '_'}, make([]byte, 8)...), []byte("\xff"))
	require.NoError(t, engine.Apply(&b, backend.Sync))
	for range c.Watch(ctx, "a", clientv3.WithRev(2)) { // until it is canceled, which this client does not tell
	}
	requireAlarm(t, c, pb.AlarmType_CORRUPT)
}

// What is in force and what a restart would find are the same, in whatever
// order alarms are raised and disarmed.
func TestAlarm_DiskAndMemoryAgree(t *testing.T) {
	s := serve(t, server.Config{})
	m, ctx := pb.NewMaintenanceClient(s.conn(t)), ctxOf(t)
	var workers sync.WaitGroup
	for _, action := range []pb.AlarmRequest_AlarmAction{pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_DEACTIVATE} {
		workers.Go(func() {
			for range 300 {
				_, err := m.Alarm(ctx, &pb.AlarmRequest{Action: action, MemberID: 7, Alarm: pb.AlarmType_NOSPACE})
				assert.NoError(t, err)
			}
		})
	}
	workers.Wait()
	list, err := m.Alarm(ctx, &pb.AlarmRequest{})
	require.NoError(t, err)
	kept := 0
	require.NoError(t, s.store.ScanBeside(backend.SpaceAlarm, func(_, _ []byte) bool { kept++; return true }))
	require.Equal(t, len(list.Alarms), kept)
}

// Disarming the alarm of another member leaves none of this one's behind.
func TestAlarm_RefusalRaisesNone(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	m := pb.NewMaintenanceClient(s.conn(t))
	_, err := m.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 7, Alarm: pb.AlarmType_NOSPACE})
	require.NoError(t, err)
	_, err = c.Put(ctx, "a", "b")
	require.ErrorIs(t, err, rpctypes.ErrNoSpace)
	_, err = m.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 7, Alarm: pb.AlarmType_NOSPACE})
	require.NoError(t, err)
	_, err = c.Put(ctx, "a", "b")
	require.NoError(t, err)
}

// Alarms are raised and disarmed by hand, of any member, as in etcd.
func TestAlarm_ByHand(t *testing.T) {
	s := serve(t, server.Config{})
	m, ctx := pb.NewMaintenanceClient(s.conn(t)), ctxOf(t)
	do := func(action pb.AlarmRequest_AlarmAction, member uint64, kind pb.AlarmType) []*pb.AlarmMember {
		res, err := m.Alarm(ctx, &pb.AlarmRequest{Action: action, MemberID: member, Alarm: kind})
		require.NoError(t, err)
		require.NotNil(t, res.Header)
		return res.Alarms
	}
	require.Empty(t, do(pb.AlarmRequest_ACTIVATE, 7, pb.AlarmType_NONE))
	require.Len(t, do(pb.AlarmRequest_ACTIVATE, 7, pb.AlarmType_NOSPACE), 1)
	require.Len(t, do(pb.AlarmRequest_ACTIVATE, 7, pb.AlarmType_NOSPACE), 1, "twice is once")
	require.Len(t, do(pb.AlarmRequest_ACTIVATE, 8, pb.AlarmType_CORRUPT), 1)
	require.Len(t, do(pb.AlarmRequest_GET, 0, pb.AlarmType_NONE), 2)
	require.Len(t, do(pb.AlarmRequest_GET, 0, pb.AlarmType_CORRUPT), 1)
	require.Empty(t, do(pb.AlarmRequest_DEACTIVATE, 9, pb.AlarmType_CORRUPT))
	require.Len(t, do(pb.AlarmRequest_DEACTIVATE, 8, pb.AlarmType_CORRUPT), 1)
	require.Len(t, do(pb.AlarmRequest_DEACTIVATE, 7, pb.AlarmType_NOSPACE), 1)
	require.Empty(t, do(pb.AlarmRequest_GET, 0, pb.AlarmType_NONE))
	_, err := s.client(t).Put(ctx, "a", "b")
	require.NoError(t, err)
}
