package watch

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

const (
	// indexWindow is about how many revisions one look through the index
	// shall bring, so that its result stays small.
	indexWindow = 2048
	// readAtOnce is how many records are read before their bytes are looked
	// at. The source, too, bounds those.
	readAtOnce = 64
	// indexStep is after how many records one step ends, so that what was
	// chosen for few is looked at again before it has cost much.
	indexStep = 1024
)

// readIndex serves each seat by point reads of just what matches it; seats of
// one group that stand at the same place are served together. Those nearest
// to now come first, of those who were served least. A step ends early once it
// has read much or somebody new waits: all who are left are planned again.
func (sh *shard) readIndex(ctx context.Context, r *reader, seats []*seat) error {
	slices.SortFunc(seats, func(a, b *seat) int {
		if turn := cmp.Compare(a.behind.plan.turns, b.behind.plan.turns); turn != 0 {
			return turn
		}
		return byNext(b, a)
	})
	r.gets = 0
	for len(seats) > 0 && !sh.endsStep(r) {
		n := 1
		for n < len(seats) && seats[n].behind.next == seats[0].behind.next {
			n++
		}
		if err := sh.readIndexAt(ctx, r, seats[:n]); err != nil {
			return err
		}
		seats = seats[n:]
	}
	return nil
}

// endsStep reports whether a step has read enough.
func (sh *shard) endsStep(r *reader) bool {
	if r.gets < readAtOnce || r.gets >= indexStep {
		return r.gets >= indexStep
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.unsynced) > r.listed
}

// readIndexAt is readIndex for seats that stand at the same place.
func (sh *shard) readIndexAt(ctx context.Context, r *reader, seats []*seat) error {
	from := seats[0].behind.next
	var groups []*group // in the order of seats
	byGroup := make(map[*group][]*seat, len(seats))
	for _, st := range seats {
		if sh.postpone(st) {
			continue
		}
		if byGroup[st.group] == nil {
			groups = append(groups, st.group)
		}
		byGroup[st.group] = append(byGroup[st.group], st)
	}
	for _, g := range groups {
		if err := ctx.Err(); err != nil || sh.endsStep(r) {
			return err
		}
		c := newCohort()
		for _, st := range byGroup[g] {
			if !sh.postpone(st) { // the outbox may be full by now
				st.behind.plan.turns++
				c.add(st)
			}
		}
		if len(c.targets) == 0 {
			continue
		}
		p, err := sh.readMatches(ctx, r, g.keys.span(), from)
		switch {
		case errors.Is(err, mvcc.ErrCompacted):
			continue // the next round tells the watches
		case errors.Is(err, mvcc.ErrClosed) || ctx.Err() != nil:
			return err
		case err != nil:
			sh.endSeats(c.targets[0].seats, err)
			continue
		}
		read := len(p.commits[0].Events)
		r.gets += read
		for _, st := range c.targets[0].seats {
			st.behind.plan.matches = max(st.behind.plan.matches-read, 0)
		}
		if err := sh.deliver(ctx, c, &p); errors.Is(err, mvcc.ErrClosed) {
			return err
		}
	}
	return ctx.Err()
}

// readMatches reads the next piece of what matches a span.
func (sh *shard) readMatches(ctx context.Context, r *reader, span mvcc.Span, from int64) (piece, error) {
	to := sh.offeredNow()
	if n, _ := sh.source.CountRevisions(span, from, 0, indexWindow*indexWindow); n > indexWindow && !span.Single() {
		to = min(to, from+max((to-from)*indexWindow/int64(n), 1))
	}
	limits := mvcc.RevLimits{}
	if span.Single() {
		limits.MaxRevs = indexWindow // of one key they come in order
	}
	revs, cut, _ := sh.source.Revisions(r.revs[:0], span, from, to, limits)
	r.revs = revs
	slices.SortFunc(revs, compareRevs)
	if cut {
		revs = wholeRevs(revs)
		to = revs[len(revs)-1].Main
	}
	events, next, err := sh.readSome(ctx, revs, to+1)
	if err != nil {
		return piece{}, err
	}
	if err := sh.stillThere(from); err != nil {
		return piece{}, err
	}
	p := piece{commits: []mvcc.Commit{{Rev: next - 1, Events: events}}, from: from, next: next, way: WayIndex}
	for i := range events {
		p.bytes += int64(events[i].Size())
	}
	return p, nil
}

// stillThere is asked after a look through the index: compaction moves the
// compact revision first and trims the index then, so what was seen is whole
// if history still begins at or below from.
func (sh *shard) stillThere(from int64) error {
	if compact := sh.source.CompactRev(); from < compact {
		return &mvcc.CompactedError{Requested: from, Compact: compact}
	}
	return nil
}

// wholeRevs drops the last of cut, ascending revisions if it may not be
// whole, unless it is the only one.
func wholeRevs(revs []mvcc.KeyRev) []mvcc.KeyRev {
	n := len(revs)
	for n > 0 && revs[n-1].Main == revs[len(revs)-1].Main {
		n--
	}
	if n == 0 {
		return revs
	}
	return revs[:n]
}

func compareRevs(a, b mvcc.KeyRev) int {
	if a.Main != b.Main {
		return cmp.Compare(a.Main, b.Main)
	}
	return cmp.Compare(a.Sub, b.Sub)
}

// readSome reads the first of ascending revisions, as many as make about one
// response, and always whole revisions. next is the first revision that was
// not read: end, if all were.
func (sh *shard) readSome(ctx context.Context, revs []mvcc.KeyRev, end int64) (events []mvcc.Event, next int64, err error) {
	var bytes int64
	limit := sh.hub.cfg.runBytes()
	for at := 0; at < len(revs); {
		whole := at == 0 || revs[at].Main != revs[at-1].Main
		if whole && (at >= chunkEvents || bytes >= limit) {
			return events, revs[at].Main, nil
		}
		upTo := min(at+readAtOnce, len(revs))
		for upTo < len(revs) && revs[upTo].Main == revs[upTo-1].Main {
			upTo++
		}
		before := len(events)
		if events, err = sh.source.ReadRevisions(ctx, events, revs[at:upTo]); err != nil {
			return nil, 0, err
		}
		for i := before; i < len(events); i++ {
			bytes += int64(events[i].Size()) + eventWeight
		}
		at += len(events) - before
	}
	return events, end, nil
}
