package watchtest

import (
	"fmt"
	"hash/maphash"
	"math"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/watchkv/watchkv/internal/interval"
	"github.com/watchkv/watchkv/mvcc"
)

// HistoryConfig configures a History. The zero value keeps everything written
// to a new store.
type HistoryConfig struct {
	// After is the revision before the first Commit. 0 means 1, the revision
	// of an empty store.
	After int64
	// Window is how many events are kept, rounded up to a few thousand; 0
	// keeps all. A watch that falls out of the window is no longer compared
	// and says so in Counts.Unmatched.
	Window int
	// LengthOnly compares the length of values and not their bytes: what a
	// benchmark calls delivered.
	LengthOnly bool
	// Shared: others write to the same store, to keys that nobody here
	// watches, so that revisions between ours are theirs; and they may compact
	// it at any time. Writers then use Begin.
	Shared bool
}

// Change is one operation of a committed revision, as its writer knows it.
type Change struct {
	Type  mvcc.EventType
	Key   []byte
	Value []byte
	Lease int64
}

// History is what was written, as the writers were told. It is fed by them
// and read by any number of Watches.
//
// It keeps 40 bytes for each event, 4 for each distinct range watched that
// the event is in, and for each key its text and about 100 bytes. It numbers
// events by 32 bits: the one past 4 billion is refused.
//
// Safe for concurrent use: writers share one lock, watches take none.
type History struct {
	cfg  HistoryConfig
	seed maphash.Seed
	log  eventLog

	through    atomic.Int64 // every revision up to here is in the log
	compacting atomic.Int64 // history below this may be gone

	mu      sync.Mutex // guards all below; calls nothing
	keys    map[string]*keyState
	byHash  map[uint64]*keyState
	sorted  []*keyState        // by text; kept only while no key was added
	early   map[int64][]change // acknowledged above through + 1
	ranges  map[string]*spanLog
	tree    interval.Tree[*spanLog]
	commits int64
	grace   grace // of a shared history
}

// keyState is a key as the newest revision in the log left it.
type keyState struct {
	text    string
	hash    uint64
	last    uint32 // position + 1 of its newest event; 0: none
	create  int64
	version uint32 // 0: deleted or never put
	single  *spanLog
}

// change is a Change waiting for the revisions before it.
type change struct {
	typ   mvcc.EventType
	key   string
	value uint64
}

// NewHistory starts an empty history.
func NewHistory(cfg HistoryConfig) *History {
	if cfg.After == 0 {
		cfg.After = 1
	}
	h := &History{
		cfg: cfg, seed: maphash.MakeSeed(),
		keys: map[string]*keyState{}, byHash: map[uint64]*keyState{},
		early: map[int64][]change{}, ranges: map[string]*spanLog{},
	}
	h.log.keep = int64(cfg.Window)
	h.through.Store(cfg.After)
	if cfg.Shared {
		h.compacting.Store(math.MaxInt64)
	}
	return h
}

// Seed makes known an event that was there before the first Commit: a version
// of a key with its ModRevision at most HistoryConfig.After, or with Version
// 0 a delete. Seeds come in the order of history.
func (h *History) Seed(kv mvcc.KeyValue) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.commits > 0 || kv.ModRevision > h.cfg.After {
		return fmt.Errorf("watchtest: seed of %q at revision %d after %d commits, history begins after %d", kv.Key, kv.ModRevision, h.commits, h.cfg.After)
	}
	k := h.keyLocked(string(kv.Key))
	k.create, k.version = kv.CreateRevision, uint32(kv.Version)
	var value uint64 // of a delete: it has none
	if kv.Version > 0 {
		value = h.digest(kv.Value, kv.Lease)
	}
	h.appendLocked(k, kv.ModRevision, value)
	return nil
}

// Commit makes known what one acknowledged revision holds; no changes is a
// revision in which nothing happened. Revisions may come in any order, each
// once; what comes early waits, holding a copy of its keys. The slices are
// the caller's again on return.
func (h *History) Commit(rev int64, changes ...Change) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	through := h.through.Load()
	if _, twice := h.early[rev]; twice || rev <= through {
		if h.cfg.Shared && !twice {
			return broken("R1", "revision %d was acknowledged twice, or to a write that began after revision %d was acknowledged", rev, through)
		}
		return broken("R1", "revision %d was acknowledged twice", rev)
	}
	h.commits++
	if rev > through+1 {
		wait := make([]change, len(changes))
		for i, c := range changes {
			wait[i] = change{c.Type, string(c.Key), h.digest(c.Value, c.Lease)}
		}
		h.early[rev] = wait
		return nil
	}
	for _, c := range changes {
		k, ok := h.keys[string(c.Key)]
		if !ok {
			k = h.keyLocked(string(c.Key))
		}
		if err := h.applyLocked(k, rev, c.Type, h.digest(c.Value, c.Lease)); err != nil {
			return err
		}
	}
	return h.followLocked(rev)
}

// followLocked moves through to rev and on over what waits behind it.
func (h *History) followLocked(rev int64) error {
	h.through.Store(rev)
	for {
		rev++
		if _, ok := h.early[rev]; !ok {
			return nil
		}
		if err := h.takeEarlyLocked(rev); err != nil {
			return err
		}
	}
}

// takeEarlyLocked applies a revision that waited, and moves through to it.
func (h *History) takeEarlyLocked(rev int64) error {
	wait := h.early[rev]
	delete(h.early, rev)
	for _, c := range wait {
		if err := h.applyLocked(h.keyLocked(c.key), rev, c.typ, c.value); err != nil {
			return err
		}
	}
	h.through.Store(rev)
	return nil
}

// Put is Commit of one put.
func (h *History) Put(rev int64, key, value []byte) error {
	return h.Commit(rev, Change{Key: key, Value: value})
}

// Skip makes known that nothing happened after Through up to rev: a store
// that was told to raise its revision, or a gap that a crash left.
func (h *History) Skip(rev int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	through := h.through.Load()
	for early := range h.early {
		if early <= rev {
			return broken("R1", "revision %d was acknowledged, now it is skipped up to %d", early, rev)
		}
	}
	if rev <= through {
		return broken("R1", "revisions up to %d were acknowledged, now they are skipped up to %d", through, rev)
	}
	return h.followLocked(rev)
}

// Compacting makes known, before it is asked for, a compaction at rev.
func (h *History) Compacting(rev int64) {
	for {
		old := h.compacting.Load()
		if rev <= old || h.compacting.CompareAndSwap(old, rev) {
			return
		}
	}
}

// Through is the revision up to which everything is known. It stands still
// before a revision that nobody has committed yet.
func (h *History) Through() int64 { return h.through.Load() }

// Events is the number of events known so far.
func (h *History) Events() int64 { return h.log.n.Load() }

// Counts is the part of Counts that writers make.
func (h *History) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Counts{Commits: h.commits}
}

func (h *History) applyLocked(k *keyState, rev int64, typ mvcc.EventType, value uint64) error {
	if typ == mvcc.EventDelete {
		if k.version == 0 {
			return broken("G9", "revision %d is said to delete %q, which does not exist there", rev, k.text)
		}
		k.create, k.version, value = 0, 0, 0
	} else {
		if k.version == 0 {
			k.create = rev
		}
		k.version++
	}
	if h.log.n.Load() >= math.MaxUint32-1 {
		return fmt.Errorf("watchtest: a history of %d events is full at revision %d", h.log.n.Load(), rev)
	}
	h.appendLocked(k, rev, value)
	return nil
}

func (h *History) appendLocked(k *keyState, rev int64, value uint64) {
	pos := h.log.append(entry{rev: rev, key: k.hash, value: value, create: k.create, version: k.version, prev: k.last})
	k.last = uint32(pos + 1)
	oldest := h.log.oldest()
	if k.single != nil {
		k.single.append(pos, oldest)
	}
	if h.tree.Len() > 0 {
		h.tree.Stab([]byte(k.text), func(s *spanLog) { s.append(pos, oldest) })
	}
}

func (h *History) keyLocked(text string) *keyState {
	k, ok := h.keys[text]
	if !ok {
		k = &keyState{text: text, hash: maphash.String(h.seed, text)}
		h.keys[text] = k
		h.byHash[k.hash] = k
		h.sorted = nil
	}
	return k
}

// digest is what is compared of a value and its lease.
func (h *History) digest(value []byte, lease int64) uint64 {
	d := uint64(len(value))
	if !h.cfg.LengthOnly {
		d = maphash.Bytes(h.seed, value)
	}
	return d ^ uint64(lease)*0x9e3779b97f4a7c15
}

// view returns what the log knows of a span, filling in what came before.
func (h *History) view(span mvcc.Span) view {
	if span.Hi == nil && len(span.Lo) == 1 && span.Lo[0] == 0 {
		return view{log: &h.log}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if span.Single() {
		k := h.keyLocked(string(span.Lo))
		if k.single == nil {
			k.single = &spanLog{span: span}
			h.fillLocked(k.single, []*keyState{k})
		}
		return view{log: &h.log, span: k.single}
	}
	name := fmt.Sprintf("%q %q %t", span.Lo, span.Hi, span.Hi == nil)
	s := h.ranges[name]
	if s == nil {
		s = &spanLog{span: span}
		h.fillLocked(s, h.keysLocked(span))
		h.ranges[name] = s
		h.tree.Insert(span.Lo, span.Hi, s)
	}
	return view{log: &h.log, span: s}
}

func (h *History) keysLocked(span mvcc.Span) []*keyState {
	if h.sorted == nil {
		for _, k := range h.keys {
			h.sorted = append(h.sorted, k)
		}
		sort.Slice(h.sorted, func(i, j int) bool { return h.sorted[i].text < h.sorted[j].text })
	}
	from := sort.Search(len(h.sorted), func(i int) bool { return h.sorted[i].text >= string(span.Lo) })
	to := len(h.sorted)
	if span.Hi != nil {
		to = sort.Search(len(h.sorted), func(i int) bool { return h.sorted[i].text >= string(span.Hi) })
	}
	return h.sorted[from:max(from, to)]
}

func (h *History) fillLocked(s *spanLog, keys []*keyState) {
	var found []uint32
	for _, k := range keys {
		for next := k.last; next != 0; {
			e := h.log.at(int64(next - 1))
			if e == nil {
				break
			}
			found = append(found, next-1)
			next = e.prev
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	for _, pos := range found {
		s.append(int64(pos), 0)
	}
}

// name is a key's text for a message.
func (h *History) name(hash uint64) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k, ok := h.byHash[hash]; ok {
		return k.text
	}
	return "a key nobody wrote"
}
