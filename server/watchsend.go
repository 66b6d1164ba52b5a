package server

import (
	"errors"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/metrics"
	"github.com/watchkv/watchkv/server/wire"
	"github.com/watchkv/watchkv/watch"
)

// sendLoop sends what the watches bring until the stream or the rpc ends:
// all that is there before it waits again, and waits for nothing to join it.
func (x *watchStream) sendLoop() error {
	sent := sendTimes{counters: &x.service.stats, client: x.client}
	for {
		responses, err := x.watches.Recv(x.rpc.Context())
		if err != nil {
			return err
		}
		sent.begin()
		for i := range responses {
			if err := x.send(&responses[i]); err != nil {
				x.sendFailed(err)
				return err
			}
			sent.add(&responses[i])
		}
		sent.end()
	}
}

func (x *watchStream) sendFailed(err error) {
	if endedByClient(x.rpc.Context().Err(), err) {
		x.log().Debug("failed to send watch response to gRPC stream", "err", err)
		return
	}
	x.log().Warn("failed to send watch response to gRPC stream", "err", err)
	x.service.stats.sendFailures.Add(1)
}

// send sends one response, as fragments where they were asked for and the
// size asks for them.
func (x *watchStream) send(r *watch.Response) error {
	if len(r.Events) > 0 {
		b := x.service.batch(r)
		if r.MaySplit {
			return b.Fragments(r.WatchID, x.service.server.cfg.responseLimit(), x.sendMessage)
		}
		return x.sendMessage(b.Message(r.WatchID))
	}
	if r.CaughtUp && !r.Created {
		return nil // not on etcd's wire (V5)
	}
	if r.Created {
		<-x.room
	}
	return x.rpc.Send(x.service.control(r))
}

func (x *watchStream) sendMessage(m *wire.Message) error { return x.rpc.SendMsg(m) }

// batch is the events of a response, encoded once for all who get the same.
func (w *watchService) batch(r *watch.Response) *wire.Batch {
	b := r.Shared(w.encode).(*wire.Batch)
	if !b.EncodedBy(w.encoder) { // another server serves the hub too
		b = w.encoder.Encode(r.Events, r.Revision)
	}
	return b
}

func (w *watchService) encode(events []mvcc.Event, rev int64) any {
	return w.encoder.Encode(events, rev)
}

// control is a response without events.
func (w *watchService) control(r *watch.Response) *pb.WatchResponse {
	if errors.Is(r.Err, mvcc.ErrDamaged) {
		w.server.cfg.Logger.Error("a watch met damaged data", "error", r.Err)
		w.server.alarms.raise(w.server.stopping, pb.AlarmType_CORRUPT)
	}
	return &pb.WatchResponse{
		Header: w.server.header(r.Revision), WatchId: r.WatchID, Created: r.Created, Canceled: r.Canceled,
		CompactRevision: r.CompactRevision, CancelReason: cancelReason(r),
	}
}

// cancelReason is why a watch was refused or ended, in etcd's words where it
// has any. What compact_revision tells has none.
func cancelReason(r *watch.Response) string {
	switch {
	case r.Err == nil || r.CompactRevision != 0:
		return ""
	case errors.Is(r.Err, mvcc.ErrCompacted):
		return rpctypes.ErrCompacted.Error()
	}
	return r.Err.Error()
}

// responseLimit is the size from which on a response is split into fragments,
// if that was asked for.
func (c *Config) responseLimit() int { return c.MaxRequestBytes + requestOverhead }

// endedByClient reports whether an error of a stream is no more than its
// client going away: its context ended, or grpc says so in other words.
func endedByClient(contextErr, err error) bool {
	if contextErr != nil {
		return true
	}
	st, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		return true
	case codes.Unavailable:
		text := st.Message()
		return text == "client disconnected" ||
			strings.HasPrefix(text, "stream error: ") && strings.HasSuffix(text, "; CANCEL")
	}
	return false
}

// sendTimes measures a send loop. What most responses are, events that were
// sent at once, is counted here and told once for all that were sent together:
// all loops share the counters.
type sendTimes struct {
	counters *watchCounters
	client   *metrics.Stream
	last     time.Time // when the last response was sent

	quick          int64 // responses with events that took at most a millisecond
	took, perEvent time.Duration
	events         int
}

func (t *sendTimes) begin() { t.last = time.Now() }

func (t *sendTimes) add(r *watch.Response) {
	now := time.Now()
	took := now.Sub(t.last)
	t.last = now
	switch n := len(r.Events); {
	case n > 0:
		t.events += n
		if per := took / time.Duration(n); took <= time.Millisecond {
			t.quick++
			t.took += took
			t.perEvent += per
		} else {
			t.counters.events.add(took)
			t.counters.perEvent.add(per)
		}
	case r.Progress():
		t.counters.events.add(took) // with etcd it comes the same way
		if r.WatchID != watch.NoWatch {
			t.counters.progress.add(took)
		}
	case r.Created:
		t.counters.control.add(took)
	case r.CompactRevision != 0:
		t.counters.events.add(took) // the same; any other cancel etcd does not measure
	}
}

// end tells what was counted since begin.
func (t *sendTimes) end() {
	if t.events > 0 {
		t.client.Sent(t.events)
	}
	if t.quick > 0 {
		t.counters.events.addQuick(t.quick, t.took)
		t.counters.perEvent.addQuick(t.quick, t.perEvent)
	}
	t.quick, t.took, t.perEvent, t.events = 0, 0, 0, 0
}
