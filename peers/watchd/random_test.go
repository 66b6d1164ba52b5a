package watchd

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/peers/process"
)

var randomSeed = flag.Uint64("seed", 0, "of the random requests; 0 runs a few")

// Random requests, sensible and not, get the same answers from watchd as from a
// real etcd: the same fields, the same codes and texts of errors (E2 among
// them), the same revisions, and in the end the same history.
func TestRandomRequests(t *testing.T) {
	seeds, requests := []uint64{1, 2, 3, 4}, 500
	if *whole {
		seeds, requests = nil, 3000
		for s := range uint64(40) {
			seeds = append(seeds, s+100)
		}
	}
	if *randomSeed != 0 {
		seeds = []uint64{*randomSeed}
	}
	for i, seed := range seeds {
		engine := engines[i%len(engines)]
		t.Run(fmt.Sprintf("%s/%d", engine, seed), func(t *testing.T) {
			t.Parallel()
			etcd, ours := newRaw(t, serveEtcd(t)), newRaw(t, serveWatchd(t, engine))
			g := &requestGen{r: rand.New(rand.NewPCG(seed, 7)), rev: 1}
			for n := range requests {
				req := g.next()
				want, got := etcd.ask(t, req), ours.ask(t, req)
				require.Equal(t, want, got, "seed %d, request %d: %T %v", seed, n, req, req)
				if c, ok := req.(*pb.CompactionRequest); ok && strings.HasPrefix(want, "header") {
					g.compacted = c.Revision
				}
			}
			require.Equal(t, etcd.history(t, g.compacted), ours.history(t, g.compacted), "seed %d", seed)
		})
	}
}

// raw is a server asked without a client library.
type raw struct {
	kv          pb.KVClient
	lease       pb.LeaseClient
	watch       pb.WatchClient
	maintenance pb.MaintenanceClient
}

func newRaw(t *testing.T, server *process.Server) *raw {
	conn, err := grpc.NewClient(server.Endpoint(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &raw{kv: pb.NewKVClient(conn), lease: pb.NewLeaseClient(conn), watch: pb.NewWatchClient(conn), maintenance: pb.NewMaintenanceClient(conn)}
}

// streamed marks a RangeRequest that goes to RangeStream.
type streamed struct{ *pb.RangeRequest }

// ask sends a request and returns the answer as text, without ids and times.
func (s *raw) ask(t *testing.T, req any) string {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	var answer proto.Message
	var err error
	switch r := req.(type) {
	case *pb.RangeRequest:
		answer, err = s.kv.Range(ctx, r)
	case streamed:
		answer, err = s.rangeStream(ctx, r.RangeRequest)
	case *pb.PutRequest:
		answer, err = s.kv.Put(ctx, r)
	case *pb.DeleteRangeRequest:
		answer, err = s.kv.DeleteRange(ctx, r)
	case *pb.TxnRequest:
		answer, err = s.kv.Txn(ctx, r)
	case *pb.CompactionRequest:
		answer, err = s.kv.Compact(ctx, r)
	case *pb.LeaseGrantRequest:
		answer, err = s.lease.LeaseGrant(ctx, r)
	case *pb.LeaseRevokeRequest:
		answer, err = s.lease.LeaseRevoke(ctx, r)
	case *pb.LeaseTimeToLiveRequest:
		var a *pb.LeaseTimeToLiveResponse
		a, err = s.lease.LeaseTimeToLive(ctx, r)
		if err == nil {
			slices.SortFunc(a.Keys, slices.Compare) // etcd's are in no order
			a.TTL = min(a.TTL, 1)                   // some time has passed
		}
		answer = a
	case *pb.LeaseLeasesRequest:
		var a *pb.LeaseLeasesResponse
		a, err = s.lease.LeaseLeases(ctx, r)
		if err == nil {
			slices.SortFunc(a.Leases, func(a, b *pb.LeaseStatus) int { return int(a.ID - b.ID) })
		}
		answer = a
	case *pb.LeaseKeepAliveRequest:
		answer, err = s.keepAlive(ctx, r)
	case *pb.HashKVRequest:
		answer, err = s.maintenance.HashKV(ctx, r)
	default:
		require.Failf(t, "unknown request", "%T", req)
	}
	if err != nil {
		return fmt.Sprintf("%v: %s", status.Code(err), status.Convert(err).Message())
	}
	return withoutIDs(answer)
}

// withoutIDs is an answer as text; only the revision of its header is kept.
func withoutIDs(answer proto.Message) string {
	if h, ok := answer.(interface{ GetHeader() *pb.ResponseHeader }); ok && h.GetHeader() != nil {
		h.GetHeader().ClusterId, h.GetHeader().MemberId, h.GetHeader().RaftTerm = 0, 0, 0
	}
	return prototext.MarshalOptions{Multiline: false}.Format(answer)
}

// rangeStream is the parts of a streamed answer as one.
func (s *raw) rangeStream(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	stream, err := s.kv.RangeStream(ctx, r)
	if err != nil {
		return nil, err
	}
	var all *pb.RangeResponse
	for {
		part, err := stream.Recv()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if all == nil {
			all = &pb.RangeResponse{}
		}
		proto.Merge(all, part.GetRangeResponse())
	}
}

func (s *raw) keepAlive(ctx context.Context, r *pb.LeaseKeepAliveRequest) (*pb.LeaseKeepAliveResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return nil, err
	}
	if err := stream.Send(r); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// history is what a watch of everything says from a revision on, with and
// without previous values and filters, up to a key put for the purpose.
func (s *raw) history(t *testing.T, from int64) (events []string) {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	end, err := s.kv.Put(ctx, &pb.PutRequest{Key: []byte("the end")})
	require.NoError(t, err)
	for _, create := range []*pb.WatchCreateRequest{
		{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: max(from, 1), PrevKv: true},
		{Key: []byte{0}, RangeEnd: []byte{0}, StartRevision: max(from, 1), Filters: []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NODELETE}},
	} {
		stream, err := s.watch.Watch(ctx)
		require.NoError(t, err)
		require.NoError(t, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}))
		for done := false; !done; {
			answer, err := stream.Recv()
			require.NoError(t, err)
			require.False(t, answer.Canceled, "%v", answer)
			for _, e := range answer.Events {
				events = append(events, prototext.MarshalOptions{}.Format(e))
				done = done || e.Kv.ModRevision == end.Header.Revision
			}
		}
	}
	return events
}

// unhurried is a lease that does not end in a test.
const unhurried = int64(time.Hour / time.Second)
