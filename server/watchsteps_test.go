package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// These tests step through what may happen on a stream in between, in a bubble
// of synctest: after settle every goroutine waits for the test, or for time.

// scene is a store, a hub and one stream whose client is the test: what the
// server sends waits until it is taken.
type scene struct {
	t       *testing.T
	store   *mvcc.Store
	hub     *watch.Hub
	server  *Server
	rpc     *fakeRPC
	handler chan error // the verdict, once
}

// fakeRPC is the server's end of a stream.
type fakeRPC struct {
	grpc.ServerStream // what is not here is not used

	ctx      context.Context
	cancel   context.CancelFunc
	requests chan *pb.WatchRequest // closed: half-closed
	broken   chan error            // instead of a request
	sent     chan proto.Message    // no buffer: a send waits for the test
	refuse   chan error            // instead of a send
}

func (f *fakeRPC) Context() context.Context { return f.ctx }

func (f *fakeRPC) Recv() (*pb.WatchRequest, error) {
	select {
	case r, ok := <-f.requests:
		if !ok {
			return nil, io.EOF
		}
		if r == nil {
			panic("a request that nobody thought of")
		}
		return r, nil
	case err := <-f.broken:
		return nil, err
	case <-f.ctx.Done():
		return nil, status.FromContextError(f.ctx.Err()).Err()
	}
}

func (f *fakeRPC) Send(r *pb.WatchResponse) error { return f.SendMsg(r) }

func (f *fakeRPC) SendMsg(m any) error {
	select {
	case f.sent <- m.(proto.Message):
		return nil
	case err := <-f.refuse:
		return err
	case <-f.ctx.Done():
		return status.FromContextError(f.ctx.Err()).Err()
	}
}

// onStage runs a scene in a bubble, and holds that nothing is left of it.
func onStage(t *testing.T, cfg Config, hub watch.Config, play func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, handler: make(chan error, 1)}
		engine, err := mem.Driver().Open("", backend.Options{})
		require.NoError(t, err)
		s.store, err = mvcc.Open(engine, mvcc.Config{})
		require.NoError(t, err)
		s.hub, err = watch.NewHub(s.store, hub)
		require.NoError(t, err)
		s.server, err = New(Parts{Engine: engine, Store: s.store, Hub: s.hub}, cfg)
		require.NoError(t, err)
		s.open(context.Background())
		play(s)
		s.rpc.cancel()
		require.NoError(t, s.server.Close())
		stats := s.hub.Stats()
		assert.Zero(t, stats.Synced+stats.Unsynced+stats.Victims+stats.Streams, "no watch is left")
		assert.Zero(t, s.server.WatchStats().Streams)
		require.NoError(t, s.hub.Close())
		_ = s.store.Close() // a scene may have closed it
		require.NoError(t, engine.Close())
	})
}

func (s *scene) open(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	s.rpc = &fakeRPC{
		ctx: ctx, cancel: cancel, requests: make(chan *pb.WatchRequest), broken: make(chan error),
		sent: make(chan proto.Message), refuse: make(chan error),
	}
	go func() {
		err := s.server.watch.Watch(s.rpc)
		cancel() // as grpc does
		s.handler <- err
	}()
}

// settle returns once everybody waits.
func (s *scene) settle() { synctest.Wait() }

// wait lets time pass.
func (s *scene) wait(d time.Duration) { <-time.After(d) }

// ask sends a request, and returns once it was carried out as far as can be.
func (s *scene) ask(r *pb.WatchRequest) {
	s.rpc.requests <- r
	s.settle()
}

func (s *scene) create(c *pb.WatchCreateRequest) {
	s.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: c}})
}

func (s *scene) cancelWatch(id int64) {
	s.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

func (s *scene) put(key string, size int) {
	_, err := s.store.Put(context.Background(), []byte(key), make([]byte, size))
	require.NoError(s.t, err)
	s.settle()
}

// take is what the server is sending, after all that can happen did.
func (s *scene) take() *pb.WatchResponse {
	s.settle()
	select {
	case m := <-s.rpc.sent:
		r, ok := m.(*pb.WatchResponse)
		if !ok {
			r = m.ProtoReflect().Interface().(*pb.WatchResponse)
		}
		return r
	default:
		s.t.Fatal("nothing is being sent")
		return nil
	}
}

// quiet holds that nothing is being sent.
func (s *scene) quiet() {
	s.settle()
	select {
	case m := <-s.rpc.sent:
		s.t.Fatalf("%v is being sent", m)
	default:
	}
}

// verdict is what the handler returned; it must have.
func (s *scene) verdict() error {
	s.settle()
	select {
	case err := <-s.handler:
		s.handler <- err
		return err
	default:
		s.t.Fatal("the handler has not returned")
		return nil
	}
}

func watchOf(key string) *pb.WatchCreateRequest { return &pb.WatchCreateRequest{Key: []byte(key)} }

// C15: an event that comes while Created is not sent yet comes after it.
func TestStream_EventBeforeCreatedIsSent(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.put("a", 1)
		s.put("a", 1)
		assert.True(t, s.take().Created)
		assert.Len(t, s.take().Events, 1)
		assert.Len(t, s.take().Events, 1)
		s.quiet()
	})
}

// X1 and X3: a cancel during a send; what is queued behind it is not sent.
func TestStream_CancelDuringSend(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.take()
		s.put("a", 1) // being sent
		s.put("a", 1) // queued
		s.cancelWatch(0)
		s.put("a", 1)
		assert.EqualValues(t, 2, s.take().Events[0].Kv.ModRevision)
		for {
			r := s.take()
			if r.Canceled {
				break
			}
			assert.EqualValues(t, 3, r.Events[0].Kv.ModRevision, "it was on its way")
		}
		s.quiet()
	})
}

// X5: the id is used again while an event of the old watch is being sent.
func TestStream_SameIDDuringSend(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(&pb.WatchCreateRequest{WatchId: 4, Key: []byte("a")})
		s.take()
		s.put("a", 1)
		s.cancelWatch(4)
		s.create(&pb.WatchCreateRequest{WatchId: 4, Key: []byte("a"), StartRevision: 1, PrevKv: true, Fragment: true})
		assert.Len(t, s.take().Events, 1)
		assert.True(t, s.take().Canceled)
		assert.True(t, s.take().Created)
		assert.Len(t, s.take().Events, 1, "its own history")
		s.quiet()
	})
}

// S4 and X1: a cancel between fragments. Those of one response stay together.
func TestStream_CancelBetweenFragments(t *testing.T) {
	onStage(t, Config{MaxRequestBytes: 1}, watch.Config{}, func(s *scene) {
		s.create(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("z"), Fragment: true})
		s.create(&pb.WatchCreateRequest{Key: []byte("b")})
		s.take()
		s.take()
		_, err := s.store.Update(context.Background(), func(tx *mvcc.WriteTx) error {
			return errors.Join(tx.Put([]byte("a"), make([]byte, 300<<10), 0), tx.Put([]byte("b"), make([]byte, 300<<10), 0))
		})
		require.NoError(t, err)
		first := s.take()
		if first.WatchId == 1 { // the order of watches is nobody's business
			first = s.take()
		}
		assert.True(t, first.Fragment)
		s.cancelWatch(0)
		last := s.take()
		assert.False(t, last.Fragment)
		assert.EqualValues(t, 0, last.WatchId)
		assert.Len(t, last.Events, 1)
		for r := s.take(); !r.Canceled; r = s.take() {
			assert.EqualValues(t, 1, r.WatchId)
		}
	})
}

// N1: a tick right after an event is skipped, the next is not.
func TestStream_TickRightAfterAnEvent(t *testing.T) {
	onStage(t, Config{}, watch.Config{ProgressInterval: time.Minute}, func(s *scene) {
		c := watchOf("a")
		c.ProgressNotify = true
		s.create(c)
		s.create(watchOf("b"))
		s.take()
		s.take()
		s.wait(59 * time.Second)
		s.quiet()
		s.put("a", 1)
		assert.Len(t, s.take().Events, 1)
		s.wait(8 * time.Second) // past the tick
		s.quiet()
		s.wait(67 * time.Second)
		progress := s.take()
		assert.Empty(t, progress.Events)
		assert.EqualValues(t, 0, progress.WatchId)
		assert.EqualValues(t, 2, progress.Header.Revision)
		s.quiet()
	})
}

// A send that fails ends the stream and its watches, and counts.
func TestStream_SendFails(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event bool
		err   error
		count int64
	}{
		{"an event", true, status.Error(codes.Internal, "no"), 1},
		{"a control response", false, status.Error(codes.Internal, "no"), 1},
		{"because the client went away", true, status.Error(codes.Unavailable, "stream error: stream ID 3; CANCEL"), 0},
		{"because the client went away, by TLS", true, status.Error(codes.Unavailable, "client disconnected"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onStage(t, Config{}, watch.Config{}, func(s *scene) {
				s.create(watchOf("a"))
				if tc.event {
					s.take()
					s.put("a", 1)
				}
				s.rpc.refuse <- tc.err
				assert.Equal(t, tc.err, s.verdict())
				assert.Equal(t, tc.count, s.server.WatchStats().SendFailures)
			})
		})
	}
}

// C20: the client's context ends, while it is read and while it is sent to.
func TestStream_ContextEnds(t *testing.T) {
	for _, name := range []string{"at rest", "during a send", "while creates wait"} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			onStage(t, Config{Logger: debugLog(&log)}, watch.Config{}, func(s *scene) {
				s.create(watchOf("a"))
				s.take()
				switch name {
				case "during a send":
					s.put("a", 1)
				case "while creates wait":
					for range unsentCreates + 2 {
						s.create(watchOf("a"))
					}
				}
				s.rpc.cancel()
				assert.Equal(t, rpctypes.ErrGRPCWatchCanceled, s.verdict())
				stats := s.server.WatchStats()
				assert.Zero(t, stats.SendFailures+stats.ReceiveFailures)
			})
			assert.NotContains(t, log.String(), "level=WARN")
		})
	}
}

// A deadline of the client is told as one.
func TestStream_DeadlineOfTheClient(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.rpc.cancel()
		s.verdict()
		<-s.handler
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.open(ctx)
		s.wait(2 * time.Minute)
		assert.Equal(t, codes.DeadlineExceeded, status.Code(s.verdict()))
	})
}

// C18: a half-close, at rest and while an event is being sent.
func TestStream_HalfClose(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.take()
		s.put("a", 1)
		close(s.rpc.requests)
		s.put("a", 1)
		assert.Len(t, s.take().Events, 1)
		assert.Len(t, s.take().Events, 1)
		s.put("a", 1)
		assert.Len(t, s.take().Events, 1)
		s.rpc.cancel()
		assert.Equal(t, rpctypes.ErrGRPCWatchCanceled, s.verdict())
	})
}

// What is received wrongly ends the stream with just that.
func TestStream_ReceiveFails(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.take()
		malformed := status.Error(codes.Internal, "grpc: error unmarshalling request")
		s.rpc.broken <- malformed
		assert.Equal(t, malformed, s.verdict())
		assert.EqualValues(t, 1, s.server.WatchStats().ReceiveFailures)
	})
}

// A panic over a request ends its stream, not the process.
func TestStream_PanicOverARequest(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.ask(nil)
		assert.Equal(t, codes.Internal, status.Code(s.verdict()))
	})
}

// C17: empty parts of requests are ignored.
func TestStream_EmptyRequests(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.ask(&pb.WatchRequest{})
		s.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{}})
		s.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{}})
		s.ask(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{}})
		s.quiet()
		s.create(watchOf("a"))
		assert.EqualValues(t, 0, s.take().WatchId)
	})
}

// V7: a client that makes watches and never reads: the receive loop stops once
// so many are not told, and goes on as they are.
func TestStream_ClientThatNeverReads(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		asked := 0
		for ; asked < 10*unsentCreates; asked++ {
			s.settle()
			select {
			case s.rpc.requests <- &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: watchOf("a")}}:
				continue
			default:
			}
			break
		}
		// The first is being sent, one waits in the receive loop's hands.
		assert.Equal(t, unsentCreates+2, asked)
		assert.Equal(t, unsentCreates+1, s.hub.Stats().Synced)
		for id := range int64(asked) {
			assert.Equal(t, id, s.take().WatchId)
		}
		s.create(watchOf("a"))
		assert.True(t, s.take().Created)
	})
}

// Close tells a stream at rest, and refuses the next.
func TestStream_ServerCloses(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.take()
		require.NoError(t, s.server.Close())
		assert.Equal(t, rpctypes.ErrGRPCStopped, s.verdict())
		<-s.handler
		s.open(context.Background())
		assert.Equal(t, rpctypes.ErrGRPCStopped, s.verdict())
	})
}

// V5: that a watch has caught up is not on etcd's wire.
func TestStream_CaughtUpIsNotSent(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.put("a", 1)
		s.create(&pb.WatchCreateRequest{Key: []byte("a"), StartRevision: 2})
		assert.True(t, s.take().Created)
		assert.Len(t, s.take().Events, 1)
		s.quiet()
	})
}

// The store ends: what is visible is told, then the stream ends with the
// store's error, and no watch with anything.
func TestStream_StoreCloses(t *testing.T) {
	onStage(t, Config{}, watch.Config{}, func(s *scene) {
		s.create(watchOf("a"))
		s.put("a", 1)
		require.NoError(t, s.store.Close())
		assert.True(t, s.take().Created)
		assert.Len(t, s.take().Events, 1)
		assert.Equal(t, rpctypes.ErrGRPCStopped, s.verdict())
	})
}

func debugLog(to io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
