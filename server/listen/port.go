package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Traffic says which protocols a port serves.
type Traffic int

const (
	Both     Traffic = iota // gRPC and HTTP, told apart
	GRPCOnly                // everything is gRPC
	HTTPOnly                // everything is HTTP
)

// String returns the words of etcd's log for the traffic of a port.
func (t Traffic) String() string {
	switch t {
	case GRPCOnly:
		return "grpc"
	case HTTPOnly:
		return "http"
	default:
		return "grpc+http"
	}
}

// alpn returns the protocols offered under TLS, best first: the server's order
// decides.
func (t Traffic) alpn() []string {
	switch t {
	case GRPCOnly:
		return []string{"h2"}
	case HTTPOnly:
		return []string{"h2", "http/1.1"}
	default:
		return []string{"http/1.1", "h2"}
	}
}

// Config says how a port is served. The zero value is plain, both protocols.
type Config struct {
	// TLS is nil for a plain port. The protocols it offers are the port's, also
	// in what its GetConfigForClient returns.
	TLS     *tls.Config
	Traffic Traffic

	// DecideTimeout is how long a client may take to say what it speaks, with
	// the TLS handshake. 0 is 10 s, as etcd's.
	DecideTimeout time.Duration
	// MaxUndecided is how many connections may be undecided at once. 0 is 1,000.
	MaxUndecided int
	// MaxDescriptor bounds connections by the number of their descriptor, so that
	// files can still be opened however many clients there are: at this number
	// the oldest undecided connection goes, and without one the new. 0 is 150
	// below what the process may have (etcd's reserve), or half of that if it is
	// little. Only unix systems have such numbers.
	MaxDescriptor int
	// UserTimeout is how long sent data may stay unacknowledged before the
	// system drops a TCP connection under TLS (gRPC sets it itself on plain
	// ones), where the system can. 0 is 20 s, gRPC's keepalive timeout.
	UserTimeout time.Duration
	// Logger gets refused connections. Nil is silent.
	Logger *slog.Logger
}

// reservedDescriptors are for the engine's files and all else.
const reservedDescriptors = 150

func (c Config) withDefaults() Config {
	if c.DecideTimeout == 0 {
		c.DecideTimeout = 10 * time.Second
	}
	if c.MaxUndecided == 0 {
		c.MaxUndecided = 1000
	}
	if c.MaxDescriptor == 0 {
		limit := descriptorLimit()
		c.MaxDescriptor = limit - min(reservedDescriptors, limit/2)
	}
	if c.UserTimeout == 0 {
		c.UserTimeout = 20 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TLS != nil {
		c.TLS = withALPN(c.TLS, c.Traffic.alpn())
	}
	return c
}

// withALPN returns a copy of cfg that offers protocols, whatever it or its
// GetConfigForClient offered.
func withALPN(cfg *tls.Config, protocols []string) *tls.Config {
	cfg = cfg.Clone()
	cfg.NextProtos = protocols
	if choose := cfg.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			chosen = chosen.Clone()
			chosen.NextProtos = protocols
			return chosen, nil
		}
	}
	return cfg
}

// Port accepts the connections of one listener for two servers. Its methods
// may be called from any goroutine.
type Port struct {
	listener net.Listener
	cfg      Config
	grpc     *half
	http     *half

	closeOnce sync.Once
	closeErr  error
	done      chan struct{}  // closed by Close
	deciding  sync.WaitGroup // the decide goroutines
	undecided undecided

	crowdedUntil time.Time // Serve's goroutine alone
}

// New returns a port over l, which it owns from now on. Nothing is accepted
// before Serve.
func New(l net.Listener, cfg Config) *Port {
	p := &Port{listener: l, cfg: cfg.withDefaults(), done: make(chan struct{})}
	p.grpc = newHalf(p)
	p.http = newHalf(p)
	p.undecided.max = p.cfg.MaxUndecided
	return p
}

// GRPC returns the listener of the connections that speak gRPC. Under TLS they
// are [*tls.Conn] after their handshake; a gRPC server takes them with
// [Credentials]. Closing it refuses further gRPC connections and leaves the port
// open.
func (p *Port) GRPC() net.Listener { return p.grpc }

// HTTP is GRPC for the connections that speak HTTP.
func (p *Port) HTTP() net.Listener { return p.http }

// Addr returns the address of the port.
func (p *Port) Addr() net.Addr { return p.listener.Addr() }

// Serve accepts and decides connections until Close, which makes it return nil,
// or until the listener fails. When it returns, all undecided connections are
// closed and all its goroutines have ended; the connections handed on belong to
// who accepted them.
func (p *Port) Serve() error {
	defer func() {
		p.undecided.closeAll()
		p.deciding.Wait()
	}()
	var pause time.Duration
	for {
		conn, err := p.listener.Accept()
		if err == nil {
			pause = 0
			p.start(conn)
			continue
		}
		if p.isClosed() {
			return nil
		}
		var passing interface{ Temporary() bool }
		if !errors.As(err, &passing) || !passing.Temporary() {
			p.shut()
			return err
		}
		// Mostly no file descriptor is left; that passes as clients leave.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		p.cfg.Logger.Warn("cannot accept a connection, trying again", "address", p.Addr().String(), "error", err, "after", pause)
		select {
		case <-time.After(pause):
		case <-p.done:
			return nil
		}
	}
}

// Close closes the port, both its listeners and all undecided connections.
// Connections handed on are left alone.
func (p *Port) Close() error {
	p.shut()
	p.undecided.closeAll()
	return p.closeErr
}

func (p *Port) shut() {
	p.closeOnce.Do(func() {
		close(p.done)
		p.closeErr = p.listener.Close()
	})
}

func (p *Port) isClosed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// start decides conn in a goroutine of its own.
func (p *Port) start(conn net.Conn) {
	if !p.hasRoom(conn) {
		conn.Close()
		return
	}
	entry := p.undecided.add(conn)
	if entry == nil {
		conn.Close()
		return
	}
	p.deciding.Go(func() {
		ready, to, err := p.decide(conn)
		// Whoever leaves the set first decides: the set closed it, or it is ours.
		if !p.undecided.remove(entry) {
			return
		}
		if err != nil {
			p.refused(conn, err)
			conn.Close()
			return
		}
		to.give(ready)
	})
}

// crowdedTime is how long each connection costs the oldest undecided one, after
// a descriptor was too high. A number alone does not tell: what is closed leaves
// low ones free.
const crowdedTime = time.Second

// hasRoom reports whether conn may stay, for which it gives up the oldest
// undecided connection while descriptors are few. Serve's goroutine calls it.
func (p *Port) hasRoom(conn net.Conn) bool {
	now, high := time.Now(), descriptor(conn) >= p.cfg.MaxDescriptor
	if high {
		if now.After(p.crowdedUntil) {
			p.cfg.Logger.Warn("too many connections: the files that are left are the engine's, so clients are turned away; raise the limit of open files",
				"address", p.Addr().String(), "limit", descriptorLimit())
		}
		p.crowdedUntil = now.Add(crowdedTime)
	}
	if now.After(p.crowdedUntil) {
		return true
	}
	return p.undecided.giveUpOldest() || !high
}

// decide finds out what conn speaks, under the deadline, and returns the
// connection as its server takes it.
func (p *Port) decide(conn net.Conn) (net.Conn, *half, error) {
	if p.cfg.TLS == nil && p.cfg.Traffic != Both {
		return conn, p.only(), nil
	}
	if err := conn.SetDeadline(time.Now().Add(p.cfg.DecideTimeout)); err != nil {
		return nil, nil, err
	}
	ready, to, err := p.look(conn)
	if err != nil {
		return nil, nil, err
	}
	return ready, to, conn.SetDeadline(time.Time{})
}

func (p *Port) look(conn net.Conn) (net.Conn, *half, error) {
	if p.cfg.TLS != nil {
		return p.handshake(conn)
	}
	ready, isHTTP2, err := speaksHTTP2(conn)
	if isHTTP2 {
		return ready, p.grpc, err
	}
	return ready, p.http, err
}

func (p *Port) handshake(conn net.Conn) (net.Conn, *half, error) {
	setUserTimeout(conn, p.cfg.UserTimeout)
	secure := tls.Server(conn, p.cfg.TLS)
	if err := secure.HandshakeContext(context.Background()); err != nil {
		answerPlainHTTP(err)
		return nil, nil, err
	}
	agreed := secure.ConnectionState().NegotiatedProtocol
	switch {
	case p.cfg.Traffic == GRPCOnly && agreed != "h2":
		return nil, nil, errors.New("the client did not offer h2 (ALPN), which gRPC needs")
	case p.cfg.Traffic != Both:
		return secure, p.only(), nil
	case agreed == "h2":
		return secure, p.grpc, nil
	default:
		return secure, p.http, nil
	}
}

// only returns the half of a port with one protocol.
func (p *Port) only() *half {
	if p.cfg.Traffic == GRPCOnly {
		return p.grpc
	}
	return p.http
}

// answerPlainHTTP tells a client that speaks plain HTTP to a TLS port so, in
// the words of net/http.
func answerPlainHTTP(err error) {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.Conn == nil {
		return
	}
	switch string(header.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		io.WriteString(header.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
}

// refused logs why a connection was closed undecided: whoever leaves or stays
// silent is no news, a failed handshake is what an operator looks for.
func (p *Port) refused(conn net.Conn, err error) {
	level := slog.LevelWarn
	for _, leaving := range []error{io.EOF, net.ErrClosed, os.ErrDeadlineExceeded, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, leaving) {
			level = slog.LevelDebug
		}
	}
	p.cfg.Logger.Log(context.Background(), level, "rejected connection on client endpoint",
		"remote-addr", conn.RemoteAddr().String(), "address", p.Addr().String(), "error", err)
}
