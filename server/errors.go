package server

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// answers are the errors that etcd has a code and a text for, in the order
// they are looked for: an error may wrap several.
var answers = []struct{ err, answer error }{
	{mvcc.ErrCompacted, rpctypes.ErrGRPCCompacted},
	{mvcc.ErrFutureRevision, rpctypes.ErrGRPCFutureRev},
	{mvcc.ErrEmptyKey, rpctypes.ErrGRPCEmptyKey},
	{mvcc.ErrDuplicateKey, rpctypes.ErrGRPCDuplicateKey},
	{mvcc.ErrKeyMissing, rpctypes.ErrGRPCKeyNotFound},
	{mvcc.ErrTooLarge, rpctypes.ErrGRPCRequestTooLarge},
	{mvcc.ErrNoSpace, rpctypes.ErrGRPCNoSpace},
	{lease.ErrNotFound, rpctypes.ErrGRPCLeaseNotFound},
	{lease.ErrExists, rpctypes.ErrGRPCLeaseExist},
	{lease.ErrTTLTooLarge, rpctypes.ErrGRPCLeaseTTLTooLarge},
	{lease.ErrClosed, rpctypes.ErrGRPCStopped},
	{mvcc.ErrClosed, rpctypes.ErrGRPCStopped},
	{watch.ErrStreamClosed, rpctypes.ErrGRPCStopped},
	{watch.ErrHubClosed, rpctypes.ErrGRPCStopped},
	{backend.ErrClosed, rpctypes.ErrGRPCStopped},
	{backend.ErrNoSpace, rpctypes.ErrGRPCNoSpace},
}

// toGRPC answers err with etcd's code and text, or where etcd has none, since
// it ends its process there, with a code that makes clients do the right thing
// and our text. nil stays nil, and a status what it is.
func toGRPC(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	for _, a := range answers {
		if errors.Is(err, a.err) {
			return a.answer
		}
	}
	switch {
	case errors.Is(err, mvcc.ErrUncertain):
		return uncertain(err)
	case errors.Is(err, mvcc.ErrDamaged), errors.Is(err, backend.ErrDamaged):
		return caused{answer: rpctypes.ErrGRPCCorrupt, cause: err}
	case errors.Is(err, mvcc.ErrFailed):
		// Another server may be well, and this one after a restart.
		return withText(codes.Unavailable, err)
	case errors.Is(err, mvcc.ErrReadOnly), errors.Is(err, backend.ErrReadOnly):
		return withText(codes.FailedPrecondition, err)
	case errors.Is(err, mvcc.ErrExhausted), errors.Is(err, watch.ErrTooManyWatches):
		return withText(codes.ResourceExhausted, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(contextError(err)).Err()
	}
	return status.Error(codes.Unknown, err.Error())
}

// uncertain is etcd's answer to a write whose caller did not wait: nobody can
// tell whether it happened.
func uncertain(err error) error {
	if errors.Is(err, context.Canceled) {
		return rpctypes.ErrGRPCCanceled
	}
	return rpctypes.ErrGRPCTimeout
}

// contextError is what err says of its context, without the rest.
func contextError(err error) error {
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	return context.DeadlineExceeded
}

// withText has etcd's prefix, by which clients know a server's error.
func withText(code codes.Code, err error) error {
	return status.Error(code, "etcdserver: "+err.Error())
}

// caused is etcd's answer to its client, with the cause for the log.
type caused struct{ answer, cause error }

func (c caused) Error() string { return c.cause.Error() }

// GRPCStatus is what grpc sends.
func (c caused) GRPCStatus() *status.Status { return status.Convert(c.answer) }
