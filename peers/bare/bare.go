// Package bare is a target of package bench that stores nothing: a put is
// numbered and handed to its watchers in memory, by reference, one lock for
// all. With the same load, consumers and checker as a store it shows what is
// left of a figure when the store costs nothing: the limit of the harness on
// the machine. Its outboxes have no bound.
package bare

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Kind opens bare targets.
type Kind struct{}

// Facts implements bench.Kind.
func (Kind) Facts() bench.TargetFacts {
	return bench.TargetFacts{Kind: "bare", Engine: "none", Durability: "none", Volatile: true}
}

// Open implements bench.Kind.
func (Kind) Open(string) (bench.Target, error) {
	return &target{rev: 1, keys: map[string]*key{}}, nil
}

type target struct {
	mu     sync.Mutex // guards all below; before any stream.mu
	rev    int64
	keys   map[string]*key
	ranges []*group
}

// key is what a put needs to know of it.
type key struct {
	create, version int64
	groups          []*group // that watch this key alone
}

// group is the watches of one stream that share a range.
type group struct {
	stream *stream
	span   mvcc.Span
	ids    []int64 // guarded by target.mu and stream.mu: either to read, both to change

	pending, handed []mvcc.Event // guarded by stream.mu; handed is the receiver's
}

type stream struct {
	target *target
	wake   chan struct{} // of capacity 1
	ended  chan struct{} // closed by Close

	mu       sync.Mutex // guards all below
	groups   map[string]*group
	dirty    []*group
	created  []watch.Response
	owed     int64
	isClosed bool

	responses []watch.Response // the receiver's
}

func (t *target) key(name []byte) *key {
	k := t.keys[string(name)]
	if k == nil {
		k = &key{}
		t.keys[string(name)] = k
	}
	return k
}

// Put implements bench.Target.
func (t *target) Put(_ context.Context, name, value []byte) (int64, error) {
	both := append(slices.Grow([]byte(nil), len(name)+len(value)), name...)
	both = append(both, value...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rev++
	k := t.key(name)
	if k.version++; k.version == 1 {
		k.create = t.rev
	}
	e := mvcc.Event{KV: mvcc.KeyValue{
		Key: both[:len(name):len(name)], Value: both[len(name):],
		CreateRevision: k.create, ModRevision: t.rev, Version: k.version,
	}}
	for _, g := range k.groups {
		g.push(&e)
	}
	for _, g := range t.ranges {
		if g.span.Contains(e.KV.Key) {
			g.push(&e)
		}
	}
	return t.rev, nil
}

func (g *group) push(e *mvcc.Event) {
	s := g.stream
	s.mu.Lock()
	if len(g.pending) == 0 {
		s.dirty = append(s.dirty, g)
	}
	g.pending = append(g.pending, *e)
	s.mu.Unlock()
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Rev implements bench.Target.
func (t *target) Rev(context.Context) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rev, nil
}

// NewStream implements bench.Target.
func (t *target) NewStream(string) (bench.Stream, error) {
	return &stream{target: t, wake: make(chan struct{}, 1), ended: make(chan struct{}), groups: map[string]*group{}}, nil
}

// Close implements bench.Target.
func (t *target) Close() error { return nil }

var (
	errClosed  = errors.New("bare: the stream is closed")
	errHistory = errors.New("bare: there is no history, and a watch has no options")
)

// Watch implements bench.Stream.
func (s *stream) Watch(r watch.Request) (int64, error) {
	if r.StartRevision != 0 || r.PrevKV || r.NoPut || r.NoDelete || r.Progress {
		return 0, errHistory
	}
	t := s.target
	t.mu.Lock()
	defer t.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	name := string(r.Key) + "\x00" + string(r.End)
	g := s.groups[name]
	if g == nil {
		g = &group{stream: s, span: mvcc.SpanOf(r.Key, r.End)}
		s.groups[name] = g
		if g.span.Single() {
			k := t.key(r.Key)
			k.groups = append(k.groups, g)
		} else {
			t.ranges = append(t.ranges, g)
		}
	}
	g.ids = append(g.ids, r.ID)
	s.created = append(s.created, watch.Response{WatchID: r.ID, Created: true, CaughtUp: true, Revision: t.rev})
	s.signal()
	return r.ID, nil
}

// Recv implements bench.Stream.
func (s *stream) Recv(ctx context.Context) ([]watch.Response, error) {
	for {
		s.mu.Lock()
		if s.isClosed {
			s.mu.Unlock()
			return nil, errClosed
		}
		s.collectLocked()
		s.mu.Unlock()
		if len(s.responses) > 0 {
			return s.responses, nil
		}
		select {
		case <-s.wake:
		case <-s.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *stream) collectLocked() {
	s.responses = append(s.responses[:0], s.created...)
	s.created = nil
	for _, g := range s.dirty {
		g.pending, g.handed = g.handed[:0], g.pending
		last := g.handed[len(g.handed)-1].KV.ModRevision
		for _, id := range g.ids {
			s.responses = append(s.responses, watch.Response{WatchID: id, Events: g.handed, Revision: last})
		}
	}
	s.dirty = s.dirty[:0]
	if s.owed != 0 {
		s.responses = append(s.responses, watch.Response{WatchID: watch.NoWatch, Revision: s.owed})
		s.owed = 0
	}
}

// RequestProgress implements bench.Stream. Whatever was put before is pending
// by now, so the answer behind it is true.
func (s *stream) RequestProgress() error {
	s.target.mu.Lock()
	rev := s.target.rev
	s.target.mu.Unlock()
	s.mu.Lock()
	s.owed = rev
	s.mu.Unlock()
	s.signal()
	return nil
}

// Close implements bench.Stream.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return errClosed
	}
	s.isClosed = true
	close(s.ended)
	return nil
}
