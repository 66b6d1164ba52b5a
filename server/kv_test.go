package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/server"
)

// What is compared with a real etcd is in peers/differ; here is what that
// cannot show.

func putOf(key string, size int) *pb.PutRequest {
	return &pb.PutRequest{Key: []byte(key), Value: bytes.Repeat([]byte{'v'}, size)}
}

func TestKV_Limits(t *testing.T) {
	s := serve(t, server.Config{MaxRequestBytes: 4096, MaxTxnOps: 3})
	kv, ctx := pb.NewKVClient(s.conn(t)), ctxOf(t)
	txn := func(puts, nested int) *pb.TxnRequest {
		r := &pb.TxnRequest{}
		for i := range puts {
			r.Success = append(r.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: putOf(fmt.Sprint(i), 1)}})
		}
		if nested > 0 {
			inner := &pb.TxnRequest{}
			for i := range nested {
				inner.Failure = append(inner.Failure, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: fmt.Append(nil, i)}}})
			}
			r.Success = append(r.Success, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}})
		}
		return r
	}
	ask := func(r proto.Message) (err error) {
		switch r := r.(type) {
		case *pb.PutRequest:
			_, err = kv.Put(ctx, r)
		case *pb.TxnRequest:
			_, err = kv.Txn(ctx, r)
		case *pb.DeleteRangeRequest:
			_, err = kv.DeleteRange(ctx, r)
		}
		return err
	}
	large := txn(1, 0)
	large.Success[0].GetRequestPut().Value = make([]byte, 4096)
	reading := &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: make([]byte, 5000)},
	}}}}
	for _, test := range []struct {
		name string
		r    proto.Message
		want error
	}{
		{"put that fits", putOf("a", 4000), nil},
		{"put", putOf("a", 4096), rpctypes.ErrRequestTooLarge},
		{"delete", &pb.DeleteRangeRequest{Key: make([]byte, 4096)}, rpctypes.ErrRequestTooLarge},
		{"transaction", large, rpctypes.ErrRequestTooLarge},
		{"transaction that only reads", reading, nil},
		{"operations that fit", txn(3, 0), nil},
		{"operations", txn(4, 0), rpctypes.ErrTooManyOps},
		{"nested ones that fit", txn(0, 2), nil},
		{"nested ones", txn(1, 2), rpctypes.ErrTooManyOps},
	} {
		assert.Equal(t, test.want, rpctypes.Error(ask(test.r)), test.name)
	}
	_, err := kv.Put(ctx, putOf("a", 4096+512*1024))
	assert.Equal(t, codes.ResourceExhausted, status.Code(err), "more than grpc takes")
	assert.ErrorContains(t, err, "received message larger than max")
}

func TestServer_StreamsOfAConnectionAreBounded(t *testing.T) {
	s := serve(t, server.Config{MaxConcurrentStreams: 1})
	conn := s.conn(t)
	ctx, cancel := context.WithCancel(ctxOf(t))
	stream, err := pb.NewWatchClient(conn).Watch(ctx)
	require.NoError(t, err)
	require.NoError(t, stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}}))
	_, err = stream.Recv()
	require.NoError(t, err)
	short, end := context.WithTimeout(ctx, 20*time.Millisecond)
	defer end()
	_, err = pb.NewKVClient(conn).Put(short, putOf("a", 1))
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	cancel()
	_, err = pb.NewKVClient(conn).Put(ctxOf(t), putOf("a", 1))
	require.NoError(t, err)
}

// large fills a server with n keys of 20 KiB and returns a client that takes
// any answer.
func large(t *testing.T, s *serving, n int) pb.KVClient {
	for i := range n {
		_, err := s.store.Put(ctxOf(t), fmt.Appendf(nil, "k%04d", i), bytes.Repeat([]byte{byte(i)}, 20<<10))
		require.NoError(t, err)
	}
	return pb.NewKVClient(s.conn(t, grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32))))
}

func TestKV_LargeAnswers(t *testing.T) {
	s := serve(t, server.Config{})
	kv, ctx := large(t, s, 400), ctxOf(t)
	all, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
	require.NoError(t, err)
	require.Len(t, all.Kvs, 400)

	stream, err := kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Limit: 390})
	require.NoError(t, err)
	var streamed pb.RangeResponse
	chunks := 0
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		chunks++
		require.Less(t, proto.Size(chunk), 1<<20+32<<10)
		if chunks == 1 {
			require.Nil(t, chunk.RangeResponse.Header)
			_, err := s.store.Put(ctx, []byte("kz"), []byte("later")) // not at the revision of the first chunk
			require.NoError(t, err)
			_, err = s.store.DeleteRange(ctx, []byte("k0300"), nil)
			require.NoError(t, err)
		}
		proto.Merge(&streamed, chunk.RangeResponse)
	}
	require.Greater(t, chunks, 5)
	require.EqualValues(t, 400, streamed.Count)
	require.True(t, streamed.More)
	require.Equal(t, all.Header.Revision, streamed.Header.Revision)
	require.Len(t, streamed.Kvs, 390)
	for i, kv := range streamed.Kvs {
		require.True(t, proto.Equal(all.Kvs[i], kv))
	}
}

func TestKV_CompactionEndsARangeStream(t *testing.T) {
	s := serve(t, server.Config{})
	kv, ctx := large(t, s, 400), ctxOf(t)
	stream, err := kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l")})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = kv.Put(ctx, putOf("k0000", 1))
	require.NoError(t, err)
	_, err = kv.Compact(ctx, &pb.CompactionRequest{Revision: s.store.Rev(), Physical: true})
	require.NoError(t, err)
	for err == nil {
		_, err = stream.Recv()
	}
	require.Equal(t, rpctypes.ErrCompacted, rpctypes.Error(err))
}

func TestKV_PhysicalCompactionDeletes(t *testing.T) {
	s := serve(t, server.Config{})
	kv, ctx := pb.NewKVClient(s.conn(t)), ctxOf(t)
	for range 50 {
		_, err := kv.Put(ctx, putOf("a", 10))
		require.NoError(t, err)
	}
	res, err := kv.Compact(ctx, &pb.CompactionRequest{Revision: 51, Physical: true})
	require.NoError(t, err)
	require.EqualValues(t, 51, res.Header.Revision)
	require.EqualValues(t, 1, s.store.Stats().Revisions)
	_, err = kv.Compact(ctx, &pb.CompactionRequest{Revision: 51})
	require.Equal(t, rpctypes.ErrCompacted, rpctypes.Error(err))
	_, err = kv.Compact(ctx, &pb.CompactionRequest{Revision: 52})
	require.Equal(t, rpctypes.ErrFutureRev, rpctypes.Error(err))
	_, err = kv.Put(ctx, putOf("a", 10))
	require.NoError(t, err)
	_, err = kv.Compact(ctx, &pb.CompactionRequest{Revision: 52})
	require.NoError(t, err)
	require.EqualValues(t, 52, s.store.CompactRev(), "compacted as soon as it is said")
}

// R6 over the wire: writing has ended with the cause, reading goes on, and
// health says so.
func TestServer_EngineFails(t *testing.T) {
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	faulty := backendtest.NewFaulty(engine)
	s := serveOver(t, faulty, server.Config{})
	conn, ctx := s.conn(t), ctxOf(t)
	kv := pb.NewKVClient(conn)
	_, err = kv.Put(ctx, putOf("a", 1))
	require.NoError(t, err)
	faulty.Inject(backendtest.Fault{Call: backendtest.CallApply, N: 1, Err: errors.New("disk is gone")})
	for range 2 {
		_, err = kv.Put(ctx, putOf("a", 2))
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "disk is gone")
	}
	got, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("a")})
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.Equal(t, "v", string(got.Kvs[0].Value))
	reading, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("a")}}}}})
	require.NoError(t, err)
	require.EqualValues(t, 1, reading.Responses[0].GetResponseRange().Count)
	health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, health.Status)
}

// The official client's software transactional memory: increments by many
// are not lost.
func TestKV_IncrementsAreNotLost(t *testing.T) {
	s := serve(t, server.Config{})
	c, ctx := s.client(t), ctxOf(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				for done := false; !done; {
					got, err := c.Get(ctx, "n")
					if !assert.NoError(t, err) {
						return
					}
					rev, value := int64(0), ""
					if len(got.Kvs) > 0 {
						rev, value = got.Kvs[0].ModRevision, string(got.Kvs[0].Value)
					}
					res, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision("n"), "=", rev)).
						Then(clientv3.OpPut("n", value+"x")).Commit()
					if !assert.NoError(t, err) {
						return
					}
					done = res.Succeeded
				}
			}
		})
	}
	all.Wait()
	got, err := c.Get(ctx, "n")
	require.NoError(t, err)
	require.Len(t, got.Kvs[0].Value, 40)
	require.EqualValues(t, 40, got.Kvs[0].Version)
}

// C19 beside Watch: who asks for a leader has one, and nobody is refused for
// the version of a client.
func TestServer_MetadataOfClients(t *testing.T) {
	s := serve(t, server.Config{})
	kv := pb.NewKVClient(s.conn(t))
	for _, ctx := range []context.Context{
		clientv3.WithRequireLeader(ctxOf(t)),
		metadata.AppendToOutgoingContext(ctxOf(t), rpctypes.MetadataClientAPIVersionKey, "99.0"),
		metadata.AppendToOutgoingContext(ctxOf(t), rpctypes.MetadataClientAPIVersionKey, "1", rpctypes.MetadataClientAPIVersionKey, "2"),
	} {
		_, err := kv.Put(ctx, putOf("a", 1))
		require.NoError(t, err)
		stream, err := kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("a")})
		require.NoError(t, err)
		_, err = stream.Recv()
		require.NoError(t, err)
	}
}
