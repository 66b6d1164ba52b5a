package etcd

import (
	"errors"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// buffers are what one stream converts into, again and again: responses and
// events are valid until the next.
type buffers struct {
	responses [1]watch.Response
	events    []mvcc.Event
	previous  []mvcc.KeyValue
}

// convert turns a response of etcd's into ours.
func (b *buffers) convert(r *pb.WatchResponse) []watch.Response {
	out := &b.responses[0]
	*out = watch.Response{
		WatchID: r.WatchId, Revision: r.Header.GetRevision(),
		Created: r.Created, Canceled: r.Canceled, CompactRevision: r.CompactRevision,
	}
	if r.Canceled {
		out.Err = reason(r)
	}
	if len(r.Events) > 0 {
		out.Events = b.convertEvents(r.Events)
	}
	return b.responses[:]
}

func (b *buffers) convertEvents(events []*mvccpb.Event) []mvcc.Event {
	b.events, b.previous = b.events[:0], b.previous[:0]
	for _, e := range events {
		b.events = append(b.events, mvcc.Event{Type: mvcc.EventType(e.Type), KV: convertKV(e.Kv)})
		if e.PrevKv != nil {
			b.previous = append(b.previous, convertKV(e.PrevKv))
		}
	}
	next := 0
	for i, e := range events {
		if e.PrevKv != nil {
			b.events[i].Prev = &b.previous[next]
			next++
		}
	}
	return b.events
}

func convertKV(kv *mvccpb.KeyValue) mvcc.KeyValue {
	return mvcc.KeyValue{
		Key: kv.GetKey(), Value: kv.GetValue(), CreateRevision: kv.GetCreateRevision(),
		ModRevision: kv.GetModRevision(), Version: kv.GetVersion(), Lease: kv.GetLease(),
	}
}

// reason is why a watch ended; nil where the server gives none, which is how
// it answers a cancel.
func reason(r *pb.WatchResponse) error {
	switch {
	case r.CompactRevision != 0:
		return &mvcc.CompactedError{Compact: r.CompactRevision}
	case r.CancelReason == "":
		return nil
	}
	for _, known := range []error{watch.ErrEmptyRange, watch.ErrDuplicateID, mvcc.ErrCompacted} {
		if r.CancelReason == known.Error() {
			return known
		}
	}
	// gRPC statuses come as text.
	text := r.CancelReason
	if _, after, found := strings.Cut(text, "desc = "); found {
		text = after
	}
	return errors.New(text)
}
