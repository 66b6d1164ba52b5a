package server_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/server/etcdfile"
)

func openMem(t *testing.T) backend.Engine {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	return engine
}

func TestMaintenance_Status(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	put, err := c.Put(ctx, "a", "b")
	require.NoError(t, err)
	st, err := c.Status(ctx, s.address)
	require.NoError(t, err)
	assert.Equal(t, put.Header.Revision, st.Header.Revision)
	assert.Equal(t, st.Header.MemberId, st.Leader, "it leads itself")
	assert.Equal(t, "3.7.3", st.Version)
	assert.Equal(t, "3.7.0", st.StorageVersion)
	assert.EqualValues(t, 2, st.RaftTerm)
	assert.Equal(t, st.RaftIndex, st.RaftAppliedIndex)
	assert.Positive(t, st.DbSize)
	assert.Positive(t, st.DbSizeInUse)
	assert.EqualValues(t, -1, st.DbSizeQuota, "none, as etcd tells it")
	assert.Empty(t, st.Errors)
	assert.False(t, st.IsLearner)
	_, err = c.Put(ctx, "a", "b")
	require.NoError(t, err)
	after, err := c.Status(ctx, s.address)
	require.NoError(t, err)
	assert.Greater(t, after.RaftIndex, st.RaftIndex)
}

func TestMaintenance_HashKV(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	for range 5 {
		_, err := c.Put(ctx, "a", "b")
		require.NoError(t, err)
	}
	_, err := c.Compact(ctx, 4)
	require.NoError(t, err)
	for _, rev := range []int64{0, 5, 6} {
		h, err := c.HashKV(ctx, s.address, rev)
		require.NoError(t, err)
		want, err := s.store.HashKV(ctx, rev)
		require.NoError(t, err)
		assert.Equal(t, want, mvcc.HashResult{Hash: h.Hash, Rev: h.Header.Revision, CompactRev: h.CompactRevision, HashRev: h.HashRevision})
	}
	_, err = c.HashKV(ctx, s.address, 3)
	assert.ErrorIs(t, err, rpctypes.ErrCompacted)
	_, err = c.HashKV(ctx, s.address, 99)
	assert.ErrorIs(t, err, rpctypes.ErrFutureRev)
	m := pb.NewMaintenanceClient(s.conn(t))
	first, err := m.Hash(ctx, &pb.HashRequest{})
	require.NoError(t, err)
	again, err := m.Hash(ctx, &pb.HashRequest{})
	require.NoError(t, err)
	assert.Equal(t, first.Hash, again.Hash)
	_, err = c.Put(ctx, "a", "c")
	require.NoError(t, err)
	again, err = m.Hash(ctx, &pb.HashRequest{})
	require.NoError(t, err)
	assert.NotEqual(t, first.Hash, again.Hash)
}

// A cluster of one answers as etcd's does.
func TestMaintenance_LeaderAndVersion(t *testing.T) {
	s := serve(t, server.Config{})
	m, ctx := pb.NewMaintenanceClient(s.conn(t)), ctxOf(t)
	st, err := m.Status(ctx, &pb.StatusRequest{})
	require.NoError(t, err)
	_, err = m.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: st.Leader})
	require.NoError(t, err)
	_, err = m.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: 1})
	assert.ErrorIs(t, err, rpctypes.ErrGRPCBadLeaderTransferee)
	for _, action := range []pb.DowngradeRequest_DowngradeAction{pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_ENABLE} {
		_, err = m.Downgrade(ctx, &pb.DowngradeRequest{Action: action, Version: "3.6"})
		assert.ErrorIs(t, err, rpctypes.ErrGRPCInvalidDowngradeTargetVersion)
		_, err = m.Downgrade(ctx, &pb.DowngradeRequest{Action: action, Version: "three"})
		assert.ErrorIs(t, err, rpctypes.ErrGRPCWrongDowngradeVersionFormat)
	}
	canceled, err := m.Downgrade(ctx, &pb.DowngradeRequest{Action: pb.DowngradeRequest_CANCEL})
	require.NoError(t, err)
	assert.Equal(t, "3.7", canceled.Version)
	_, err = m.Downgrade(ctx, &pb.DowngradeRequest{Action: 9})
	assert.Equal(t, "etcdserver: unknown method", status.Convert(err).Message())
}

func TestMaintenance_Defragment(t *testing.T) {
	ctx := ctxOf(t)
	s := serve(t, server.Config{})
	_, err := s.client(t).Defragment(ctx, s.address)
	require.NoError(t, err, "an engine that needs none")

	engine, err := bolt.Open(t.TempDir(), backend.Options{})
	require.NoError(t, err)
	s = serveOver(t, engine, server.Config{})
	c := s.client(t)
	for i := range 50 {
		_, err := c.Put(ctx, "large", string(bytes.Repeat([]byte{byte(i)}, 1_000_000)))
		require.NoError(t, err)
	}
	_, err = c.Compact(ctx, s.store.Rev(), clientv3.WithCompactPhysical())
	require.NoError(t, err)
	before, err := c.Status(ctx, s.address)
	require.NoError(t, err)
	_, err = c.Defragment(ctx, s.address)
	require.NoError(t, err)
	after, err := c.Status(ctx, s.address)
	require.NoError(t, err)
	assert.Less(t, after.DbSize, before.DbSize/2, "of 50 MB 1 is left, in a file that grows by 16")
}

// R5: the snapshot over the wire is one revision while writers go on; what it
// holds loads as an equal store; nothing is left where it stood.
func TestMaintenance_Snapshot(t *testing.T) {
	scratch := t.TempDir()
	crashed := filepath.Join(scratch, ".watchd-snapshot-1")
	require.NoError(t, os.WriteFile(crashed, nil, 0o600))
	s := serve(t, server.Config{ScratchDir: scratch})
	require.NoFileExists(t, crashed, "what a crash left goes at the next start")
	c, ctx := s.client(t), ctxOf(t)
	for i := range 300 {
		_, err := c.Put(ctx, fmt.Sprint(i%40), string(make([]byte, 1000)))
		require.NoError(t, err)
	}
	_, err := c.Compact(ctx, 100)
	require.NoError(t, err)
	writing, stop := context.WithCancel(ctx)
	wrote := make(chan int)
	go func() {
		n := 0
		for ; writing.Err() == nil; n++ {
			_, _ = c.Put(writing, "meanwhile", "x")
		}
		wrote <- n
	}()
	res, err := c.SnapshotWithVersion(ctx)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Snapshot)
	require.NoError(t, err)
	stop()
	require.Positive(t, <-wrote)
	assert.Equal(t, "3.7.0", res.Version)
	require.Equal(t, sha256.Size, len(body)%512)
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)

	path := filepath.Join(t.TempDir(), "snap.db")
	require.NoError(t, os.WriteFile(path, body, 0o600))
	file, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{})
	require.NoError(t, err)
	engine := openMem(t)
	loaded, err := file.Load(ctx, engine, etcdfile.LoadConfig{})
	require.NoError(t, err)
	require.NoError(t, file.Close())
	copied, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(t, err)
	defer copied.Close()
	require.GreaterOrEqual(t, loaded.Rev, int64(301))
	want, err := s.store.HashKV(ctx, loaded.Rev)
	require.NoError(t, err)
	got, err := copied.HashKV(ctx, loaded.Rev)
	require.NoError(t, err)
	require.Equal(t, want.Hash, got.Hash)
}

// A client that does not read, or leaves, holds neither writers nor
// compaction, and leaves nothing behind.
func TestMaintenance_SnapshotSlowClient(t *testing.T) {
	scratch := t.TempDir()
	s := serve(t, server.Config{ScratchDir: scratch})
	c, ctx := s.client(t), ctxOf(t)
	for i := range 30 {
		_, err := c.Put(ctx, fmt.Sprint(i), string(make([]byte, 1<<20)))
		require.NoError(t, err)
	}
	slow, leave := context.WithCancel(ctx)
	stream, err := pb.NewMaintenanceClient(s.conn(t)).Snapshot(slow, &pb.SnapshotRequest{})
	require.NoError(t, err)
	first, err := stream.Recv()
	require.NoError(t, err)
	require.Greater(t, first.RemainingBytes, uint64(29<<20))
	_, err = c.Put(ctx, "a", "b")
	require.NoError(t, err)
	_, err = c.Compact(ctx, s.store.Rev(), clientv3.WithCompactPhysical())
	require.NoError(t, err)
	leave()
	_, err = io.Copy(io.Discard, readerOf(stream))
	require.Equal(t, codes.Canceled, status.Code(err))
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left)
}

// Clients who do not read take no more of the disk than a few files.
func TestMaintenance_SnapshotsAreBounded(t *testing.T) {
	s := serve(t, server.Config{ScratchDir: t.TempDir()})
	c, ctx := s.client(t), ctxOf(t)
	for i := range 10 {
		_, err := c.Put(ctx, fmt.Sprint(i), string(make([]byte, 1<<20)))
		require.NoError(t, err)
	}
	m := pb.NewMaintenanceClient(s.conn(t))
	unread, leave := context.WithCancel(ctx)
	defer leave()
	begin := func(ctx context.Context) error {
		stream, err := m.Snapshot(ctx, &pb.SnapshotRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	for range 3 {
		require.NoError(t, begin(unread))
	}
	err := begin(ctx)
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "3 snapshots are being sent already")
	list, err := c.AlarmList(ctx)
	require.NoError(t, err)
	require.Empty(t, list.Alarms)
	leave()
	require.Eventually(t, func() bool { return begin(ctx) == nil }, 10*time.Second, 5*time.Millisecond)
}

func readerOf(stream pb.Maintenance_SnapshotClient) io.Reader {
	r, w := io.Pipe()
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				w.CloseWithError(err)
				return
			}
			_, _ = w.Write(m.Blob)
		}
	}()
	return r
}

func TestMaintenance_SnapshotWithoutRoom(t *testing.T) {
	s := serve(t, server.Config{ScratchDir: filepath.Join(t.TempDir(), "gone")})
	c, ctx := s.client(t), ctxOf(t)
	snap, err := c.SnapshotWithVersion(ctx)
	if err == nil {
		_, err = io.ReadAll(snap.Snapshot)
	}
	require.Error(t, err)
	_, err = c.Put(ctx, "a", "b")
	require.NoError(t, err, "puts go on, no alarm is raised")
	alarms, err := c.AlarmList(ctx)
	require.NoError(t, err)
	require.Empty(t, alarms.Alarms)
}

// C4: every call is asked for as etcd does, and a refusal is the answer.
func TestMaintenance_Authorized(t *testing.T) {
	g := &gate{}
	s := serve(t, server.Config{Authorizer: g})
	m, ctx := pb.NewMaintenanceClient(s.conn(t)), ctxOf(t)
	calls := map[string]func() error{
		"identify Status":  func() error { _, err := m.Status(ctx, &pb.StatusRequest{}); return err },
		"identify Alarm":   func() error { _, err := m.Alarm(ctx, &pb.AlarmRequest{}); return err },
		"admin Alarm":      func() error { _, err := m.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE}); return err },
		"admin Defragment": func() error { _, err := m.Defragment(ctx, &pb.DefragmentRequest{}); return err },
		"admin Hash":       func() error { _, err := m.Hash(ctx, &pb.HashRequest{}); return err },
		"admin HashKV":     func() error { _, err := m.HashKV(ctx, &pb.HashKVRequest{}); return err },
		"admin MoveLeader": func() error { _, err := m.MoveLeader(ctx, &pb.MoveLeaderRequest{}); return err },
		"admin Downgrade":  func() error { _, err := m.Downgrade(ctx, &pb.DowngradeRequest{}); return err },
		"admin Snapshot": func() error {
			stream, err := m.Snapshot(ctx, &pb.SnapshotRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	}
	g.set(func(context.Context, server.Access) error { return rpctypes.ErrGRPCPermissionDenied })
	for what, call := range calls {
		g.take()
		assert.ErrorIs(t, call(), rpctypes.ErrGRPCPermissionDenied, what)
		action := "admin"
		if what[0] == 'i' {
			action = "identify"
		}
		assert.Equal(t, []string{action + ` "" ""`}, g.take(), what)
	}
}
