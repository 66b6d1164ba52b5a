package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/server/metrics"
)

// leaseService is etcd's Lease service.
type leaseService struct {
	pb.UnsafeLeaseServer // a method that etcd adds must not compile
	server               *Server
	lessor               *lease.Lessor

	mu     sync.Mutex // guards closed, and serving's growth against close; a leaf
	closed bool
	// serving counts the goroutines of keep-alive streams.
	serving sync.WaitGroup
}

// enter counts a goroutine in, unless the server is closed.
func (s *leaseService) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.serving.Add(1)
	return true
}

// close refuses new streams and waits for those there are. Who calls it has
// ended Server.stopping.
func (s *leaseService) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.serving.Wait()
}

// LeaseGrant implements etcdserverpb.LeaseServer.
func (s *leaseService) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest) (*pb.LeaseGrantResponse, error) {
	if err := s.server.authorizeIdentity(ctx, pb.Lease_LeaseGrant_FullMethodName); err != nil {
		return nil, err
	}
	if err := s.server.alarms.admit(writingPuts); err != nil {
		return nil, err
	}
	got, err := s.lessor.Grant(ctx, r.ID, r.TTL)
	if err != nil {
		return nil, toGRPC(err)
	}
	return &pb.LeaseGrantResponse{Header: s.server.header(s.server.parts.Store.Rev()), ID: got.ID, TTL: got.TTL}, nil
}

// LeaseRevoke implements etcdserverpb.LeaseServer.
func (s *leaseService) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest) (*pb.LeaseRevokeResponse, error) {
	if err := s.server.authorizeIdentity(ctx, pb.Lease_LeaseRevoke_FullMethodName); err != nil {
		return nil, err
	}
	if err := s.server.alarms.admit(writingNoPuts); err != nil {
		return nil, err
	}
	rev, err := s.revoke(ctx, r.ID)
	if err != nil {
		return nil, toGRPC(err)
	}
	return &pb.LeaseRevokeResponse{Header: s.server.header(rev)}, nil
}

// revoke ends a lease if every key that it then deletes was asked for: those
// attached since are asked for too, and it tries again.
func (s *leaseService) revoke(ctx context.Context, id int64) (rev int64, err error) {
	if s.server.cfg.Authorizer == nil {
		return s.lessor.Revoke(ctx, id)
	}
	keys := s.server.parts.Store.LeaseKeys(id)
	for {
		for _, key := range keys {
			if err := s.server.authorize(ctx, pb.Lease_LeaseRevoke_FullMethodName, ActionWrite, key, nil); err != nil {
				return 0, err
			}
		}
		rev, err = s.lessor.RevokeOnly(ctx, id, keys)
		var others *lease.KeysError
		if !errors.As(err, &others) {
			return rev, err
		}
		keys = others.Keys
	}
}

// LeaseTimeToLive implements etcdserverpb.LeaseServer. An unknown lease is no
// error, its time is -1.
func (s *leaseService) LeaseTimeToLive(ctx context.Context, r *pb.LeaseTimeToLiveRequest) (*pb.LeaseTimeToLiveResponse, error) {
	if err := s.server.authorizeIdentity(ctx, pb.Lease_LeaseTimeToLive_FullMethodName); err != nil {
		return nil, err
	}
	var keys [][]byte
	if r.Keys {
		// Before it is looked at, as etcd does.
		if err := s.server.authorizeLease(ctx, pb.Lease_LeaseTimeToLive_FullMethodName, ActionRead, r.ID); err != nil {
			return nil, err
		}
		keys = s.lessor.Keys(r.ID)
	}
	resp := &pb.LeaseTimeToLiveResponse{Header: s.server.header(s.server.parts.Store.Rev()), ID: r.ID}
	info, err := s.lessor.TimeToLive(r.ID)
	if errors.Is(err, lease.ErrNotFound) {
		resp.TTL = -1
		return resp, nil
	}
	if err != nil {
		return nil, toGRPC(err)
	}
	resp.TTL, resp.GrantedTTL, resp.Keys = int64(info.Remaining.Seconds()), info.TTL, keys
	return resp, nil
}

// LeaseLeases implements etcdserverpb.LeaseServer: the next to end comes
// first.
func (s *leaseService) LeaseLeases(ctx context.Context, _ *pb.LeaseLeasesRequest) (*pb.LeaseLeasesResponse, error) {
	if err := s.server.authorizeIdentity(ctx, pb.Lease_LeaseLeases_FullMethodName); err != nil {
		return nil, err
	}
	all := s.lessor.Leases()
	resp := &pb.LeaseLeasesResponse{Header: s.server.header(s.server.parts.Store.Rev()), Leases: make([]*pb.LeaseStatus, len(all))}
	for i, l := range all {
		if err := s.server.authorizeLease(ctx, pb.Lease_LeaseLeases_FullMethodName, ActionRead, l.ID); err != nil {
			return nil, err
		}
		resp.Leases[i] = &pb.LeaseStatus{ID: l.ID}
	}
	return resp, nil
}

// authorize asks for somebody known and for every key of a lease.
func (s *leaseService) authorize(ctx context.Context, method string, action Action, id int64) error {
	if err := s.server.authorizeIdentity(ctx, method); err != nil {
		return err
	}
	return s.server.authorizeLease(ctx, method, action, id)
}

// LeaseKeepAlive implements etcdserverpb.LeaseServer: an answer for each
// request, in their order. The goroutine it is called on waits for the end of
// the stream, another one serves it.
func (s *leaseService) LeaseKeepAlive(stream pb.Lease_LeaseKeepAliveServer) error {
	if !s.enter() {
		return rpctypes.ErrGRPCStopped
	}
	ended := make(chan error, 1) // one send, by the goroutine that serves
	go func() {
		// It ends with the rpc, which ends as LeaseKeepAlive returns.
		defer s.serving.Done()
		ended <- s.keepAlive(stream)
	}()
	select {
	case err := <-ended:
		return err
	case <-stream.Context().Done():
		return toGRPC(stream.Context().Err())
	case <-s.server.stopping.Done():
		return rpctypes.ErrGRPCStopped
	}
}

func (s *leaseService) keepAlive(stream pb.Lease_LeaseKeepAliveServer) (err error) {
	defer func() { // guardStream is on another goroutine
		if p := recover(); p != nil {
			err = s.server.panicked(stream.Context(), pb.Lease_LeaseKeepAlive_FullMethodName, p)
		}
	}()
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			s.failed(stream.Context(), metrics.Receive, err)
			return err
		}
		resp, err := s.renew(stream.Context(), req.ID)
		if err != nil {
			return err
		}
		if err := stream.Send(resp); err != nil {
			s.failed(stream.Context(), metrics.Send, err)
			return err
		}
	}
}

// renew answers one request; of a lease that is no more the time is 0. The
// header is made before, so that no lease seems to live on above the revision
// that ended it.
func (s *leaseService) renew(ctx context.Context, id int64) (*pb.LeaseKeepAliveResponse, error) {
	resp := &pb.LeaseKeepAliveResponse{Header: s.server.header(s.server.parts.Store.Rev()), ID: id}
	if err := s.authorize(ctx, pb.Lease_LeaseKeepAlive_FullMethodName, ActionWrite, id); err != nil {
		return nil, err
	}
	ttl, err := s.lessor.Renew(ctx, id)
	if err != nil && !errors.Is(err, lease.ErrNotFound) {
		return nil, toGRPC(err)
	}
	resp.TTL = ttl
	return resp, nil
}

// failed logs and counts the end of a stream; a client's end is neither a
// warning nor a failure.
func (s *leaseService) failed(ctx context.Context, way metrics.Direction, err error) {
	level := slog.LevelDebug
	if s.server.metrics.KeepAliveFailed(ctx, way, err) {
		level = slog.LevelWarn
	}
	s.server.cfg.Logger.Log(ctx, level, "a keep-alive stream of leases failed", "way", way, "error", err)
}
