package metrics

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// StreamStats are figures of the watch streams. Counters only grow.
type StreamStats struct {
	// ReceiveFailures and SendFailures count streams that ended by one. That
	// a client went away is none.
	ReceiveFailures, SendFailures int64
	// Sent tells how long the send loop took for one response with events, by
	// response and divided by its events; for one that is created or canceled;
	// and for one that tells of progress.
	Sent, SentPerEvent, SentControl, SentProgress Durations
}

// Durations is a histogram of durations.
type Durations struct {
	Count int64
	Sum   time.Duration
	// Within counts those of at most 1 ms << i, each in the first that holds
	// it; those that are longer are in Count alone.
	Within [14]int64
}

// KeepAliveFailed counts the end of a lease keep-alive stream by err while it
// was received from or sent to, unless the client ended it; ctx is the
// stream's. It tells whether it was counted: a failure is a warning in the
// log, a client's end is not.
func (m *Metrics) KeepAliveFailed(ctx context.Context, d Direction, err error) bool {
	if err == nil || endedByClient(ctx, err) {
		return false
	}
	m.keepAliveFailures[d].Add(1)
	return true
}

// Direction is a way of a stream.
type Direction uint8

// The directions.
const (
	Receive Direction = iota
	Send
)

func endedByClient(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	got, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch got.Code() {
	case codes.Canceled, codes.DeadlineExceeded:
		return true
	case codes.Unavailable: // as the transport says it of a client that has gone, with TLS or without
		text := got.Message()
		return text == "client disconnected" || strings.HasPrefix(text, "stream error: ") && strings.HasSuffix(text, "; CANCEL")
	}
	return false
}

// Stream is an open watch stream. Its methods may be called from any
// goroutine.
type Stream struct {
	m    *Metrics
	name string

	peer      string // the client's address; may be empty
	userAgent string // what it says it is; may be empty
	opened    time.Time

	events atomic.Int64
}

// OpenStream notes that a watch stream begins; ctx is of its call. It must be
// closed.
func (m *Metrics) OpenStream(ctx context.Context) *Stream {
	s := &Stream{m: m, opened: time.Now()}
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		s.peer = p.Addr.String()
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if agent := md.Get("user-agent"); len(agent) > 0 {
			s.userAgent = agent[0]
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last++
	s.name = fmt.Sprintf("%s#%d", s.peer, m.last)
	m.open[s.name] = s
	return s
}

// Name is unique among the streams of the server; the hub's stream is to have
// it, so that the page of watches can tell whose it is.
func (s *Stream) Name() string { return s.name }

// Close notes the stream's end.
func (s *Stream) Close() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	delete(s.m.open, s.name)
}

// Sent counts events that were sent.
func (s *Stream) Sent(events int) {
	s.events.Add(int64(events))
	s.m.eventsSent.Add(int64(events))
}
