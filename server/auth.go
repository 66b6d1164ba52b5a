package server

import (
	"bytes"
	"context"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// authService answers as an etcd where auth is disabled and nobody made a user
// or a role. It stays so: making one is the only thing refused in our own
// words.
type authService struct {
	pb.UnsafeAuthServer
	server *Server
}

// errNoUsers is the answer to what would make a user or a role.
var errNoUsers = status.Error(codes.Unimplemented, "etcdserver: watchd keeps no users and no roles")

// header is that of the answers that exist.
func (a *authService) header() *pb.ResponseHeader { return a.server.header(a.server.parts.Store.Rev()) }

// admin asks the Authorizer for what etcd lets its administrators do.
func (a *authService) admin(ctx context.Context, method string) error {
	return a.server.authorizeAdmin(ctx, method)
}

// AuthEnable implements etcdserverpb.AuthServer.
func (a *authService) AuthEnable(ctx context.Context, _ *pb.AuthEnableRequest) (*pb.AuthEnableResponse, error) {
	if err := a.admin(ctx, pb.Auth_AuthEnable_FullMethodName); err != nil {
		return nil, err
	}
	return nil, rpctypes.ErrGRPCRootUserNotExist
}

// AuthDisable implements etcdserverpb.AuthServer.
func (a *authService) AuthDisable(ctx context.Context, _ *pb.AuthDisableRequest) (*pb.AuthDisableResponse, error) {
	if err := a.admin(ctx, pb.Auth_AuthDisable_FullMethodName); err != nil {
		return nil, err
	}
	return &pb.AuthDisableResponse{Header: a.header()}, nil
}

// AuthStatus implements etcdserverpb.AuthServer.
func (a *authService) AuthStatus(ctx context.Context, _ *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	if err := a.server.authorizeIdentity(ctx, pb.Auth_AuthStatus_FullMethodName); err != nil {
		return nil, err
	}
	return &pb.AuthStatusResponse{Header: a.header(), AuthRevision: 1}, nil
}

// Authenticate implements etcdserverpb.AuthServer.
func (a *authService) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, rpctypes.ErrGRPCAuthNotEnabled
}

// UserAdd implements etcdserverpb.AuthServer.
func (a *authService) UserAdd(ctx context.Context, r *pb.AuthUserAddRequest) (*pb.AuthUserAddResponse, error) {
	if err := a.admin(ctx, pb.Auth_UserAdd_FullMethodName); err != nil {
		return nil, err
	}
	if r.Name == "" {
		return nil, rpctypes.ErrGRPCUserEmpty
	}
	return nil, errNoUsers
}

// UserGet implements etcdserverpb.AuthServer.
func (a *authService) UserGet(ctx context.Context, _ *pb.AuthUserGetRequest) (*pb.AuthUserGetResponse, error) {
	return nil, a.noUser(ctx, pb.Auth_UserGet_FullMethodName)
}

// UserList implements etcdserverpb.AuthServer.
func (a *authService) UserList(ctx context.Context, _ *pb.AuthUserListRequest) (*pb.AuthUserListResponse, error) {
	if err := a.admin(ctx, pb.Auth_UserList_FullMethodName); err != nil {
		return nil, err
	}
	return &pb.AuthUserListResponse{Header: a.header()}, nil
}

// UserDelete implements etcdserverpb.AuthServer.
func (a *authService) UserDelete(ctx context.Context, _ *pb.AuthUserDeleteRequest) (*pb.AuthUserDeleteResponse, error) {
	return nil, a.noUser(ctx, pb.Auth_UserDelete_FullMethodName)
}

// UserChangePassword implements etcdserverpb.AuthServer.
func (a *authService) UserChangePassword(ctx context.Context, _ *pb.AuthUserChangePasswordRequest) (*pb.AuthUserChangePasswordResponse, error) {
	return nil, a.noUser(ctx, pb.Auth_UserChangePassword_FullMethodName)
}

// UserGrantRole implements etcdserverpb.AuthServer.
func (a *authService) UserGrantRole(ctx context.Context, _ *pb.AuthUserGrantRoleRequest) (*pb.AuthUserGrantRoleResponse, error) {
	return nil, a.noUser(ctx, pb.Auth_UserGrantRole_FullMethodName)
}

// UserRevokeRole implements etcdserverpb.AuthServer.
func (a *authService) UserRevokeRole(ctx context.Context, _ *pb.AuthUserRevokeRoleRequest) (*pb.AuthUserRevokeRoleResponse, error) {
	return nil, a.noUser(ctx, pb.Auth_UserRevokeRole_FullMethodName)
}

// noUser is the answer to whatever needs a user.
func (a *authService) noUser(ctx context.Context, method string) error {
	if err := a.admin(ctx, method); err != nil {
		return err
	}
	return rpctypes.ErrGRPCUserNotFound
}

// RoleAdd implements etcdserverpb.AuthServer.
func (a *authService) RoleAdd(ctx context.Context, r *pb.AuthRoleAddRequest) (*pb.AuthRoleAddResponse, error) {
	if err := a.admin(ctx, pb.Auth_RoleAdd_FullMethodName); err != nil {
		return nil, err
	}
	if r.Name == "" {
		return nil, rpctypes.ErrGRPCRoleEmpty
	}
	return nil, errNoUsers
}

// RoleGet implements etcdserverpb.AuthServer.
func (a *authService) RoleGet(ctx context.Context, _ *pb.AuthRoleGetRequest) (*pb.AuthRoleGetResponse, error) {
	return nil, a.noRole(ctx, pb.Auth_RoleGet_FullMethodName)
}

// RoleList implements etcdserverpb.AuthServer.
func (a *authService) RoleList(ctx context.Context, _ *pb.AuthRoleListRequest) (*pb.AuthRoleListResponse, error) {
	if err := a.admin(ctx, pb.Auth_RoleList_FullMethodName); err != nil {
		return nil, err
	}
	return &pb.AuthRoleListResponse{Header: a.header()}, nil
}

// RoleDelete implements etcdserverpb.AuthServer.
func (a *authService) RoleDelete(ctx context.Context, _ *pb.AuthRoleDeleteRequest) (*pb.AuthRoleDeleteResponse, error) {
	return nil, a.noRole(ctx, pb.Auth_RoleDelete_FullMethodName)
}

// RoleGrantPermission implements etcdserverpb.AuthServer.
func (a *authService) RoleGrantPermission(ctx context.Context, r *pb.AuthRoleGrantPermissionRequest) (*pb.AuthRoleGrantPermissionResponse, error) {
	if err := a.admin(ctx, pb.Auth_RoleGrantPermission_FullMethodName); err != nil {
		return nil, err
	}
	switch {
	case r.Perm == nil:
		return nil, rpctypes.ErrGRPCPermissionNotGiven
	case !validPermission(r.Perm):
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	}
	return nil, rpctypes.ErrGRPCRoleNotFound
}

// validPermission reports whether p is about a range that is not empty.
func validPermission(p *authpb.Permission) bool {
	toTheEnd := len(p.RangeEnd) == 1 && p.RangeEnd[0] == 0
	return len(p.Key) > 0 && (len(p.RangeEnd) == 0 || toTheEnd || bytes.Compare(p.Key, p.RangeEnd) < 0)
}

// RoleRevokePermission implements etcdserverpb.AuthServer.
func (a *authService) RoleRevokePermission(ctx context.Context, _ *pb.AuthRoleRevokePermissionRequest) (*pb.AuthRoleRevokePermissionResponse, error) {
	return nil, a.noRole(ctx, pb.Auth_RoleRevokePermission_FullMethodName)
}

// noRole is the answer to whatever needs a role.
func (a *authService) noRole(ctx context.Context, method string) error {
	if err := a.admin(ctx, method); err != nil {
		return err
	}
	return rpctypes.ErrGRPCRoleNotFound
}
