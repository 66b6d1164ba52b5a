package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// MaxConnections is how many connections the streams of a scenario have at
// most.
const MaxConnections = 64

func dial(c *Config, endpoint string, auth *tokens, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if c.TLS != nil {
		transport = credentials.NewTLS(c.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepAlive, Timeout: keepAlive}),
		// A response of history may be as large as what it holds.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: c.DialTimeout}),
	}
	if auth != nil {
		options = append(options, grpc.WithPerRPCCredentials(auth))
	}
	return grpc.NewClient("passthrough:///"+endpoint, append(options, more...)...)
}

// againAfter is how often an endpoint is tried within Config.DialTimeout.
const againAfter = 250 * time.Millisecond

// reach tries every endpoint, and TLS with it, until it takes connections or
// the time is over: what gRPC says of a failed connection names no cause. The
// endpoints that do are returned; the error is that of the first.
func reach(ctx context.Context, c *Config) (reachable []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
	defer cancel()
	results := make([]error, len(c.Endpoints))
	done := make(chan struct{})
	for i := range c.Endpoints {
		go func() {
			results[i] = knock(ctx, c, c.Endpoints[i])
			done <- struct{}{}
		}()
	}
	for range c.Endpoints {
		<-done
	}
	for i, err := range results {
		if err == nil {
			reachable = append(reachable, c.Endpoints[i])
		}
	}
	if len(reachable) > 0 {
		return reachable, nil
	}
	if parent := context.Cause(ctx); errors.Is(parent, context.Canceled) {
		return nil, parent
	}
	return nil, connectError(c, c.DialTimeout, results[0])
}

// knock tries one endpoint until it answers.
func knock(ctx context.Context, c *Config, endpoint string) (err error) {
	for {
		if e := tryOnce(ctx, c, endpoint); e == nil {
			return nil
		} else if err == nil || ctx.Err() == nil {
			err = e // not the end of time, which says nothing
		}
		if permanent(err) {
			return err
		}
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
			return err
		}
	}
}

func tryOnce(ctx context.Context, c *Config, endpoint string) error {
	dialer := &net.Dialer{}
	if c.TLS == nil {
		conn, err := dialer.DialContext(ctx, "tcp", endpoint)
		if err != nil {
			return err
		}
		defer conn.Close()
		return greet(conn)
	}
	config := c.TLS.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	defer conn.Close()
	return greet(conn)
}

// greet begins HTTP/2 and looks at the first byte of the answer: only then a
// server says that it wants a client certificate, or speaks TLS. No answer in
// time says nothing.
func greet(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(greetTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, http2Preface+emptySettings); err != nil {
		return &greetError{err}
	}
	var first [1]byte
	_, err := conn.Read(first[:])
	var timeout net.Error
	switch {
	case err == nil && first[0] == tlsAlert:
		return &greetError{errors.New("a TLS alert")}
	case err == nil, errors.As(err, &timeout) && timeout.Timeout():
		return nil
	}
	return &greetError{err}
}

const (
	greetTimeout  = time.Second
	http2Preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	emptySettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	tlsAlert      = 0x15 // first byte of a record of TLS
)

// greetError: the server took the connection and then did not speak HTTP/2.
type greetError struct{ err error }

func (e *greetError) Error() string { return "it ends the connection: " + e.err.Error() }
func (e *greetError) Unwrap() error { return e.err }
