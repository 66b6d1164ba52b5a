package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/watch"
)

// stream is one watch stream of the server, and nothing between: what it
// sends is what Recv returns.
type stream struct {
	target *target
	name   string
	conn   *connection
	rpc    pb.Watch_WatchClient
	cancel context.CancelFunc
	ended  <-chan struct{} // with the stream's context
	asking sync.WaitGroup  // the asker

	sending sync.Mutex // orders what is sent

	mu       sync.Mutex // guards what is below
	nextID   int64
	begun    map[int64]int // by id: watches that are not known to have ended
	owed     int64         // revision at or above which progress was asked for; 0: none
	isClosed bool

	// Of the receiving goroutine alone.
	buffers buffers
	bound   context.Context // ends the stream when it ends
}

var errClosed = errors.New("etcd: the stream is closed")

// newStream opens a stream on a connection.
func (t *target) newStream(name string, client pb.WatchClient) (*stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	// The call waits for the connection, and no longer.
	timer := time.AfterFunc(t.kind.config.DialTimeout, cancel)
	rpc, err := client.Watch(ctx)
	if err != nil || !timer.Stop() {
		cancel()
		return nil, fmt.Errorf("etcd: %w", t.kind.gone(err))
	}
	return &stream{target: t, name: name, rpc: rpc, cancel: cancel, ended: ctx.Done(), begun: map[int64]int{}}, nil
}

// Watch implements bench.Stream. It does not wait for the server: Created
// comes by Recv. Without an id in the request it chooses one.
func (s *stream) Watch(r watch.Request) (int64, error) {
	if r.Policy != watch.Wait {
		return 0, fmt.Errorf("etcd: policy %v is not known to etcd", r.Policy)
	}
	create := &pb.WatchCreateRequest{
		Key: r.Key, RangeEnd: r.End, StartRevision: r.StartRevision, PrevKv: r.PrevKV, ProgressNotify: r.Progress,
	}
	if r.NoPut {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NOPUT)
	}
	if r.NoDelete {
		create.Filters = append(create.Filters, pb.WatchCreateRequest_NODELETE)
	}
	create.WatchId = s.begin(r.ID)
	return create.WatchId, s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
}

// begin notes the id of a watch, the lowest above all so far if none is given:
// to the server 0 is no id.
func (s *stream) begin(id int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 {
		id = s.nextID + 1
	}
	s.nextID = max(s.nextID, id)
	s.begun[id]++
	return id
}

// Cancel implements bench.Canceler.
func (s *stream) Cancel(id int64) error {
	s.mu.Lock()
	known := s.begun[id] > 0
	s.mu.Unlock()
	if !known {
		return fmt.Errorf("etcd: cancel %d: %w", id, watch.ErrNoWatch)
	}
	return s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

func (s *stream) send(r *pb.WatchRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	if err := s.rpc.Send(r); err != nil {
		return s.failed(err)
	}
	return nil
}

// failed names the end of a stream: its own close, or the server's.
func (s *stream) failed(err error) error {
	select {
	case <-s.ended:
		return errClosed
	default:
		return fmt.Errorf("etcd: %w", s.target.kind.gone(err))
	}
}

// Recv implements bench.Stream: one response of the server. When ctx ends, so
// does the whole stream.
func (s *stream) Recv(ctx context.Context) ([]watch.Response, error) {
	if ctx != s.bound {
		s.bound = ctx
		context.AfterFunc(ctx, s.cancel)
	}
	for {
		r, err := s.rpc.Recv()
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, s.failed(err)
		}
		if r.Fragment {
			return nil, errors.New("etcd: the server sent a fragment, which nobody asked for")
		}
		if r.Canceled || r.WatchId == watch.NoWatch {
			s.note(r)
		}
		return s.buffers.convert(r), nil
	}
}

// note takes down what a response changes: a watch that is gone, progress
// that is no longer owed.
func (s *stream) note(r *pb.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Canceled:
		if s.begun[r.WatchId]--; s.begun[r.WatchId] <= 0 {
			delete(s.begun, r.WatchId)
		}
	case s.owed != 0 && r.Header.GetRevision() >= s.owed:
		s.owed = 0
	}
}

// How often progress is asked for until it is answered: etcd answers only
// while all watches are synced, and leaves asking again to clients.
const (
	askSoon = 5 * time.Millisecond
	askLate = 50 * time.Millisecond
)

// RequestProgress implements bench.Stream. It asks until the server has
// answered with all that was written so far: members may lag behind another.
func (s *stream) RequestProgress() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return errClosed
	}
	asking := s.owed != 0
	s.owed = max(1, s.target.kind.newest.Load())
	if !asking {
		s.asking.Go(s.ask)
	}
	return nil
}

func (s *stream) ask() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := askSoon; ; wait = min(askLate, wait*3/2) {
		select {
		case <-timer.C:
		case <-s.ended:
			return
		}
		s.mu.Lock()
		owed := s.owed != 0
		s.mu.Unlock()
		if !owed {
			return
		}
		if s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}) != nil {
			return // Recv says why
		}
		timer.Reset(wait)
	}
}

// Close implements bench.Stream.
func (s *stream) Close() error {
	s.mu.Lock()
	closed := s.isClosed
	s.isClosed = true
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	s.cancel()
	s.asking.Wait()
	return s.target.leave(s.conn)
}

var _ bench.Canceler = (*stream)(nil)
