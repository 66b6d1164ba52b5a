package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server"
	"github.com/watchkv/watchkv/watch"
)

// setup is what a test of the watch stream wants otherwise than usual.
type setup struct {
	server  server.Config
	hub     watch.Config
	store   mvcc.Config
	options []grpc.ServerOption
	dial    []grpc.DialOption
}

// watched is a server on a real socket, and a connection of a client that
// knows nothing but the generated code.
type watched struct {
	t      testing.TB
	ctx    context.Context
	store  *mvcc.Store
	hub    *watch.Hub
	server *server.Server
	grpc   *grpc.Server
	conn   *grpc.ClientConn
	log    *logs
}

// logs is what was logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func serveWatches(t testing.TB, with setup) *watched {
	w := &watched{t: t, log: &logs{}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	w.ctx = ctx
	engine, err := mem.Driver().Open("", backend.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, engine.Close()) })
	w.store, err = mvcc.Open(engine, with.store)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.store.Close()) })
	w.hub, err = watch.NewHub(w.store, with.hub)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.hub.Close() }) // a test may have closed it
	with.server.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.server, err = server.New(server.Parts{Engine: engine, Store: w.store, Hub: w.hub}, with.server)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.grpc = grpc.NewServer(append(w.server.GRPCOptions(), with.options...)...)
	w.server.Register(w.grpc)
	served := make(chan error, 1)
	go func() { served <- w.grpc.Serve(listener) }()
	w.conn, err = grpc.NewClient(listener.Addr().String(), append(with.dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = w.conn.Close() // a test may have closed it
		w.server.EndStreams()
		w.grpc.Stop()
		assert.NoError(t, w.server.Close())
		assert.NoError(t, <-served)
		assert.Zero(t, w.server.WatchStats().Streams)
	})
	return w
}

// put writes keys, one revision each, and returns the last one.
func (w *watched) put(keys ...string) int64 {
	for _, k := range keys {
		_, err := w.store.Put(w.ctx, []byte(k), []byte("value of "+k))
		require.NoError(w.t, err)
	}
	return w.store.Rev()
}

// write puts a value and returns its revision.
func (w *watched) write(key string, value []byte) int64 {
	rev, err := w.store.Put(w.ctx, []byte(key), value)
	require.NoError(w.t, err)
	return rev
}

// txn does puts of keys, and deletes of those behind a minus, as one revision.
func (w *watched) txn(ops ...string) int64 {
	var txn mvcc.Txn
	for _, op := range ops {
		if op[0] == '-' {
			txn.Then = append(txn.Then, mvcc.Op{Type: mvcc.OpDeleteRange, Key: []byte(op[1:])})
		} else {
			txn.Then = append(txn.Then, mvcc.Op{Type: mvcc.OpPut, Key: []byte(op), Value: []byte("value of " + op)})
		}
	}
	got, err := w.store.Txn(w.ctx, txn)
	require.NoError(w.t, err)
	return got.Rev
}

func (w *watched) compact(rev int64) { require.NoError(w.t, w.store.Compact(w.ctx, rev)) }

// stream is a watch stream of a raw client.
type stream struct {
	*watched
	rpc    pb.Watch_WatchClient
	cancel context.CancelFunc
	rest   *pb.WatchResponse // of a response of which event took the first
}

func (w *watched) stream() *stream { return w.streamOf(w.ctx) }

func (w *watched) streamOf(ctx context.Context) *stream {
	ctx, cancel := context.WithCancel(ctx)
	w.t.Cleanup(cancel)
	rpc, err := pb.NewWatchClient(w.conn).Watch(ctx)
	require.NoError(w.t, err)
	return &stream{watched: w, rpc: rpc, cancel: cancel}
}

func (s *stream) send(r *pb.WatchRequest) { require.NoError(s.t, s.rpc.Send(r)) }

func createRequest(c *pb.WatchCreateRequest) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: c}}
}

func cancelRequest(id int64) *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}
}

func progressRequest() *pb.WatchRequest {
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}
}

// create makes a watch and returns its Created, which must be what comes next.
func (s *stream) create(c *pb.WatchCreateRequest) *pb.WatchResponse {
	s.send(createRequest(c))
	created := s.next()
	require.True(s.t, created.Created, "%v", created)
	require.False(s.t, created.Canceled, "%v", created)
	require.Empty(s.t, created.Events)
	return created
}

// refused asks for a watch and returns why it is refused: created and canceled
// under no id, the stream going on.
func (s *stream) refused(c *pb.WatchCreateRequest) *pb.WatchResponse {
	s.send(createRequest(c))
	r := s.next()
	require.True(s.t, r.Created && r.Canceled, "%v", r)
	require.EqualValues(s.t, -1, r.WatchId)
	require.Zero(s.t, r.CompactRevision)
	return r
}

func (s *stream) next() *pb.WatchResponse {
	if r := s.rest; r != nil {
		s.rest = nil
		return r
	}
	r, err := s.rpc.Recv()
	require.NoError(s.t, err)
	require.NotNil(s.t, r.Header)
	return r
}

// event is the next event, which must be of that watch: revisions that came
// together are taken apart.
func (s *stream) event(id int64) *pb.WatchResponse {
	r := s.next()
	require.Equal(s.t, id, r.WatchId, "%v", r)
	require.NotEmpty(s.t, r.Events, "%v", r)
	if len(r.Events) > 1 {
		s.rest = proto.CloneOf(r)
		r.Events, s.rest.Events = r.Events[:1], s.rest.Events[1:]
	}
	return r
}

// canceled is the next response, which must end a watch.
func (s *stream) canceled(id int64) *pb.WatchResponse {
	r := s.next()
	require.Equal(s.t, id, r.WatchId, "%v", r)
	require.True(s.t, r.Canceled && !r.Created, "%v", r)
	require.Empty(s.t, r.Events)
	return r
}

// nothing holds that nothing is on the way: the answer to a request for
// progress, which goes the same way as all else, is what comes next. Returns
// its revision.
func (s *stream) nothing() int64 {
	s.send(progressRequest())
	r := s.next()
	require.EqualValues(s.t, -1, r.WatchId, "%v", r)
	require.Empty(s.t, r.Events)
	require.False(s.t, r.Created || r.Canceled, "%v", r)
	return r.Header.Revision
}

// ends holds that the stream is over, and returns with what.
func (s *stream) ends() error {
	for {
		_, err := s.rpc.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keys are the keys of a response's events, those of deletes behind a minus.
func keys(r *pb.WatchResponse) []string {
	var out []string
	for _, e := range r.Events {
		name := string(e.Kv.Key)
		if e.Type != 0 {
			name = "-" + name
		}
		out = append(out, name)
	}
	return out
}

// key asks for a watch of one key.
func key(k string) *pb.WatchCreateRequest { return &pb.WatchCreateRequest{Key: []byte(k)} }

// prefix asks for a watch of a prefix, all keys if that is empty.
func prefix(p string) *pb.WatchCreateRequest {
	if p == "" {
		return &pb.WatchCreateRequest{Key: []byte{0}, RangeEnd: []byte{0}}
	}
	end := []byte(p)
	end[len(end)-1]++
	return &pb.WatchCreateRequest{Key: []byte(p), RangeEnd: end}
}

// soon is how long a test waits for what must come about; far more than it
// takes.
const soon = 20 * time.Second

const tick = 2 * time.Millisecond
