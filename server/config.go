package server

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/lease"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/watch"
)

// Parts is what a Server serves. All of it stays the caller's and is closed
// after the Server.
type Parts struct {
	Engine backend.Engine
	Store  *mvcc.Store
	Hub    *watch.Hub
	// Lessor has the store's leases; nil: there are none, and no Lease service.
	Lessor *lease.Lessor
}

// Config configures a Server. The zero value works.
type Config struct {
	// Name of the member, as MemberList tells it; empty means "default".
	Name string
	// ClientURLs are where clients reach this server, as MemberList tells it.
	ClientURLs []string

	// MaxRequestBytes is the largest request that writes; 0 means 1.5 MiB. The
	// store must take records of that size: mvcc.Config.MaxRecordBytes.
	MaxRequestBytes int
	// MaxTxnOps is the most operations in one list of a transaction, nested
	// ones included; 0 means 128.
	MaxTxnOps int
	// MaxConcurrentStreams is the most calls of one connection at a time; 0
	// means no bound.
	MaxConcurrentStreams uint32
	// KeepAlive is about connections.
	KeepAlive KeepAlive
	// WatchMaxLagRevisions and WatchMaxLagBytes end a watch that its client
	// reads too slowly, once it has caught up and then is further behind than
	// that; 0 is off, and then it waits.
	WatchMaxLagRevisions, WatchMaxLagBytes int64

	// ScratchDir is where a snapshot stands while it is built and sent, of one
	// server alone: New removes what an earlier one left. Empty is the system's
	// directory for temporary files, where nothing is removed.
	ScratchDir string

	// Metrics says what is counted, and what the program is called. Ids,
	// versions and sources are the server's own.
	Metrics metrics.Config

	// Authorizer is asked before every call; nil allows all.
	Authorizer Authorizer
	// Logger receives what an operator should know; nil means silence.
	Logger *slog.Logger
}

// KeepAlive says how connections are kept and watched. Each 0 is etcd's
// default, each negative one turns it off.
type KeepAlive struct {
	// MinTime is the shortest time between two pings of a client: one that
	// sends more is disconnected. 0 means 5 s.
	MinTime time.Duration
	// Interval is after how much silence the server pings. 0 means 2 h.
	Interval time.Duration
	// Timeout is how long an answer to that may take. 0 means 20 s.
	Timeout time.Duration
}

const (
	defaultMaxRequestBytes = 1536 * 1024
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
	if c.MaxConcurrentStreams == 0 {
		c.MaxConcurrentStreams = math.MaxUint32
	}
	c.KeepAlive = c.KeepAlive.withDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (k KeepAlive) withDefaults() KeepAlive {
	for _, f := range []struct {
		field    *time.Duration
		fallback time.Duration
	}{
		{&k.MinTime, 5 * time.Second},
		{&k.Interval, 2 * time.Hour},
		{&k.Timeout, 20 * time.Second},
	} {
		if *f.field == 0 {
			*f.field = f.fallback
		}
	}
	return k
}

func (c *Config) validate() error {
	var errs []error
	if c.MaxRequestBytes < 0 || c.MaxRequestBytes > math.MaxInt32-requestOverhead {
		errs = append(errs, fmt.Errorf("server: MaxRequestBytes is %d, it must be between 1 and %d",
			c.MaxRequestBytes, math.MaxInt32-requestOverhead))
	}
	if c.MaxTxnOps < 0 {
		errs = append(errs, fmt.Errorf("server: MaxTxnOps is %d, it must not be negative", c.MaxTxnOps))
	}
	return errors.Join(errs...)
}
