package lease

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config configures a Lessor. The zero value works.
type Config struct {
	// MinTTL is the shortest time in seconds; shorter ones are raised to it,
	// those found on disk too. 0 means 2, as etcd has it by default.
	MinTTL int64
	// MaxTTL is the longest time in seconds that is granted; 0 means etcd's
	// bound, 9,000,000,000, and more than that is not possible.
	MaxTTL int64
	// CheckpointInterval is how often what is left of long leases is written.
	// 0 means 5 min; negative: never.
	CheckpointInterval time.Duration
	// Logger receives what an operator should know; nil means silence.
	Logger *slog.Logger
}

const (
	defaultMinTTL = 2
	// mostTTL is etcd's bound, just below what a time.Duration holds.
	mostTTL                   = 9_000_000_000
	defaultCheckpointInterval = 5 * time.Minute
)

func (c Config) withDefaults() Config {
	if c.MinTTL == 0 {
		c.MinTTL = defaultMinTTL
	}
	if c.MaxTTL == 0 {
		c.MaxTTL = mostTTL
	}
	if c.CheckpointInterval == 0 {
		c.CheckpointInterval = defaultCheckpointInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.MinTTL < 1 || c.MaxTTL < c.MinTTL || c.MaxTTL > mostTTL {
		return fmt.Errorf("lease: Config.MinTTL is %d s and MaxTTL %d s, want 1 <= MinTTL <= MaxTTL <= %d", c.MinTTL, c.MaxTTL, int64(mostTTL))
	}
	return nil
}

// Sentinels that callers branch on.
var (
	// ErrNotFound: no such lease, or not any more.
	ErrNotFound = errors.New("lease: requested lease not found")
	// ErrExists: a lease with this id is there already.
	ErrExists = errors.New("lease: lease already exists")
	// ErrTTLTooLarge: more time than Config.MaxTTL.
	ErrTTLTooLarge = errors.New("lease: too large lease TTL")
	// ErrClosed: the Lessor is closed.
	ErrClosed = errors.New("lease: lessor is closed")
)
