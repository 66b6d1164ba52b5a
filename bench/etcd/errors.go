package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// ConnectError says in one line why a server could not be connected to, and
// what may help.
type ConnectError struct {
	Target string
	Text   string
	Err    error
}

func (e *ConnectError) Error() string { return e.Target + ": " + e.Text }
func (e *ConnectError) Unwrap() error { return e.Err }

// connectError; waited is how long an answer may have taken.
func connectError(c *Config, waited time.Duration, err error) error {
	return &ConnectError{Target: c.Name(), Text: explain(c, waited, err), Err: err}
}

const grpcCanceled = codes.Canceled

func status(err error) codes.Code { return grpcstatus.Code(err) }

// remoteAlert is how package tls begins what the other side says; its type is
// not exported.
const remoteAlert = "remote error: tls: "

// permanent reports a failure that trying again cannot mend.
func permanent(err error) bool {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var greet *greetError
	return errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &record) ||
		strings.Contains(err.Error(), remoteAlert) || errors.As(err, &greet) || errors.As(err, &dns) && dns.IsNotFound
}

// explain says why a server cannot be used. What is not known here is said in
// the error's own words.
func explain(c *Config, waited time.Duration, err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var timeout net.Error
	var greet *greetError
	after := figure.Short(waited)
	switch {
	case errors.As(err, &authority):
		return "its certificate is signed by an authority that is not known here; name its file by --cacert"
	case errors.As(err, &host):
		return "its certificate is for other names: " + one(host)
	case errors.As(err, &invalid):
		return "its certificate is not valid: " + one(invalid)
	case errors.As(err, &record):
		return "it does not speak TLS; write " + plainScheme + strings.Join(c.Endpoints, ",")
	case strings.Contains(err.Error(), remoteAlert):
		_, alert, _ := strings.Cut(err.Error(), remoteAlert)
		return "it refuses the TLS connection (" + alert + "); a client certificate is given by --cert and --key"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no host of the name " + dns.Name
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused after " + after + "; is etcd running there?"
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Sprintf("user %q is not known there, or the password is wrong", c.User)
	case errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrAuthOldRevision):
		return "it asks for a user; give --user, and the password by ETCDCTL_PASSWORD"
	case c.TLS != nil && errors.Is(err, io.EOF):
		return "it ends TLS connections at once; if it speaks none, write " + plainScheme + strings.Join(c.Endpoints, ",")
	case c.TLS == nil && (errors.As(err, &greet) || speaksTLS(err)):
		return "it closes plain connections; if it speaks TLS, write " + tlsScheme + strings.Join(c.Endpoints, ",")
	case errors.Is(err, context.DeadlineExceeded), status(err) == codes.DeadlineExceeded, errors.As(err, &timeout) && timeout.Timeout():
		return "no answer within " + after + "; is etcd running there?"
	}
	return one(err)
}

// speaksTLS: what gRPC says when the other side drops a plain connection.
func speaksTLS(err error) bool {
	text := err.Error()
	return status(err) == codes.Unavailable && (strings.Contains(text, "EOF") || strings.Contains(text, "reset by peer") || strings.Contains(text, "server preface")) ||
		strings.Contains(text, "error reading server preface")
}

// one is an error's text without gRPC's frame, in one line.
func one(err error) string {
	text := err.Error()
	if s, ok := grpcstatus.FromError(err); ok && s.Code() != codes.OK && s.Message() != "" {
		text = s.Message()
	}
	for _, frame := range []string{"error reading from server: ", "etcdserver: ", "rpc error: "} {
		text = strings.TrimPrefix(text, frame)
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

// silent: the server did not answer, which another member may do.
func silent(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || status(err) == codes.DeadlineExceeded || status(err) == codes.Unavailable
}

// gone says of an error in the middle of a run whether the server went away.
func (k *Kind) gone(err error) error {
	switch {
	case errors.Is(err, io.EOF), status(err) == codes.Unavailable, errors.Is(err, syscall.ECONNREFUSED):
		k.away.Store(true)
		return &bench.GoneError{Reason: one(err), Err: err}
	case errors.Is(err, context.DeadlineExceeded), status(err) == codes.DeadlineExceeded:
		return &bench.GoneError{Reason: "no answer for " + figure.Short(k.config.CommandTimeout), Err: err}
	}
	return k.refusal(err)
}

// writeError says what an error of a write leaves known.
func (k *Kind) writeError(err error) error {
	text := one(err)
	switch {
	case errors.Is(err, rpctypes.ErrTooManyRequests):
		return fmt.Errorf("etcd: put %w: %s", bench.ErrRefused, text)
	case errors.Is(err, context.DeadlineExceeded), status(err) == codes.DeadlineExceeded,
		errors.Is(err, rpctypes.ErrTimeout), errors.Is(err, rpctypes.ErrTimeoutDueToLeaderFail), errors.Is(err, rpctypes.ErrTimeoutDueToConnectionLost),
		errors.Is(err, rpctypes.ErrLeaderChanged), errors.Is(err, rpctypes.ErrNoLeader):
		return fmt.Errorf("etcd: put %w: %s", bench.ErrUnanswered, text)
	}
	return fmt.Errorf("etcd: %w", k.gone(err))
}

// refusal puts the server's own words for what it does not do.
func (k *Kind) refusal(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return errors.New("permission denied; the user needs readwrite on the prefix: etcdctl role grant-permission ROLE --prefix=true readwrite " + k.config.Prefix)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return errors.New("the server's quota is used up (NOSPACE)")
	}
	return err
}
