package bench_test

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// fakeKind is a store that keeps everything in one slice. It is right and
// slow, and spoil may make it wrong.
type fakeKind struct {
	// spoil changes what a stream hands out; nil leaves it as it is.
	spoil func([]watch.Response) []watch.Response
	// putErr answers the put of that number, from 1.
	putErr map[int64]error
	// jumps moves watches that are overtaken by a compaction past it in
	// silence.
	jumps bool
	// poor has no more than a Target must have.
	poor bool
}

func (k *fakeKind) Facts() bench.TargetFacts {
	return bench.TargetFacts{Kind: "embedded", Engine: "fake", Durability: "sync", Volatile: true}
}

func (k *fakeKind) Open(string) (bench.Target, error) {
	s := &fakeStore{kind: k, keys: map[string]mvcc.KeyValue{}, wake: make(chan struct{})}
	if k.poor {
		return poorTarget{s}, nil
	}
	return s, nil
}

// poorTarget hides every ability that a Target may lack.
type poorTarget struct{ bench.Target }

func (p poorTarget) NewStream(name string) (bench.Stream, error) {
	s, err := p.Target.NewStream(name)
	return poorStream{s}, err
}

type poorStream struct{ bench.Stream }

type fakeStore struct {
	kind *fakeKind

	mu   sync.Mutex // guards all below
	log  []mvcc.Event
	keys map[string]mvcc.KeyValue
	wake chan struct{} // closed and replaced by every change
	cut  int64         // compact revision
}

func (s *fakeStore) revLocked() int64 { return int64(len(s.log)) + 1 }

func (s *fakeStore) Put(_ context.Context, key, value []byte) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rev := s.revLocked() + 1
	if err := s.kind.putErr[rev-1]; err != nil {
		return 0, err
	}
	kv := s.keys[string(key)]
	var prev *mvcc.KeyValue
	if kv.Version > 0 {
		was := kv
		prev = &was
	} else {
		kv.CreateRevision = rev
	}
	kv.Key, kv.Value, kv.ModRevision = slices.Clone(key), slices.Clone(value), rev
	kv.Version++
	s.keys[string(key)] = kv
	s.log = append(s.log, mvcc.Event{KV: kv, Prev: prev})
	s.wakeLocked()
	return rev, nil
}

func (s *fakeStore) Delete(_ context.Context, key []byte) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.keys[string(key)]
	if !ok {
		return 0, nil
	}
	rev := s.revLocked() + 1
	delete(s.keys, string(key))
	s.log = append(s.log, mvcc.Event{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: slices.Clone(key), ModRevision: rev}, Prev: &was})
	s.wakeLocked()
	return rev, nil
}

func (s *fakeStore) Read(_ context.Context, key, end []byte, limit int64) (keys, bytes int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	span := mvcc.SpanOf(key, end)
	for name, kv := range s.keys {
		if span.Contains([]byte(name)) && (limit == 0 || keys < limit) {
			keys++
			bytes += int64(len(kv.Key) + len(kv.Value))
		}
	}
	return keys, bytes, nil
}

func (s *fakeStore) Compact(_ context.Context, rev int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = rev
	s.wakeLocked()
	return nil
}

func (s *fakeStore) wakeLocked() {
	close(s.wake)
	s.wake = make(chan struct{})
}

func (s *fakeStore) Fill(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(int64, []byte, []byte)) error {
	for i := range n {
		key, value := next(i)
		rev, err := s.Put(ctx, key, value)
		if err != nil {
			return err
		}
		wrote(rev, key, value)
	}
	return nil
}

func (s *fakeStore) Rev(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revLocked(), nil
}

func (s *fakeStore) NewStream(string) (bench.Stream, error) { return &fakeStream{store: s}, nil }
func (s *fakeStore) Close() error                           { return nil }

type fakeStream struct {
	store   *fakeStore
	watches []*fakeWatch // guarded by store.mu, as the rest
	owed    bool
	closed  bool
}

type fakeWatch struct {
	request watch.Request
	span    mvcc.Span
	next    int64
	created bool
	told    bool
	until   int64
	cancel  bool
}

func (st *fakeStream) Watch(r watch.Request) (int64, error) {
	s := st.store
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &fakeWatch{request: r, span: mvcc.SpanOf(r.Key, r.End), next: r.StartRevision, until: s.revLocked()}
	if w.next == 0 {
		w.next = s.revLocked() + 1
	}
	st.watches = append(st.watches, w)
	s.wakeLocked()
	return r.ID, nil
}

func (st *fakeStream) Cancel(id int64) error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	for _, w := range st.watches {
		if w.request.ID == id {
			w.cancel = true
			st.store.wakeLocked()
			return nil
		}
	}
	return errors.New("fake: no such watch")
}

func (st *fakeStream) RequestProgress() error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	st.owed = true
	st.store.wakeLocked()
	return nil
}

func (st *fakeStream) Close() error {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	st.closed = true
	st.store.wakeLocked()
	return nil
}

var errFakeClosed = errors.New("fake: closed")

func (st *fakeStream) Recv(ctx context.Context) ([]watch.Response, error) {
	s := st.store
	for {
		s.mu.Lock()
		if st.closed {
			s.mu.Unlock()
			return nil, errFakeClosed
		}
		out := st.collectLocked()
		wake := s.wake
		s.mu.Unlock()
		if s.kind.spoil != nil && len(out) > 0 {
			out = s.kind.spoil(out)
		}
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fakeChunk is how many revisions of history a watch reads at once, so that a
// consumer which stops is behind.
const fakeChunk = 64

func (st *fakeStream) collectLocked() (out []watch.Response) {
	rev := st.store.revLocked()
	for _, w := range st.watches {
		if !w.created {
			w.created = true
			out = append(out, watch.Response{WatchID: w.request.ID, Created: true, Revision: w.until})
		}
		if w.cancel {
			out = append(out, watch.Response{WatchID: w.request.ID, Canceled: true, Revision: rev})
			continue
		}
		if w.next < st.store.cut && st.store.kind.jumps {
			w.next = st.store.cut
		}
		if w.next < st.store.cut {
			w.cancel = true
			out = append(out, watch.Response{WatchID: w.request.ID, Canceled: true, Revision: rev, CompactRevision: st.store.cut, Err: mvcc.ErrCompacted})
			continue
		}
		var events []mvcc.Event
		for n := 0; w.next <= rev && n < fakeChunk; n, w.next = n+1, w.next+1 {
			e := st.store.log[w.next-2]
			if !w.request.PrevKV {
				e.Prev = nil
			}
			drop := e.Type == mvcc.EventPut && w.request.NoPut || e.Type == mvcc.EventDelete && w.request.NoDelete
			if w.span.Contains(e.KV.Key) && !drop {
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			out = append(out, watch.Response{WatchID: w.request.ID, Events: events, Revision: w.next - 1})
		}
		if !w.told && w.next > w.until {
			w.told = true
			out = append(out, watch.Response{WatchID: w.request.ID, CaughtUp: true, Revision: w.until})
		}
	}
	st.watches = slices.DeleteFunc(st.watches, func(w *fakeWatch) bool { return w.cancel })
	if st.owed && !slices.ContainsFunc(st.watches, func(w *fakeWatch) bool { return w.next <= rev }) {
		st.owed = false
		out = append(out, watch.Response{WatchID: watch.NoWatch, Revision: rev})
	}
	return out
}
