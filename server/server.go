package server

import (
	"context"
	"errors"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/watchkv/watchkv/server/etcdfile"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/server/wire"
)

// Server serves a store. Its methods may be called from any goroutine.
type Server struct {
	parts Parts
	cfg   Config

	clusterID, memberID uint64
	metrics             *metrics.Metrics
	alarms              *alarms
	// snapshots has a token for each snapshot whose file stands: its handler
	// sends and takes back; full is an answer. Never closed.
	snapshots chan struct{}

	// stopping is done once Close was called: streams end then.
	stopping context.Context
	stop     context.CancelFunc

	watch    *watchService
	lease    *leaseService // nil without a Lessor
	loopback *loopback
}

// New makes a server of parts.
func New(p Parts, cfg Config) (*Server, error) {
	if p.Engine == nil || p.Store == nil || p.Hub == nil {
		return nil, errors.New("server: an engine, a store and a hub are needed")
	}
	s := &Server{parts: p, cfg: cfg.withDefaults()}
	if err := s.cfg.validate(); err != nil {
		return nil, err
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	id, kept, err := loadIDs(s.stopping, p.Store)
	if err != nil {
		s.stop()
		return nil, err
	}
	if !kept {
		s.cfg.Logger.Warn("the store takes no writes: the ids of member and cluster are new ones at the next start")
	}
	s.clusterID, s.memberID = id.cluster, id.member
	if s.alarms, err = openAlarms(p.Store, id.member, s.cfg.Logger); err == nil && s.cfg.ScratchDir != "" {
		err = etcdfile.RemoveScratch(s.cfg.ScratchDir)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.snapshots = make(chan struct{}, mostSnapshots)
	s.watch = newWatchService(s)
	if p.Lessor != nil {
		s.lease = &leaseService{server: s, lessor: p.Lessor}
	}
	s.metrics = s.newMetrics()
	if s.lease != nil {
		p.Lessor.Observe(s.metrics.Deleted)
	}
	s.loopback = &loopback{server: s}
	return s, nil
}

// GRPCOptions are what the grpc server must be made with. Interceptors given
// before them see panics as errors.
func (s *Server) GRPCOptions() []grpc.ServerOption {
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(s.cfg.MaxRequestBytes + requestOverhead),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(s.cfg.MaxConcurrentStreams),
		grpc.ChainUnaryInterceptor(append(s.metrics.Unary(), s.guardUnary)...),
		grpc.ChainStreamInterceptor(append(s.metrics.Streaming(), s.guardStream)...),
		grpc.ForceServerCodecV2(wire.Counted(wire.Codec(), s.metrics.Sent, s.metrics.Received)),
		grpc.NumStreamWorkers(streamWorkers),
	}
	k := s.cfg.KeepAlive
	if k.MinTime > 0 {
		opts = append(opts, grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: k.MinTime}))
	}
	if k.Interval > 0 && k.Timeout > 0 {
		opts = append(opts, grpc.KeepaliveParams(keepalive.ServerParameters{Time: k.Interval, Timeout: k.Timeout}))
	}
	return opts
}

// streamWorkers serve calls one after the other, on stacks that have grown
// already. A put keeps its worker until it is durable, so there are as many as
// clients often wait at once: with 64 of them 61 us of CPU a put, 65 with 32
// workers. Calls beyond them, and behind watches that stay, get a goroutine
// each.
const streamWorkers = 128

// requestOverhead is what a request may have beside MaxRequestBytes, as etcd
// allows.
const requestOverhead = 512 * 1024

// Register adds the services to g.
func (s *Server) Register(g *grpc.Server) {
	defer s.metrics.Registered(g) // every method, once all are there
	s.registerStore(g)
	pb.RegisterClusterServer(g, &clusterService{server: s})
	pb.RegisterAuthServer(g, &authService{server: s})
	v3lockpb.RegisterLockServer(g, &lockService{loopback: s.loopback})
	v3electionpb.RegisterElectionServer(g, &electionService{loopback: s.loopback})
	healthpb.RegisterHealthServer(g, &healthService{server: s})
	reflection.Register(g)
}

// registerStore adds the services that are not made of others.
func (s *Server) registerStore(g *grpc.Server) {
	pb.RegisterKVServer(g, s.metrics.KV(&kvService{server: s, store: s.parts.Store}))
	pb.RegisterWatchServer(g, s.watch)
	if s.lease != nil {
		pb.RegisterLeaseServer(g, s.metrics.Lease(s.lease))
	}
	pb.RegisterMaintenanceServer(g, &maintenanceService{server: s, store: s.parts.Store, engine: s.parts.Engine, alarms: s.alarms})
}

// EndStreams ends the watch streams: their clients are told that the server
// stops, new ones are refused so. It does not wait.
func (s *Server) EndStreams() { s.stop() }

// Close ends the streams and waits until they are gone. A stream whose client
// does not read ends with its connection: stop the grpc server before, or
// beside it.
func (s *Server) Close() error {
	s.stop()
	err := s.loopback.close()
	s.watch.close()
	if s.lease != nil {
		s.lease.close()
	}
	return err
}

// header is the header of an answer that belongs to revision rev.
func (s *Server) header(rev int64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: s.clusterID, MemberId: s.memberID, Revision: rev, RaftTerm: raftTerm}
}

// raftTerm is what a member tells that was elected once and stands alone.
const raftTerm = 2
