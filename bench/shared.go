package bench

import "errors"

// What a target on somebody else's server is, beside a Target.

// Prefixed is a Target on a store that others use too: all keys of a scenario
// begin with Prefix, and nothing is written elsewhere. To it the whole
// keyspace is that prefix.
type Prefixed interface{ Prefix() string }

// ErrSpent is returned by a Target for a write that would exceed what it may
// write. The write did not happen.
var ErrSpent = errors.New("bench: all that may be written has been written")

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
