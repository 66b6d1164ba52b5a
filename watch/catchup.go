package watch

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

const (
	// chunkEvents bounds the events of a piece of history: large enough that
	// its fixed costs (a view, a lock) do not show, small enough that it is
	// still in the processor's cache when it is handed out.
	chunkEvents = 1000
	// chunkScan bounds the entries read for them when few match.
	chunkScan = 8 * chunkEvents
	// chunkEventsMost and chunkScanMost are for chunks that go to many groups,
	// few events to each.
	chunkEventsMost = 8 * chunkEvents
	chunkScanMost   = 16 * chunkEvents
	// chunkBytes bounds their memory; where outboxes are smaller so are chunks,
	// down to chunkBytesLeast: a queue may keep all of a chunk alive.
	chunkBytes      = 1 << 20
	chunkBytesLeast = 64 << 10
	// cachedChunks is how many of the newest pieces that hold every key are
	// kept while somebody catches up: consumers that read the same history
	// side by side are rarely at the very same chunk.
	cachedChunks = 4
)

// reader is the state of a shard's catch-up goroutine.
type reader struct {
	memory, cold, latest []*seat // of the current round

	probed bool // what a scan costs was measured
	listed int  // seats in the shard's list when the round began
	gets   int  // records that this step has read by the index

	scan  *scan
	cache []piece // newest last
	revs  []mvcc.KeyRev
}

// scan is one sweep over history for many seats. A seat joins when the sweep
// comes to its next revision and leaves when its outbox is full.
type scan struct {
	pos     int64
	waiting []*seat // ascending by next
	cohort  *cohort
}

// runCatchUp reads history for those who need it until ctx ends.
func (sh *shard) runCatchUp(ctx context.Context) {
	r := &reader{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-sh.work:
		}
		for sh.catchUpOnce(ctx, r) {
		}
		*r = reader{revs: r.revs[:0], probed: r.probed}
	}
}

// catchUpOnce does one round: what is in memory first, for those nearest to
// now, then one step for the others, so that neither starves. It reports
// whether there may be more to do.
func (sh *shard) catchUpOnce(ctx context.Context, r *reader) bool {
	if !sh.classify(r) {
		return false
	}
	sh.awaitArrivals(ctx, r)
	select {
	case sh.hub.reading <- struct{}{}:
		defer func() { <-sh.hub.reading }()
	case <-ctx.Done():
		return false
	}
	err := sh.readMemory(ctx, r)
	if err == nil {
		err = sh.readLatest(ctx, r)
	}
	switch {
	case len(r.cold) == 0:
		r.scan = nil
	case err == nil:
		err = sh.readCold(ctx, r)
	}
	if errors.Is(err, mvcc.ErrClosed) {
		sh.losePast()
		return false
	}
	return ctx.Err() == nil
}

// losePast is for a store that was closed before the hub: what is behind will
// never be synced, and Recv need not wait for it.
func (sh *shard) losePast() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.pastGone = true
	for s := range sh.streams {
		s.box.poke()
	}
}

// classify sorts the unsynced seats of this round by where their history is,
// after it has let go of those that are done or too late.
func (sh *shard) classify(r *reader) bool {
	compact, recent := sh.source.CompactRev(), sh.source.RecentFirst()
	clear(r.memory)
	clear(r.cold)
	clear(r.latest)
	r.memory, r.cold, r.latest = r.memory[:0], r.cold[:0], r.latest[:0]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.unsynced[:0]
	for _, st := range sh.unsynced {
		switch {
		case st.gone || st.state != Unsynced:
			st.listed = false
			continue
		case st.behind.next > sh.offered:
			st.listed = false
			sh.markLocked(st)
			sh.promoteLocked(st)
			continue
		case st.behind.next < compact:
			st.listed = false
			sh.compactedLocked(st, compact)
			continue
		case st.group.policy == Latest:
			r.latest = append(r.latest, st)
		case st.behind.next >= recent:
			r.memory = append(r.memory, st)
		default:
			r.cold = append(r.cold, st)
		}
		kept = append(kept, st)
	}
	clear(sh.unsynced[len(kept):])
	sh.unsynced, r.listed = kept, len(kept)
	return len(kept) > 0
}

// readMemory serves the seats whose history is in the recent log.
func (sh *shard) readMemory(ctx context.Context, r *reader) error {
	if len(r.memory) == 0 {
		return nil
	}
	c := newCohort()
	from := r.memory[0].behind.next
	for _, st := range r.memory {
		c.add(st)
		from = min(from, st.behind.next)
	}
	commits, _, ok := sh.source.Recent(nil, from, chunkEvents)
	if !ok || len(commits) == 0 {
		return nil // let go of meanwhile: the next round reads it from the engine
	}
	p := piece{commits: commits, from: from, next: commits[len(commits)-1].Rev + 1, way: WayMemory}
	for i := range commits {
		for e := range commits[i].Events {
			p.bytes += int64(commits[i].Events[e].Size())
		}
	}
	return sh.deliver(ctx, c, &p)
}

// deliver matches a piece and hands it to a cohort.
func (sh *shard) deliver(ctx context.Context, c *cohort, p *piece) error {
	// What dispatch has not offered is not read: it would come twice.
	p.next = min(p.next, sh.offeredNow()+1)
	missing, err := c.prepare(ctx, sh.source, p)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stats.PrevKVMissing += int64(missing)
	if err != nil {
		sh.endPrevKVSeatsLocked(ctx, c, err)
		return err
	}
	sh.deliverLocked(c, p)
	return nil
}

// endPrevKVSeatsLocked ends the seats whose previous values cannot be read.
func (sh *shard) endPrevKVSeatsLocked(ctx context.Context, c *cohort, err error) {
	if ctx.Err() != nil || errors.Is(err, mvcc.ErrClosed) || errors.Is(err, mvcc.ErrCompacted) {
		return
	}
	for _, t := range c.targets {
		if !t.group.prevKV || t.matched.batch != c.matcher.batch {
			continue
		}
		for _, st := range t.seats {
			if !st.gone && st.state == Unsynced {
				sh.endSeatLocked(st, Response{Err: err, Revision: sh.offered})
			}
		}
	}
}

// endSeats ends the seats of a cohort whose history cannot be read.
func (sh *shard) endSeats(seats []*seat, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, st := range seats {
		if !st.gone && st.state == Unsynced {
			sh.endSeatLocked(st, Response{Err: err, Revision: sh.offered})
		}
	}
}

// readCold does one step for the seats whose history is in the engine alone.
func (sh *shard) readCold(ctx context.Context, r *reader) error {
	sh.planCold(ctx, r)
	byIndex := r.cold[:0:0]
	byScan := r.cold[:0]
	for _, st := range r.cold {
		if st.behind.plan.way == WayIndex {
			byIndex = append(byIndex, st)
		} else {
			byScan = append(byScan, st)
		}
	}
	if err := sh.readIndex(ctx, r, byIndex); err != nil {
		return err
	}
	if len(byScan) == 0 {
		r.scan = nil
		return nil
	}
	return sh.readScan(ctx, r, byScan)
}

func (sh *shard) offeredNow() int64 {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.offered
}

// readScan sweeps on by one chunk.
func (sh *shard) readScan(ctx context.Context, r *reader, seats []*seat) error {
	s := r.scan
	if s == nil {
		s = &scan{cohort: newCohort(), pos: slices.MinFunc(seats, byNext).behind.next}
		r.scan = s
	}
	sh.purge(s)
	s.admit(seats)
	if len(s.cohort.targets) == 0 {
		if len(s.waiting) == 0 {
			r.scan = nil
			return nil
		}
		s.pos = s.waiting[0].behind.next
	}
	// Those who are close join now: what is before their start is not theirs.
	for len(s.waiting) > 0 && s.waiting[0].behind.next <= s.pos+chunkEvents {
		s.cohort.add(s.waiting[0])
		s.waiting = s.waiting[1:]
	}
	to := min(sh.offeredNow(), sh.source.RecentFirst()-1)
	if len(s.waiting) > 0 {
		to = min(to, s.waiting[0].behind.next-1)
	}
	if s.pos > to {
		r.scan = nil // the rest is in memory
		return nil
	}
	p, err := sh.readChunk(ctx, r, s, to)
	if err != nil {
		r.scan = nil
		if !errors.Is(err, mvcc.ErrCompacted) && !errors.Is(err, mvcc.ErrClosed) && ctx.Err() == nil {
			for _, t := range s.cohort.targets {
				sh.endSeats(t.seats, err)
			}
		}
		return err
	}
	if err := sh.deliver(ctx, s.cohort, &p); err != nil {
		return err
	}
	s.pos = p.next
	return nil
}

func byNext(a, b *seat) int { return cmp.Compare(a.behind.next, b.behind.next) }

// purge drops from a sweep's waiting seats those that got what they needed by
// another way, or are gone.
func (sh *shard) purge(s *scan) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(st *seat) bool {
		return st.gone || st.state != Unsynced || st.behind.scan != s
	})
}

// admit puts seats that the sweep has not passed yet on its way.
func (s *scan) admit(seats []*seat) {
	added := false
	for _, st := range seats {
		if st.behind.scan != s && st.behind.next >= s.pos {
			st.behind.scan = s
			s.waiting = append(s.waiting, st)
			added = true
		}
	}
	if added {
		slices.SortFunc(s.waiting, byNext)
	}
}

// readChunk reads the next piece of a sweep, from the cache if another
// consumer was just there.
func (sh *shard) readChunk(ctx context.Context, r *reader, s *scan, to int64) (piece, error) {
	for i := range r.cache {
		if c := &r.cache[i]; c.from <= s.pos && s.pos < c.next {
			p := *c
			p.from, p.next = s.pos, min(p.next, to+1)
			return p, nil
		}
	}
	q := s.cohort.query(s.pos, to, min(chunkBytes, max(chunkBytesLeast, sh.hub.cfg.OutboxBytes)))
	chunk, err := sh.source.History(ctx, q)
	if err != nil {
		return piece{}, err
	}
	s.cohort.expect = len(chunk.Events) + len(chunk.Events)/8
	p := piece{
		commits: []mvcc.Commit{{Rev: chunk.Next - 1, Events: chunk.Events}},
		from:    s.pos, next: chunk.Next, bytes: chunk.Bytes, arena: !q.Apart, matched: q.Match != nil, way: WayScan,
	}
	if q.Match == nil {
		if len(r.cache) == cachedChunks {
			r.cache = append(r.cache[:0], r.cache[1:]...)
		}
		r.cache = append(r.cache, p)
	}
	sh.mu.Lock()
	sh.stats.ChunksRead++
	sh.stats.EntriesScanned += int64(chunk.Scanned)
	sh.mu.Unlock()
	return p, nil
}
