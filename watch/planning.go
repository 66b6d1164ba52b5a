package watch

import (
	"context"
	"time"

	"github.com/watchkv/watchkv/mvcc"
)

const (
	// arrivalPause is how long the arrival of more is waited for at a time: a
	// reconnecting client makes some hundred watches meanwhile.
	arrivalPause = time.Millisecond
	// arrivalPauses bounds them: history is read while others still arrive.
	arrivalPauses = 20
)

// awaitArrivals waits for as long as more and more watches arrive behind, so
// that those who come at once are planned together and one sweep serves them
// all: who arrives behind the place of a sweep needs another. A few, or those
// who come while a sweep is under way, are not waited for.
func (sh *shard) awaitArrivals(ctx context.Context, r *reader) {
	for range arrivalPauses {
		before := r.unplanned()
		if before < manyTargets || r.scan != nil {
			return
		}
		timer := time.NewTimer(arrivalPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if !sh.classify(r) || r.unplanned() < before+manyTargets {
			return
		}
	}
}

// unplanned counts the seats for which no way was chosen yet.
func (r *reader) unplanned() (n int) {
	for _, st := range r.cold {
		if !st.behind.plan.chosen {
			n++
		}
	}
	return n
}

// probe reads a little of the history of the first seat by a scan, once, so
// that its cost on this engine is known before anything is chosen by it.
func (sh *shard) probe(ctx context.Context, r *reader) {
	if r.probed {
		return
	}
	r.probed = true
	// An error will be met by who reads for a seat.
	_, _ = sh.source.History(ctx, mvcc.HistoryQuery{
		From: r.cold[0].behind.next, To: sh.offeredNow(), MaxScan: chunkEvents,
		Match: func([]byte) bool { return false },
	})
}

// planCold chooses the way for the seats that have none yet, together, and
// looks again at those that read by the index: each alone or with few may be
// cheap where all who are here now are not.
func (sh *shard) planCold(ctx context.Context, r *reader) {
	var fresh, indexed []*seat
	for _, st := range r.cold {
		switch {
		case !st.behind.plan.chosen:
			fresh = append(fresh, st)
		case st.behind.plan.way == WayIndex:
			indexed = append(indexed, st)
		}
	}
	if len(fresh)+len(indexed) == 0 {
		return
	}
	sh.probe(ctx, r)
	stats := sh.source.Stats()
	c := costs{entry: stats.ScanNanosPerEntry, get: stats.GetNanosPerRead}
	way := choose(c, sh.entriesOf(stats.Revisions, fresh), sh.count(c, stats.Revisions, fresh))
	all := append(indexed, fresh...)
	if len(fresh) >= manyTargets {
		c.get *= 2 // many come at once: as many again are on their way
	}
	// One who needs a scan whatever the others do takes nobody along.
	if len(fresh) == 0 || fresh[len(fresh)-1].behind.plan.exact {
		demands := make([]demand, len(all))
		for i, st := range all {
			demands[i] = st.behind.plan.demand
		}
		if choose(c, sh.entriesOf(stats.Revisions, all), demands) == WayScan {
			way, fresh = WayScan, all
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, st := range fresh {
		switch b := st.behind; {
		case way == WayIndex:
			sh.stats.PlansIndex++
		case b.plan.chosen:
			sh.stats.PlansRevised += int64(st.live())
		default:
			sh.stats.PlansScan++
		}
		st.behind.plan.chosen, st.behind.plan.way = true, way
	}
}

// entriesOf is how many entries a scan for seats would read, of as many as
// the store has.
func (sh *shard) entriesOf(stored int64, seats []*seat) int64 {
	last := sh.offeredNow()
	first := last + 1
	for _, st := range seats {
		first = min(first, st.behind.next)
	}
	if stored > 0 {
		return min(last-first+1, stored)
	}
	return last - first + 1
}

// count asks the index what seats will match, up to the first for whom that
// alone decides.
func (sh *shard) count(c costs, stored int64, seats []*seat) []demand {
	entries := sh.entriesOf(stored, seats)
	demands := make([]demand, 0, len(seats))
	for _, st := range seats {
		keys, matches := bounds(c, entries)
		d := &st.behind.plan.demand
		d.matches, d.exact = sh.source.CountRevisions(st.group.keys.span(), st.behind.next, keys, matches)
		if demands = append(demands, *d); !d.exact {
			break
		}
	}
	return demands
}
