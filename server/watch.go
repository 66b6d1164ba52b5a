package server

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"github.com/watchkv/watchkv/watch"
)

// watchService is etcd's Watch service.
type watchService struct {
	pb.UnimplementedWatchServer
	server *Server
}

// Watch implements etcdserverpb.WatchServer: one stream with many watches.
func (w *watchService) Watch(rpc pb.Watch_WatchServer) error {
	s := w.server
	s.streams.Add(1)
	defer s.streams.Done()
	stream, err := s.parts.Hub.NewStream("grpc")
	if err != nil {
		return toGRPC(err)
	}
	defer stream.Close()
	ctx, cancel := context.WithCancelCause(rpc.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.stopping, func() { cancel(rpctypes.ErrGRPCStopped) })()

	received := make(chan error, 1) // one send, by the receive loop
	go func() { received <- receiveLoop(rpc, stream, cancel) }()
	err = s.sendLoop(ctx, rpc, stream)
	if rpc.Context().Err() != nil {
		err = rpctypes.ErrGRPCWatchCanceled
	}
	// The receive loop ends with the rpc, which ends as this returns.
	return err
}

// receiveLoop carries out what the client asks for. A half-close ends it and
// no watch.
func receiveLoop(rpc pb.Watch_WatchServer, stream *watch.Stream, cancel context.CancelCauseFunc) error {
	for {
		req, err := rpc.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			cancel(err)
			return err
		}
		switch u := req.RequestUnion.(type) {
		case *pb.WatchRequest_CreateRequest:
			_, _ = stream.Watch(watchRequest(u.CreateRequest)) // a refusal is a response
		case *pb.WatchRequest_CancelRequest:
			_ = stream.Cancel(u.CancelRequest.WatchId) // X2: an unknown id has no answer
		case *pb.WatchRequest_ProgressRequest:
			_ = stream.RequestProgress()
		}
	}
}

func watchRequest(c *pb.WatchCreateRequest) watch.Request {
	r := watch.Request{
		ID: c.WatchId, Key: c.Key, End: c.RangeEnd, StartRevision: c.StartRevision,
		PrevKV: c.PrevKv, Progress: c.ProgressNotify,
	}
	for _, f := range c.Filters {
		switch f {
		case pb.WatchCreateRequest_NOPUT:
			r.NoPut = true
		case pb.WatchCreateRequest_NODELETE:
			r.NoDelete = true
		}
	}
	return r
}

func (s *Server) sendLoop(ctx context.Context, rpc pb.Watch_WatchServer, stream *watch.Stream) error {
	for {
		responses, err := stream.Recv(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return toGRPC(err)
		}
		for i := range responses {
			if err := rpc.Send(s.watchResponse(&responses[i])); err != nil {
				return err
			}
		}
	}
}

func (s *Server) watchResponse(r *watch.Response) *pb.WatchResponse {
	out := &pb.WatchResponse{
		Header: s.header(r.Revision), WatchId: r.WatchID, Created: r.Created,
		Canceled: r.Canceled, CompactRevision: r.CompactRevision,
	}
	if r.Err != nil {
		out.CancelReason = r.Err.Error()
	}
	for i := range r.Events {
		e := &r.Events[i]
		event := &mvccpb.Event{Type: mvccpb.Event_EventType(e.Type), Kv: keyValue(&e.KV)}
		if e.Prev != nil {
			event.PrevKv = keyValue(e.Prev)
		}
		out.Events = append(out.Events, event)
	}
	return out
}
