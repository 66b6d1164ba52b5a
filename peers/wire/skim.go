package wire

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto" // registers the codec that is looked up
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// response is what the client reads of a WatchResponse.
type response struct {
	watch    int64
	created  bool
	canceled bool
	events   int
	first    int64 // mod revision of the first event
	last     int64 // and of the last
	inOrder  bool  // those between ascend, or stay within a revision
}

// Numbers of fields in etcd's rpc.proto and kv.proto.
const (
	fieldWatchID  = 2
	fieldCreated  = 3
	fieldCanceled = 4
	fieldEvents   = 11
	fieldKV       = 2
	fieldModRev   = 3
)

// skim reads one encoded WatchResponse into r.
func (r *response) skim(b []byte) error {
	*r = response{inOrder: true}
	return fields(b, func(num protowire.Number, number uint64, bytes []byte) error {
		switch num {
		case fieldWatchID:
			r.watch = int64(number)
		case fieldCreated:
			r.created = number != 0
		case fieldCanceled:
			r.canceled = number != 0
		case fieldEvents:
			rev, err := modRevision(bytes)
			if err != nil {
				return err
			}
			if r.events == 0 {
				r.first = rev
			}
			r.inOrder = r.inOrder && rev >= r.last
			r.events, r.last = r.events+1, rev
		}
		return nil
	})
}

func modRevision(event []byte) (rev int64, err error) {
	err = fields(event, func(num protowire.Number, _ uint64, kv []byte) error {
		if num != fieldKV {
			return nil
		}
		return fields(kv, func(num protowire.Number, number uint64, _ []byte) error {
			if num == fieldModRev {
				rev = int64(number)
			}
			return nil
		})
	})
	if err == nil && rev == 0 {
		err = errors.New("an event without a revision")
	}
	return rev, err
}

// fields visits the fields of a message that are numbers or bytes.
func fields(b []byte, visit func(num protowire.Number, number uint64, bytes []byte) error) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		var number uint64
		var bytes []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(b)
		default:
			return fmt.Errorf("field %d has type %d", num, kind)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if err := visit(num, number, bytes); err != nil {
			return err
		}
	}
	return nil
}

// codec reads responses by skim and leaves all else to the stock codec.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(grpcproto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*response)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if data.Len() == 0 {
		return r.skim(nil)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	return r.skim(buffer.ReadOnlyData())
}

// stream is a watch stream read by skim.
type stream struct{ grpc.ClientStream }

func openStream(ctx context.Context, conn *grpc.ClientConn) (*stream, error) {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	s, err := conn.NewStream(ctx, desc, pb.Watch_Watch_FullMethodName, grpc.ForceCodecV2(newCodec()))
	if err != nil {
		return nil, err
	}
	return &stream{s}, nil
}

// create asks for a watch of a range with an id of the client's choice, from
// 1 on, and does not wait for the answer.
func (s *stream) create(id int64, key, end string, from int64) error {
	return s.SendMsg(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{WatchId: id, Key: []byte(key), RangeEnd: []byte(end), StartRevision: from},
	}})
}

// awaitCreated reads until n watches are created; an event before that, or a
// refusal, is an error.
func (s *stream) awaitCreated(n int) error {
	var r response
	for range n {
		if err := s.RecvMsg(&r); err != nil {
			return err
		}
		if !r.created || r.canceled || r.events > 0 {
			return fmt.Errorf("watch %d: not created: %+v", r.watch, r)
		}
	}
	return nil
}

// collect reads until each of n watches, with ids from 1 on, has had its
// events of every revision from first to last, one a revision, and returns how
// many those are.
func (s *stream) collect(n int, first, last int64) (events int64, err error) {
	next := make([]int64, n+1)
	for i := range next {
		next[i] = first
	}
	open := n
	var r response
	for open > 0 {
		if err := s.RecvMsg(&r); err != nil {
			return events, err
		}
		if r.events == 0 && !r.canceled {
			continue
		}
		if r.canceled || r.watch < 1 || r.watch > int64(n) {
			return events, fmt.Errorf("unexpected response: %+v", r)
		}
		want := next[r.watch]
		if r.first != want || !r.inOrder || r.last-r.first+1 != int64(r.events) {
			return events, fmt.Errorf("watch %d: revisions %d to %d in %d events, wanted from %d on", r.watch, r.first, r.last, r.events, want)
		}
		events += int64(r.events)
		next[r.watch] = r.last + 1
		if r.last == last {
			open--
		}
	}
	return events, nil
}
