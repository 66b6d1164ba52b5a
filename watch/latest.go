package watch

import (
	"context"
	"errors"

	"github.com/watchkv/watchkv/mvcc"
)

// passRevs is how many versions one look for the newest of every key
// remembers, 24 bytes each while the seat is being read for. passRevsLeast is
// for each of many such seats: together they remember no more than passTotal,
// or that.
const (
	passRevs      = 32768
	passRevsLeast = 2048
	passTotal     = 8 * passRevs
)

// pass is one conflated replay under Policy Latest: of every key of the span
// that changed after base, the version that is newest at end. A pass is
// finished before the next begins, so that it is always known what was
// delivered last: for a key not yet come to, its version at base.
type pass struct {
	start  int64 // the first revision the watches ever wanted
	active bool
	base   int64 // everything up to it was delivered, conflated or not
	end    int64
	revs   []mvcc.KeyRev // the next versions to deliver, ascending
	cut    bool          // there are more behind revs
}

// readLatest does one step for each seat under Policy Latest.
func (sh *shard) readLatest(ctx context.Context, r *reader) error {
	for _, st := range r.latest {
		if sh.postpone(st) {
			continue
		}
		err := sh.readPass(ctx, st, max(passRevsLeast, min(passRevs, passTotal/len(r.latest))))
		switch {
		case err == nil || errors.Is(err, mvcc.ErrCompacted):
		case errors.Is(err, mvcc.ErrClosed) || ctx.Err() != nil:
			return err
		default:
			sh.endSeats([]*seat{st}, err)
		}
	}
	return nil
}

// readPass delivers the next part of a seat's pass; keep is how many versions
// it may remember, unless one revision has more.
func (sh *shard) readPass(ctx context.Context, st *seat, keep int) error {
	p := &st.behind.pass
	if !p.active {
		*p = pass{start: p.start, active: true, base: st.behind.next - 1, end: sh.offeredNow()}
	}
	for ; len(p.revs) == 0; keep *= 2 {
		p.revs, p.cut = sh.source.Newest(nil, st.group.keys.span(), st.behind.next, p.end, keep)
		if !p.cut {
			break
		}
		if p.revs[0].Main == p.revs[len(p.revs)-1].Main {
			p.revs = nil // one revision of more keys than that: it comes whole
			continue
		}
		p.revs = wholeRevs(p.revs)
	}
	behind := p.end + 1
	if p.cut && len(p.revs) > 0 {
		behind = p.revs[len(p.revs)-1].Main + 1
	}
	read, next, err := sh.readSome(ctx, p.revs, behind)
	if err != nil {
		return err
	}
	events, missing, whole, err := sh.conflate(ctx, st, read)
	if err != nil {
		return err
	}
	if whole < len(read) {
		next = read[whole].KV.ModRevision
		read = read[:whole]
	}
	if err := sh.stillThere(st.behind.next); err != nil {
		return err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.stats.PrevKVMissing += int64(missing)
	if st.gone || st.state != Unsynced {
		return nil
	}
	if len(events) > 0 {
		runs := runsOf(nil, events, next-1, sh.hub.cfg.runBytes())
		sh.readyLocked(st.group, runs)
		for i := range runs {
			runs[i].conflated = true
		}
		if got := sh.offerHistoryLocked(st, runs, WayIndex); got < next {
			p.revs = nil // a victim keeps its place, not what it was to get
			sh.demoteLocked(st, got)
			return nil
		}
	}
	p.revs = p.revs[len(read):]
	if next > p.end {
		p.active, p.revs = false, nil
	}
	sh.advanceLocked(st, next)
	return nil
}

// conflate turns the newest versions of keys into what the watch shall get:
// previous values are the versions delivered before, a key that came and went
// unseen is left out, and filters act on what remains. Where previous values
// are too large to be held together it does so for the first of read alone,
// whole revisions.
func (sh *shard) conflate(ctx context.Context, st *seat, read []mvcc.Event) (out []mvcc.Event, missing, whole int, err error) {
	p, g := &st.behind.pass, st.group
	var wanted []*mvcc.Event // one revision above base, to ask what was before
	var of []int             // whose, in out
	var in []int             // which of read those are
	for i := range read {
		ev := read[i]
		was, known := sh.source.VersionAt(ev.KV.Key, p.base)
		// Below the compact revision the index may have let go of versions.
		unsure := sh.source.CompactRev() > p.base
		if ev.Type == mvcc.EventDelete && !unsure && (!known || was.Tombstone && was.Main < p.start) {
			continue
		}
		if g.drops(ev.Type) {
			continue
		}
		out = append(out, ev)
		if g.prevKV && !g.noPut && (unsure || known && !was.Tombstone && was.Main >= p.start) {
			wanted = append(wanted, &mvcc.Event{Type: mvcc.EventDelete, KV: mvcc.KeyValue{Key: ev.KV.Key, ModRevision: p.base + 1}})
			of = append(of, len(out)-1)
			in = append(in, i)
		}
	}
	for done := 0; done < len(wanted); {
		prevs, gone, err := sh.source.Previous(ctx, nil, wanted[done:])
		missing += gone
		if err != nil {
			return nil, missing, 0, err
		}
		for i, kv := range prevs {
			if kv != nil && kv.ModRevision >= p.start {
				out[of[done+i]].Prev = kv
			}
		}
		if done += len(prevs); done == len(wanted) {
			break
		}
		if rev := read[in[done]].KV.ModRevision; rev > read[0].KV.ModRevision {
			return below(out, rev), missing, firstFrom(read, rev), nil
		}
	}
	return out, missing, len(read), nil
}
