package wire

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/watchkv/watchkv/bench/verify"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// unknownField is a number that no request of etcd's has, and unknownFilter a
// filter that it does not have.
const (
	unknownField  = 1000
	unknownFilter = 1000
)

// NewStream opens a raw watch stream, which lives until Close.
func (s *subject) NewStream(context.Context) (verify.Stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w, err := s.watch.Watch(ctx)
	if err != nil {
		cancel()
		return nil, toError(err)
	}
	return &stream{client: w, cancel: cancel}, nil
}

// stream receives one response at a time, in a goroutine of its own, when
// somebody asks for one. Recv and Close wait for it.
type stream struct {
	client pb.Watch_WatchClient
	cancel context.CancelFunc

	// coming is given what the goroutine receives, and closed by nobody; nil:
	// none runs. Capacity 1, so that it ends though nobody waits any more.
	coming chan received
	err    error
}

type received struct {
	response *pb.WatchResponse
	err      error
}

func (s *stream) send(r *pb.WatchRequest) error { return toError(s.client.Send(r)) }

// Create implements verify.Stream.
func (s *stream) Create(r verify.Request) error {
	c := &pb.WatchCreateRequest{
		WatchId: r.ID, Key: r.Key, RangeEnd: r.End, StartRevision: r.StartRevision,
		PrevKv: r.PrevKV, ProgressNotify: r.Progress, Fragment: r.Fragment,
	}
	if r.UnknownFilter {
		c.Filters = append(c.Filters, unknownFilter)
	}
	if r.NoPut {
		c.Filters = append(c.Filters, pb.WatchCreateRequest_NOPUT)
	}
	if r.NoDelete {
		c.Filters = append(c.Filters, pb.WatchCreateRequest_NODELETE)
	}
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: c}})
}

// Cancel implements verify.Stream.
func (s *stream) Cancel(id int64) error {
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

// RequestProgress implements verify.Stream.
func (s *stream) RequestProgress() error {
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
}

// CloseSend implements verify.WireStream.
func (s *stream) CloseSend() error { return s.client.CloseSend() }

// SendUnknown implements verify.WireStream.
func (s *stream) SendUnknown() error {
	r := &pb.WatchRequest{}
	r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, unknownField, protowire.VarintType), 1))
	return s.send(r)
}

// Recv implements verify.Stream.
func (s *stream) Recv(ctx context.Context) ([]verify.Response, error) {
	if s.err != nil {
		return nil, s.err
	}
	if s.coming == nil {
		coming := make(chan received, 1)
		s.coming = coming
		go func() {
			r, err := s.client.Recv()
			coming <- received{r, err}
		}()
	}
	select {
	case got := <-s.coming:
		s.coming = nil
		if got.err != nil {
			s.err = toError(got.err)
			return nil, s.err
		}
		return []verify.Response{toResponse(got.response)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close ends the stream at the server too.
func (s *stream) Close() error {
	s.cancel()
	if s.coming != nil {
		<-s.coming
		s.coming = nil
	}
	if s.err == nil {
		s.err = watch.ErrStreamClosed
	}
	return nil
}

func toResponse(r *pb.WatchResponse) verify.Response {
	out := verify.Response{Fragment: r.Fragment, Size: proto.Size(r)}
	out.WatchID, out.Revision = r.WatchId, r.Header.GetRevision()
	out.Created, out.Canceled, out.CompactRevision = r.Created, r.Canceled, r.CompactRevision
	out.Err = reason(r)
	if len(r.Events) > 0 {
		out.Events = make([]mvcc.Event, len(r.Events))
		for i, e := range r.Events {
			out.Events[i] = toEvent(e)
		}
	}
	return out
}

// reasons are what a refused create says.
var reasons = map[string]error{
	watch.ErrEmptyRange.Error():                              watch.ErrEmptyRange,
	watch.ErrDuplicateID.Error():                             watch.ErrDuplicateID,
	watch.ErrNegativeID.Error():                              watch.ErrNegativeID,
	mvcc.ErrCompacted.Error():                                mvcc.ErrCompacted,
	"etcdserver: mvcc: required revision has been compacted": mvcc.ErrCompacted,
}

func reason(r *pb.WatchResponse) error {
	switch {
	case r.CancelReason == "" && r.CompactRevision > 0:
		return &mvcc.CompactedError{Compact: r.CompactRevision}
	case r.CancelReason == "":
		return nil
	}
	if err, ok := reasons[r.CancelReason]; ok {
		return err
	}
	return errors.New(r.CancelReason)
}
