package server

import (
	"context"
	"log/slog"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Parts is what a Server serves. All of it stays the caller's and is closed
// after the Server.
type Parts struct {
	Engine backend.Engine
	Store  *mvcc.Store
	Hub    *watch.Hub
}

// Config configures a Server. The zero value works.
type Config struct {
	// Name of the member, as MemberList tells it; empty means "default".
	Name string
	// ClientURLs are where clients reach this server, as MemberList tells it.
	ClientURLs []string
	// MaxRequestBytes is the largest request; 0 means 1.5 MiB.
	MaxRequestBytes int
	// MaxTxnOps is the most operations in one list of a transaction; 0 means
	// 128.
	MaxTxnOps int
	// Authorizer is asked before every call; nil allows all.
	Authorizer Authorizer
	// Logger receives what an operator should know; nil means silence.
	Logger *slog.Logger
}

const (
	defaultMaxRequestBytes = 1.5 * 1024 * 1024
	defaultMaxTxnOps       = 128
)

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "default"
	}
	if c.MaxRequestBytes == 0 {
		c.MaxRequestBytes = defaultMaxRequestBytes
	}
	if c.MaxTxnOps == 0 {
		c.MaxTxnOps = defaultMaxTxnOps
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Authorizer decides who may do what. It is called from many goroutines, and
// never under a lock of the server. Its error is the caller's answer: one of
// rpctypes' errors, such as rpctypes.ErrGRPCPermissionDenied.
type Authorizer interface {
	Authorize(ctx context.Context, a Access) error
}

// Access is what a call is about to do.
type Access struct {
	Method   string // of grpc, such as "/etcdserverpb.KV/Put"
	Action   Action
	Key, End []byte // the range as it came on the wire; both nil for ActionAdmin
}

// Action is a kind of access.
type Action uint8

// The kinds of access.
const (
	ActionRead Action = iota + 1
	ActionWrite
	ActionAdmin
)
