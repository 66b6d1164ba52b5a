package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/server/listen"
	"github.com/watchkv/watchkv/server/tlsconf"
)

// door is one URL that is listened on.
type door struct {
	url      *url.URL
	port     *listen.Port
	traffic  listen.Traffic
	forStats bool // of --listen-metrics-urls: pages alone
}

// front is where clients come in: the doors, and the servers behind them.
type front struct {
	log   *slog.Logger
	doors []door

	grpc           *grpc.Server
	clients, stats *http.Server
	maxStreams     int // of one connection that speaks HTTP/2, as gRPC's

	serving sync.WaitGroup
	failed  chan error // an error of each that serves, room for all
}

// openFront listens wherever the settings say. Nothing is served yet.
func openFront(ctx context.Context, c *config, log *slog.Logger) (f *front, err error) {
	f = &front{log: log, maxStreams: int(min(c.maxStreams, math.MaxInt32))}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.closeDoors())
		}
	}()
	secure, err := c.tlsConfig(log)
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		name     string
		urls     []*url.URL
		traffic  listen.Traffic
		forStats bool
	}{
		{"listen-client-urls", c.listenClient, listen.Both, false},
		{"listen-client-http-urls", c.listenHTTP, listen.HTTPOnly, false},
		{"listen-metrics-urls", c.listenMetrics, listen.HTTPOnly, true},
	} {
		for _, u := range l.urls {
			if l.name == "listen-client-http-urls" && slices.Contains(urlTexts(c.listenClient), u.String()) {
				continue // one port for both, which the first row opened
			}
			traffic := l.traffic
			if l.name == "listen-client-urls" && len(c.listenHTTP) > 0 && !slices.Contains(urlTexts(c.listenHTTP), u.String()) {
				traffic = listen.GRPCOnly
			}
			d := door{url: u, traffic: traffic, forStats: l.forStats}
			if err := d.open(ctx, c, secure, log); err != nil {
				return f, failed("--%s %s: %v", l.name, u, err)
			}
			f.doors = append(f.doors, d)
		}
	}
	return f, nil
}

func (d *door) open(ctx context.Context, c *config, secure *tls.Config, log *slog.Logger) error {
	cfg := listen.Config{Traffic: d.traffic, UserTimeout: c.keepAliveTimeout, Logger: log}
	if secured(d.url) {
		cfg.TLS = secure
	} else if c.tls.certFile != "" {
		log.Warn("the scheme has no TLS: certificate and key are not used here", "url", d.url.String())
	}
	var listener net.Listener
	var err error
	if c.reusePort && !local(d.url) {
		listener, err = (&net.ListenConfig{Control: reusePort}).Listen(ctx, "tcp", d.url.Host)
	} else {
		listener, err = listen.Open(ctx, d.url)
	}
	if err != nil {
		return err
	}
	d.port = listen.New(listener, cfg)
	return nil
}

// tlsConfig reads what clients are secured by; nil without certificates.
func (c *config) tlsConfig(log *slog.Logger) (*tls.Config, error) {
	t := c.tls
	if t.certFile == "" && t.auto {
		var err error
		t.certFile, t.keyFile, err = tlsconf.SelfSigned(filepath.Join(c.directory(), "fixtures", "client"), c.secureHosts(), uint(t.autoYears), log)
		if err != nil {
			return nil, failed("--auto-tls: %v", err)
		}
	} else if t.auto {
		log.Warn("--auto-tls does nothing: a certificate was given", "cert-file", t.certFile)
	}
	if t.clientCertAuth && t.trustedCAFile == "" {
		log.Warn("--client-cert-auth without --trusted-ca-file: whoever has a certificate that an authority of this system signed is let in")
	}
	cfg := tlsconf.Config{
		CertFile: t.certFile, KeyFile: t.keyFile, ClientCertAuth: t.clientCertAuth, TrustedCAFile: t.trustedCAFile, CRLFile: t.crlFile,
		AllowedHostnames: t.allowedHostnames, CipherSuites: t.cipherSuites, MinVersion: t.minVersion, MaxVersion: t.maxVersion, Logger: log,
	}
	if cfg.Empty() {
		return nil, nil
	}
	secure, err := tlsconf.New(cfg)
	if err != nil {
		return nil, failed("%v", err)
	}
	return secure, nil
}

// secureHosts are the names and addresses by which clients may know this
// server.
func (c *config) secureHosts() (hosts []string) {
	add := func(names ...string) {
		for _, name := range names {
			if !slices.Contains(hosts, name) {
				hosts = append(hosts, name)
			}
		}
	}
	for _, u := range slices.Concat(c.listenClient, c.listenHTTP, c.listenMetrics, c.advertise) {
		if !secured(u) {
			continue
		}
		if local(u) {
			add("localhost")
			continue
		}
		host := u.Hostname()
		ip := net.ParseIP(withoutZone(host))
		if ip == nil || !ip.IsUnspecified() {
			add(host)
		}
		if ip != nil && ip.IsUnspecified() || host == "localhost" {
			add("localhost", "127.0.0.1", "::1")
		}
		if name, err := os.Hostname(); err == nil && ip != nil && ip.IsUnspecified() {
			add(name)
		}
	}
	return hosts
}

// address is where clients come in first, with the port it got.
func (f *front) address() string { return f.doors[0].port.Addr().String() }

// urls are what clients can be told to connect to, unless something else was
// given: where it listens, by a name that others can use.
func (f *front) urls() (texts []string) {
	for _, d := range f.doors {
		if d.forStats || d.traffic == listen.HTTPOnly {
			continue
		}
		u := *d.url
		if !local(&u) {
			host := u.Hostname()
			if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
				if name, err := os.Hostname(); err == nil {
					host = name
				}
			}
			if _, port, err := net.SplitHostPort(d.port.Addr().String()); err == nil {
				u.Host = net.JoinHostPort(host, port)
			}
		}
		texts = append(texts, u.String())
	}
	return texts
}

// serve begins to serve; what fails later is in f.failed.
func (f *front) serve(g *grpc.Server, clients, stats http.Handler) {
	quiet := slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)
	f.grpc = g
	pages := func(h http.Handler) *http.Server {
		return &http.Server{
			Handler: h, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, ErrorLog: quiet,
			HTTP2: &http.HTTP2Config{MaxConcurrentStreams: f.maxStreams},
		}
	}
	f.clients, f.stats = pages(clients), pages(stats)
	f.failed = make(chan error, 3*len(f.doors))
	for _, d := range f.doors {
		f.start(d.port.Serve)
		if d.traffic != listen.HTTPOnly {
			f.start(func() error { return g.Serve(d.port.GRPC()) })
		}
		if d.traffic != listen.GRPCOnly {
			pages := f.clients
			if d.forStats {
				pages = f.stats
			}
			f.start(func() error { return pages.Serve(d.port.HTTP()) })
		}
		traffic := d.traffic.String()
		if d.forStats {
			traffic = "metrics"
		}
		if len(exposed([]*url.URL{d.url})) > 0 {
			f.log.Warn("serving client traffic insecurely; this is strongly discouraged!", "traffic", traffic, "address", d.port.Addr().String())
		}
		f.log.Info("serving", "url", d.url.String(), "address", d.port.Addr().String(), "traffic", traffic, "tls", secured(d.url))
	}
}

const (
	headerTimeout  = 10 * time.Second // for the head of an HTTP request to come
	idleTimeout    = 2 * time.Minute  // until an HTTP connection that asks nothing is closed
	connectTimeout = 20 * time.Second // for a gRPC connection to say hello
	// Under TLS grpc does not share its read buffers: 32 KiB for each
	// connection would be most of what an idle one takes.
	secureReadBuffer = 8 << 10
)

// grpcOptions are those of the doors.
func (f *front) grpcOptions() []grpc.ServerOption {
	options := []grpc.ServerOption{grpc.Creds(listen.Credentials()), grpc.ConnectionTimeout(connectTimeout)}
	if slices.ContainsFunc(f.doors, func(d door) bool { return secured(d.url) }) {
		options = append(options, grpc.ReadBufferSize(secureReadBuffer))
	}
	return options
}

func (f *front) start(serve func() error) {
	f.serving.Add(1)
	go func() {
		defer f.serving.Done()
		if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
			f.failed <- err
		}
	}()
}

// stop lets calls finish for as long as patience lasts, then ends them.
func (f *front) stop(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var stopping sync.WaitGroup
	stopping.Go(func() {
		defer context.AfterFunc(ctx, func() {
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				f.log.Warn("calls are still under way and are ended", "after", patience.String())
			}
			f.grpc.Stop()
		})()
		f.grpc.GracefulStop()
	})
	for _, pages := range []*http.Server{f.clients, f.stats} {
		stopping.Go(func() {
			if pages.Shutdown(ctx) != nil {
				_ = pages.Close() // what did not finish in time is ended
			}
		})
	}
	stopping.Wait()
	err := f.closeDoors()
	f.serving.Wait()
	return err
}

func (f *front) closeDoors() (err error) {
	for _, d := range f.doors {
		if e := d.port.Close(); e != nil && !errors.Is(e, net.ErrClosed) {
			err = errors.Join(err, fmt.Errorf("%s: %w", d.url, e))
		}
	}
	return err
}
