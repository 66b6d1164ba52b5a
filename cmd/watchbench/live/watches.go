package live

import (
	"time"
)

// Watchers is a server's page of watches, as far as it is shown: the JSON of
// /debug/watchers.
type Watchers struct {
	Schema string    `json:"schema"`
	At     time.Time `json:"at"`
	Server struct {
		Program    string `json:"program"`
		Engine     string `json:"engine"`
		Durability string `json:"durability"`
	} `json:"server"`
	Total struct {
		Revision    int64 `json:"revision"`
		Streams     int64 `json:"streams"`
		Watches     int64 `json:"watches"`
		Synced      int64 `json:"synced"`
		Unsynced    int64 `json:"unsynced"`
		Victims     int64 `json:"victims"`
		QueuedBytes int64 `json:"queued_bytes"`
		PinnedBytes int64 `json:"pinned_bytes"`
		VictimsEver int64 `json:"victims_ever"`
		EventsSent  int64 `json:"events_sent"`
	} `json:"total"`
	Matching int     `json:"matching"`
	Limit    int     `json:"limit"`
	Watches  []Watch `json:"watches"`
}

// Watch is one watch of a server.
type Watch struct {
	State  string `json:"state"`
	Stream int64  `json:"stream"`
	ID     int64  `json:"id"`
	Range  string `json:"range"`
	Next   int64  `json:"next"`
	Lag    int64  `json:"lag_revisions"`
	Queued int64  `json:"queued_bytes"` // of its stream
	Client string `json:"client"`
	Sent   int64  `json:"stream_events_sent"`
}

// Totals is what an etcd tells, of all its watches together.
type Totals struct {
	Version                        string
	Streams, Watches, Slow         float64
	PendingEvents, Revision, Event float64 // Event: sent since the server began
}

// Sample is what a server said at one moment: one of Page and Totals, or
// Failed.
type Sample struct {
	At     time.Time // here
	Page   *Watchers
	Totals *Totals
	Failed error
}

// TopView is all that the screen of watches is drawn from.
type TopView struct {
	Target string
	Last   Sample // that did not fail
	Before Sample // the one before it, for rates; may be zero
	Failed error  // of the newest sample; nil if it did not fail
	Since  time.Duration
	Order  Order
	Behind bool // only those behind
	Filter string
	Typing bool // of the filter

	past []revisionAt
}

// revisionAt is where the server stood at a moment.
type revisionAt struct {
	at  time.Time
	rev int64
}

// Order is what the watches are sorted by, the most first.
type Order int

// The orders.
const (
	ByBehind Order = iota
	ByQueue
	ByEvents
	orders
)

func (o Order) String() string { return [...]string{"behind", "queue", "events/s"}[o] }

// pastKept bounds how far back it is known when a revision was new.
const pastKept = 15 * time.Minute

// With is the view after one more sample.
func (v TopView) With(s Sample) TopView {
	if s.Failed != nil {
		v.Failed = s.Failed
		v.Since = s.At.Sub(v.Last.At)
		return v
	}
	v.Before, v.Last, v.Failed, v.Since = v.Last, s, nil, 0
	if s.Page == nil {
		return v
	}
	if n := len(v.past); n > 0 && s.Page.Total.Revision < v.past[n-1].rev {
		v.past = nil // another server, or another history
	}
	v.past = append(v.past, revisionAt{s.At, s.Page.Total.Revision})
	for len(v.past) > 1 && v.past[1].at.Before(s.At.Add(-pastKept)) {
		v.past = v.past[1:]
	}
	return v
}

// behindFor is for how long a revision has been written that is still to be
// delivered; atLeast if it was there before the view began.
func (v TopView) behindFor(next int64) (d time.Duration, atLeast bool) {
	if v.Last.Page == nil || next > v.Last.Page.Total.Revision || len(v.past) == 0 {
		return 0, false
	}
	for i, p := range v.past {
		if p.rev >= next {
			return v.Last.At.Sub(p.at), i == 0
		}
	}
	return 0, false
}

// rate is what a counter grew by in a second; -1 without two samples.
func (v TopView) rate(before, last float64, known bool) float64 {
	took := v.Last.At.Sub(v.Before.At).Seconds()
	if !known || took <= 0 || last < before {
		return -1
	}
	return (last - before) / took
}

// eventsOf is the rate of a stream.
func (v TopView) eventsOf(w *Watch) float64 {
	if v.Before.Page == nil {
		return -1
	}
	for i := range v.Before.Page.Watches {
		if b := &v.Before.Page.Watches[i]; b.Stream == w.Stream {
			return v.rate(float64(b.Sent), float64(w.Sent), true)
		}
	}
	return -1
}
