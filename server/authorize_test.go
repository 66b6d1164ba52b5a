package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/server"
)

// gate is an Authorizer that notes what it is asked and lets answer decide.
type gate struct {
	mu     sync.Mutex // guards all below
	asked  []string
	answer func(ctx context.Context, a server.Access) error // nil allows all
}

// Authorize implements server.Authorizer.
func (g *gate) Authorize(ctx context.Context, a server.Access) error {
	g.mu.Lock()
	g.asked = append(g.asked, fmt.Sprintf("%v %q %q", a.Action, a.Key, a.End))
	answer := g.answer
	g.mu.Unlock()
	if answer == nil {
		return nil
	}
	return answer(ctx, a)
}

func (g *gate) set(answer func(ctx context.Context, a server.Access) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = answer
}

// take returns what was asked since the last time.
func (g *gate) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

func rangeOp(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func putOp(r *pb.PutRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
}

// C4 for the calls beside Watch: the Authorizer sees each range as it is on
// the wire, and every one that etcd looks at; what it refuses does not happen.
func TestAuthorizer_IsAskedForEveryRange(t *testing.T) {
	g := new(gate)
	s := serve(t, server.Config{Authorizer: g})
	conn, ctx := s.conn(t), ctxOf(t)
	kv := pb.NewKVClient(conn)
	_, err := pb.NewLeaseClient(conn).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 300})
	require.NoError(t, err)
	for _, key := range []string{"y", "x"} {
		_, err = kv.Put(ctx, &pb.PutRequest{Key: []byte(key), Lease: 7})
		require.NoError(t, err)
	}
	g.take()
	for _, test := range []struct {
		name string
		call func() error
		want []string
	}{
		{"put with a lease that has other keys", func() error {
			_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("y"), Lease: 7})
			return err
		}, []string{`write "y" ""`, `write "x" ""`, `write "y" ""`}},
		{"time and keys of a lease", func() error {
			_, err := pb.NewLeaseClient(conn).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: 7, Keys: true})
			return err
		}, []string{`identify "" ""`, `read "x" ""`, `read "y" ""`}},
		{"time of a lease", func() error {
			_, err := pb.NewLeaseClient(conn).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: 7})
			return err
		}, []string{`identify "" ""`}},
		{"leases", func() error {
			_, err := pb.NewLeaseClient(conn).LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
			return err
		}, []string{`identify "" ""`, `read "x" ""`, `read "y" ""`}},
		{"range", func() error {
			_, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte{0}})
			return err
		}, []string{`read "a" "\x00"`}},
		{"range stream", func() error {
			stream, err := kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("a"), RangeEnd: []byte("b")})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		}, []string{`read "a" "b"`}},
		{"put", func() error { _, err := kv.Put(ctx, putOf("a", 1)); return err }, []string{`write "a" ""`}},
		{"put that reads", func() error {
			_, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("a"), PrevKv: true})
			return err
		}, []string{`write "a" ""`, `read "a" ""`}},
		{"delete", func() error {
			_, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("b"), RangeEnd: []byte("c")})
			return err
		}, []string{`write "b" "c"`}},
		{"delete that reads", func() error {
			_, err := kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("b"), RangeEnd: []byte("c"), PrevKv: true})
			return err
		}, []string{`write "b" "c"`, `read "b" "c"`}},
		{"transaction, with the branch that does not run", func() error {
			_, err := kv.Txn(ctx, &pb.TxnRequest{
				Compare: []*pb.Compare{{Key: []byte("c"), RangeEnd: []byte("d")}},
				Success: []*pb.RequestOp{rangeOp("e", ""), putOp(&pb.PutRequest{Key: []byte("f"), PrevKv: true})},
				Failure: []*pb.RequestOp{{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{
					Success: []*pb.RequestOp{putOp(putOf("g", 1)), rangeOp("h", "\x00")},
				}}}},
			})
			return err
		}, []string{`read "c" "d"`, `read "e" ""`, `write "f" ""`, `read "f" ""`, `write "g" ""`, `read "h" "\x00"`}},
		{"compaction", func() error {
			_, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 2})
			return err
		}, []string{`admin "" ""`}},
		{"members", func() error {
			_, err := pb.NewClusterClient(conn).MemberList(ctx, &pb.MemberListRequest{})
			return err
		}, []string{`identify "" ""`}},
		{"users", func() error {
			_, err := pb.NewAuthClient(conn).UserList(ctx, &pb.AuthUserListRequest{})
			return err
		}, []string{`admin "" ""`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g.set(nil)
			require.NoError(t, test.call())
			require.Equal(t, test.want, g.take())
			rev := s.store.Rev()
			for n := range test.want {
				asked := 0
				g.set(func(context.Context, server.Access) error {
					if asked++; asked > n {
						return rpctypes.ErrGRPCPermissionDenied
					}
					return nil
				})
				require.Equal(t, rpctypes.ErrPermissionDenied, rpctypes.Error(test.call()))
				require.Len(t, g.take(), n+1)
			}
			require.Equal(t, rev, s.store.Rev(), "refused and done all the same")
		})
	}
}

// What Lock and Election do inside is asked for in the name of who called
// them, watches included, also while several wait for one lock.
func TestAuthorizer_LocksAreTheirCallers(t *testing.T) {
	var mu sync.Mutex // guards seen
	seen := map[string]map[string]bool{}
	g := &gate{answer: func(ctx context.Context, a server.Access) error {
		token := metadata.ValueFromIncomingContext(ctx, rpctypes.TokenFieldNameGRPC)
		if len(token) != 1 || token[0] == "stranger" {
			return rpctypes.ErrGRPCInvalidAuthToken
		}
		if p, ok := peer.FromContext(ctx); !ok || p.Addr.Network() != "tcp" {
			return rpctypes.ErrGRPCUserEmpty
		}
		mu.Lock()
		defer mu.Unlock()
		if seen[token[0]] == nil {
			seen[token[0]] = map[string]bool{}
		}
		seen[token[0]][a.Method] = true
		return nil
	}}
	s := serve(t, server.Config{Authorizer: g})
	locks := v3lockpb.NewLockClient(s.conn(t))
	as := func(token string) context.Context {
		return metadata.AppendToOutgoingContext(ctxOf(t), rpctypes.TokenFieldNameGRPC, token)
	}
	_, err := locks.Lock(as("stranger"), &v3lockpb.LockRequest{Name: []byte("a")})
	require.ErrorContains(t, err, "invalid auth token")
	held, err := locks.Lock(as("one"), &v3lockpb.LockRequest{Name: []byte("a")})
	require.NoError(t, err)
	next := make(chan *v3lockpb.LockResponse, 2)
	for _, token := range []string{"two", "three"} {
		go func() {
			res, err := locks.Lock(as(token), &v3lockpb.LockRequest{Name: []byte("a")})
			assert.NoError(t, err)
			next <- res
		}()
	}
	require.Eventually(t, func() bool { // both wait
		mu.Lock()
		defer mu.Unlock()
		return seen["two"][pb.Watch_Watch_FullMethodName] && seen["three"][pb.Watch_Watch_FullMethodName]
	}, 20*time.Second, time.Millisecond)
	for range 2 {
		_, err = locks.Unlock(as("one"), &v3lockpb.UnlockRequest{Key: held.Key})
		require.NoError(t, err)
		held = <-next
	}
	mu.Lock()
	defer mu.Unlock()
	for _, token := range []string{"two", "three"} {
		require.True(t, seen[token][pb.KV_Txn_FullMethodName], "%s", token)
		require.True(t, seen[token][pb.Lease_LeaseGrant_FullMethodName], "%s", token)
	}
}

// token lets in who shows it.
func token(valid string) func(ctx context.Context, _ server.Access) error {
	return func(ctx context.Context, _ server.Access) error {
		if got := metadata.ValueFromIncomingContext(ctx, rpctypes.TokenFieldNameGRPC); len(got) != 1 || got[0] != valid {
			return rpctypes.ErrInvalidAuthToken // as the client library has it
		}
		return nil
	}
}

func TestAuthorizer_TokenExpires(t *testing.T) {
	g := new(gate)
	s := serve(t, server.Config{Authorizer: g})
	kv := pb.NewKVClient(s.conn(t))
	ctx := metadata.AppendToOutgoingContext(ctxOf(t), rpctypes.TokenFieldNameGRPC, "first")
	g.set(token("first"))
	_, err := kv.Put(ctx, putOf("a", 1))
	require.NoError(t, err)
	g.set(token("second"))
	_, err = kv.Put(ctx, putOf("a", 1))
	require.Equal(t, codes.Unauthenticated, status.Code(err))
	require.Equal(t, rpctypes.ErrInvalidAuthToken, rpctypes.Error(err))
}

func TestAuthorizer_RevokedDuringARangeStream(t *testing.T) {
	g := new(gate)
	s := serve(t, server.Config{Authorizer: g})
	kv := large(t, s, 400)
	stream, err := kv.RangeStream(ctxOf(t), &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	g.set(func(context.Context, server.Access) error { return rpctypes.ErrGRPCPermissionDenied })
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, rpctypes.ErrPermissionDenied, rpctypes.Error(err))
}

// A panic, here of the Authorizer, is an answer and a line in the log; the
// connection and the server live on.
func TestServer_OutlivesPanics(t *testing.T) {
	g := new(gate)
	var log lockedBuilder
	s := serve(t, server.Config{Authorizer: g, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	kv, ctx := pb.NewKVClient(s.conn(t, grpc.WithDisableRetry())), ctxOf(t)
	g.set(func(context.Context, server.Access) error { panic("out of cheese") })
	_, err := kv.Put(ctx, putOf("a", 1))
	require.Equal(t, codes.Internal, status.Code(err))
	require.NotContains(t, err.Error(), "cheese", "the log's business")
	stream, err := kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("a")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	renewals, err := pb.NewLeaseClient(s.conn(t)).LeaseKeepAlive(ctx)
	require.NoError(t, err)
	require.NoError(t, renewals.Send(&pb.LeaseKeepAliveRequest{ID: 1}))
	_, err = renewals.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	g.set(nil)
	_, err = kv.Put(ctx, putOf("a", 1))
	require.NoError(t, err)
	assert.Equal(t, 3, strings.Count(log.String(), "out of cheese"))
	assert.Contains(t, log.String(), "/etcdserverpb.KV/RangeStream")
	assert.Contains(t, log.String(), "authorize_test.go", "the stack")
}

// lockedBuilder is a log to look at.
type lockedBuilder struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

// Write implements io.Writer.
func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String implements fmt.Stringer.
func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
