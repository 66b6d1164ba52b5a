package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/server/wire"
	"github.com/watchkv/watchkv/watch"
)

// watchService is etcd's Watch service.
type watchService struct {
	pb.UnimplementedWatchServer
	server  *Server
	encoder *wire.Encoder
	stats   watchCounters

	mu     sync.Mutex // guards closed, and serving's growth against close; a leaf
	closed bool
	// serving counts the streams that are served, each with its receive loop.
	serving sync.WaitGroup
}

func newWatchService(s *Server) *watchService {
	s.parts.Hub.ShareForms()
	return &watchService{server: s, encoder: wire.NewEncoder(s.header(0))}
}

// enter counts two goroutines of a new stream in, unless the server is closed.
func (w *watchService) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.serving.Add(2)
	return true
}

// close refuses new streams and waits for those there are. Who calls it has
// ended Server.stopping.
func (w *watchService) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.serving.Wait()
}

// watchStream is one stream of a client: a receive loop that carries out what
// it asks for, and a send loop that hands out what its watches bring. Between
// them is the outbox of a watch.Stream, in which control responses and events
// are in one order.
type watchStream struct {
	service *watchService
	rpc     pb.Watch_WatchServer
	client  *metrics.Stream // who it is, for the page of watches
	watches *watch.Stream

	// room has a place for each create whose Created was not sent yet: taken
	// by the receive loop, given back by the send loop (V7).
	room chan struct{}
	// failed is what the receive loop ended with, unless by a half-close.
	failed atomic.Pointer[error]
}

// unsentCreates is how many Created responses may wait for a client that does
// not read before its requests wait too. Each holds up to three responses of
// about 200 bytes.
const unsentCreates = 128

// Watch implements etcdserverpb.WatchServer: one stream with many watches. The
// goroutine it is called on is the stream's send loop.
func (w *watchService) Watch(rpc pb.Watch_WatchServer) error {
	if !w.enter() {
		return rpctypes.ErrGRPCStopped
	}
	defer w.serving.Done()
	x, err := w.newStream(rpc)
	if err != nil {
		w.serving.Done()
		return toGRPC(err)
	}
	w.stats.open.Add(1)
	defer w.stats.open.Add(-1)
	defer x.client.Close()
	defer x.watches.Close()
	defer context.AfterFunc(w.server.stopping, func() { x.watches.Close() })()
	go x.receiveLoop() // it ends with the rpc, which ends as Watch returns
	return x.verdict(x.sendLoop())
}

func (w *watchService) newStream(rpc pb.Watch_WatchServer) (*watchStream, error) {
	client := w.server.metrics.OpenStream(rpc.Context())
	s, err := w.server.parts.Hub.NewStream(client.Name())
	if err != nil {
		client.Close()
		return nil, err
	}
	return &watchStream{service: w, rpc: rpc, client: client, watches: s, room: make(chan struct{}, unsentCreates)}, nil
}

// verdict is what the client is told of why the stream ended.
func (x *watchStream) verdict(err error) error {
	ended := x.rpc.Context().Err()
	failed := x.failed.Load()
	switch {
	case failed != nil && (ended == nil || malformed(*failed)):
		return *failed
	case errors.Is(ended, context.Canceled):
		return rpctypes.ErrGRPCWatchCanceled
	case ended != nil:
		return toGRPC(ended)
	case errors.Is(err, watch.ErrStreamClosed), errors.Is(err, watch.ErrHubClosed):
		return rpctypes.ErrGRPCStopped
	}
	return toGRPC(err)
}

func (x *watchStream) log() *slog.Logger { return x.service.server.cfg.Logger }
