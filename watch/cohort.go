package watch

import (
	"cmp"
	"context"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

// target is the seats of one group in a cohort.
type target struct {
	group   *group
	sibling *target // same range, other options
	seats   []*seat
	matched matched[*target]
	events  []mvcc.Event // of the current chunk
}

// cohort is seats that read the same pieces of history: each piece is matched
// once for every group, whatever the number of watches. It belongs to one
// catch-up goroutine; the seats in it are guarded by the shard's lock.
type cohort struct {
	index   rangeIndex[*target]
	targets []*target
	byGroup map[*group]*target
	wide    int // targets that match every key

	matcher matcher[*target]
	hits    []*target
	passed  []*target // by filter: what each event that it let pass matched
	ends    []int32   // in passed, for each event
	expect  int       // events of the next chunk, by the last one
	runs    []run
	prevs   map[*mvcc.Event]*mvcc.KeyValue
	wanted  []*mvcc.Event
	found   []*mvcc.KeyValue
}

func newCohort() *cohort {
	return &cohort{byGroup: map[*group]*target{}, prevs: map[*mvcc.Event]*mvcc.KeyValue{}}
}

func (c *cohort) add(st *seat) {
	t := c.byGroup[st.group]
	if t == nil {
		t = &target{group: st.group}
		if at := c.index.find(st.group.keys); at != 0 {
			head := *c.index.at(at)
			t.sibling, head.sibling = head.sibling, t
		} else {
			c.index.add(st.group.keys, t)
		}
		if st.group.keys.whole() {
			c.wide++
		}
		c.byGroup[st.group] = t
		c.targets = append(c.targets, t)
	}
	t.seats = append(t.seats, st)
}

// filter is what a read of history needs to match; nil when somebody takes
// every key. It remembers what it found, for the prepare of just that read.
func (c *cohort) filter() func(key []byte) bool {
	if c.wide > 0 {
		return nil
	}
	clear(c.passed)
	c.passed, c.ends = c.passed[:0], c.ends[:0]
	return func(key []byte) bool {
		n := len(c.passed)
		if c.passed = c.index.match(c.passed, key); len(c.passed) == n {
			return false
		}
		c.ends = append(c.ends, int32(len(c.passed)))
		return true
	}
}

// manyTargets is the number of targets from which on few events of a piece
// go to the same one.
const manyTargets = 8

// query bounds a read of history. Where a chunk goes to many, most of its
// cost is to go through them: then it may have more events.
func (c *cohort) query(from, to, maxBytes int64) mvcc.HistoryQuery {
	n := len(c.targets)
	q := mvcc.HistoryQuery{
		From: from, To: to, Match: c.filter(),
		MaxEvents: chunkEvents, MaxScan: chunkScan, MaxBytes: maxBytes,
	}
	if q.Match != nil && n >= manyTargets {
		q.Apart = true
		q.Expect = c.expect
		q.MaxEvents = min(max(chunkEvents, n), chunkEventsMost)
		q.MaxScan = chunkScanMost
	}
	return q
}

// piece is a part of history with all events that match the cohort.
type piece struct {
	commits []mvcc.Commit // or one commit with the events of many revisions
	from    int64         // events below it are not looked at,
	next    int64         // nor those from here on
	bytes   int64         // of the records in it
	arena   bool          // the events lie in one piece of memory that each of them pins
	matched bool          // by the cohort's filter, just before
	way     Way
}

// prepare matches a piece and finds previous values, without a lock.
func (c *cohort) prepare(ctx context.Context, src Source, p *piece) (missing int, err error) {
	c.matcher.begin()
	for i := range p.commits {
		for e := range p.commits[i].Events {
			ev := &p.commits[i].Events[e]
			if ev.KV.ModRevision < p.from || ev.KV.ModRevision >= p.next {
				continue
			}
			for _, head := range c.matches(p, e, ev) {
				for t := head; t != nil; t = t.sibling {
					if len(t.seats) > 0 && !t.group.drops(ev.Type) {
						c.matcher.add(t, &t.matched, i, e)
					}
				}
			}
		}
	}
	if missing, err = c.findPrevious(ctx, src, p); err != nil {
		return missing, err
	}
	for _, t := range c.matcher.touched {
		if t.group.prevKV {
			t.events = c.matcher.withPrevious(&t.matched, p.commits, c.prevs)
		} else {
			t.events = c.matcher.events(&t.matched, p.commits)
		}
		t.events = below(t.events, p.next)
		if p.arena {
			t.events = compact(t.events, p.bytes)
		}
	}
	clear(c.prevs)
	return missing, nil
}

// matches is the targets of the e-th event of a piece, one for each range.
func (c *cohort) matches(p *piece, e int, ev *mvcc.Event) []*target {
	if !p.matched {
		c.hits = c.index.match(c.hits[:0], ev.KV.Key)
		return c.hits
	}
	first := int32(0)
	if e > 0 {
		first = c.ends[e-1]
	}
	return c.passed[first:c.ends[e]]
}

// findPrevious looks up the previous value of each event once for all who
// asked. Where they are too large to be held together the piece is cut short,
// to the revisions it has all values for.
func (c *cohort) findPrevious(ctx context.Context, src Source, p *piece) (missing int, err error) {
	c.wanted = c.wanted[:0]
	for _, t := range c.matcher.touched {
		if t.group.prevKV {
			c.wanted = c.matcher.originals(c.wanted, &t.matched, p.commits)
		}
	}
	slices.SortStableFunc(c.wanted, func(a, b *mvcc.Event) int { return cmp.Compare(a.KV.ModRevision, b.KV.ModRevision) })
	unique := c.wanted[:0]
	for _, ev := range c.wanted {
		if _, seen := c.prevs[ev]; !seen {
			c.prevs[ev] = nil
			unique = append(unique, ev)
		}
	}
	for left := unique; len(left) > 0; {
		var gone int
		c.found, gone, err = src.Previous(ctx, c.found[:0], left)
		missing += gone
		if err != nil {
			clear(c.prevs)
			return missing, err
		}
		for i, kv := range c.found {
			c.prevs[left[i]] = kv
		}
		left = left[len(c.found):]
		clear(c.found)
		if len(left) > 0 && left[0].KV.ModRevision > unique[0].KV.ModRevision {
			p.next = left[0].KV.ModRevision
			break
		}
	}
	return missing, nil
}

// sparse is the share of a piece's memory that events must be to be handed
// out as they are; fewer are copied, so that a consumer never pins more than
// so many times what it was given, and one piece.
const sparse = 2

func compact(events []mvcc.Event, arena int64) []mvcc.Event {
	var bytes int64
	for i := range events {
		bytes += int64(events[i].Size())
	}
	if bytes*sparse >= arena {
		return events
	}
	return mvcc.CloneEvents(events)
}

// deliverLocked hands a prepared piece to the seats of the cohort. A seat
// that is done with the cohort (synced, victim, gone) leaves it.
func (sh *shard) deliverLocked(c *cohort, p *piece) {
	left := c.targets[:0]
	for _, t := range c.targets {
		touched := t.matched.batch == c.matcher.batch && t.matched.count > 0
		kept := t.seats[:0]
		runsFrom := int64(-1)
		for _, st := range t.seats {
			if st.gone || st.state != Unsynced {
				st.leave()
				continue
			}
			if st.behind.next >= p.next {
				kept = append(kept, st)
				continue
			}
			if touched && runsFrom != st.behind.next {
				runsFrom = st.behind.next
				c.runs = runsOf(c.runs[:0], since(t.events, st.behind.next), p.next-1, sh.hub.cfg.runBytes())
				sh.readyLocked(t.group, c.runs)
			}
			if touched && len(c.runs[0].events) > 0 {
				if next := sh.offerHistoryLocked(st, c.runs, p.way); next < p.next {
					st.leave()
					sh.demoteLocked(st, next)
					continue
				}
			}
			if sh.advanceLocked(st, p.next) {
				kept = append(kept, st)
			}
		}
		t.events = nil
		clear(c.runs)
		clear(t.seats[len(kept):])
		t.seats = mergeSeats(kept)
		if len(t.seats) > 0 {
			left = append(left, t)
		} else {
			c.remove(t)
		}
	}
	clear(c.targets[len(left):])
	c.targets = left
}

// mergeSeats joins the seats of one stream that have come to stand at the
// same place.
func mergeSeats(seats []*seat) []*seat {
	if len(seats) < 2 || seats[0].group.policy == Latest {
		return seats
	}
	type place struct {
		stream *Stream
		next   int64
	}
	there := make(map[place]*seat, len(seats))
	kept := seats[:0]
	for _, st := range seats {
		at := place{st.stream, st.behind.next}
		first := there[at]
		if first == st {
			continue // it left by another way and came back meanwhile
		}
		if first != nil && first.behind.once == st.behind.once {
			first.behind.markRev = max(first.behind.markRev, st.behind.markRev)
			first.take(st)
			if st.stream.reading[st.group] == st {
				st.stream.reading[st.group] = first
			}
			continue
		}
		there[at] = st
		kept = append(kept, st)
	}
	clear(seats[len(kept):])
	return kept
}

func (c *cohort) remove(t *target) {
	delete(c.byGroup, t.group)
	if t.group.keys.whole() {
		c.wide--
	}
	at := c.index.find(t.group.keys)
	link := c.index.at(at)
	for *link != t {
		link = &(*link).sibling
	}
	if *link = t.sibling; *c.index.at(at) == nil {
		c.index.remove(at)
	}
}

// since returns the ascending events from a revision on.
func since(events []mvcc.Event, rev int64) []mvcc.Event {
	if len(events) == 0 || events[0].KV.ModRevision >= rev {
		return events
	}
	return events[firstFrom(events, rev):]
}

// below returns the ascending events before a revision.
func below(events []mvcc.Event, rev int64) []mvcc.Event {
	if n := len(events); n == 0 || events[n-1].KV.ModRevision < rev {
		return events
	}
	n := firstFrom(events, rev)
	return events[:n:n]
}

// firstFrom is the place of the first event at or above a revision.
func firstFrom(events []mvcc.Event, rev int64) int {
	i, _ := slices.BinarySearchFunc(events, rev, func(e mvcc.Event, r int64) int {
		if e.KV.ModRevision < r {
			return -1
		}
		return 1
	})
	return i
}

// offerHistoryLocked is one offer of catch-up. It returns the first revision
// that there was no room for.
func (sh *shard) offerHistoryLocked(st *seat, runs []run, way Way) (next int64) {
	events, bytes, next := sh.offerRunsLocked(st, runs, st.behind.next)
	sh.stats.CatchUp[way].Events += events
	sh.stats.CatchUp[way].Bytes += bytes
	return next
}

// advanceLocked moves a seat to next. It reports whether the seat still has
// history to read; if not it is synced now.
func (sh *shard) advanceLocked(st *seat, next int64) bool {
	if lag := sh.offered + 1 - st.behind.next; lag > 0 {
		b := st.behind
		b.writtenAt += (sh.written - b.writtenAt) * (next - st.behind.next) / lag
	}
	st.behind.next = next
	if !st.behind.pass.active { // in a pass, what is newer may still be to come
		sh.markLocked(st)
	}
	if next <= sh.offered {
		return true
	}
	sh.promoteLocked(st)
	return false
}
