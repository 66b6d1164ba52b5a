package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/server"
)

// X1 over the wire.
func TestWatch_CancelEndsAWatch(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(key("a"))
	s.create(key("a"))
	s.put("b")
	s.send(cancelRequest(0))
	r := s.canceled(0)
	assert.EqualValues(t, 2, r.Header.Revision)
	assert.Empty(t, r.CancelReason)
	assert.Zero(t, r.CompactRevision)
	s.put("a")
	s.event(1)
	s.nothing()
}

// X2 over the wire.
func TestWatch_CancelOfNobodyHasNoAnswer(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(key("a"))
	s.create(key("a"))
	s.send(cancelRequest(7))
	s.send(cancelRequest(-1))
	s.send(cancelRequest(0))
	s.canceled(0)
	s.send(cancelRequest(0))
	s.nothing()
}

// X3 over the wire, and X5: a watch that is cancelled and made again under its
// id, while events of the old one are queued for a client that does not read,
// gets its own only.
func TestWatch_SameIDAgainWhileTheReaderIsSlow(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(&pb.WatchCreateRequest{WatchId: 5, Key: []byte("a")})
	big := make([]byte, 64<<10)
	for range 40 { // more than connection and outbox hold
		s.write("a", big)
	}
	s.send(cancelRequest(5))
	s.send(createRequest(&pb.WatchCreateRequest{WatchId: 5, Key: []byte("b"), PrevKv: true}))
	require.Eventually(t, func() bool { return len(s.hub.Watches()) == 1 && string(s.hub.Watches()[0].Key) == "b" }, soon, tick)
	s.put("b")
	old := true
	for {
		r := s.next()
		require.EqualValues(t, 5, r.WatchId)
		switch {
		case r.Canceled:
			require.True(t, old)
			old = false
			require.True(t, s.next().Created)
			continue
		case old:
			require.Contains(t, keys(r), "a")
			continue
		}
		require.Equal(t, []string{"b"}, keys(r))
		break
	}
	s.nothing()
}

// X4 over the wire: whatever races with whatever, nothing of a watch follows
// its Canceled, and in the end the gauges are zero.
func TestWatch_CancelRacesWithEverything(t *testing.T) {
	w := serveWatches(t, setup{})
	ctx, stop := context.WithCancel(w.ctx)
	var busy sync.WaitGroup
	busy.Go(func() {
		for ctx.Err() == nil {
			rev, err := w.store.Put(w.ctx, []byte("a"), make([]byte, 4<<10))
			assert.NoError(t, err)
			if rev%50 == 0 {
				assert.NoError(t, w.store.Compact(w.ctx, rev-10))
			}
		}
	})
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			s, reads := w.streamOf(w.ctx), make(chan struct{}, 1000)
			clients.Go(func() { readAsToldTo(t, s, reads) })
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for range 60 {
				req := createRequest(&pb.WatchCreateRequest{
					WatchId: 1 + random.Int64N(4), Key: []byte("a"), StartRevision: random.Int64N(w.store.Rev() + 3),
				})
				if random.IntN(2) == 0 {
					req = cancelRequest(1 + random.Int64N(4))
				}
				assert.NoError(t, s.rpc.Send(req))
				for range random.IntN(5) { // a slow reader
					reads <- struct{}{}
				}
			}
			close(reads)
			s.cancel()
		})
	}
	clients.Wait()
	stop()
	busy.Wait()
	require.Eventually(t, func() bool { return w.server.WatchStats().Streams == 0 }, soon, tick)
	stats := w.hub.Stats()
	assert.Zero(t, stats.Streams)
	assert.Zero(t, stats.Synced+stats.Unsynced+stats.Victims)
	assert.Zero(t, stats.PendingBytes)
}

// readAsToldTo reads a response for each of reads, and holds that none is of a
// watch that is not.
func readAsToldTo(t *testing.T, s *stream, reads <-chan struct{}) {
	live := map[int64]bool{}
	for range reads {
		r, err := s.rpc.Recv()
		if err != nil {
			assert.Equal(t, codes.Canceled, status.Code(err))
			return
		}
		if r.WatchId < 0 {
			continue
		}
		assert.NotEqual(t, r.Created, live[r.WatchId], "%v", r)
		live[r.WatchId] = !r.Canceled
	}
}

// C18 over the wire: a half-close ends no watch, the end of the context does.
func TestWatch_HalfCloseEndsNothing(t *testing.T) {
	s := serveWatches(t, setup{}).stream()
	s.create(key("a"))
	require.NoError(t, s.rpc.CloseSend())
	for range 3 {
		s.put("a")
		s.event(0)
	}
	s.cancel()
	require.Eventually(t, func() bool { return s.hub.Stats().Streams == 0 }, soon, tick)
}

// verdicts is an interceptor that remembers with what handlers ended.
func verdicts(into chan<- error) grpc.ServerOption {
	return grpc.ChainStreamInterceptor(func(srv any, rpc grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		err := handler(srv, rpc)
		into <- err
		return err
	})
}

// C20 over the wire.
func TestWatch_ClientsContextEnds(t *testing.T) {
	ended := make(chan error, 1) // the one stream
	s := serveWatches(t, setup{options: []grpc.ServerOption{verdicts(ended)}}).stream()
	s.create(key("a"))
	s.cancel()
	assert.Equal(t, status.Error(codes.Canceled, "etcdserver: watch canceled"), <-ended)
	require.Eventually(t, func() bool { return s.server.WatchStats().Streams == 0 }, soon, tick)
	require.NoError(t, s.conn.Close())
	s.grpc.Stop()
	require.NoError(t, s.server.Close())
	stats := s.server.WatchStats()
	assert.Zero(t, stats.ReceiveFailures+stats.SendFailures)
	assert.NotContains(t, s.log.String(), "level=WARN")
}

// A connection that breaks under a stream that is being sent to is its
// client's going away as well.
func TestWatch_ConnectionBreaks(t *testing.T) {
	ended := make(chan error, 1)
	s := serveWatches(t, setup{options: []grpc.ServerOption{verdicts(ended)}}).stream()
	s.create(key("a"))
	for range 40 {
		s.write("a", make([]byte, 64<<10))
	}
	require.NoError(t, s.conn.Close())
	assert.Equal(t, codes.Canceled, status.Code(<-ended))
}

// What cannot be read as a request ends the stream, and is a failure.
func TestWatch_MalformedRequestEndsTheStream(t *testing.T) {
	w := serveWatches(t, setup{})
	rpc, err := w.conn.NewStream(w.ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, pb.Watch_Watch_FullMethodName,
		grpc.ForceCodecV2(rawCodec{}))
	require.NoError(t, err)
	require.NoError(t, rpc.SendMsg([]byte("\x0a\xff\xff")))
	var got []byte
	assert.Equal(t, codes.Internal, status.Code(rpc.RecvMsg(&got)))
	require.Eventually(t, func() bool { return w.server.WatchStats().Streams == 0 }, soon, tick)
	assert.EqualValues(t, 1, w.server.WatchStats().ReceiveFailures)
	assert.Contains(t, w.log.String(), "failed to receive watch request")
}

// When the server stops, clients are told so and come back elsewhere; also the
// ones that come too late.
func TestWatch_ServerStops(t *testing.T) {
	w := serveWatches(t, setup{})
	var streams []*stream
	for i := range 3 {
		s := w.stream()
		s.create(key(fmt.Sprint(i)))
		streams = append(streams, s)
	}
	require.NoError(t, w.server.Close())
	stopped := status.Error(codes.Unavailable, "etcdserver: server stopped")
	for _, s := range streams {
		assert.Equal(t, stopped.Error(), s.ends().Error())
	}
	assert.Equal(t, stopped.Error(), w.stream().ends().Error())
}

// A hub that is closed ends the streams the same way.
func TestWatch_HubCloses(t *testing.T) {
	w := serveWatches(t, setup{server: server.Config{}})
	s := w.stream()
	s.create(key("a"))
	require.NoError(t, w.hub.Close())
	assert.Equal(t, codes.Unavailable, status.Code(s.ends()))
	assert.Equal(t, codes.Unavailable, status.Code(w.stream().ends()))
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// discardCodec sends what is generated and receives only the length.
type discardCodec struct{ rawCodec }

func (discardCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, err := proto.Marshal(v.(proto.Message))
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

func (discardCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*int) = data.Len()
	return nil
}
