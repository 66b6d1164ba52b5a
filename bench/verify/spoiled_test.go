package verify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// spoiler is one way to misbehave. Every field may be nil.
type spoiler struct {
	create    func(r *Request)
	cancel    func(s *spoiledStream, id int64)
	responses func(s *spoiledStream, r Response) []Response
	recv      func(s *spoiledStream) (nothing bool)
	closeSend func(s *spoiledStream)
	unknown   func(s *spoiledStream)
	delete    func(s *spoiledSubject, key []byte, r *mvcc.DeleteResult)
	read      func(r *mvcc.RangeResult)
	limit     int // above which responses are split; 0: etcd's default
	txn       func(t *mvcc.Txn, err error) error
	stats     func(s *spoiledSubject, st *watch.Stats)
	revoke    func(s *spoiledSubject, keys [][]byte) // in place of one transaction with the keys sorted
}

// spoiledSubject is a store that keeps its promises, and whose answers are
// spoiled. Over the wire it stands for a server: it has fragments, half-closed
// streams and leases, and tells no end of catch-up.
type spoiledSubject struct {
	Subject
	by   spoiler
	wire bool

	mu      sync.Mutex
	streams []*spoiledStream
	leases  map[int64][][]byte
}

func (s *spoiledSubject) Facts() Facts {
	f := s.Subject.Facts()
	if s.wire {
		f.Wire, f.EtcdRules = true, true
	}
	return f
}

func (s *spoiledSubject) NewStream(ctx context.Context) (Stream, error) {
	inner, err := s.Subject.NewStream(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &spoiledStream{Stream: inner, subject: s, number: len(s.streams), requests: map[int64]Request{}, notes: map[string]int{}, last: map[int64]Response{}}
	s.streams = append(s.streams, st)
	return st, nil
}

func (s *spoiledSubject) Delete(ctx context.Context, key, end []byte) (mvcc.DeleteResult, error) {
	r, err := s.Subject.Delete(ctx, key, end)
	if s.by.delete != nil {
		s.by.delete(s, key, &r)
	}
	return r, err
}

func (s *spoiledSubject) Range(ctx context.Context, key, end []byte, o mvcc.RangeOptions) (mvcc.RangeResult, error) {
	r, err := s.Subject.Range(ctx, key, end, o)
	if s.by.read != nil {
		s.by.read(&r)
	}
	return r, err
}

func (s *spoiledSubject) Txn(ctx context.Context, t mvcc.Txn) (mvcc.TxnResult, error) {
	r, err := s.Subject.Txn(ctx, t)
	if s.by.txn != nil {
		err = s.by.txn(&t, err)
	}
	return r, err
}

func (s *spoiledSubject) Put(ctx context.Context, key, value []byte, lease int64) (int64, error) {
	if lease != 0 {
		s.mu.Lock()
		s.leases[lease] = append(s.leases[lease], slices.Clone(key))
		s.mu.Unlock()
	}
	return s.Subject.Put(ctx, key, value, lease)
}

// Grant makes a lease that ends as soon as its keys are there.
func (s *spoiledSubject) Grant(_ context.Context, ttl int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leases == nil {
		s.leases = map[int64][][]byte{}
	}
	id := int64(len(s.leases) + 1)
	s.leases[id] = nil
	return id, nil
}

// Revoke ends the lease and all others.
func (s *spoiledSubject) Revoke(ctx context.Context, _ int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, keys := range s.leases {
		if s.by.revoke != nil {
			s.by.revoke(s, keys)
			continue
		}
		slices.SortFunc(keys, slices.Compare)
		if _, err := s.Subject.Txn(ctx, mvcc.Txn{Then: deletes(keys)}); err != nil {
			return err
		}
	}
	return nil
}

func deletes(keys [][]byte) (ops []mvcc.Op) {
	for _, key := range keys {
		ops = append(ops, mvcc.Op{Type: mvcc.OpDeleteRange, Key: key})
	}
	return ops
}

// spoiledInside is a spoiledSubject whose inside can be seen.
type spoiledInside struct{ *spoiledSubject }

func (s spoiledInside) HubConfig() watch.Config { return s.Subject.(Inspector).HubConfig() }

func (s spoiledInside) HubStats() watch.Stats {
	st := s.Subject.(Inspector).HubStats()
	if s.by.stats != nil {
		s.by.stats(s.spoiledSubject, &st)
	}
	return st
}

type spoiledStream struct {
	Stream
	subject *spoiledSubject
	number  int

	mu       sync.Mutex
	asked    []Request
	requests map[int64]Request // by the id they were granted
	waiting  []Response        // to come first
	held     []Response
	last     map[int64]Response // the newest with events, by id
	notes    map[string]int
	ended    error
}

func (s *spoiledStream) Create(r Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if s.subject.by.create != nil {
		s.subject.by.create(&r)
	}
	return s.Stream.Create(r)
}

func (s *spoiledStream) Cancel(id int64) error {
	if s.subject.by.cancel != nil {
		s.mu.Lock()
		s.subject.by.cancel(s, id)
		s.mu.Unlock()
	}
	return s.Stream.Cancel(id)
}

func (s *spoiledStream) CloseSend() error {
	if s.subject.by.closeSend != nil {
		s.subject.by.closeSend(s)
	}
	return nil
}

func (s *spoiledStream) SendUnknown() error {
	if s.subject.by.unknown != nil {
		s.subject.by.unknown(s)
	}
	return nil
}

func (s *spoiledStream) Recv(ctx context.Context) ([]Response, error) {
	if s.subject.by.recv != nil && s.subject.by.recv(s) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	ended, waiting := s.ended, s.waiting
	s.waiting = nil
	s.mu.Unlock()
	if ended != nil {
		return nil, ended
	}
	if len(waiting) > 0 {
		return waiting, nil
	}
	rs, err := s.Stream.Recv(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Response
	for _, r := range rs {
		r.Events = slices.Clone(r.Events)
		if r.Created && len(s.asked) > 0 {
			if !r.Canceled {
				s.requests[r.WatchID] = s.asked[0]
			}
			s.asked = s.asked[1:]
		}
		if s.subject.wire {
			if r.CaughtUp && !r.Created && len(r.Events) == 0 {
				continue
			}
			r.CaughtUp = false
			r.Size = sizeOf(r.Events)
		}
		spoiled := []Response{r}
		if s.subject.by.responses != nil {
			spoiled = s.subject.by.responses(s, r)
		}
		for _, r := range spoiled {
			out = append(out, s.split(r)...)
		}
	}
	return out, err
}

func sizeOf(events []mvcc.Event) (n int) {
	for i := range events {
		n += events[i].Size()
	}
	return n
}

// limited is a server that puts everything it has into one response, as etcd
// does, and splits from a size on.
func limited(limit int) spoiler {
	const first = 2 // the revision of the first of two transactions
	return spoiler{limit: limit, responses: func(s *spoiledStream, r Response) []Response {
		if n := len(r.Events); n > 0 && r.Events[n-1].KV.ModRevision == first {
			s.held = []Response{r}
			return nil
		}
		if len(r.Events) > 0 && len(s.held) > 0 {
			r.Events = append(slices.Clone(s.held[0].Events), r.Events...)
			r.Size, s.held = sizeOf(r.Events), nil
		}
		return []Response{r}
	}}
}

// split makes fragments where they were asked for.
func (s *spoiledStream) split(r Response) (out []Response) {
	limit := cmp.Or(s.subject.by.limit, fragmentLimit)
	if !s.subject.wire || !s.requests[r.WatchID].Fragment || r.Fragment || r.Size < limit || len(r.Events) < 2 {
		return []Response{r}
	}
	for from := 0; from < len(r.Events); {
		to, size := from, 0
		for ; to < len(r.Events) && (to == from || size+r.Events[to].Size() < limit); to++ {
			size += r.Events[to].Size()
		}
		part := r
		part.Events, part.Size, part.Fragment = r.Events[from:to], size, to < len(r.Events)
		out = append(out, part)
		from = to
	}
	return out
}

var errCut = errors.New("stream is cut")

func (s *spoiledStream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = errCut
}

// noted counts up and returns how often it was called with this word before.
func (s *spoiledStream) noted(word string) int {
	s.notes[word]++
	return s.notes[word] - 1
}
