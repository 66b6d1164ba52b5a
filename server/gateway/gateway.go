package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	etcdgw "go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	electiongw "go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb/gw"
	lockgw "go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb/gw"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
)

// Prefix is where a Gateway is served.
const Prefix = "/v3/"

// Config configures a Gateway. The zero value works.
type Config struct {
	// MaxRequestBytes is the server's limit of a request; 0 means 1.5 MiB. One
	// message may be twice that as JSON, and 1 MiB: base64 and quotes need
	// room.
	MaxRequestBytes int
	// Access says whose websockets are accepted, as it does for [Guard].
	Access Access
	// Logger hears of websockets that fail. Nil is silent.
	Logger *slog.Logger
}

// Gateway is an [http.Handler] for [Prefix]. It may be used from any
// goroutine.
type Gateway struct {
	mux      *runtime.ServeMux
	conn     *grpc.ClientConn
	listener *bufconn.Listener
	served   chan error // one send, by the goroutine that serves
	limit    int64
	access   Access
	log      *slog.Logger

	closing context.Context // done once Close was called: websockets end then
	close   context.CancelFunc

	mu         sync.Mutex // guards the start of websockets against Close; a leaf
	closed     bool
	websockets sync.WaitGroup // calls over websockets, which no http server knows
}

const (
	// buffer is what either end of the connection in memory may be ahead in
	// bytes.
	buffer = 256 << 10
	// streamWindow is what a client that does not read may leave unread of a
	// stream. Said here, it does not grow: by itself it would, to 16 MiB.
	streamWindow     = 256 << 10
	connectionWindow = 4 << 20
)

// New returns a gateway to g, on which all services are registered already. g
// must take connections without TLS. Close the gateway when g has stopped: the
// calls of a gateway are ended by its server.
func New(g *grpc.Server, cfg Config) (*Gateway, error) {
	if cfg.MaxRequestBytes == 0 {
		cfg.MaxRequestBytes = 1.5 * 1024 * 1024
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Gateway{
		listener: bufconn.Listen(buffer), served: make(chan error, 1),
		limit: 2*int64(cfg.MaxRequestBytes) + 1<<20, access: cfg.Access, log: cfg.Logger,
	}
	w.closing, w.close = context.WithCancel(context.Background())
	conn, err := grpc.NewClient("passthrough:///gateway",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.listener.DialContext(ctx) }),
		grpc.WithInitialWindowSize(streamWindow), grpc.WithInitialConnWindowSize(connectionWindow),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	w.conn = conn
	if err := w.register(); err != nil {
		return nil, fmt.Errorf("gateway: %w", errors.Join(err, conn.Close()))
	}
	go func() { w.served <- g.Serve(w.listener) }()
	return w, nil
}

func (w *Gateway) register() error {
	w.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler(w.limit)),
		runtime.WithMetadata(token),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		etcdgw.RegisterKVHandler, etcdgw.RegisterWatchHandler, etcdgw.RegisterLeaseHandler, etcdgw.RegisterClusterHandler,
		etcdgw.RegisterMaintenanceHandler, etcdgw.RegisterAuthHandler,
		lockgw.RegisterLockHandler, electiongw.RegisterElectionHandler,
	} {
		if err := register(context.Background(), w.mux, w.conn); err != nil {
			return err
		}
	}
	return nil
}

// token is the metadata of a call in which etcd's clients send their token.
func token(_ context.Context, r *http.Request) metadata.MD {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		return nil
	}
	return metadata.Pairs("token", strings.TrimPrefix(authorization, "Bearer "))
}

// ServeHTTP answers one call, over a websocket if the client asks for one.
func (w *Gateway) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !wantsWebsocket(r) {
		w.mux.ServeHTTP(rw, r)
		return
	}
	if !w.begin() {
		http.Error(rw, "the server is stopping", http.StatusServiceUnavailable)
		return
	}
	defer w.websockets.Done()
	w.serveWebsocket(rw, r)
}

// begin counts a websocket, until the gateway is closed.
func (w *Gateway) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.websockets.Add(1)
	return true
}

// farewell is how long a websocket may take to hear of its end.
const farewell = time.Second

// Close ends the connection to the server and the websockets, and waits for
// them.
func (w *Gateway) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := errors.Join(w.conn.Close(), w.listener.Close())
	<-w.served // ended by the listener's end, or by the server's before
	late := time.AfterFunc(farewell, w.close)
	w.websockets.Wait()
	late.Stop()
	w.close()
	return err
}
