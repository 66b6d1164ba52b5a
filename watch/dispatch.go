package watch

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/mvcc"
)

// dispatchCommits bounds the revisions that one step of dispatch takes. The
// source bounds their bytes.
const dispatchCommits = 1024

// liveBatch is the dispatch goroutine's scratch, kept from step to step.
type liveBatch struct {
	commits []mvcc.Commit
	matcher matcher[*group]
	hits    []*group
	runs    []run
	needed  []*mvcc.Event
	found   []*mvcc.KeyValue
}

// runDispatch offers every new revision to the synced watches until ctx ends
// or the store can bring no more.
func (sh *shard) runDispatch(ctx context.Context) {
	for {
		err := sh.source.Wait(ctx, sh.offered+1) // offered is written by this goroutine alone
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			sh.fail(err)
			return
		}
		sh.dispatchOnce(ctx)
	}
}

// fail records that no revision will come any more. Streams hand out what
// they have, then answer the error.
func (sh *shard) fail(err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.failed = err
	sh.ended.Store(true)
	for s := range sh.streams {
		s.box.poke()
	}
	if !errors.Is(err, mvcc.ErrClosed) {
		sh.hub.cfg.Logger.Error("watch: the store failed; no new revisions will be dispatched", "offered", sh.offered, "err", err)
	}
}

// dispatchOnce takes what is new, at most a batch, and offers it.
func (sh *shard) dispatchOnce(ctx context.Context) {
	b := &sh.live
	clear(b.commits)
	commits, _, ok := sh.source.Recent(b.commits[:0], sh.offered+1, dispatchCommits)
	b.commits = commits
	if !ok {
		sh.overtaken()
		return
	}
	if len(commits) == 0 {
		return
	}
	for ctx.Err() == nil {
		sh.mu.Lock()
		part := sh.matchLocked(commits)
		if len(b.needed) == 0 {
			sh.offerLocked(part)
			clear(sh.prevs)
			sh.mu.Unlock()
			return
		}
		sh.mu.Unlock()
		commits = sh.findPrevious(ctx, b, commits)
	}
}

// overtaken is for a dispatch that is so late that the recent log has let go
// of revisions it has not offered: everybody reads them from history.
func (sh *shard) overtaken() {
	current := sh.source.Rev()
	sh.mu.Lock()
	defer sh.mu.Unlock()
	from := sh.offered + 1
	for s := range sh.streams {
		for id, at := range s.watches.all() {
			if st := sh.watcherLocked(s, id, at).seat; st.state == Synced {
				sh.fallBehindLocked(st, from)
			}
		}
	}
	sh.offered = current
	sh.releaseWaitingLocked(false)
	if len(sh.marks) > 0 {
		sh.markSyncedLocked()
	}
	for s := range sh.owed {
		sh.answerOwedLocked(s)
	}
	sh.kick()
}

// fallBehindLocked makes a synced seat unsynced from a revision on.
func (sh *shard) fallBehindLocked(st *seat, from int64) {
	n := st.live()
	st.group.synced.remove(st)
	st.state = Unsynced
	st.behind = &behind{next: from, once: true, writtenAt: sh.written}
	st.stream.behind += n
	sh.stats.Synced -= n
	sh.stats.Unsynced += n
	sh.unmarkLocked(st)
	if st.group.policy == Cancel {
		sh.lagging[st] = struct{}{}
	}
	if st.group.policy == Latest {
		before := len(st.stream.victims)
		sh.splitByStartLocked(st)
		for _, part := range st.stream.victims[before:] {
			part.state = Unsynced
			sh.listLocked(part)
		}
		clear(st.stream.victims[before:])
		st.stream.victims = st.stream.victims[:before]
		return
	}
	sh.listLocked(st)
}

// matchLocked matches the batch, as far as the next waiting watch's start,
// and returns that part. b.needed holds the events whose previous value some
// group asks for and which are not looked up yet.
func (sh *shard) matchLocked(commits []mvcc.Commit) []mvcc.Commit {
	b := &sh.live
	waited := len(sh.waiting)
	sh.releaseWaitingLocked(true)
	sh.admitted = sh.admitted || len(sh.waiting) < waited
	if len(sh.waiting) > 0 {
		if n := sh.waiting[0].start - commits[0].Rev; n < int64(len(commits)) {
			commits = commits[:n]
		}
	}
	b.matcher.begin()
	b.needed = b.needed[:0]
	for c := range commits {
		for e := range commits[c].Events {
			ev := &commits[c].Events[e]
			b.hits = sh.groupsOfLocked(b.hits[:0], ev.KV.Key)
			for _, head := range b.hits {
				for g := head; g != nil; g = g.sibling {
					if g.synced.len() > 0 && !g.drops(ev.Type) {
						b.matcher.add(g, &g.matched, c, e)
						sh.needPrevLocked(g, ev)
					}
				}
			}
		}
	}
	return commits
}

func (sh *shard) needPrevLocked(g *group, ev *mvcc.Event) {
	if !g.prevKV {
		return
	}
	if _, known := sh.prevs[ev]; known {
		return
	}
	b := &sh.live
	if n := len(b.needed); n > 0 && b.needed[n-1] == ev {
		return // asked for by the group before
	}
	b.needed = append(b.needed, ev)
}

// findPrevious looks up previous values, once for each event, without the
// lock. Where they are too large to be held together it returns fewer of the
// commits: those it has all values for, if it has any such.
func (sh *shard) findPrevious(ctx context.Context, b *liveBatch, commits []mvcc.Commit) []mvcc.Commit {
	found, missing, err := sh.source.Previous(ctx, b.found[:0], b.needed)
	b.found = found
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stats.PrevKVMissing += int64(missing)
	if err != nil {
		if ctx.Err() == nil {
			sh.endPrevKVLocked(err)
		}
		return commits
	}
	for i := range found {
		sh.prevs[b.needed[i]] = found[i]
	}
	clear(found)
	if len(found) < len(b.needed) {
		if n := b.needed[len(found)].KV.ModRevision - commits[0].Rev; n > 0 {
			return commits[:n]
		}
	}
	return commits
}

// endPrevKVLocked ends the synced watches that need previous values which
// cannot be read: an error is never turned into an absent value.
func (sh *shard) endPrevKVLocked(err error) {
	for _, g := range sh.live.matcher.touched {
		if !g.prevKV {
			continue
		}
		for g.synced.len() > 0 {
			sh.endSeatLocked(g.synced.at(g.synced.len()-1), Response{Err: err, Revision: sh.offered})
		}
	}
}

// offerLocked hands the matched events to the seats and moves offered.
func (sh *shard) offerLocked(commits []mvcc.Commit) {
	b := &sh.live
	from, to := sh.offered+1, commits[len(commits)-1].Rev
	for _, g := range b.matcher.touched {
		var events []mvcc.Event
		if g.prevKV {
			events = b.matcher.withPrevious(&g.matched, commits, sh.prevs)
		} else {
			events = b.matcher.events(&g.matched, commits)
		}
		b.runs = runsOf(b.runs[:0], events, to, sh.hub.cfg.runBytes())
		sh.readyLocked(g, b.runs)
		for i := g.synced.len() - 1; i >= 0; i-- {
			st := g.synced.at(i)
			events, _, next := sh.offerRunsLocked(st, b.runs, from)
			sh.stats.EventsDispatched += events
			if next <= to {
				sh.demoteLocked(st, next)
			}
		}
		clear(b.runs)
	}
	for i := range commits {
		for e := range commits[i].Events {
			sh.written += int64(commits[i].Events[e].Size())
		}
	}
	sh.offered, sh.admitted = to, false
	sh.releaseWaitingLocked(false)
	if len(sh.marks) > 0 {
		sh.markSyncedLocked()
	}
	if len(sh.lagging) > 0 {
		sh.endLaggingLocked()
	}
	for s := range sh.owed {
		sh.answerOwedLocked(s)
	}
}

// offerRunsLocked offers runs from a revision on to a seat, counts what its
// outbox took, for all its watches, and returns the first revision it had no
// room for.
func (sh *shard) offerRunsLocked(st *seat, runs []run, from int64) (events, bytes, next int64) {
	n := int64(st.live())
	sh.stats.Offers += n
	next = from
	for _, r := range runs[:st.stream.box.offer(st, runs)] {
		events += n * int64(len(r.events))
		bytes += n * r.bytes
		st.lastRev, next = r.rev, r.rev+1
	}
	return events, bytes, next
}

// endLaggingLocked ends the watches under Policy Cancel that are too far
// behind.
func (sh *shard) endLaggingLocked() {
	for st := range sh.lagging {
		if st.gone {
			delete(sh.lagging, st)
			continue
		}
		revs, bytes := sh.lagLocked(st)
		g := st.group
		if (g.maxLagRevisions > 0 && revs > g.maxLagRevisions) || (g.maxLagBytes > 0 && bytes > g.maxLagBytes) {
			sh.endSeatLocked(st, Response{Revision: sh.offered, Err: lagError(revs, bytes, &g.options)})
		}
	}
}

// lagLocked is how far a seat is behind: in revisions, and in bytes written
// since it was not, which catch-up reduces in proportion.
func (sh *shard) lagLocked(st *seat) (revs, bytes int64) {
	if st.state == Synced {
		return 0, 0
	}
	return sh.offered - st.behind.next + 1, sh.written - st.behind.writtenAt
}
