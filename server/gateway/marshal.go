package gateway

import (
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
)

// newMarshaler returns etcd's JSON: the names of the protocol, bytes as base64,
// 64-bit numbers as strings, nothing for what is empty; unknown fields are
// ignored. A message of more than limit bytes is refused before it is read
// whole.
func newMarshaler(limit int64) runtime.Marshaler {
	return &marshaler{
		HTTPBodyMarshaler: &runtime.HTTPBodyMarshaler{Marshaler: &runtime.JSONPb{
			MarshalOptions:   protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: false},
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
		}},
		limit: limit,
	}
}

type marshaler struct {
	*runtime.HTTPBodyMarshaler
	limit int64
}

// NewDecoder implements [runtime.Marshaler].
func (m *marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	limited := &limitedReader{from: r, limit: m.limit}
	next := m.HTTPBodyMarshaler.NewDecoder(limited)
	return runtime.DecoderFunc(func(v any) error {
		limited.left = m.limit
		return next.Decode(v)
	})
}

// limitedReader reads no more than left bytes of from.
type limitedReader struct {
	from        io.Reader
	left, limit int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("the request is larger than %d bytes of JSON", l.limit)
	}
	n, err := l.from.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
