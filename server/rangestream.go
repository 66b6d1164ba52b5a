package server

import (
	"bytes"
	"context"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/watchkv/watchkv/mvcc"
)

// streamKeys is the most keys of one chunk, streamBytes about the most bytes:
// small against the 4 MiB that clients take by default.
const (
	streamKeys  = 4096
	streamBytes = 1 << 20
)

// RangeStream implements etcdserverpb.KVServer: the answer to a Range in
// chunks, all of them at the revision of the first. The last one has the
// header, the count and whether there is more. A target to sort by without an
// order is not looked at; etcd sorts each of its chunks then.
func (k *kvService) RangeStream(r *pb.RangeRequest, out pb.KV_RangeStreamServer) error {
	if err := checkRange(r); err != nil {
		return err
	}
	switch {
	case !inKeyOrder(r):
		return status.Error(codes.Unimplemented, "RangeStream does not support custom sort orders")
	case filtered(r):
		return status.Error(codes.Unimplemented, "RangeStream does not support revision filters")
	}
	c := chunks{k: k, r: r, key: r.Key, rev: r.Revision, left: math.MaxInt64}
	if r.Limit > 0 {
		c.left = r.Limit
	}
	for {
		chunk, err := c.next(out.Context())
		if err != nil {
			return err
		}
		if err := out.Send(&pb.RangeStreamResponse{RangeResponse: chunk}); err != nil {
			return err
		}
		if chunk.Header != nil {
			return nil
		}
	}
}

// chunks is how far a RangeStream has come.
type chunks struct {
	k       *kvService
	r       *pb.RangeRequest
	key     []byte // where the next one begins
	rev     int64  // read at; 0 or less before the first: the current one
	current int64  // the current revision when the first was read
	left    int64  // keys that the limit still allows
	sent    int64  // keys so far
}

// next reads a chunk; one with a header is the last.
func (c *chunks) next(ctx context.Context) (*pb.RangeResponse, error) {
	// Asked again for each chunk: the right may be gone by now.
	err := c.k.server.authorize(ctx, pb.KV_RangeStream_FullMethodName, ActionRead, c.r.Key, c.r.RangeEnd)
	if err != nil {
		return nil, err
	}
	res, err := c.k.store.Range(c.key, c.r.RangeEnd, mvcc.RangeOptions{
		Rev: c.rev, Limit: min(c.left, streamKeys), MaxBytes: streamBytes, NoCount: !c.r.CountOnly,
		KeysOnly: c.r.KeysOnly, CountOnly: c.r.CountOnly,
	})
	if err != nil {
		return nil, toGRPC(err)
	}
	if c.current == 0 {
		c.current = res.Rev
		if c.rev <= 0 {
			c.rev = res.Rev
		}
	}
	if c.r.CountOnly {
		return &pb.RangeResponse{Header: c.k.server.header(c.current), Count: res.Count}, nil
	}
	n := int64(len(res.KVs))
	c.sent, c.left = c.sent+n, c.left-n
	if res.More {
		c.key = append(bytes.Clone(res.KVs[n-1].Key), 0)
	}
	last := !res.More || c.left == 0
	chunk := rangeResponse(&pb.RangeRequest{KeysOnly: c.r.KeysOnly}, &res, nil)
	chunk.Count, chunk.More = 0, false
	if !last {
		return chunk, nil
	}
	chunk.Header = c.k.server.header(c.current)
	chunk.More, chunk.Count = res.More, c.sent
	if res.More {
		rest, err := c.k.store.Range(c.key, c.r.RangeEnd, mvcc.RangeOptions{Rev: c.rev, CountOnly: true})
		if err != nil {
			return nil, toGRPC(err)
		}
		chunk.Count += rest.Count
	}
	return chunk, nil
}
