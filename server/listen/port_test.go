package listen_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthserver "google.golang.org/grpc/health"
	health "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"github.com/watchkv/watchkv/internal/testca"
	"github.com/watchkv/watchkv/server/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served is a port with both servers behind it, stopped at the test's end.
type served struct {
	*listen.Port
	addr string

	mu   sync.Mutex
	name string // the client's common name in the last call of gRPC
}

func serve(t *testing.T, cfg listen.Config) *served {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, l, cfg)
}

func serveOn(t *testing.T, l net.Listener, cfg listen.Config) *served {
	t.Helper()
	s := &served{Port: listen.New(l, cfg), addr: l.Addr().String()}
	g := grpc.NewServer(grpc.Creds(listen.Credentials()), grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			s.noteClient(ctx)
			return next(ctx, req)
		}))
	health.RegisterHealthServer(g, healthserver.NewServer())
	h := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			io.WriteString(w, "over "+r.Proto)
		}),
		ReadHeaderTimeout: time.Minute,
	}
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, s.Serve()) })
	running.Go(func() { g.Serve(s.GRPC()) })
	running.Go(func() { h.Serve(s.HTTP()) })
	t.Cleanup(func() {
		s.Close()
		g.Stop()
		h.Close()
		running.Wait()
	})
	return s
}

func (s *served) noteClient(ctx context.Context) {
	from, _ := peer.FromContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name = "plain"
	if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
		s.name = "no certificate"
		if chains := info.State.VerifiedChains; len(chains) > 0 {
			s.name = chains[0][0].Subject.CommonName
		}
	}
}

func (s *served) client() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name
}

// callGRPC makes one call.
func callGRPC(t *testing.T, addr string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = health.NewHealthClient(conn).Check(ctx, &health.HealthCheckRequest{})
	return err
}

// fetch makes one request and returns the answer's body.
func fetch(t *testing.T, url string, transport http.RoundTripper) (string, error) {
	t.Helper()
	c := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	defer c.CloseIdleConnections()
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(body), nil
}

func TestPlainPortServesBoth(t *testing.T) {
	s := serve(t, listen.Config{})
	require.NoError(t, callGRPC(t, s.addr, insecure.NewCredentials()))
	require.Equal(t, "plain", s.client())
	body, err := fetch(t, "http://"+s.addr, &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/1.1", body)
}

// TestPlainConnectionIsBare: only for a bare connection does gRPC pool its read
// buffers.
func TestPlainConnectionIsBare(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := listen.New(l, listen.Config{})
	var running sync.WaitGroup
	running.Go(func() { assert.NoError(t, p.Serve()) })
	defer running.Wait()
	defer p.Close()
	c := dial(t, l.Addr().String())
	write(t, c, http2.ClientPreface)
	conn, err := p.GRPC().Accept()
	require.NoError(t, err)
	defer conn.Close()
	require.IsType(t, &net.TCPConn{}, conn)
	whole := make([]byte, len(http2.ClientPreface))
	_, err = io.ReadFull(conn, whole)
	require.NoError(t, err)
	require.Equal(t, http2.ClientPreface, string(whole))
}

// TestConnectionsThatCannotBeLookedAt: where there is no looking without taking,
// what was taken is given back.
func TestConnectionsThatCannotBeLookedAt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := serveOn(t, hiding{l}, listen.Config{})
	require.NoError(t, callGRPC(t, s.addr, insecure.NewCredentials()))
	body, err := fetch(t, "http://"+s.addr, &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/1.1", body)
	conn := dial(t, s.addr)
	const request = "GET / HTTP/1.0\r\n\r\n"
	for i := range len(request) {
		write(t, conn, request[i:i+1])
	}
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "over HTTP/1.0")
	half := dial(t, s.addr)
	write(t, half, "PR")
	require.NoError(t, half.(*net.TCPConn).CloseWrite())
	_, err = io.Copy(io.Discard, half)
	requireEnded(t, err)
}

// hiding is a listener whose connections do not show their sockets.
type hiding struct{ net.Listener }

func (h hiding) Accept() (net.Conn, error) {
	conn, err := h.Listener.Accept()
	return struct{ net.Conn }{conn}, err
}

func TestTLSPortServesBoth(t *testing.T) {
	ca := testca.New(t, "watchd test")
	server, user := ca.Issue("server", "watchd"), ca.Issue("user", "alice")
	s := serve(t, listen.Config{TLS: serverTLS(t, ca, server)})

	// The certificate of the client arrives.
	require.NoError(t, callGRPC(t, s.addr, credentials.NewTLS(ca.Client(user))))
	require.Equal(t, "alice", s.client())

	// A client that offers both gets HTTP/1.1, one without ALPN too.
	for _, cfg := range []*tls.Config{ca.Client(user), withProtocols(ca.Client(user), "h2", "http/1.1")} {
		body, err := fetch(t, "https://"+s.addr, &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true})
		require.NoError(t, err)
		require.Equal(t, "over HTTP/1.1", body)
	}
	// gRPC without credentials for TLS fails and harms nobody.
	require.Error(t, callGRPC(t, s.addr, credentials.NewTLS(&tls.Config{})))
	// Plain HTTP is told what is wrong.
	body, err := fetch(t, "http://"+s.addr, &http.Transport{})
	require.NoError(t, err)
	require.Contains(t, body, "Client sent an HTTP request to an HTTPS server")
}

// TestTLSConfigPerClient: a configuration chosen in the handshake offers the
// port's protocols too.
func TestTLSConfigPerClient(t *testing.T) {
	ca := testca.New(t, "watchd test")
	inner := serverTLS(t, ca, ca.Issue("server", "watchd"))
	s := serve(t, listen.Config{TLS: &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return inner, nil },
	}})
	user := ca.Issue("user", "alice")
	require.NoError(t, callGRPC(t, s.addr, credentials.NewTLS(ca.Client(user))))
	require.Equal(t, "alice", s.client())
	require.Empty(t, inner.NextProtos)
}

func TestPortsOfOneProtocol(t *testing.T) {
	ca := testca.New(t, "watchd test")
	user := ca.Issue("user", "alice")
	server := serverTLS(t, ca, ca.Issue("server", "watchd"))

	// A client that offers both and means gRPC, as .NET's does.
	both := credentials.NewTLS(withProtocols(ca.Client(user), "http/1.1", "h2"))
	require.NoError(t, callGRPC(t, serve(t, listen.Config{TLS: server, Traffic: listen.GRPCOnly}).addr, both))
	require.NoError(t, callGRPC(t, serve(t, listen.Config{Traffic: listen.GRPCOnly}).addr, insecure.NewCredentials()))

	only := serve(t, listen.Config{TLS: server, Traffic: listen.HTTPOnly})
	body, err := fetch(t, "https://"+only.addr, &http.Transport{TLSClientConfig: ca.Client(user), ForceAttemptHTTP2: true})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/2.0", body)
	body, err = fetch(t, "http://"+serve(t, listen.Config{Traffic: listen.HTTPOnly}).addr, &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, "over HTTP/1.1", body)

	grpcOnly := serve(t, listen.Config{TLS: server, Traffic: listen.GRPCOnly})
	_, err = fetch(t, "https://"+grpcOnly.addr, &http.Transport{TLSClientConfig: ca.Client(user)})
	require.Error(t, err)
}

// TestHTTP2WithPriorKnowledge: what is no gRPC over HTTP/2 is refused by gRPC in
// its own words, as on etcd.
func TestHTTP2WithPriorKnowledge(t *testing.T) {
	s := serve(t, listen.Config{})
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	c := &http.Client{Transport: &http.Transport{Protocols: &protocols}, Timeout: 30 * time.Second}
	defer c.CloseIdleConnections()
	res, err := c.Get("http://" + s.addr + "/version")
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 2, res.ProtoMajor)
	require.GreaterOrEqual(t, res.StatusCode, 400)
}

// TestByteByByte: however a client cuts its first bytes, it is understood.
func TestByteByByte(t *testing.T) {
	s := serve(t, listen.Config{})
	for _, c := range []struct{ send, answer string }{
		{send: "GET / HTTP/1.1\r\nHost: a\r\n\r\n", answer: "HTTP/1.1 200 OK\r\n"},
		{send: "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", answer: "HTTP/1.1 200 OK\r\n"},
		{send: "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", answer: "HTTP/1.1 200 OK\r\n"},
	} {
		conn := dial(t, s.addr)
		for i := range len(c.send) {
			write(t, conn, c.send[i:i+1])
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, c.answer, line)
	}
	conn := dial(t, s.addr)
	for i := range len(http2.ClientPreface) {
		write(t, conn, http2.ClientPreface[i:i+1])
	}
	require.NoError(t, http2.NewFramer(conn, conn).WriteSettings())
	frame, err := http2.NewFramer(conn, conn).ReadFrame()
	require.NoError(t, err)
	require.Equal(t, http2.FrameSettings, frame.Header().Type)
}

func TestGarbageGetsAnAnswerAndGoes(t *testing.T) {
	ca := testca.New(t, "watchd test")
	server := serverTLS(t, ca, ca.Issue("server", "watchd"))
	for name, cfg := range map[string]listen.Config{"plain": {}, "tls": {TLS: server}} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, cfg)
			for _, garbage := range []string{"\x00\x00\x00\x00\x00\r\n\r\n", "PRX\r\n\r\n", "\x16\x03\x01\xff\xff\r\n\r\n", "PRI * HTTP/1.1\r\n\r\n--------"} {
				conn := dial(t, s.addr)
				// The server may have closed it meanwhile.
				io.WriteString(conn, garbage)
				conn.(*net.TCPConn).CloseWrite()
				_, err := io.Copy(io.Discard, conn)
				requireEnded(t, err)
			}
			// Whoever connects and leaves at once leaves nothing.
			for range 50 {
				dial(t, s.addr).Close()
			}
		})
	}
}

func serverTLS(t *testing.T, ca *testca.CA, pair testca.Pair) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates: []tls.Certificate{pair.Load(t)},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: ca.Client(testca.Pair{}).RootCAs,
	}
}

func withProtocols(cfg *tls.Config, protocols ...string) *tls.Config {
	cfg.NextProtos = protocols
	return cfg
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	return conn
}

func write(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

// requireEnded wants a connection that the server closed, not one on which time
// ran out.
func requireEnded(t *testing.T, err error) {
	t.Helper()
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "still open: %v", err)
}
