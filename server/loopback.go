package server

import (
	"context"
	"errors"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"

	"github.com/watchkv/watchkv/server/wire"
)

// loopback is a client of the server inside its process, over a connection in
// memory: for the services that are made of others. It begins when it is
// first asked for.
type loopback struct {
	server *Server

	// Who is behind a call, by the number that the call carries; only with an
	// Authorizer.
	callers sync.Map // string -> context.Context
	last    atomic.Uint64

	mu     sync.Mutex // guards all below; held while the connection begins or ends
	closed bool
	client *clientv3.Client // nil until asked for
	grpc   *grpc.Server
	served chan error // one send, by the goroutine that serves
}

// as returns the client and a context in which it acts for the caller of ctx.
// The caller calls done.
func (l *loopback) as(ctx context.Context) (client *clientv3.Client, own context.Context, done func(), err error) {
	if client, err = l.dialed(); err != nil {
		return nil, nil, nil, err
	}
	if l.server.cfg.Authorizer == nil {
		return client, ctx, func() {}, nil
	}
	number := strconv.FormatUint(l.last.Add(1), 10)
	l.callers.Store(number, ctx)
	// In the context of all calls, so that the client does not share a watch
	// stream between callers.
	return client, metadata.AppendToOutgoingContext(ctx, callerKey, number), func() { l.callers.Delete(number) }, nil
}

// waiting returns the context of a call that waits for others: it ends when the
// server stops too. The caller calls ended, which then says so.
func (l *loopback) waiting(ctx context.Context) (own context.Context, ended func(*error)) {
	own, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(l.server.stopping, cancel)
	return own, func(err *error) {
		unhook()
		cancel()
		if *err != nil && l.server.stopping.Err() != nil {
			*err = rpctypes.ErrGRPCStopped
		}
	}
}

// callerKey is metadata that only this connection's server looks at.
const callerKey = "watchkv-caller"

func (l *loopback) dialed() (*clientv3.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, rpctypes.ErrGRPCStopped
	}
	if l.client != nil {
		return l.client, nil
	}
	listener := bufconn.Listen(loopbackBuffer)
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"loopback"},
		Logger:    zap.NewNop(),
		// What is refused stays refused: nothing is lost on the way.
		MaxUnaryRetries: 1, BackoffWaitBetween: time.Millisecond,
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return listener.DialContext(ctx)
		})},
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	g := grpc.NewServer( // not counted in the metrics of grpc: it was, as its caller's
		grpc.MaxRecvMsgSize(l.server.cfg.MaxRequestBytes+requestOverhead),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.ChainUnaryInterceptor(l.server.guardUnary, l.identifyUnary),
		grpc.ChainStreamInterceptor(l.server.guardStream, l.identifyStream),
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.WaitForHandlers(true),
	)
	l.server.registerStore(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	l.client, l.grpc, l.served = client, g, served
	return client, nil
}

// loopbackBuffer is what either end may be ahead in bytes.
const loopbackBuffer = 64 << 10

// close ends the connection and what is called over it, and waits for it.
func (l *loopback) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.client == nil {
		return nil
	}
	err := l.client.Close()
	if errors.Is(err, context.Canceled) {
		err = nil // a client says that of its own end
	}
	l.grpc.Stop()
	return errors.Join(err, <-l.served)
}

// identified is ctx with the peer and the metadata of the caller behind it.
func (l *loopback) identified(ctx context.Context) context.Context {
	for _, number := range metadata.ValueFromIncomingContext(ctx, callerKey) {
		if c, ok := l.callers.Load(number); ok {
			return callerContext(ctx, c.(context.Context))
		}
	}
	return ctx
}

func callerContext(ctx, caller context.Context) context.Context {
	if md, ok := metadata.FromIncomingContext(caller); ok {
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	if p, ok := peer.FromContext(caller); ok {
		ctx = peer.NewContext(ctx, p)
	}
	return ctx
}

func (l *loopback) identifyUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return handler(l.identified(ctx), req)
}

func (l *loopback) identifyStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, identifiedStream{ServerStream: stream, ctx: l.identified(stream.Context())})
}

// identifiedStream is a stream of somebody else than its connection says.
type identifiedStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s identifiedStream) Context() context.Context { return s.ctx }
