package server

import (
	"errors"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// receiveLoop carries out what the client asks for until the rpc ends. A
// half-close ends the loop and no watch (C18); anything else that ends it ends
// the stream.
//
// A goroutine carries out one request, and the next waits for the next one: to
// wait takes 4 KB of stack, to carry out 8, and those would stay.
func (x *watchStream) receiveLoop() {
	goesOn := false
	defer func() {
		if p := recover(); p != nil {
			x.receiveFailed(x.service.server.panicked(x.rpc.Context(), pb.Watch_Watch_FullMethodName, p))
		}
		if !goesOn {
			x.service.serving.Done()
		}
	}()
	switch req, err := x.rpc.Recv(); {
	case errors.Is(err, io.EOF):
	case err != nil:
		x.receiveFailed(err)
	default:
		goesOn = x.receive(req)
	}
	if goesOn {
		go x.receiveLoop()
	}
}

// receiveFailed ends the stream.
func (x *watchStream) receiveFailed(err error) {
	if !malformed(err) && endedByClient(x.rpc.Context().Err(), err) {
		x.log().Debug("failed to receive watch request from gRPC stream", "err", err)
	} else {
		x.log().Warn("failed to receive watch request from gRPC stream", "err", err)
		x.service.stats.receiveFailures.Add(1)
	}
	x.failed.Store(&err)
	x.watches.Close()
}

// malformed reports whether a request could not be read or was too large.
// grpc then ends the stream's context itself, which so does not tell.
func malformed(err error) bool {
	c := status.Code(err)
	return c == codes.Internal || c == codes.ResourceExhausted
}

// receive carries out one request. It waits while too many Created responses
// are unsent, and reports false if the stream ended meanwhile.
func (x *watchStream) receive(req *pb.WatchRequest) bool {
	switch u := req.RequestUnion.(type) {
	case *pb.WatchRequest_CreateRequest:
		if u.CreateRequest != nil {
			return x.create(u.CreateRequest)
		}
	case *pb.WatchRequest_CancelRequest:
		if u.CancelRequest != nil {
			_ = x.watches.Cancel(u.CancelRequest.WatchId) // an unknown id has no answer (X2)
		}
	case *pb.WatchRequest_ProgressRequest:
		if u.ProgressRequest != nil {
			_ = x.watches.RequestProgress()
		}
	default: // C17
		x.log().Info("invalid watch request received in gRPC stream", "type", fmt.Sprintf("%T", u))
	}
	return true
}

// create makes a watch. Whatever becomes of it is a response: an error here
// says no more than that, or that the stream has ended.
func (x *watchStream) create(c *pb.WatchCreateRequest) bool {
	select {
	case x.room <- struct{}{}:
	case <-x.rpc.Context().Done():
		return false
	}
	if c.StartRevision < 0 { // etcd looks at it before the permission (C6)
		_ = x.watches.Refuse(mvcc.ErrCompacted)
		return true
	}
	if err := x.authorize(c); err != nil {
		_ = x.watches.Refuse(err)
		return true
	}
	_, _ = x.watches.Watch(x.service.request(c))
	return true
}

// authorize asks whether the client may watch the range as it came (C4). The
// error is a status error (C5); as in etcd, one that says nothing about
// permission is logged and told as a denial.
func (x *watchStream) authorize(c *pb.WatchCreateRequest) error {
	err := x.service.server.authorize(x.rpc.Context(), pb.Watch_Watch_FullMethodName, ActionRead, c.Key, c.RangeEnd)
	if status.Code(err) == codes.Unknown {
		x.log().Error("a watch was refused with an unexpected error", "err", err)
		return rpctypes.ErrGRPCPermissionDenied
	}
	return err
}

// request is a create in the words of package watch.
func (w *watchService) request(c *pb.WatchCreateRequest) watch.Request {
	r := watch.Request{
		ID: c.WatchId, Key: c.Key, End: c.RangeEnd, StartRevision: c.StartRevision,
		PrevKV: c.PrevKv, Progress: c.ProgressNotify, MaySplit: c.Fragment,
		MaxLagRevisions: w.server.cfg.WatchMaxLagRevisions, MaxLagBytes: w.server.cfg.WatchMaxLagBytes,
	}
	if r.MaxLagRevisions > 0 || r.MaxLagBytes > 0 {
		r.Policy = watch.Cancel
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
