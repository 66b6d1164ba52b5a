package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// guardUnary makes of a handler's panic an answer and a line in the log, and
// logs what went wrong here and not at the client. Metadata is not looked at:
// a leader there always is, and every version of a client is served alike.
func (s *Server) guardUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, s.panicked(ctx, info.FullMethod, p)
		}
	}()
	resp, err = handler(ctx, req)
	s.logCause(ctx, info.FullMethod, err)
	s.alarms.observe(ctx, err)
	return resp, err
}

// guardStream is guardUnary for streams.
func (s *Server) guardStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(stream.Context(), info.FullMethod, p)
		}
	}()
	err = handler(srv, stream)
	s.logCause(stream.Context(), info.FullMethod, err)
	s.alarms.observe(stream.Context(), err)
	return err
}

func (s *Server) panicked(ctx context.Context, method string, p any) error {
	s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a request made its handler panic",
		slog.String("method", method), slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
	return status.Errorf(codes.Internal, "etcdserver: internal error in %s", method)
}

func (s *Server) logCause(ctx context.Context, method string, err error) {
	var c caused
	if err != nil && errors.As(err, &c) {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a request met damaged data",
			slog.String("method", method), slog.String("error", c.cause.Error()))
	}
}
