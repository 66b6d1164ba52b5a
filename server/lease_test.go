package server_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
)

// E7: a revoke, and time, delete a lease's keys at one revision; a watch gets
// them in one response, sorted, as plain deletes (E5).
func TestLease_EndsAtOneRevision(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	events := c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(1))
	for _, end := range []string{"revoke", "time"} {
		granted, err := c.Grant(ctx, 1)
		require.NoError(t, err)
		require.EqualValues(t, 2, granted.TTL, "raised to the shortest")
		require.Positive(t, granted.ID)
		for _, key := range []string{"c", "a", "b"} {
			put, err := c.Put(ctx, key, "v", clientv3.WithLease(granted.ID))
			require.NoError(t, err)
			got := <-events
			require.Len(t, got.Events, 1)
			require.Equal(t, put.Header.Revision, got.Events[0].Kv.ModRevision)
			require.EqualValues(t, granted.ID, got.Events[0].Kv.Lease)
		}
		ttl, err := c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("a"), []byte("b"), []byte("c")}, ttl.Keys)
		require.EqualValues(t, 2, ttl.GrantedTTL)
		require.LessOrEqual(t, ttl.TTL, int64(2))
		before := ttl.Revision
		if end == "revoke" {
			revoked, err := c.Revoke(ctx, granted.ID)
			require.NoError(t, err)
			require.Equal(t, before+1, revoked.Header.Revision)
		}
		got := <-events
		require.Len(t, got.Events, 3)
		for i, key := range []string{"a", "b", "c"} {
			require.Equal(t, clientv3.EventTypeDelete, got.Events[i].Type)
			require.Equal(t, key, string(got.Events[i].Kv.Key))
			require.Equal(t, before+1, got.Events[i].Kv.ModRevision)
			require.Zero(t, got.Events[i].Kv.Lease)
		}
	}
	list, err := c.Leases(ctx)
	require.NoError(t, err)
	require.Empty(t, list.Leases)
}

// etcd's codes and texts.
func TestLease_Refusals(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	raw := pb.NewLeaseClient(s.conn(t))

	_, err := raw.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 100})
	require.NoError(t, err)
	_, err = raw.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 100})
	require.Equal(t, rpctypes.ErrGRPCLeaseExist, err)
	_, err = raw.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 9_000_000_001})
	require.Equal(t, rpctypes.ErrGRPCLeaseTTLTooLarge, err)
	_, err = raw.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: 8})
	require.Equal(t, rpctypes.ErrGRPCLeaseNotFound, err)
	_, err = raw.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{})
	require.Equal(t, rpctypes.ErrGRPCLeaseNotFound, err)
	gone, err := raw.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: 8, Keys: true})
	require.NoError(t, err)
	require.EqualValues(t, -1, gone.TTL)
	require.EqualValues(t, 8, gone.ID)
	require.Zero(t, gone.GrantedTTL)

	_, err = c.Put(ctx, "k", "v", clientv3.WithLease(8))
	require.ErrorIs(t, err, rpctypes.ErrLeaseNotFound)
	_, err = c.Txn(ctx).Then(clientv3.OpPut("k", "v", clientv3.WithLease(8))).Commit()
	require.ErrorIs(t, err, rpctypes.ErrLeaseNotFound)
	_, err = c.Txn(ctx).If(clientv3.Compare(clientv3.Version("k"), "=", 0)).
		Then(clientv3.OpPut("k", "v", clientv3.WithLease(7))).Else(clientv3.OpPut("k", "v", clientv3.WithLease(8))).Commit()
	require.NoError(t, err)
	_, err = c.Put(ctx, "k", "new", clientv3.WithIgnoreLease())
	require.NoError(t, err)
	got, err := c.Get(ctx, "k")
	require.NoError(t, err)
	require.EqualValues(t, 7, got.Kvs[0].Lease)
	list, err := raw.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
	require.NoError(t, err)
	require.Len(t, list.Leases, 1)
}

// A keep-alive stream answers in order: time for a lease that lives, 0 for one
// that does not; a half-close ends it, and so does the server's end.
func TestLease_KeepAlive(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	raw := pb.NewLeaseClient(s.conn(t))
	granted, err := c.Grant(ctx, 50)
	require.NoError(t, err)

	stream, err := raw.LeaseKeepAlive(ctx)
	require.NoError(t, err)
	for _, id := range []int64{int64(granted.ID), 12345, int64(granted.ID)} {
		require.NoError(t, stream.Send(&pb.LeaseKeepAliveRequest{ID: id}))
	}
	for _, want := range []int64{50, 0, 50} {
		got, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, want, got.TTL)
		require.EqualValues(t, 1, got.Header.Revision)
	}
	require.NoError(t, stream.CloseSend())
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)

	cancelled, cancel := context.WithCancel(ctx)
	stream, err = raw.LeaseKeepAlive(cancelled)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pb.LeaseKeepAliveRequest{ID: 1}))
	_, err = stream.Recv()
	require.NoError(t, err)
	cancel()
	_, err = stream.Recv()
	require.Equal(t, codes.Canceled, status.Code(err))

	stream, err = raw.LeaseKeepAlive(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pb.LeaseKeepAliveRequest{ID: 1}))
	_, err = stream.Recv()
	require.NoError(t, err)
	s.server.EndStreams()
	_, err = stream.Recv()
	require.Equal(t, rpctypes.ErrGRPCStopped, err)
}

// The official client keeps a lease alive, and once it is revoked closes the
// channel. That a lease lives on past its time is shown with a clock of its
// own in package lease.
func TestLease_ClientKeepsItAlive(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	granted, err := c.Grant(ctx, 5)
	require.NoError(t, err)
	alive, err := c.KeepAlive(ctx, granted.ID)
	require.NoError(t, err)
	for range 2 { // at once, and after a third of the time
		got, ok := <-alive
		require.True(t, ok)
		require.EqualValues(t, 5, got.TTL)
	}
	_, err = c.Revoke(ctx, granted.ID)
	require.NoError(t, err)
	for range alive { // ends with the lease
	}
	_, err = c.KeepAliveOnce(ctx, granted.ID)
	require.ErrorIs(t, err, rpctypes.ErrLeaseNotFound)
}

// Leases survive a restart of the server on every engine.
func TestLease_SurvivesRestart(t *testing.T) {
	for _, d := range engines.All() {
		if d.Volatile {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			dir := t.TempDir()
			for round := range 3 {
				t.Run([]string{"grant", "use", "gone"}[round], func(t *testing.T) {
					engine, err := d.Open(dir, backend.Options{})
					require.NoError(t, err)
					s := serveOver(t, engine, server.Config{})
					c, ctx := s.client(t), ctxOf(t)
					list, err := c.Leases(ctx)
					require.NoError(t, err)
					switch round {
					case 0:
						granted, err := c.Grant(ctx, 1000)
						require.NoError(t, err)
						_, err = c.Put(ctx, "k", "v", clientv3.WithLease(granted.ID))
						require.NoError(t, err)
					case 1:
						require.Len(t, list.Leases, 1)
						ttl, err := c.TimeToLive(ctx, list.Leases[0].ID, clientv3.WithAttachedKeys())
						require.NoError(t, err)
						assert.EqualValues(t, 1000, ttl.GrantedTTL)
						assert.Equal(t, [][]byte{[]byte("k")}, ttl.Keys)
						_, err = c.KeepAliveOnce(ctx, list.Leases[0].ID)
						require.NoError(t, err)
						_, err = c.Revoke(ctx, list.Leases[0].ID)
						require.NoError(t, err)
					default:
						require.Empty(t, list.Leases)
						got, err := c.Get(ctx, "k")
						require.NoError(t, err)
						require.Empty(t, got.Kvs)
					}
				})
			}
		})
	}
}

// C4: who may not write the keys of a lease may neither revoke it nor keep it
// alive, nor list its keys without reading them.
func TestLease_Authorized(t *testing.T) {
	denied := rpctypes.ErrGRPCPermissionDenied
	deny := map[server.Action]bool{}
	s := serve(t, server.Config{Authorizer: authorizer(func(a server.Access) error {
		if string(a.Key) == "secret" && deny[a.Action] {
			return denied
		}
		return nil
	})})
	c, ctx := s.client(t), ctxOf(t)
	granted, err := c.Grant(ctx, 100)
	require.NoError(t, err)
	_, err = c.Put(ctx, "secret", "v", clientv3.WithLease(granted.ID))
	require.NoError(t, err)
	deny[server.ActionWrite] = true
	_, err = c.Revoke(ctx, granted.ID)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = c.KeepAliveOnce(ctx, granted.ID)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = c.Put(ctx, "mine", "v", clientv3.WithLease(granted.ID))
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	require.NoError(t, err)
	deny[server.ActionRead] = true
	_, err = c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	_, err = c.TimeToLive(ctx, granted.ID)
	require.NoError(t, err)
	_, err = c.Leases(ctx)
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
}

type authorizer func(a server.Access) error

func (f authorizer) Authorize(_ context.Context, a server.Access) error { return f(a) }

// A key that is attached while the Authorizer is asked about the others is
// asked for as well, or is not deleted.
func TestLease_RevokeAsksForEveryKeyItDeletes(t *testing.T) {
	for name, allowed := range map[string]bool{"denied": false, "allowed": true} {
		t.Run(name, func(t *testing.T) {
			var s *serving
			var id int64
			asked := map[string]int{}
			s = serve(t, server.Config{Authorizer: authorizer(func(a server.Access) error {
				if a.Method != pb.Lease_LeaseRevoke_FullMethodName || a.Action != server.ActionWrite {
					return nil
				}
				key := string(a.Key)
				if asked[key]++; key == "b" && asked[key] == 1 {
					_, err := s.store.Update(t.Context(), func(tx *mvcc.WriteTx) error {
						return tx.Put([]byte("a"), []byte("v"), id)
					})
					assert.NoError(t, err)
				}
				if key == "a" && !allowed {
					return rpctypes.ErrGRPCPermissionDenied
				}
				return nil
			})})
			c, ctx := s.client(t), ctxOf(t)
			granted, err := c.Grant(ctx, 100)
			require.NoError(t, err)
			id = int64(granted.ID)
			_, err = c.Put(ctx, "b", "v", clientv3.WithLease(granted.ID))
			require.NoError(t, err)
			_, err = c.Revoke(ctx, granted.ID)
			left, getErr := c.Get(ctx, "", clientv3.WithPrefix())
			require.NoError(t, getErr)
			assert.Equal(t, 1, asked["a"])
			if allowed {
				require.NoError(t, err)
				assert.Empty(t, left.Kvs)
			} else {
				require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
				assert.Len(t, left.Kvs, 2)
			}
		})
	}
}
