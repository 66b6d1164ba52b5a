package wire

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto" // registers the stock codec
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Codec is what a grpc server that sends a [Message] needs, by
// grpc.ForceServerCodecV2. Everything that is no Message it leaves to grpc's
// own protobuf codec, and its name is that one's.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(grpcproto.Name)} }

type codec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*Message); ok {
		return m.buffers(), nil
	}
	return c.CodecV2.Marshal(v)
}

// Message is a WatchResponse with events, encoded. It is immutable, may be
// sent more than once and is safe for concurrent use.
//
// It is a proto.Message too, so that interceptors that look at what is sent,
// and a grpc server without Codec, work: slowly, by decoding.
type Message struct {
	parts [3]mem.Buffer // without holes; the last ones may be nil
}

func (m *Message) buffers() mem.BufferSlice {
	n := len(m.parts)
	for n > 0 && m.parts[n-1] == nil {
		n--
	}
	return m.parts[:n:n]
}

// Size is the length of the encoded message in bytes.
func (m *Message) Size() int { return m.buffers().Len() }

// Bytes returns a copy of the encoded message.
func (m *Message) Bytes() []byte { return m.buffers().Materialize() }

// ProtoReflect implements proto.Message: it decodes. The result is a
// WatchResponse of the caller's own.
func (m *Message) ProtoReflect() protoreflect.Message {
	decoded := &pb.WatchResponse{}
	if err := proto.Unmarshal(m.Bytes(), decoded); err != nil {
		panic("wire: a message does not decode: " + err.Error())
	}
	return decoded.ProtoReflect()
}
