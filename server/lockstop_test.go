package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"

	"github.com/watchkv/watchkv/server"
)

// TestStopEndsWhoWaits: a server that stops does not wait until a lock is free,
// and tells those who did.
func TestStopEndsWhoWaits(t *testing.T) {
	s := serve(t, server.Config{})
	conn, ctx := s.conn(t), ctxOf(t)
	locks, elections := v3lockpb.NewLockClient(conn), v3electionpb.NewElectionClient(conn)
	_, err := locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("door")})
	require.NoError(t, err)
	_, err = elections.Campaign(ctx, &v3electionpb.CampaignRequest{Name: []byte("boss")})
	require.NoError(t, err)
	observed, err := elections.Observe(ctx, &v3electionpb.LeaderRequest{Name: []byte("boss")})
	require.NoError(t, err)
	_, err = observed.Recv()
	require.NoError(t, err)

	refused := make(chan error, 3) // one for each who waits
	go func() {
		_, err := locks.Lock(ctx, &v3lockpb.LockRequest{Name: []byte("door")})
		refused <- err
	}()
	go func() {
		_, err := elections.Campaign(ctx, &v3electionpb.CampaignRequest{Name: []byte("boss")})
		refused <- err
	}()
	go func() {
		_, err := observed.Recv()
		refused <- err
	}()
	// Both have put their keys, and wait.
	client := s.client(t)
	require.Eventually(t, func() bool {
		doors, err := client.Get(ctx, "door/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		bosses, err := client.Get(ctx, "boss/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return doors.Count == 2 && bosses.Count == 2
	}, 30*time.Second, 5*time.Millisecond)
	s.server.EndStreams()
	for range 3 {
		require.Equal(t, rpctypes.ErrGRPCStopped.Error(), (<-refused).Error())
	}
}
