package metrics_test

import (
	"context"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"github.com/watchkv/watchkv/server/metrics"
)

// silent is a stream that sends nothing.
type silent struct{ grpc.ServerStream }

func (silent) Context() context.Context { return context.Background() }
func (silent) SendMsg(any) error        { return nil }
func (silent) RecvMsg(any) error        { return nil }

// What the interceptors cost for one message of a watch stream.
func BenchmarkStreaming_Send(b *testing.B) {
	m := metrics.New(metrics.Config{})
	handler := func(_ any, s grpc.ServerStream) error {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.SendMsg(nil); err != nil {
				return err
			}
		}
		return nil
	}
	for _, i := range m.Streaming() {
		inner := handler
		handler = func(srv any, s grpc.ServerStream) error {
			return i(srv, s, &grpc.StreamServerInfo{FullMethod: pb.Watch_Watch_FullMethodName, IsServerStream: true, IsClientStream: true}, inner)
		}
	}
	if err := handler(nil, silent{}); err != nil {
		b.Fatal(err)
	}
}
