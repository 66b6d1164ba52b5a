package bench

import (
	"errors"
	"time"
)

// What a target on somebody else's server is, beside a Target.

// Prefixed is a Target on a store that others use too: all keys of a scenario
// begin with Prefix, and nothing is written elsewhere. To it the whole
// keyspace is that prefix.
type Prefixed interface{ Prefix() string }

// ErrSpent is returned by a Target for a write that would exceed what it may
// write. The write did not happen.
var ErrSpent = errors.New("bench: all that may be written has been written")

// ErrUnanswered and ErrRefused are wrapped by a Target's error for a write that
// failed while the target itself lives: nobody knows whether the first was
// done; the second was not. A load counts them and goes on.
var (
	ErrUnanswered = errors.New("not answered")
	ErrRefused    = errors.New("refused")
)

// GoneError says that the target does not answer any more.
type GoneError struct {
	Reason string // in one line
	Err    error
}

func (e *GoneError) Error() string { return e.Reason }
func (e *GoneError) Unwrap() error { return e.Err }

// prefixOf is the prefix of a target's keys; shared says that the rest of the
// store is others'.
func prefixOf(t Target) (prefix string, shared bool) {
	if p, ok := t.(Prefixed); ok {
		return p.Prefix(), true
	}
	return defaultPrefix, false
}

// KeyBytes is the length of every key of a scenario under a prefix.
func KeyBytes(prefix string) int { return max(keyBytes, len(prefix)+numberBytes) }

// Volume is about what a scenario writes.
type Volume struct {
	Writes     int64 // puts, and deletes that are part of the load
	ValueBytes int64 // of all of them together
	// Unbounded: it puts at full speed, so there may be any number of writes
	// beside Writes.
	Unbounded bool
}

// Volume estimates what the scenario writes, its history included.
func (s Scenario) Volume() Volume {
	v := Volume{Writes: s.History + s.Puts, Unbounded: s.FullSpeed}
	live, size := int64(0), float64(s.ValueBytes)
	if !s.FullSpeed {
		took := s.Warmup + s.Duration
		if s.Name == Storm {
			took += stormAllowance
		}
		live = int64(s.RatePerS * took.Seconds())
	}
	v.ValueBytes = v.Writes * int64(s.ValueBytes)
	if s.Name == Mixed {
		v.ValueBytes, size = newControlPlane("", s.Keys).bytes(), meanWrite()
	}
	v.Writes += live
	v.ValueBytes += int64(float64(live) * size)
	return v
}

// stormAllowance is how long everybody's return is taken to last: puts go on
// until all are synced.
const stormAllowance = 10 * time.Second

// Metered is a Target that may tell what its server uses.
type Metered interface {
	// MeterServer reads it from now on, until stop, which returns metrics by
	// name, and for those that are missing why. stop is called once.
	MeterServer() (stop func() (metrics map[string]float64, absent map[string]string))
}
