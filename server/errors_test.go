package server

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

func TestToGRPC(t *testing.T) {
	for _, test := range []struct {
		err  error
		code codes.Code
		text string
	}{
		{&mvcc.CompactedError{Requested: 1, Compact: 2}, codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted"},
		{mvcc.ErrFutureRevision, codes.OutOfRange, "etcdserver: mvcc: required revision is a future revision"},
		{mvcc.ErrEmptyKey, codes.InvalidArgument, "etcdserver: key is not provided"},
		{mvcc.ErrDuplicateKey, codes.InvalidArgument, "etcdserver: duplicate key given in txn request"},
		{mvcc.ErrKeyMissing, codes.InvalidArgument, "etcdserver: key not found"},
		{mvcc.ErrTooLarge, codes.InvalidArgument, "etcdserver: request is too large"},
		{mvcc.ErrNoSpace, codes.ResourceExhausted, "etcdserver: mvcc: database space exceeded"},
		{backend.ErrNoSpace, codes.ResourceExhausted, "etcdserver: mvcc: database space exceeded"},
		{mvcc.ErrClosed, codes.Unavailable, "etcdserver: server stopped"},
		{backend.ErrClosed, codes.Unavailable, "etcdserver: server stopped"},
		{watch.ErrHubClosed, codes.Unavailable, "etcdserver: server stopped"},
		{watch.ErrStreamClosed, codes.Unavailable, "etcdserver: server stopped"},
		{watch.ErrTooManyWatches, codes.ResourceExhausted, "etcdserver: watch: too many watches"},
		{mvcc.ErrReadOnly, codes.FailedPrecondition, "etcdserver: mvcc: store is read-only"},
		{fmt.Errorf("%w: %w", mvcc.ErrFailed, errors.New("disk is gone")), codes.Unavailable, "etcdserver: mvcc: store failed, writing has ended: disk is gone"},
		{mvcc.ErrExhausted, codes.ResourceExhausted, "etcdserver: mvcc: no revision is left"},
		{mvcc.ErrDamaged, codes.DataLoss, "etcdserver: corrupt cluster"},
		{backend.ErrDamaged, codes.DataLoss, "etcdserver: corrupt cluster"},
		{context.Canceled, codes.Canceled, "context canceled"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "context deadline exceeded"},
		{fmt.Errorf("%w: %w", mvcc.ErrUncertain, context.Canceled), codes.Canceled, "etcdserver: request canceled"},
		{fmt.Errorf("%w: %w", mvcc.ErrUncertain, context.DeadlineExceeded), codes.Unavailable, "etcdserver: request timed out"},
		{rpctypes.ErrGRPCPermissionDenied, codes.PermissionDenied, "etcdserver: permission denied"},
		{errors.New("something else"), codes.Unknown, "something else"},
	} {
		for _, err := range []error{test.err, fmt.Errorf("put of key %q: %w", "a", test.err)} {
			s, ok := status.FromError(toGRPC(err))
			assert.True(t, ok, "%v", err)
			assert.Equal(t, test.code, s.Code(), "%v", err)
			if err == test.err || test.text == rpctypes.ErrorDesc(toGRPC(test.err)) && test.code != codes.Unknown {
				assert.Contains(t, s.Message(), test.text[len("etcdserver: "):], "%v", err)
			}
			if err == test.err {
				assert.Equal(t, test.text, s.Message())
			}
		}
	}
	assert.NoError(t, toGRPC(nil))
}
