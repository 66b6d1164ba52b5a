package watch

import (
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
)

// Policy is what happens to a watch whose consumer is slow.
type Policy uint8

const (
	// Wait, the default: the watch keeps its place and nothing else, and
	// catches up from history once its consumer reads again.
	Wait Policy = iota
	// Cancel ends the watch with ErrLagging once it is behind by more than
	// Request.MaxLagRevisions or MaxLagBytes. It acts on a watch that has
	// caught up once; reading old history at first is not being slow.
	Cancel
	// Latest skips intermediate versions of a key while the watch is behind,
	// also while it reads history at first. Revisions still ascend and the
	// newest version of every key arrives; such responses say Conflated.
	Latest
)

// String is the policy's name in lower case.
func (p Policy) String() string {
	switch p {
	case Wait:
		return "wait"
	case Cancel:
		return "cancel"
	case Latest:
		return "latest"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// Request asks for one watch. Its slices are copied.
type Request struct {
	// ID of the watch on its stream; 0 lets the stream pick the lowest free
	// one it has not given yet. Negative ids are refused with ErrNegativeID.
	ID int64
	// Key and End are the range as etcd writes it: see mvcc.SpanOf.
	Key, End []byte
	// StartRevision is the first revision wanted; 0 means what is written
	// after now. Below 0 or below the compact revision the watch is told so
	// and ends; above the current revision it waits for it.
	StartRevision int64
	// PrevKV adds to every event the key as it was before.
	PrevKV bool
	// Progress asks for periodic progress notifications.
	Progress bool
	// NoPut and NoDelete drop events of that type.
	NoPut, NoDelete bool
	// MaySplit is for the consumer alone, who gets it back with all events of
	// the watch: whoever it sends them to takes one response in parts. The hub
	// never splits a revision.
	MaySplit bool
	// Policy for a slow consumer, and the bounds of Cancel; a bound of 0 is
	// off.
	Policy          Policy
	MaxLagRevisions int64
	MaxLagBytes     int64
}

// options are the request's, as far as its policy heeds them.
func (r *Request) options() options {
	o := options{prevKV: r.PrevKV, noPut: r.NoPut, noDelete: r.NoDelete, maySplit: r.MaySplit, policy: r.Policy}
	if r.Policy == Cancel {
		o.maxLagRevisions, o.maxLagBytes = r.MaxLagRevisions, r.MaxLagBytes
	}
	return o
}

func (r *Request) span() mvcc.Span { return mvcc.SpanOf(r.Key, r.End) }
