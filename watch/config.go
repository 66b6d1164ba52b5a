package watch

import (
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// Config configures a Hub. The zero value works.
type Config struct {
	// OutboxResponses bounds what waits in a stream's outbox, in hand-overs:
	// one is events for all watches of the stream that share a range and
	// options; while it waits, more events for the same watches join it. 0
	// means 128. Control responses have room of their own.
	OutboxResponses int
	// OutboxBytes bounds the events that wait in a stream's outbox, in bytes
	// of their records and previous values and 128 for each. As much again may
	// be in the hands of Recv. An empty outbox takes one revision whatever it
	// weighs. 0 means 1 MiB.
	OutboxBytes int64
	// MaxResponseBytes bounds the events of one response, weighed as for
	// OutboxBytes, unless a single revision is larger. 0 means 1 MiB, which keeps the encoded response
	// well below the 4 MiB that gRPC clients take by default.
	MaxResponseBytes int
	// MaxWatches bounds the watches of the hub, MaxWatchesPerStream those of
	// one stream; 0 is no bound.
	MaxWatches          int
	MaxWatchesPerStream int
	// ProgressInterval between periodic progress notifications; up to 10% is
	// added at random. 0 means 10 min, and at least 100 ms is used.
	ProgressInterval time.Duration
	// Shards is the number of parts the streams are spread over, each with a
	// dispatch and a catch-up goroutine of its own. 0 means one for every 4
	// processors, at least 1.
	Shards int
	// Logger receives what an operator should know; nil means silence.
	Logger *slog.Logger
}

const (
	defaultOutboxResponses  = 128
	defaultOutboxBytes      = 1 << 20
	defaultMaxResponseBytes = 1 << 20
	defaultProgressInterval = 10 * time.Minute
	minProgressInterval     = 100 * time.Millisecond
	processorsPerShard      = 4
)

func (c Config) withDefaults() Config {
	if c.OutboxResponses == 0 {
		c.OutboxResponses = defaultOutboxResponses
	}
	if c.OutboxBytes == 0 {
		c.OutboxBytes = defaultOutboxBytes
	}
	if c.MaxResponseBytes == 0 {
		c.MaxResponseBytes = defaultMaxResponseBytes
	}
	if c.ProgressInterval == 0 {
		c.ProgressInterval = defaultProgressInterval
	}
	c.ProgressInterval = max(c.ProgressInterval, minProgressInterval)
	if c.Shards == 0 {
		c.Shards = max(1, runtime.GOMAXPROCS(0)/processorsPerShard)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// runBytes bounds the events that are handed over as one.
func (c *Config) runBytes() int64 { return min(int64(c.MaxResponseBytes), c.OutboxBytes) }

func (c Config) validate() error {
	if c.OutboxResponses < 0 || c.OutboxBytes < 0 || c.MaxResponseBytes < 0 || c.MaxWatches < 0 ||
		c.MaxWatchesPerStream < 0 || c.Shards < 0 || c.ProgressInterval < 0 {
		return fmt.Errorf("watch: a negative value in Config %+v; 0 is the default of every field", c)
	}
	return nil
}
