package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// snapshotChunk is what one message of a snapshot holds; etcd's size.
const snapshotChunk = 32 << 10

// mostSnapshots bounds how many files stand at a time: each takes as much of
// the disk as the data, for as long as its client takes.
const mostSnapshots = 3

// Snapshot implements etcdserverpb.MaintenanceServer: the store at one
// revision as etcd's file, then the file's hash. The file is built first, on
// disk; a slow client holds that and nothing else.
func (m *maintenanceService) Snapshot(_ *pb.SnapshotRequest, rpc pb.Maintenance_SnapshotServer) error {
	s := m.server
	if err := s.authorizeAdmin(rpc.Context(), pb.Maintenance_Snapshot_FullMethodName); err != nil {
		return err
	}
	select {
	case s.snapshots <- struct{}{}:
		defer func() { <-s.snapshots }()
	default:
		return status.Errorf(codes.ResourceExhausted, "etcdserver: %d snapshots are being sent already, try again later", mostSnapshots)
	}
	ctx, cancel := context.WithCancel(rpc.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()

	s.cfg.Logger.Info("building a snapshot: compaction waits until the file is there")
	built, err := etcdfile.Build(ctx, m.store, etcdfile.BuildConfig{
		Dir: s.cfg.ScratchDir, Identity: s.identity(), Floor: snapshotFloor(m.store.Stats().FloorBytes),
	})
	if err != nil {
		s.cfg.Logger.Warn("no snapshot", "error", err)
		return snapshotError(err)
	}
	s.cfg.Logger.Info("sending a snapshot", "revision", built.Facts.Rev, "records", built.Facts.Records, "bytes", built.Facts.Size, "built-in", built.Facts.Took)
	began := time.Now()
	err = sendSnapshot(ctx, built, rpc)
	if closeErr := built.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		s.cfg.Logger.Warn("a snapshot was not sent whole", "revision", built.Facts.Rev, "error", err)
		return toGRPC(err)
	}
	s.cfg.Logger.Info("sent a snapshot", "revision", built.Facts.Rev, "bytes", built.Facts.Size, "took", time.Since(began))
	return nil
}

// snapshotFloor is more than what puts leave on the disk, so that a snapshot
// alone never makes them stop.
func snapshotFloor(puts int64) int64 { return puts + puts/4 }

// snapshotError keeps a snapshot that finds no room from raising the alarm of
// puts: it leaves the store its own.
func snapshotError(err error) error {
	if errors.Is(err, backend.ErrNoSpace) {
		return status.Error(codes.ResourceExhausted, "etcdserver: "+err.Error())
	}
	return toGRPC(err)
}

func sendSnapshot(ctx context.Context, built *etcdfile.Built, rpc pb.Maintenance_SnapshotServer) error {
	sum := sha256.New()
	for left := built.Facts.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := make([]byte, min(snapshotChunk, left)) // grpc may keep it beyond Send
		if _, err := io.ReadFull(built, chunk); err != nil {
			return err
		}
		left -= int64(len(chunk))
		_, _ = sum.Write(chunk) // a hash never fails
		err := rpc.Send(&pb.SnapshotResponse{RemainingBytes: uint64(left), Blob: chunk, Version: etcdfile.StorageVersion})
		if err != nil {
			return err
		}
	}
	return rpc.Send(&pb.SnapshotResponse{Blob: sum.Sum(nil), Version: etcdfile.StorageVersion})
}

// identity is who a snapshot says it comes from.
func (s *Server) identity() etcdfile.Identity {
	return etcdfile.Identity{
		MemberID: s.memberID, Name: s.cfg.Name, ClientURLs: s.cfg.ClientURLs,
		Index: uint64(s.parts.Store.Rev()), Term: raftTerm,
	}
}
