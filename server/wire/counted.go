package wire

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// Counted is inner, and tells how many bytes each message has that is sent or
// received: encoded, and not compressed. Both may be called from any
// goroutine.
func Counted(inner encoding.CodecV2, sent, received func(bytes int)) encoding.CodecV2 {
	return counted{inner, sent, received}
}

type counted struct {
	encoding.CodecV2
	sent, received func(bytes int)
}

// Marshal implements encoding.CodecV2.
func (c counted) Marshal(v any) (mem.BufferSlice, error) {
	data, err := c.CodecV2.Marshal(v)
	if err == nil {
		c.sent(data.Len())
	}
	return data, err
}

// Unmarshal implements encoding.CodecV2.
func (c counted) Unmarshal(data mem.BufferSlice, v any) error {
	c.received(data.Len())
	return c.CodecV2.Unmarshal(data, v)
}
