package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/mvcc"
)

// sender answers every request with all of its messages, each twice: a batch
// is sent to many.
type sender struct {
	pb.UnimplementedWatchServer
	messages []*Message
}

func (s *sender) Watch(rpc pb.Watch_WatchServer) error {
	if _, err := rpc.Recv(); err != nil {
		return err
	}
	for _, m := range s.messages {
		for range 2 {
			if err := rpc.SendMsg(m); err != nil {
				return err
			}
		}
	}
	return rpc.Send(&pb.WatchResponse{WatchId: 77, Created: true})
}

// payloads sums up what a stats handler sees of responses.
type payloads struct{ messages, bytes atomic.Int64 }

func (*payloads) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*payloads) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*payloads) HandleConn(context.Context, stats.ConnStats)                       {}

func (p *payloads) HandleRPC(_ context.Context, s stats.RPCStats) {
	if out, ok := s.(*stats.OutPayload); ok {
		p.messages.Add(1)
		p.bytes.Add(int64(out.Length))
	}
}

func testMessages() (messages []*Message, want []*pb.WatchResponse) {
	encoder := NewEncoder(&pb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 2})
	for i, size := range []int{0, 1, 200, 20_000, 70_000} { // frames of HTTP/2 are 16 KiB
		var events []mvcc.Event
		for k := range 3 {
			events = append(events, mvcc.Event{KV: mvcc.KeyValue{
				Key: fmt.Append(nil, "key", k), Value: make([]byte, size), ModRevision: int64(i + 2), CreateRevision: 2, Version: 1,
			}})
		}
		events = append(events, mvcc.Event{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: []byte("gone"), ModRevision: int64(i + 2)}})
		for _, id := range []int64{0, 1, smallIDs} {
			messages = append(messages, encoder.Encode(events, int64(i+2)).Message(id))
			want = append(want, &pb.WatchResponse{
				Header:  &pb.ResponseHeader{ClusterId: 1, MemberId: 2, RaftTerm: 2, Revision: int64(i + 2)},
				WatchId: id, Events: generated(events),
			})
		}
	}
	return messages, want
}

// A stock client gets what was sent, over every kind of connection, and so do
// the services that know nothing of this codec.
func TestCodec_StockClient(t *testing.T) {
	serverTLS, clientTLS := certificates(t)
	for _, tc := range []struct {
		name   string
		server []grpc.ServerOption
		client []grpc.DialOption
		call   []grpc.CallOption
	}{
		{name: "plain", client: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}},
		{name: "gzip", client: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, call: []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
		{name: "TLS", server: []grpc.ServerOption{grpc.Creds(serverTLS)}, client: []grpc.DialOption{grpc.WithTransportCredentials(clientTLS)}},
		{name: "TLS and gzip", server: []grpc.ServerOption{grpc.Creds(serverTLS)}, client: []grpc.DialOption{grpc.WithTransportCredentials(clientTLS)}, call: []grpc.CallOption{grpc.UseCompressor(gzip.Name)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			messages, want := testMessages()
			seen := &payloads{}
			options := append(tc.server, grpc.ForceServerCodecV2(Codec()), grpc.StatsHandler(seen))
			conn := dial(t, &sender{messages: messages}, options, tc.client)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()

			rpc, err := pb.NewWatchClient(conn).Watch(ctx, append(tc.call, grpc.MaxCallRecvMsgSize(8<<20))...)
			require.NoError(t, err)
			require.NoError(t, rpc.Send(&pb.WatchRequest{}))
			total := 0
			for i, w := range want {
				for range 2 {
					got, err := rpc.Recv()
					require.NoError(t, err)
					same(t, w, got)
				}
				total += 2 * messages[i].Size()
			}
			last, err := rpc.Recv()
			require.NoError(t, err)
			assert.True(t, proto.Equal(&pb.WatchResponse{WatchId: 77, Created: true}, last), "what is no Message goes the stock way")
			_, err = rpc.Recv()
			require.Error(t, err, "the stream has ended, and with it what the stats handler sees")
			assert.EqualValues(t, 2*len(want)+1, seen.messages.Load())
			assert.EqualValues(t, total+proto.Size(last), seen.bytes.Load())

			healthy, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}, tc.call...)
			require.NoError(t, err)
			assert.Equal(t, healthpb.HealthCheckResponse_SERVING, healthy.Status)
			reflected, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx, tc.call...)
			require.NoError(t, err)
			require.NoError(t, reflected.Send(&reflectionpb.ServerReflectionRequest{
				MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
			}))
			services, err := reflected.Recv()
			require.NoError(t, err)
			assert.Len(t, services.GetListServicesResponse().GetService(), 4, "watch, health and two of reflection")
		})
	}
}

// Without the codec, and behind interceptors that want a proto.Message, a
// Message is one.
func TestMessage_IsAProtoMessage(t *testing.T) {
	messages, want := testMessages()
	conn := dial(t, &sender{messages: messages}, nil, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	rpc, err := pb.NewWatchClient(conn).Watch(ctx, grpc.MaxCallRecvMsgSize(8<<20))
	require.NoError(t, err)
	require.NoError(t, rpc.Send(&pb.WatchRequest{}))
	for i, w := range want {
		assert.Equal(t, messages[i].Size(), proto.Size(messages[i]))
		for range 2 {
			got, err := rpc.Recv()
			require.NoError(t, err)
			same(t, w, got)
		}
	}
}

func dial(t *testing.T, s pb.WatchServer, server []grpc.ServerOption, client []grpc.DialOption) *grpc.ClientConn {
	g := grpc.NewServer(server...)
	pb.RegisterWatchServer(g, s)
	healthpb.RegisterHealthServer(g, health.NewServer())
	reflection.Register(g)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), client...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, conn.Close())
		g.Stop()
		assert.NoError(t, <-served)
	})
	return conn
}

func certificates(t *testing.T) (server, client credentials.TransportCredentials) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}),
		credentials.NewTLS(&tls.Config{RootCAs: pool})
}
