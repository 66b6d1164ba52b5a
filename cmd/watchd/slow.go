package main

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// logSlow logs unary requests that take longer than limit, with etcd's words.
func logSlow(limit time.Duration, log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		began := time.Now()
		response, err := handler(ctx, request)
		if took := time.Since(began); took > limit {
			args := []any{"response type", info.FullMethod, "start time", began, "time spent", took, "request size", sizeOf(request), "response size", sizeOf(response)}
			if p, ok := peer.FromContext(ctx); ok {
				args = append(args, "remote", p.Addr.String())
			}
			if err != nil {
				args = append(args, "code", status.Code(err).String(), "error", err)
			}
			log.Warn("request stats", args...)
		}
		return response, err
	}
}

// sizeOf is the encoded size of a message in bytes; 0 of none.
func sizeOf(message any) int {
	if m, ok := message.(proto.Message); ok && m != nil {
		return proto.Size(m)
	}
	return 0
}
