package etcdmvcc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	kv "github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// stream is an etcd watch stream as the benchmark's consumers read it. What
// etcd's server adds above the store is done here: Created, and asking again
// for progress until it is answered.
type stream struct {
	store  mvcc.WatchableKV
	etcd   mvcc.WatchStream
	ended  chan struct{}  // closed by Close
	asking sync.WaitGroup // askers of progress
	signal chan struct{}  // of capacity 1: said has something

	mu       sync.Mutex       // guards what is below; held over no call of etcd's
	said     []watch.Response // Created and Canceled, not received yet
	owed     int64            // revision at or above which progress was asked for; 0: none
	dead     []int64          // watches that compaction ended, see bury
	isClosed bool

	// Of the receiving goroutine alone.
	gone      map[int64]bool // watches whose Canceled was received
	responses []watch.Response
	events    []kv.Event
	last      *mvccpb.Event // converted last, at the end of events
}

var errClosed = errors.New("etcdmvcc: the stream is closed")

// Watch implements bench.Stream. The response Created is queued before etcd
// knows the watch, so that nothing can come before it.
func (s *stream) Watch(r watch.Request) (int64, error) {
	if r.PrevKV || r.Progress || r.Policy != watch.Wait {
		return 0, fmt.Errorf("etcdmvcc: previous values, periodic progress and policies are not in etcd's mvcc: %+v", r)
	}
	var filters []mvcc.FilterFunc
	if r.NoPut {
		filters = append(filters, func(e *mvccpb.Event) bool { return e.Type == mvccpb.Event_PUT })
	}
	if r.NoDelete {
		filters = append(filters, func(e *mvccpb.Event) bool { return e.Type == mvccpb.Event_DELETE })
	}
	rev, start := s.store.Rev(), r.StartRevision
	if start == 0 {
		start = rev + 1
	}
	s.say(watch.Response{WatchID: r.ID, Created: true, Revision: rev})
	id, err := s.etcd.Watch(context.Background(), mvcc.WatchID(r.ID), r.Key, storeEnd(r.End), start, filters...)
	if err != nil {
		return 0, fmt.Errorf("etcdmvcc: watch: %w", err)
	}
	return int64(id), nil
}

// Cancel implements bench.Canceler. Responses of the watch that etcd's channel
// still holds are dropped once Canceled was received, as etcd's server keeps
// them back. An id is not used again.
func (s *stream) Cancel(id int64) error {
	if err := s.etcd.Cancel(mvcc.WatchID(id)); err != nil {
		return fmt.Errorf("etcdmvcc: cancel: %w", err)
	}
	s.say(watch.Response{WatchID: id, Canceled: true, Revision: s.store.Rev()})
	return nil
}

// say queues a response that etcd's server makes and its store does not.
func (s *stream) say(r watch.Response) {
	s.mu.Lock()
	s.said = append(s.said, r)
	s.mu.Unlock()
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

// Recv implements bench.Stream: all that waits, up to the 128 responses that
// the channel holds. Responses and events are valid until the next call.
func (s *stream) Recv(ctx context.Context) ([]watch.Response, error) {
	s.responses, s.events, s.last = s.responses[:0], s.events[:0], nil
	select {
	case <-s.ended: // also where a signal was left
		return nil, errClosed
	default:
	}
	ch := s.etcd.Chan()
	select {
	case r, ok := <-ch:
		if !ok {
			return nil, errClosed
		}
		// Created of this one's watch may have been queued meanwhile.
		s.takeSaid()
		s.take(&r)
	case <-s.signal:
		s.takeSaid()
	case <-s.ended:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for range len(ch) {
		select {
		case r, ok := <-ch:
			if !ok {
				return s.responses, nil
			}
			s.takeSaid()
			s.take(&r)
		default:
		}
	}
	return s.responses, nil
}

// takeSaid takes all of it: an event of a watch just created may be next.
func (s *stream) takeSaid() {
	s.mu.Lock()
	said := s.said
	s.said = nil
	s.mu.Unlock()
	s.responses = append(s.responses, said...)
	for i := range said {
		if said[i].Canceled {
			if s.gone == nil {
				s.gone = map[int64]bool{}
			}
			s.gone[said[i].WatchID] = true
		}
	}
}

// take converts one response.
func (s *stream) take(r *mvcc.WatchResponse) {
	if r.WatchID == mvcc.WatchID(watch.NoWatch) {
		s.answered(r.Revision)
	}
	if s.gone[int64(r.WatchID)] {
		return
	}
	out := watch.Response{WatchID: int64(r.WatchID), Revision: r.Revision}
	if r.CompactRevision != 0 {
		out.Canceled, out.CompactRevision, out.Err = true, r.CompactRevision, kv.ErrCompacted
		s.mu.Lock()
		s.dead = append(s.dead, out.WatchID)
		s.mu.Unlock()
	}
	if len(r.Events) > 0 {
		s.events, s.last = appendEvents(s.events, s.last, r.Events)
		n := len(s.events)
		out.Events = s.events[n-len(r.Events) : n : n]
	}
	s.responses = append(s.responses, out)
}

// appendEvents converts events. One event for many watches of a stream is the
// common case of live events, so it is converted once: last is the one at the
// end of dst.
func appendEvents(dst []kv.Event, last *mvccpb.Event, events []*mvccpb.Event) ([]kv.Event, *mvccpb.Event) {
	if len(events) == 1 && events[0] == last {
		return dst, last
	}
	for _, e := range events {
		dst = append(dst, kv.Event{Type: kv.EventType(e.Type), KV: kv.KeyValue{
			Key: e.Kv.Key, Value: e.Kv.Value, CreateRevision: e.Kv.CreateRevision,
			ModRevision: e.Kv.ModRevision, Version: e.Kv.Version, Lease: e.Kv.Lease,
		}})
	}
	return dst, events[len(events)-1]
}

// askAgain is how often progress is asked for until it is answered: etcd
// answers only while all watches are synced and the channel has room, and
// leaves asking again to clients.
const askAgain = 2 * time.Millisecond

// RequestProgress implements bench.Stream.
func (s *stream) RequestProgress() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return errClosed
	}
	asking := s.owed != 0
	s.owed = s.store.Rev()
	if !asking {
		s.asking.Go(s.ask)
	}
	return nil
}

func (s *stream) ask() {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		s.mu.Lock()
		owed := s.owed != 0
		s.mu.Unlock()
		if !owed {
			return
		}
		s.bury()
		s.etcd.RequestProgressAll()
		select {
		case <-ticker.C:
		case <-s.ended:
			return
		}
	}
}

// bury cancels the watches that compaction ended, as etcd's client does: etcd
// keeps them on the stream and tells no progress while they are there.
func (s *stream) bury() {
	s.mu.Lock()
	dead := s.dead
	s.dead = nil
	s.mu.Unlock()
	for _, id := range dead {
		_ = s.etcd.Cancel(mvcc.WatchID(id)) // told twice, it is gone already
	}
}

func (s *stream) answered(rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owed != 0 && rev >= s.owed {
		s.owed = 0
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
	close(s.ended)
	s.asking.Wait()
	s.etcd.Close()
	return nil
}
