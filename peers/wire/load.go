package wire

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// Sizes of the load, as everywhere in the contract.
const (
	keyBytes   = 64
	valueBytes = 256
)

// keyOf is the i-th key below the prefix that is watched.
func keyOf(i int) []byte { return fmt.Appendf(nil, "%s%0*d", prefix, keyBytes-len(prefix), i) }

const (
	prefix    = "k/"
	prefixEnd = "k0"
)

// values are incompressible, and different.
type values struct{ random *rand.ChaCha8 }

func newValues(seed byte) values { return values{rand.NewChaCha8([32]byte{seed})} }

func (v values) next() []byte {
	b := make([]byte, valueBytes)
	_, _ = v.random.Read(b) // never fails, by its contract
	return b
}

// connect makes n connections.
func (s *Server) connect(n int) ([]*grpc.ClientConn, func(), error) {
	var conns []*grpc.ClientConn
	closeAll := func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	for range n {
		c, err := s.Dial()
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	return conns, closeAll, nil
}

// together runs fn(0) to fn(n-1) at once and returns the first error; the
// context ends with it.
func together(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if err := fn(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

// fill writes n revisions over keys keys, several in flight, each a put, and
// returns the first and the last revision.
func (s *Server) fill(ctx context.Context, n, keys int) (first, last int64, err error) {
	conns, closeAll, err := s.connect(4)
	if err != nil {
		return 0, 0, err
	}
	defer closeAll()
	head, err := pb.NewKVClient(conns[0]).Range(ctx, &pb.RangeRequest{Key: []byte(prefix)})
	if err != nil {
		return 0, 0, err
	}
	const writers = 64
	err = together(ctx, writers, func(ctx context.Context, w int) error {
		kv, v := pb.NewKVClient(conns[w%len(conns)]), newValues(byte(w))
		for i := w; i < n; i += writers {
			if _, err := kv.Put(ctx, &pb.PutRequest{Key: keyOf(i % keys), Value: v.next()}); err != nil {
				return err
			}
		}
		return nil
	})
	return head.Header.Revision + 1, head.Header.Revision + int64(n), err
}

// used is the processor time that fn made the server use, and how long it
// took.
func (s *Server) used(fn func() error) (cpu, took time.Duration, err error) {
	before, err := s.CPU()
	if err != nil {
		return 0, 0, err
	}
	at := time.Now()
	if err := fn(); err != nil {
		return 0, 0, err
	}
	took = time.Since(at)
	after, err := s.CPU()
	return after - before, took, err
}
