package server_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/watchkv/watchkv/server"
)

func TestCluster_ListsItselfAndNeverChanges(t *testing.T) {
	s := serve(t, server.Config{Name: "one", ClientURLs: []string{"http://10.0.0.1:2379"}})
	c, ctx := s.client(t), ctxOf(t)
	list, err := c.MemberList(ctx)
	require.NoError(t, err)
	require.Len(t, list.Members, 1)
	self := list.Members[0]
	assert.Equal(t, "one", self.Name)
	assert.Equal(t, []string{"http://10.0.0.1:2379"}, self.ClientURLs)
	assert.NotZero(t, self.ID)
	assert.Equal(t, list.Header.MemberId, self.ID)
	assert.NotZero(t, list.Header.ClusterId)
	peer := []string{"http://10.0.0.2:2380"}
	raw := pb.NewClusterClient(c.ActiveConnection())
	add := func(urls ...string) func() error {
		return func() error {
			_, err := raw.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: urls})
			return err
		}
	}
	for _, test := range []struct {
		name string
		call func() error
		want error
	}{
		{"add", add(peer...), rpctypes.ErrMemberNotEnoughStarted},
		{"add without URL", add(), rpctypes.ErrMemberBadURLs},
		{"add with a path", add("http://a:1/x"), rpctypes.ErrMemberBadURLs},
		{"add a learner", func() error { _, err := c.MemberAddAsLearner(ctx, peer); return err }, rpctypes.ErrTooManyLearners},
		{"remove itself", func() error { _, err := c.MemberRemove(ctx, self.ID); return err }, rpctypes.ErrMemberNotEnoughStarted},
		{"remove another", func() error { _, err := c.MemberRemove(ctx, 7); return err }, rpctypes.ErrMemberNotFound},
		{"update itself", func() error { _, err := c.MemberUpdate(ctx, self.ID, peer); return err }, rpctypes.ErrNotCapable},
		{"update another", func() error { _, err := c.MemberUpdate(ctx, 7, peer); return err }, rpctypes.ErrMemberNotFound},
		{"promote itself", func() error { _, err := c.MemberPromote(ctx, self.ID); return err }, rpctypes.ErrMemberNotLearner},
		{"promote another", func() error { _, err := c.MemberPromote(ctx, 7); return err }, rpctypes.ErrMemberNotFound},
	} {
		assert.Equal(t, test.want, rpctypes.Error(test.call()), test.name)
	}
}

func TestHealth(t *testing.T) {
	s := serve(t, server.Config{})
	ctx := ctxOf(t)
	h := healthpb.NewHealthClient(s.client(t).ActiveConnection())
	res, err := h.Check(ctx, &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	assert.Equal(t, healthpb.HealthCheckResponse_SERVING, res.Status)
	_, err = h.Check(ctx, &healthpb.HealthCheckRequest{Service: "no such"})
	assert.ErrorContains(t, err, "unknown service")
	list, err := h.List(ctx, &healthpb.HealthListRequest{})
	require.NoError(t, err)
	assert.Equal(t, healthpb.HealthCheckResponse_SERVING, list.Statuses[""].GetStatus())
	watched, err := h.Watch(ctx, &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{
		healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING,
	} {
		res, err := watched.Recv()
		require.NoError(t, err)
		assert.Equal(t, want, res.Status)
		s.server.EndStreams()
	}
	_, err = watched.Recv()
	assert.ErrorContains(t, err, "server stopped")
}

func TestReflection_ListsTheServices(t *testing.T) {
	s := serve(t, server.Config{})
	stream, err := reflectionpb.NewServerReflectionClient(s.client(t).ActiveConnection()).ServerReflectionInfo(ctxOf(t))
	require.NoError(t, err)
	require.NoError(t, stream.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
	}))
	res, err := stream.Recv()
	require.NoError(t, err)
	var names []string
	for _, service := range res.GetListServicesResponse().GetService() {
		names = append(names, service.Name)
	}
	assert.Subset(t, names, []string{
		"etcdserverpb.KV", "etcdserverpb.Watch", "etcdserverpb.Cluster", "etcdserverpb.Auth",
		"v3lockpb.Lock", "v3electionpb.Election", "grpc.health.v1.Health",
	})
}
