package etcd

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/bench"
)

// telling is a server that tells its status, and nothing else.
type telling struct {
	pb.UnimplementedMaintenanceServer
}

func (telling) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	return &pb.StatusResponse{Header: &pb.ResponseHeader{Revision: 7}, Version: "3.7.3"}, nil
}

// listening is a listener as long as the test. The system takes connections
// for it, also if nobody does here.
func listening(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// A member that is stopped takes connections and answers nothing: it is left
// out where another answers, and else the time that was waited is said.
func TestConnect_StoppedMember(t *testing.T) {
	stopped, well := listening(t), listening(t)
	server := grpc.NewServer()
	pb.RegisterMaintenanceServer(server, telling{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(well) }()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	c := Config{Endpoints: []string{stopped.Addr().String(), well.Addr().String()}, DialTimeout: 30 * time.Second, CommandTimeout: 2 * time.Second}
	k, err := Connect(t.Context(), c)
	require.NoError(t, err)
	assert.Equal(t, c.Endpoints[:1], k.Absent())
	require.Len(t, k.Status(), 1)
	assert.Equal(t, c.Endpoints[1], k.Status()[0].Endpoint)
	assert.Equal(t, []string{"http://" + c.Endpoints[1]}, k.client.Endpoints())
	assert.Equal(t, []string{"etcd://" + c.Endpoints[1]}, k.Facts().Endpoints)
	require.NoError(t, k.Close())

	c.Endpoints, c.CommandTimeout = c.Endpoints[:1], 100*time.Millisecond
	_, err = Connect(t.Context(), c)
	assert.EqualError(t, err, "etcd://"+c.Endpoints[0]+": no answer within 100 ms; is etcd running there?")
}

// hanging is a connection that is never made.
type hanging struct{ pb.WatchClient }

func (hanging) Watch(ctx context.Context, _ ...grpc.CallOption) (pb.Watch_WatchClient, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestNewStream_NoAnswer(t *testing.T) {
	_, err := (&target{kind: &Kind{config: Config{DialTimeout: 10 * time.Millisecond}}}).newStream("a", hanging{})
	var gone *bench.GoneError
	require.ErrorAs(t, err, &gone)
	assert.EqualError(t, err, "etcd: no answer for 10.0 ms")
}

func TestRefusal_NamesThePrefix(t *testing.T) {
	k := &Kind{config: Config{Prefix: "mine/"}}
	assert.ErrorContains(t, k.gone(rpctypes.ErrPermissionDenied), "readwrite mine/")
}
