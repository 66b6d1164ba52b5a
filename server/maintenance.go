package server

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/api/v3/version"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// maintenanceService is etcd's Maintenance service. Snapshot is in
// snapshot.go.
type maintenanceService struct {
	pb.UnsafeMaintenanceServer // a method that etcd adds must not compile
	server                     *Server
	store                      *mvcc.Store
	engine                     backend.Engine
	alarms                     *alarms
}

// Status implements etcdserverpb.MaintenanceServer. This member leads, and
// always has applied what it has committed: the index is the revision.
func (m *maintenanceService) Status(ctx context.Context, _ *pb.StatusRequest) (*pb.StatusResponse, error) {
	if err := m.server.authorizeIdentity(ctx, pb.Maintenance_Status_FullMethodName); err != nil {
		return nil, err
	}
	rev, st := m.store.Rev(), m.engine.Stats() // the store's are up to a tenth of a second old
	out := &pb.StatusResponse{
		Header: m.server.header(rev), Version: version.Version, StorageVersion: etcdfile.StorageVersion,
		Leader: m.server.memberID, RaftIndex: uint64(rev), RaftAppliedIndex: uint64(rev), RaftTerm: raftTerm,
		DbSize: max(st.DiskBytes, 0), DbSizeInUse: st.InUseBytes, DbSizeQuota: quotaTold(m.store.Config().QuotaBytes),
		DowngradeInfo: &pb.DowngradeInfo{},
	}
	if out.DbSizeInUse < 0 {
		out.DbSizeInUse = out.DbSize
	}
	for _, a := range m.alarms.get(pb.AlarmType_NONE) {
		out.Errors = append(out.Errors, a.String())
	}
	if failed := m.store.Stats().Failed; failed != "" {
		out.Errors = append(out.Errors, failed)
	}
	return out, nil
}

// quotaTold is a quota as etcd tells it: negative is none.
func quotaTold(bytes int64) int64 {
	if bytes == 0 {
		return -1
	}
	return bytes
}

// Alarm implements etcdserverpb.MaintenanceServer.
func (m *maintenanceService) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	action := ActionAdmin
	if r.Action == pb.AlarmRequest_GET {
		action = ActionIdentify
	}
	if err := m.server.authorize(ctx, pb.Maintenance_Alarm_FullMethodName, action, nil, nil); err != nil {
		return nil, err
	}
	out := &pb.AlarmResponse{}
	this := alarm{r.MemberID, r.Alarm}
	var err error
	switch r.Action {
	case pb.AlarmRequest_GET:
		out.Alarms = m.alarms.get(r.Alarm)
	case pb.AlarmRequest_ACTIVATE:
		if r.Alarm != pb.AlarmType_NONE {
			err = m.alarms.activate(ctx, this)
			out.Alarms = append(out.Alarms, this.message())
		}
	case pb.AlarmRequest_DEACTIVATE:
		var was bool
		if was, err = m.alarms.deactivate(ctx, this); was {
			out.Alarms = append(out.Alarms, this.message())
		}
	}
	if err != nil {
		return nil, toGRPC(err)
	}
	out.Header = m.server.header(m.store.Rev())
	return out, nil
}

// Defragment implements etcdserverpb.MaintenanceServer: an engine that can
// gives space back; any other has none to give.
func (m *maintenanceService) Defragment(ctx context.Context, _ *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	if err := m.server.authorizeAdmin(ctx, pb.Maintenance_Defragment_FullMethodName); err != nil {
		return nil, err
	}
	log := m.server.cfg.Logger
	engine, can := m.engine.(backend.Reclaimer)
	if !can {
		log.Info("asked to defragment: this engine has nothing to give back", "engine", m.engine.Stats().Version)
		return &pb.DefragmentResponse{}, nil
	}
	began, before := time.Now(), m.engine.Stats().DiskBytes
	if err := engine.Reclaim(ctx); err != nil {
		log.Warn("failed to defragment", "error", err)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, status.Error(codes.Unimplemented, "etcdserver: "+err.Error())
		}
		return nil, toGRPC(err)
	}
	log.Info("finished defragment", "bytes-before", before, "bytes-after", m.engine.Stats().DiskBytes, "took", time.Since(began))
	return &pb.DefragmentResponse{}, nil
}

// Hash implements etcdserverpb.MaintenanceServer.
func (m *maintenanceService) Hash(ctx context.Context, _ *pb.HashRequest) (*pb.HashResponse, error) {
	if err := m.server.authorizeAdmin(ctx, pb.Maintenance_Hash_FullMethodName); err != nil {
		return nil, err
	}
	sum, rev, err := etcdfile.Hash(ctx, m.store, m.server.identity())
	if err != nil {
		return nil, toGRPC(err)
	}
	return &pb.HashResponse{Header: m.server.header(rev), Hash: sum}, nil
}

// HashKV implements etcdserverpb.MaintenanceServer.
func (m *maintenanceService) HashKV(ctx context.Context, r *pb.HashKVRequest) (*pb.HashKVResponse, error) {
	if err := m.server.authorizeAdmin(ctx, pb.Maintenance_HashKV_FullMethodName); err != nil {
		return nil, err
	}
	h, err := m.store.HashKV(ctx, r.Revision)
	if err != nil {
		return nil, toGRPC(err)
	}
	return &pb.HashKVResponse{Header: m.server.header(h.Rev), Hash: h.Hash, CompactRevision: h.CompactRev, HashRevision: h.HashRev}, nil
}

// MoveLeader implements etcdserverpb.MaintenanceServer. The only member leads.
func (m *maintenanceService) MoveLeader(ctx context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	if err := m.server.authorizeAdmin(ctx, pb.Maintenance_MoveLeader_FullMethodName); err != nil {
		return nil, err
	}
	if r.TargetID != m.server.memberID {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	}
	return &pb.MoveLeaderResponse{}, nil
}

// targetVersion is what etcd reads as a version: with or without the patch.
var targetVersion = regexp.MustCompile(`^\d+\.\d+(\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?)?$`)

// Downgrade implements etcdserverpb.MaintenanceServer. There is no earlier
// version to go back to, so no target is valid.
func (m *maintenanceService) Downgrade(ctx context.Context, r *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	if err := m.server.authorizeAdmin(ctx, pb.Maintenance_Downgrade_FullMethodName); err != nil {
		return nil, err
	}
	switch r.Action {
	case pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_ENABLE:
		if !targetVersion.MatchString(r.Version) {
			return nil, rpctypes.ErrGRPCWrongDowngradeVersionFormat
		}
		return nil, rpctypes.ErrGRPCInvalidDowngradeTargetVersion
	case pb.DowngradeRequest_CANCEL:
		return &pb.DowngradeResponse{Header: m.server.header(m.store.Rev()), Version: clusterVersion()}, nil
	}
	return nil, status.Error(codes.Unknown, "etcdserver: unknown method")
}

// clusterVersion is etcd's version without the patch.
func clusterVersion() string {
	return version.Version[:strings.LastIndexByte(version.Version, '.')]
}
