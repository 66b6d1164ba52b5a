// Package wire is the verify.Subject of a server that speaks etcd's v3
// protocol. Watches are raw streams: ids, fragments and requests that no
// client library would send are the probes' own business.
package wire

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/bench/verify"
	"github.com/watchkv/watchkv/mvcc"
)

// window is what a server may send on a stream that is not read. It is small
// and fixed, so that a reader that stops is noticed soon.
const window = 64 << 10

// DialOptions are what a connection should be made with.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(1 << 20),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)),
	}
}

// New looks at the server behind a connection made with DialOptions, which
// must go to one member alone and stays the caller's. name is what people
// call it.
func New(conn grpc.ClientConnInterface, name string) verify.Subject {
	return &subject{
		facts: verify.Facts{Name: name, EtcdRules: true, Wire: true},
		kv:    pb.NewKVClient(conn), watch: pb.NewWatchClient(conn), lease: pb.NewLeaseClient(conn),
	}
}

type subject struct {
	facts verify.Facts
	kv    pb.KVClient
	watch pb.WatchClient
	lease pb.LeaseClient
}

func (s *subject) Facts() verify.Facts { return s.facts }
func (s *subject) Close() error        { return nil }

func (s *subject) Put(ctx context.Context, key, value []byte, lease int64) (int64, error) {
	r, err := s.kv.Put(ctx, &pb.PutRequest{Key: key, Value: value, Lease: lease})
	if err != nil {
		return 0, toError(err)
	}
	return r.Header.GetRevision(), nil
}

func (s *subject) Delete(ctx context.Context, key, end []byte) (mvcc.DeleteResult, error) {
	r, err := s.kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key, RangeEnd: end})
	if err != nil {
		return mvcc.DeleteResult{}, toError(err)
	}
	return mvcc.DeleteResult{Deleted: r.Deleted, Rev: r.Header.GetRevision()}, nil
}

func (s *subject) Range(ctx context.Context, key, end []byte, o mvcc.RangeOptions) (mvcc.RangeResult, error) {
	r, err := s.kv.Range(ctx, rangeRequest(key, end, o))
	if err != nil {
		return mvcc.RangeResult{}, toError(err)
	}
	return toRange(r), nil
}

func (s *subject) Txn(ctx context.Context, t mvcc.Txn) (mvcc.TxnResult, error) {
	r, err := s.kv.Txn(ctx, toTxn(&t))
	if err != nil {
		return mvcc.TxnResult{}, toError(err)
	}
	return toTxnResult(r), nil
}

func (s *subject) Compact(ctx context.Context, rev int64) error {
	_, err := s.kv.Compact(ctx, &pb.CompactionRequest{Revision: rev})
	return toError(err)
}

func (s *subject) Grant(ctx context.Context, ttl int64) (int64, error) {
	r, err := s.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: ttl})
	if err != nil {
		return 0, toError(err)
	}
	return r.ID, nil
}

func (s *subject) Revoke(ctx context.Context, id int64) error {
	_, err := s.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: id})
	return toError(err)
}

// sentinels are what the texts of a server mean. A refused create has them
// with and without "etcdserver: " before them.
var sentinels = []struct {
	text string
	err  error
}{
	{rpctypes.ErrorDesc(rpctypes.ErrGRPCDuplicateKey), mvcc.ErrDuplicateKey},
	{rpctypes.ErrorDesc(rpctypes.ErrGRPCFutureRev), mvcc.ErrFutureRevision},
	{"mvcc: required revision has been compacted", mvcc.ErrCompacted},
}

// toError is an answer's error with the sentinel that it means.
func toError(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, s := range sentinels {
		if strings.Contains(st.Message(), s.text) {
			return fmt.Errorf("%s: %w", st.Message(), s.err)
		}
	}
	switch st.Code() {
	case codes.DeadlineExceeded:
		return fmt.Errorf("%s: %w", st.Message(), context.DeadlineExceeded)
	case codes.Canceled:
		return fmt.Errorf("%s: %w", st.Message(), context.Canceled)
	}
	return errors.New(st.Message())
}
