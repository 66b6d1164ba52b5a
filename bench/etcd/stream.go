package etcd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
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
	begun    map[int64]int    // by id: watches that are not known to have ended
	dead     map[int64]corpse // by id: watches that compaction ended; see bury
	owed     int64            // revision at or above which progress was asked for; 0: none
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
	if !timer.Stop() {
		cancel()
		return nil, fmt.Errorf("etcd: %w", &bench.GoneError{Reason: "no answer for " + figure.Short(t.kind.config.DialTimeout), Err: err})
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("etcd: %w", t.kind.gone(err))
	}
	return &stream{target: t, name: name, rpc: rpc, cancel: cancel, ended: ctx.Done(), begun: map[int64]int{}, dead: map[int64]corpse{}}, nil
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
	delete(s.dead, id)
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
		if (r.Canceled || r.WatchId == watch.NoWatch) && !s.note(r) {
			continue
		}
		return s.buffers.convert(r), nil
	}
}

// note takes down what a response changes: a watch that is gone, progress
// that is no longer owed. It reports whether the response is for the receiver:
// the answer to bury is not.
func (s *stream) note(r *pb.WatchResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Canceled && s.dead[r.WatchId] == buried && r.CompactRevision == 0 && r.CancelReason == "" {
		delete(s.dead, r.WatchId)
		return false
	}
	if r.Canceled && r.CompactRevision != 0 && s.dead[r.WatchId] == 0 {
		s.dead[r.WatchId] = unburied
	}
	switch {
	case r.Canceled:
		if s.begun[r.WatchId]--; s.begun[r.WatchId] <= 0 {
			delete(s.begun, r.WatchId)
		}
	case s.owed != 0 && r.Header.GetRevision() >= s.owed:
		s.owed = 0
	}
	return true
}

// corpse is what became of a watch that compaction ended.
type corpse int

const (
	unburied corpse = 1 + iota
	buried          // its cancel was sent, the answer is to come
)

// bury cancels watches that compaction ended: etcd keeps them on the stream,
// never synced, and so never answers a request for progress there. Only who
// asks for progress has it done, since others need not.
func (s *stream) bury() error {
	s.mu.Lock()
	var ids []int64
	for id, state := range s.dead {
		if state == unburied {
			s.dead[id] = buried
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	for _, id := range ids {
		if err := s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}}); err != nil {
			return err
		}
	}
	return nil
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
		if s.bury() != nil || s.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}}) != nil {
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
