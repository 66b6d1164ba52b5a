package mvcc

import (
	"context"
	"fmt"
	"time"

	"github.com/watchkv/watchkv/backend"
)

// Open builds a store over engine, which stays the caller's: close the store
// first, then the engine. It reads the whole history once, keys only, ends
// what an unclean stop left undone and, when a compaction was interrupted,
// goes on with it in the background. History that lacks a revision it must
// have, or a version of a key, is damage.
//
// Errors: ErrDamaged and ErrFormat for what the engine holds, and the
// engine's own. With Config.ReadOnly nothing is changed. Which keys are
// attached to which lease is kept right; leases end only by package lease.
func Open(engine backend.Engine, cfg Config) (*Store, error) {
	return open(engine, cfg, defaultTuning)
}

func open(engine backend.Engine, cfg Config, tuning tuning) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Store{
		engine:     engine,
		cfg:        cfg,
		tuning:     tuning,
		limits:     limitsOf(engine.Stats(), cfg),
		index:      newIndex(),
		compacting: make(chan struct{}, 1),
		gathering:  gathering{full: make(chan struct{}, 1)},
	}
	s.staging.s = s
	s.tail.limit = cfg.RecentBytes
	s.costs.init()
	s.counters.opened = time.Now()
	meta, err := s.readStart()
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", damaged(engine, err))
	}
	s.initHeadroom()
	if s.readOnly != "" {
		s.partial = meta.intent
	} else if meta.intent != 0 {
		if err := s.removeParts(meta.intent, s.deleteLimit()); err != nil {
			return nil, fmt.Errorf("removing the parts of revision %d: %w", meta.intent, err)
		}
	}
	seen, err := s.rebuild(meta)
	if err != nil {
		return nil, fmt.Errorf("rebuilding the index: %w", damaged(engine, err))
	}
	if err := s.begin(meta, seen); err != nil {
		return nil, fmt.Errorf("opening the store: %w", damaged(engine, err))
	}
	if s.headroom.on {
		s.measure(headroomAge) // says so at once if there is no room
	}
	s.startBackground(meta)
	return s, nil
}

// readStart reads the meta space and finds out whether writes can be taken.
func (s *Store) readStart() (metaState, error) {
	view, err := s.engine.View()
	if err != nil {
		return metaState{}, err
	}
	defer view.Close()
	meta, err := readMeta(view)
	if err != nil {
		return meta, err
	}
	if meta.loading && !s.tuning.loading {
		return meta, ErrUnfinished
	}
	if s.cfg.ReadOnly {
		s.readOnly = "opened read-only"
	}
	return meta, nil
}

// begin sets the revisions the store starts at and writes what the start
// itself has to make durable, all in one batch.
// seen has come to the end of the records.
func (s *Store) begin(meta metaState, seen *continuity) error {
	compact := meta.compact()
	end := max(seen.last.Main, compact, 1)
	for _, g := range meta.gaps {
		end = max(end, g.ceiling)
	}
	if meta.end > end {
		return fmt.Errorf("history ends at revision %d, it was closed at %d: its end is lost: %w", end, meta.end, ErrDamaged)
	}
	if err := seen.reach(end); err != nil {
		return err
	}
	gaps := meta.gaps
	if meta.ceiling > end {
		s.cfg.Logger.Warn("the store was not closed: what was shown and not durable yet is lost",
			"last durable revision", end, "going on after", meta.ceiling)
		gaps = append(gaps, gap{tail: end, ceiling: meta.ceiling})
		end = meta.ceiling
	}
	gaps = gapsAbove(gaps, compact)
	s.gaps.Store(&gaps)
	s.compactRev.Store(compact)
	s.visible.Store(end)
	s.applied.Store(end)
	s.next = end + 1
	s.tail.reset(s.next)
	if s.readOnly != "" {
		return nil
	}
	var ops []backend.Op
	if meta.format == 0 {
		ops = append(ops, putNumber(metaFormat, formatVersion))
	}
	if len(gaps) != len(meta.gaps) || meta.ceiling > 0 {
		ops = append(ops, putGaps(gaps))
	}
	if s.relaxed() {
		s.ceiling = s.ceilingAbove(end)
		ops = append(ops, putNumber(metaCeiling, s.ceiling))
	} else if meta.ceiling > 0 {
		ops = append(ops, deleteMeta(metaCeiling))
	}
	if len(ops) == 0 {
		return nil
	}
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	return s.applyMetaLocked("starting", ops...)
}

// gapsAbove drops the gaps that the compact revision covers.
func gapsAbove(gaps []gap, compact int64) []gap {
	var kept []gap
	for _, g := range gaps {
		if g.ceiling >= compact {
			kept = append(kept, g)
		}
	}
	return kept
}

func (s *Store) startBackground(meta metaState) {
	s.background.start()
	s.compacting <- struct{}{}
	if s.readOnly != "" {
		return
	}
	if meta.scheduled > meta.finished {
		<-s.compacting
		s.cfg.Logger.Info("going on with an interrupted compaction", "revision", meta.scheduled)
		s.background.run(func(ctx context.Context) { s.finishCompaction(ctx, meta.scheduled) })
	}
	if s.relaxed() {
		s.background.run(s.runFlusher)
	}
	if s.cfg.AutoCompact != (AutoCompact{}) {
		s.background.run(s.runAutoCompact)
	}
}

// restored is one record as the scan hands it to the builder.
type restored struct {
	kr     KeyRev
	life   life
	lease  int64
	keyLen int
}

// restoreChunk is a stretch of records with their keys end to end.
type restoreChunk struct {
	records []restored
	keys    []byte
	leased  bool // some of the records have a lease
}

const (
	restoreChunkLen = 4096
	// restoreAhead is how many chunks the scan may be ahead of the builder:
	// enough to smooth out its hiccups.
	restoreAhead = 4
)

// restoring is how the scan hands chunks to the builder and gets them back.
type restoring struct {
	chunks chan *restoreChunk // sent and closed by the scan
	spent  chan *restoreChunk // sent by the builder, if there is room
}

// chunk returns an empty chunk.
func (r *restoring) chunk() *restoreChunk {
	select {
	case c := <-r.spent:
		c.records, c.keys, c.leased = c.records[:0], c.keys[:0], false
		return c
	default:
		return &restoreChunk{records: make([]restored, 0, restoreChunkLen)}
	}
}

// rebuild fills the index from one scan of the history, which runs on its own
// goroutine, one chunk or more ahead. It returns what the scan has seen.
func (s *Store) rebuild(meta metaState) (*continuity, error) {
	r := &restoring{
		chunks: make(chan *restoreChunk, restoreAhead),
		spent:  make(chan *restoreChunk, restoreAhead),
	}
	scanned := make(chan error, 1) // one send by the scan
	seen := &continuity{compact: meta.compact(), gaps: meta.gaps}
	go func() {
		defer close(r.chunks)
		scanned <- s.scanHistory(seen, r)
	}()
	var bad error
	for c := range r.chunks {
		if bad == nil {
			bad = s.index.restore(c, meta.compact())
			s.attached.restore(c)
		}
		select {
		case r.spent <- c:
		default:
		}
	}
	if bad != nil {
		return nil, bad // it stands before whatever ended the scan
	}
	if err := <-scanned; err != nil {
		return nil, err
	}
	s.index.restoreOrder()
	return seen, nil
}

// restore adds records found on disk, but for the order of new keys.
func (x *index) restore(c *restoreChunk, compact int64) error {
	keys := c.keys
	for i := range c.records {
		r := &c.records[i]
		key := keys[:r.keyLen]
		keys = keys[r.keyLen:]
		hash := x.hash(key)
		h, ok := x.findHashed(key, hash)
		if !ok {
			h = x.add(key, hash)
		}
		if bad := h.follows(r.kr, r.life, compact); bad != "" {
			return fmt.Errorf("space key: revision %d/%d: key %q %s: %w", r.kr.Main, r.kr.Sub, key, bad, ErrDamaged)
		}
		h.restored(r.kr, r.life)
		x.revisions++
	}
	return nil
}

// restoreOrder brings the keys, which are all new, into order.
func (x *index) restoreOrder() {
	ids := make([]uint32, x.len())
	for i := range ids {
		ids[i] = uint32(i + 1)
	}
	x.order.build(ids)
}

func (s *Store) scanHistory(seen *continuity, to *restoring) error {
	view, err := s.engine.View()
	if err != nil {
		return err
	}
	defer view.Close()
	c := to.chunk()
	var bad error
	err = s.scanRecords(view, nil, nil, func(key, value []byte) bool {
		var r restored
		var name []byte
		if r, name, bad = restoreRecord(key, value); bad != nil {
			return false
		}
		if bad = seen.add(r.kr); bad != nil {
			bad = fmt.Errorf("space key: %w", bad)
			return false
		}
		c.records = append(c.records, r)
		c.keys = append(c.keys, name...)
		c.leased = c.leased || r.lease != 0
		if len(c.records) == restoreChunkLen {
			to.chunks <- c
			c = to.chunk()
		}
		return true
	})
	if bad != nil {
		return bad
	}
	if err == nil {
		to.chunks <- c
	}
	return err
}

// restoreRecord reads what opening needs of a record and checks the form of
// it. name aliases value.
func restoreRecord(key, value []byte) (r restored, name []byte, err error) {
	if r.kr, err = parseRevKey(key); err != nil {
		return r, nil, fmt.Errorf("space key: %w", err)
	}
	kv, err := decodeHead(value)
	bad := ""
	switch {
	case err != nil:
		return r, nil, fmt.Errorf("space key: record key %x: %w", key, err)
	case len(kv.Key) == 0:
		bad = "the record has no key"
	case r.kr.Main == 0:
		bad = "revision 0 is never assigned"
	case r.kr.Tombstone && (kv.CreateRevision != 0 || kv.ModRevision != 0 || kv.Version != 0):
		bad = fmt.Sprintf("it deletes key %q and says revisions %d and %d, version %d", kv.Key, kv.CreateRevision, kv.ModRevision, kv.Version)
	case r.kr.Tombstone:
	case kv.ModRevision != r.kr.Main:
		bad = fmt.Sprintf("key %q has mod revision %d", kv.Key, kv.ModRevision)
	case kv.CreateRevision < 1 || kv.CreateRevision > kv.ModRevision:
		bad = fmt.Sprintf("key %q has create revision %d, mod revision %d", kv.Key, kv.CreateRevision, kv.ModRevision)
	case kv.Version < 1:
		bad = fmt.Sprintf("key %q has version %d", kv.Key, kv.Version)
	}
	if bad != "" {
		return r, nil, fmt.Errorf("space key: record key %x: %s: %w", key, bad, ErrDamaged)
	}
	r.keyLen = len(kv.Key)
	if !r.kr.Tombstone {
		r.life = life{kv.CreateRevision, kv.Version}
		r.lease = kv.Lease
	}
	return r, kv.Key, nil
}
