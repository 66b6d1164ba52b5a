package watch

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/mvcc"
)

// Source is what a hub needs of a store: *mvcc.Store has it.
type Source interface {
	Live
	Past
}

// Live is the newest of a store's history.
type Live interface {
	// Rev is the newest visible revision, CompactRev the compact revision.
	Rev() int64
	CompactRev() int64
	// Wait returns nil once rev is visible, and an error if it never will be.
	Wait(ctx context.Context, rev int64) error
	// Recent appends the visible commits from a revision on, as far as they
	// are in memory; ok is false if the first is not any more.
	Recent(dst []mvcc.Commit, from int64, maxCommits int) (commits []mvcc.Commit, first int64, ok bool)
	// RecentFirst is the oldest revision that Recent has.
	RecentFirst() int64
}

// Past is the history of a store that is not compacted.
type Past interface {
	CheckStart(rev int64) error
	History(ctx context.Context, q mvcc.HistoryQuery) (mvcc.Chunk, error)
	Revisions(dst []mvcc.KeyRev, span mvcc.Span, from, to int64, lim mvcc.RevLimits) (revs []mvcc.KeyRev, cut bool, visited int)
	CountRevisions(span mvcc.Span, from int64, maxKeys, maxRevs int) (n int, exact bool)
	ReadRevisions(ctx context.Context, dst []mvcc.Event, revs []mvcc.KeyRev) ([]mvcc.Event, error)
	Newest(dst []mvcc.KeyRev, span mvcc.Span, from, to int64, keep int) (revs []mvcc.KeyRev, cut bool)
	VersionAt(key []byte, rev int64) (kr mvcc.KeyRev, ok bool)
	Previous(ctx context.Context, dst []*mvcc.KeyValue, evs []*mvcc.Event) (prev []*mvcc.KeyValue, missing int, err error)
	Stats() mvcc.Stats
}

// Hub distributes the revisions of one store to watches. Its methods may be
// called from any goroutine.
type Hub struct {
	cfg     Config
	source  Source
	shards  []*shard
	watches atomic.Int64
	sharing atomic.Bool // see ShareForms

	// reading bounds the catch-up goroutines that read at once, so that a
	// core is left for puts and dispatch: acquired by sending, capacity is
	// one less than the processors, at least one.
	reading chan struct{}

	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex // guards the rest; before any shard.mu
	streams int64      // ever opened
	closed  bool
}

// NewHub starts a hub over a store, which must outlive it. It offers what is
// written from now on; what was written before is history.
func NewHub(source Source, cfg Config) (*Hub, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := newHub(source, cfg)
	h.start()
	return h, nil
}

// newHub makes a hub whose goroutines are not running: every step of theirs
// can be called by hand.
func newHub(source Source, cfg Config) *Hub {
	h := &Hub{cfg: cfg.withDefaults(), source: source, cancel: func() {}, reading: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))}
	for range h.cfg.Shards {
		h.shards = append(h.shards, newShard(h, source))
	}
	return h
}

// start runs the hub's goroutines until Close.
func (h *Hub) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	for _, sh := range h.shards {
		h.done.Go(func() { sh.runDispatch(ctx) })
		h.done.Go(func() { sh.runCatchUp(ctx) })
	}
	h.done.Go(func() { h.runProgress(ctx) })
}

// Close ends all streams with ErrHubClosed and waits for the hub's
// goroutines. A second Close answers ErrHubClosed.
func (h *Hub) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return ErrHubClosed
	}
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.done.Wait()
	for _, sh := range h.shards {
		for _, s := range sh.openStreams() {
			s.end(ErrHubClosed)
		}
	}
	return nil
}

// NewStream opens a stream: one consumer with many watches. The name is for
// introspection only. It must be closed.
func (h *Hub) NewStream(name string) (*Stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrHubClosed
	}
	h.streams++
	sh := h.shards[h.streams%int64(len(h.shards))]
	s := &Stream{number: h.streams, name: name, shard: sh, reading: map[*group]*seat{}}
	s.box.maxEntries, s.box.maxBytes = h.cfg.OutboxResponses, h.cfg.OutboxBytes
	s.box.wake = make(chan struct{}, 1)
	sh.mu.Lock()
	sh.streams[s] = struct{}{}
	s.numbered = sh.numbered.Add(s)
	sh.mu.Unlock()
	return s, nil
}

// ShareForms lets Response.Shared share what it makes, from the next events
// on. It costs a small allocation for each run of events that several watches
// get.
func (h *Hub) ShareForms() { h.sharing.Store(true) }

// Config returns the configuration in force, defaults filled in.
func (h *Hub) Config() Config { return h.cfg }

func (sh *shard) openStreams() []*Stream {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	out := make([]*Stream, 0, len(sh.streams))
	for s := range sh.streams {
		out = append(out, s)
	}
	return out
}
