package metrics

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// methods count the calls of every method by the names of grpc's middleware,
// which etcd uses. Here the counters of a method are found once a call and not
// once a message: a watch stream sends millions.
type methods struct {
	started, handled, received, sent *prometheus.CounterVec
	seconds                          *prometheus.HistogramVec // nil if not wanted

	all sync.Map // of *method by full method
}

// method is what is counted of one.
type method struct {
	of                      *methods
	kind, service, name     string
	started, received, sent prometheus.Counter
	handled                 [codes.Unauthenticated + 1]prometheus.Counter
	seconds                 prometheus.Observer // nil if not wanted
}

func (c *methods) define(b *book, extensive bool) {
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	c.started = b.counters("grpc_server_started_total", "Total number of RPCs started on the server.", labels...)
	c.handled = b.counters("grpc_server_handled_total", "Total number of RPCs completed on the server, regardless of success or failure.", append(labels, "grpc_code")...)
	c.received = b.counters("grpc_server_msg_received_total", "Total number of RPC stream messages received on the server.", labels...)
	c.sent = b.counters("grpc_server_msg_sent_total", "Total number of gRPC stream messages sent by the server.", labels...)
	if extensive {
		c.seconds = b.histograms("grpc_server_handling_seconds", "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.", prometheus.DefBuckets, labels...)
	}
}

// named finds a method; full is "/service/method".
func (c *methods) named(full string, client, server bool) *method {
	if known, ok := c.all.Load(full); ok {
		return known.(*method)
	}
	m := &method{of: c, kind: kindOf(client, server)}
	m.service, m.name, _ = strings.Cut(strings.TrimPrefix(full, "/"), "/")
	m.started = c.started.WithLabelValues(m.kind, m.service, m.name)
	m.received = c.received.WithLabelValues(m.kind, m.service, m.name)
	m.sent = c.sent.WithLabelValues(m.kind, m.service, m.name)
	for code := range m.handled {
		m.handled[code] = c.handled.WithLabelValues(m.kind, m.service, m.name, codes.Code(code).String())
	}
	if c.seconds != nil {
		m.seconds = c.seconds.WithLabelValues(m.kind, m.service, m.name)
	}
	known, _ := c.all.LoadOrStore(full, m)
	return known.(*method)
}

func kindOf(client, server bool) string {
	switch {
	case client && server:
		return "bidi_stream"
	case client:
		return "client_stream"
	case server:
		return "server_stream"
	}
	return "unary"
}

// ended counts the end of a call that began then.
func (m *method) ended(began time.Time, err error) {
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err) // as the grpc server answers it
	}
	if code := int(s.Code()); code < len(m.handled) {
		m.handled[code].Inc()
	} else {
		m.of.handled.WithLabelValues(m.kind, m.service, m.name, s.Code().String()).Inc()
	}
	if m.seconds != nil {
		m.seconds.Observe(time.Since(began).Seconds())
	}
}

func (c *methods) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	m, began := c.named(info.FullMethod, false, false), time.Now()
	m.started.Inc()
	m.received.Inc()
	resp, err := handler(ctx, req)
	m.sent.Inc()
	m.ended(began, err)
	return resp, err
}

func (c *methods) streaming(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	m, began := c.named(info.FullMethod, info.IsClientStream, info.IsServerStream), time.Now()
	m.started.Inc()
	err := handler(srv, &countedStream{stream, m})
	m.ended(began, err)
	return err
}

// countedStream counts messages, those that failed too.
type countedStream struct {
	grpc.ServerStream
	m *method
}

// SendMsg implements grpc.ServerStream.
func (s *countedStream) SendMsg(message any) error {
	err := s.ServerStream.SendMsg(message)
	s.m.sent.Inc()
	return err
}

// RecvMsg implements grpc.ServerStream.
func (s *countedStream) RecvMsg(message any) error {
	err := s.ServerStream.RecvMsg(message)
	s.m.received.Inc()
	return err
}
