package server

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// asTheyAre sends and takes messages as bytes.
type asTheyAre struct{}

func (asTheyAre) Name() string                       { return "proto" }
func (asTheyAre) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (asTheyAre) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data; return nil }

// blamed are the codes that an answer to one bad request may have. Internal
// is grpc's own, of a message that does not decode.
var blamed = []codes.Code{
	codes.OK, codes.InvalidArgument, codes.OutOfRange, codes.NotFound, codes.FailedPrecondition, codes.Unimplemented,
	codes.Unauthenticated, codes.PermissionDenied, codes.ResourceExhausted, codes.Unavailable, codes.Unknown,
	codes.DeadlineExceeded, codes.Canceled, codes.DataLoss, // the last under an alarm
}

// fuzzSeeds are messages; a method is given one of them, its own or not.
var fuzzSeeds = []proto.Message{
	&pb.PutRequest{}, &pb.PutRequest{Key: []byte("k"), Value: []byte("v"), Lease: 1, PrevKv: true},
	&pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte{0}, Limit: -1, Revision: 1, SortOrder: 1, SortTarget: 4},
	&pb.LeaseGrantRequest{TTL: -1, ID: 7}, &pb.CompactionRequest{Revision: 1, Physical: true},
	&pb.AlarmRequest{Action: 1, MemberID: 1, Alarm: 2}, &pb.DowngradeRequest{Action: 9, Version: "3.x"},
}

// FuzzRequests sends any bytes as the first message of any method of any
// service. No handler panics, and the server goes on.
func FuzzRequests(f *testing.F) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(f, err)
	store, err := mvcc.Open(engine, mvcc.Config{})
	require.NoError(f, err)
	hub, err := watch.NewHub(store, watch.Config{})
	require.NoError(f, err)
	lessor, err := lease.Open(store, lease.Config{})
	require.NoError(f, err)
	s, err := New(Parts{Engine: engine, Store: store, Hub: hub, Lessor: lessor}, Config{})
	require.NoError(f, err)
	listener := bufconn.Listen(1 << 20)
	g := grpc.NewServer(s.GRPCOptions()...)
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///fuzz", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	require.NoError(f, err)
	f.Cleanup(func() {
		require.NoError(f, conn.Close())
		require.NoError(f, s.Close())
		g.Stop()
		require.NoError(f, <-served)
		require.NoError(f, lessor.Close())
		require.NoError(f, hub.Close())
		require.NoError(f, store.Close())
		require.NoError(f, engine.Close())
	})

	methods := methodsOf(g)
	for i := range methods {
		data, err := proto.Marshal(fuzzSeeds[i%len(fuzzSeeds)])
		require.NoError(f, err)
		f.Add(uint8(i), data)
		f.Add(uint8(i), []byte{0xff, 0xff, 0xff})
	}
	f.Fuzz(func(t *testing.T, which uint8, message []byte) {
		m := methods[int(which)%len(methods)]
		// Locks, elections and watches wait for what never comes.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := m.ask(ctx, conn, message)
		if status.Code(err) == codes.Internal {
			require.Regexp(t, "unmarshal|cardinality|RST_STREAM", status.Convert(err).Message(), m.path)
		} else {
			require.Contains(t, blamed, status.Code(err), "%s: %v", m.path, err)
		}
		var answer []byte
		empty := []byte{}
		require.NoError(t, conn.Invoke(t.Context(), pb.Cluster_MemberList_FullMethodName, &empty, &answer, grpc.ForceCodec(asTheyAre{})))
	})
}

// method is one of a server's methods.
type method struct {
	path             string
	clients, servers bool // streams
}

func methodsOf(g *grpc.Server) (all []method) {
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			all = append(all, method{path: "/" + service + "/" + m.Name, clients: m.IsClientStream, servers: m.IsServerStream})
		}
	}
	slices.SortFunc(all, func(a, b method) int { return slices.Compare([]byte(a.path), []byte(b.path)) })
	return all
}

// ask sends a message and takes answers to the end, or until ctx ends.
func (m method) ask(ctx context.Context, conn *grpc.ClientConn, message []byte) error {
	var answer []byte
	if !m.clients && !m.servers {
		return conn.Invoke(ctx, m.path, &message, &answer, grpc.ForceCodec(asTheyAre{}))
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: m.clients, ServerStreams: m.servers}, m.path, grpc.ForceCodec(asTheyAre{}))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&message); err != nil {
		return nil // the answer to come says why
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if err := stream.RecvMsg(&answer); err != nil {
			if err.Error() == "EOF" {
				return nil
			}
			return err
		}
	}
}
