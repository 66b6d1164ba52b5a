package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	return nil, connectError(c, results[0])
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
		return conn.Close()
	}
	config := c.TLS.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	return conn.Close()
}
