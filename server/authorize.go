package server

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/status"
)

// Authorizer decides who may do what. It is called from many goroutines, and
// never under a lock of the server or the store. Its error is the caller's
// answer: one of rpctypes' errors, such as rpctypes.ErrGRPCPermissionDenied.
//
// Who calls is in the context, as for every handler of grpc: metadata, and
// the peer with its certificate. The services Lock and Election ask with their
// caller's.
//
// It is asked for what reads, writes or changes anything over grpc, the
// gateway included, and for the page /debug/watchers: see
// Server.WatchersPage. Not for grpc's health and reflection, nor for other
// pages over HTTP.
type Authorizer interface {
	Authorize(ctx context.Context, a Access) error
}

// Access is what a call is about to do. A call may need several.
type Access struct {
	Method   string // of grpc, such as "/etcdserverpb.KV/Put"
	Action   Action
	Key, End []byte // the range as it came on the wire; nil for the last two actions
}

// Action is a kind of access.
type Action uint8

// The kinds of access.
const (
	ActionRead Action = iota + 1
	ActionWrite
	ActionAdmin    // what concerns the whole server
	ActionIdentify // nothing but being somebody the server knows
)

// String names the action in a word.
func (a Action) String() string {
	switch a {
	case ActionRead:
		return "read"
	case ActionWrite:
		return "write"
	case ActionAdmin:
		return "admin"
	case ActionIdentify:
		return "identify"
	}
	return "unknown"
}

func (s *Server) authorize(ctx context.Context, method string, action Action, key, end []byte) error {
	if s.cfg.Authorizer == nil {
		return nil
	}
	err := s.cfg.Authorizer.Authorize(ctx, Access{Method: method, Action: action, Key: key, End: end})
	var known rpctypes.EtcdError // as clients have it
	if errors.As(err, &known) {
		return status.Error(known.Code(), known.Error())
	}
	return toGRPC(err)
}

func (s *Server) authorizeAdmin(ctx context.Context, method string) error {
	return s.authorize(ctx, method, ActionAdmin, nil, nil)
}

func (s *Server) authorizeIdentity(ctx context.Context, method string) error {
	return s.authorize(ctx, method, ActionIdentify, nil, nil)
}

// authorizePut asks for the key, for all other keys of the lease, because who
// attaches a key decides with them how long they live, and for reading what
// was there.
func (s *Server) authorizePut(ctx context.Context, method string, r *pb.PutRequest) error {
	if s.cfg.Authorizer == nil {
		return nil
	}
	if err := s.authorize(ctx, method, ActionWrite, r.Key, nil); err != nil {
		return err
	}
	if err := s.authorizeLease(ctx, method, ActionWrite, r.Lease); err != nil {
		return err
	}
	if r.PrevKv {
		return s.authorize(ctx, method, ActionRead, r.Key, nil)
	}
	return nil
}

// authorizeLease asks for every key that is attached to a lease.
func (s *Server) authorizeLease(ctx context.Context, method string, action Action, id int64) error {
	if s.cfg.Authorizer == nil || id == 0 {
		return nil
	}
	for _, key := range s.parts.Store.LeaseKeys(id) {
		if err := s.authorize(ctx, method, action, key, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) authorizeDelete(ctx context.Context, method string, r *pb.DeleteRangeRequest) error {
	if err := s.authorize(ctx, method, ActionWrite, r.Key, r.RangeEnd); err != nil {
		return err
	}
	if r.PrevKv {
		return s.authorize(ctx, method, ActionRead, r.Key, r.RangeEnd)
	}
	return nil
}

// authorizeTxn asks for everything that r may do, whatever branch will run:
// which one does would tell what was compared.
func (s *Server) authorizeTxn(ctx context.Context, method string, r *pb.TxnRequest) error {
	if s.cfg.Authorizer == nil {
		return nil
	}
	for _, c := range r.Compare {
		if err := s.authorize(ctx, method, ActionRead, c.Key, c.RangeEnd); err != nil {
			return err
		}
	}
	for _, branch := range [2][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			if err := s.authorizeOp(ctx, method, op); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) authorizeOp(ctx context.Context, method string, op *pb.RequestOp) error {
	switch u := op.Request.(type) {
	case *pb.RequestOp_RequestRange:
		return s.authorize(ctx, method, ActionRead, u.RequestRange.Key, u.RequestRange.RangeEnd)
	case *pb.RequestOp_RequestPut:
		return s.authorizePut(ctx, method, u.RequestPut)
	case *pb.RequestOp_RequestDeleteRange:
		return s.authorizeDelete(ctx, method, u.RequestDeleteRange)
	case *pb.RequestOp_RequestTxn:
		return s.authorizeTxn(ctx, method, u.RequestTxn)
	}
	return nil
}
