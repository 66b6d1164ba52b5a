package server

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// clusterService is etcd's Cluster service of a member that stands alone for
// ever: it lists itself and refuses changes with what an etcd says that may
// not be changed either.
type clusterService struct {
	pb.UnsafeClusterServer
	server *Server
}

// errNotEnoughStarted has etcd's text, and the code that etcd sends with it,
// though it has a better one.
var errNotEnoughStarted = status.Error(codes.Unknown, rpctypes.ErrorDesc(rpctypes.ErrGRPCMemberNotEnoughStarted))

// MemberList implements etcdserverpb.ClusterServer. Linearizable or not is the
// same here.
func (c *clusterService) MemberList(ctx context.Context, _ *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	if err := c.server.authorizeIdentity(ctx, pb.Cluster_MemberList_FullMethodName); err != nil {
		return nil, err
	}
	return &pb.MemberListResponse{Header: c.header(), Members: []*pb.Member{c.self()}}, nil
}

func (c *clusterService) self() *pb.Member {
	return &pb.Member{ID: c.server.memberID, Name: c.server.cfg.Name, ClientURLs: slices.Clone(c.server.cfg.ClientURLs)}
}

// header is of no revision, as with etcd.
func (c *clusterService) header() *pb.ResponseHeader { return c.server.header(0) }

// MemberAdd implements etcdserverpb.ClusterServer.
func (c *clusterService) MemberAdd(ctx context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	if _, err := types.NewURLs(r.PeerURLs); err != nil {
		return nil, rpctypes.ErrGRPCMemberBadURLs
	}
	if err := c.server.authorizeAdmin(ctx, pb.Cluster_MemberAdd_FullMethodName); err != nil {
		return nil, err
	}
	if r.IsLearner {
		return nil, rpctypes.ErrGRPCTooManyLearners
	}
	return nil, errNotEnoughStarted
}

// MemberRemove implements etcdserverpb.ClusterServer: an etcd keeps its last
// member, too.
func (c *clusterService) MemberRemove(ctx context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	if err := c.server.authorizeAdmin(ctx, pb.Cluster_MemberRemove_FullMethodName); err != nil {
		return nil, err
	}
	if r.ID != c.server.memberID {
		return nil, rpctypes.ErrGRPCMemberNotFound
	}
	return nil, errNotEnoughStarted
}

// MemberUpdate implements etcdserverpb.ClusterServer.
func (c *clusterService) MemberUpdate(ctx context.Context, r *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	if err := c.server.authorizeAdmin(ctx, pb.Cluster_MemberUpdate_FullMethodName); err != nil {
		return nil, err
	}
	if r.ID != c.server.memberID {
		return nil, rpctypes.ErrGRPCMemberNotFound
	}
	return nil, rpctypes.ErrGRPCNotCapable // there is nobody who would use a peer URL
}

// MemberPromote implements etcdserverpb.ClusterServer.
func (c *clusterService) MemberPromote(ctx context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	if err := c.server.authorizeAdmin(ctx, pb.Cluster_MemberPromote_FullMethodName); err != nil {
		return nil, err
	}
	if r.ID != c.server.memberID {
		return nil, rpctypes.ErrGRPCMemberNotFound
	}
	return nil, rpctypes.ErrGRPCMemberNotLearner
}
