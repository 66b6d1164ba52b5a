package watch

import (
	"sync"

	"github.com/watchkv/watchkv/mvcc"
)

// NoWatch is the watch id of a response that concerns no single watch: a
// refused create, or the answer to Stream.RequestProgress.
const NoWatch int64 = -1

// Response is one message for one watch. Its events are shared with other
// watchers and frozen; the Response itself is the receiver's.
//
// What happened is told by the fields: events, or one or more of the flags.
// A response with neither is a progress notification.
type Response struct {
	// WatchID is the watch it is for, or NoWatch.
	WatchID int64
	// Events in the order of their revisions; a revision is never split over
	// responses.
	Events []mvcc.Event
	// Revision is a safe resume point of an event response and of a progress
	// notification: everything that matches the watch up to and including it
	// was delivered with or before this response. In a Created, Canceled or
	// CaughtUp response it is the store's or the hub's current revision.
	Revision int64

	// Created is the first response of every watch.
	Created bool
	// Canceled is the last response of a watch. Err tells why; it is nil
	// after Stream.Cancel.
	Canceled bool
	// CaughtUp, once per watch: everything up to the revision of its Created
	// response has been delivered. It comes with Created where there was no
	// history to read.
	CaughtUp bool
	// Conflated: intermediate versions of some keys may have been skipped
	// (Policy Latest only).
	Conflated bool
	// MaySplit is the request's.
	MaySplit bool

	// CompactRevision is set on a Canceled response whose watch asked for
	// history that is gone: the first revision it could start from.
	CompactRevision int64
	// Err is why the watch was refused or ended: ErrEmptyRange,
	// ErrDuplicateID, ErrNegativeID, ErrLagging, ..., or an
	// *mvcc.CompactedError.
	Err error

	shared *slot // nil if nobody else has the same events, or ShareForms is off
}

// Progress reports whether r is a progress notification.
func (r *Response) Progress() bool {
	return len(r.Events) == 0 && !r.Created && !r.Canceled && !r.CaughtUp
}

// Shared returns what form makes of the events and the revision of r. After
// Hub.ShareForms, where other watches were given the very same, on whatever
// stream, only the first who asks makes it, the others wait for it, and it is
// kept as long as the events are queued: all consumers of a hub must ask for
// the same form. Safe for concurrent use with calls on other responses.
func (r *Response) Shared(form func(events []mvcc.Event, rev int64) any) any {
	if r.shared == nil {
		return form(r.Events, r.Revision)
	}
	r.shared.mu.Lock()
	defer r.shared.mu.Unlock()
	if r.shared.made == nil {
		r.shared.made = form(r.Events, r.Revision)
	}
	return r.shared.made
}

// slot keeps what one consumer made of a run for the others who get it.
type slot struct {
	mu   sync.Mutex // held while it is made; a leaf
	made any
}
