package faults

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// ledger is what is known of a directory from the reports of the children that
// worked in it, over any number of crashes. hold keeps it true and complains
// about data that are not what was reported.
//
// In Relaxed the data must be held against every child that got to work;
// children that only opened them may come in between.
type ledger struct {
	load     workload
	interval time.Duration // 0: Sync

	base    state // keys alive below compact
	compact int64 // compact revision of the data when last held
	commits []committed
	now     state // keys alive at rev
	rev     int64 // last revision with a known content
	top     int64 // greatest revision number anybody was shown or given
	gaps    []gap

	// Of the reports since the data were last held:
	reports  []*report
	acks     map[int64]ack
	open     map[opID]bool // outcome unknown
	promised int64         // compact revision that was acknowledged
	asked    int64         // greatest compact revision that was asked for

	lost        int // acknowledged operations that Relaxed lost, over all crashes
	interrupted int // compactions that a crash had cut short
}

// committed is one revision and what it did.
type committed struct {
	rev     int64
	effects []effect
}

// gap is revisions (tail, ceiling] that a crash in Relaxed lost.
type gap struct{ tail, ceiling int64 }

func newLedger(c childConfig) *ledger {
	return &ledger{
		load: c.Load.withDefaults(), interval: c.Relaxed,
		base: state{}, now: state{}, rev: 1,
		acks: map[int64]ack{}, open: map[opID]bool{},
	}
}

// learn takes a report of a child that has ended.
func (l *ledger) learn(r *report) error {
	if r.opened && r.openedRev < max(l.rev, l.top) {
		return fmt.Errorf("R2: the child opened at revision %d, %d was known", r.openedRev, max(l.rev, l.top))
	}
	if r.opened && r.openedAt < max(l.compact, l.promised) {
		return fmt.Errorf("R3: the child opened at compact revision %d, %d was promised", r.openedAt, max(l.compact, l.promised))
	}
	for _, a := range r.acks {
		if a.rev <= r.openedRev {
			return fmt.Errorf("R1: operation %v got revision %d, the child opened at %d", a.id, a.rev, r.openedRev)
		}
		if other, taken := l.acks[a.rev]; taken {
			return fmt.Errorf("R1: revision %d was given to operations %v and %v", a.rev, other.id, a.id)
		}
		l.acks[a.rev] = a
	}
	for id := range r.open {
		l.open[id] = true
	}
	l.top = max(l.top, r.seen)
	l.promised = max(l.promised, r.compacted)
	for _, rev := range r.asked {
		l.asked = max(l.asked, rev)
	}
	l.reports = append(l.reports, r)
	return nil
}

// verify holds the data of a configuration against all that was reported, and
// writes to them. The data are closed when it returns.
func (l *ledger) verify(t *testing.T, c childConfig, reports ...*report) {
	t.Helper()
	for _, r := range reports {
		require.NoError(t, l.learn(r))
	}
	require.NoError(t, l.hold(c))
}

// hold opens the data and holds them against the ledger.
func (l *ledger) hold(c childConfig) (err error) {
	engine, err := c.openEngine()
	if err != nil {
		return fmt.Errorf("opening the engine: %w", err)
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	found, err := readMarks(engine)
	if err != nil {
		return err
	}
	store, err := mvcc.Open(engine, c.storeConfig())
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if found.scheduled > found.finished {
		l.interrupted++
	}
	h := &holding{ledger: l, ctx: ctx, engine: engine, store: store, found: found}
	steps := []func() error{h.marks, h.history, h.lostPart, h.told, h.watches, h.compaction, h.present, h.write}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("%w\nfound %+v, store at revision %d, compact revision %d", err, found, store.Rev(), store.CompactRev())
		}
	}
	l.reports, l.acks, l.open = nil, map[int64]ack{}, map[opID]bool{}
	return nil
}

// marks is the meta space before anybody opened the store.
type marks struct {
	scheduled, finished, ceiling, end, intent int64
	gaps                                      []gap
}

// readMarks reads docs/format.md's marks without the store's help.
func readMarks(e backend.Engine) (m marks, err error) {
	view, err := e.View()
	if err != nil {
		return m, err
	}
	defer view.Close()
	numbers := func(key string) (out []int64) {
		b, _, getErr := view.Get(backend.SpaceMeta, nil, []byte(key))
		err = errors.Join(err, getErr)
		for ; len(b) >= 8; b = b[8:] {
			out = append(out, int64(binary.BigEndian.Uint64(b)))
		}
		return append(out, 0)
	}
	m.scheduled, m.finished = numbers("scheduledCompactRev")[0], numbers("finishedCompactRev")[0]
	m.ceiling, m.end, m.intent = numbers("watchkv_ceiling")[0], numbers("watchkv_end")[0], numbers("watchkv_intent")[0]
	for g := numbers("watchkv_gaps"); len(g) > 2; g = g[2:] {
		m.gaps = append(m.gaps, gap{g[0], g[1]})
	}
	return m, err
}

// holding is one look at the data.
type holding struct {
	*ledger
	ctx    context.Context
	engine backend.Engine
	store  *mvcc.Store
	found  marks
}

// marks: revisions and the compact revision never go down (R1, R2, R3).
func (h *holding) marks() error {
	compact := h.store.CompactRev()
	switch {
	case h.store.Rev() < h.rev:
		return fmt.Errorf("R2: revision %d, %d was known", h.store.Rev(), h.rev)
	case compact < max(h.compact, h.promised):
		return fmt.Errorf("R3: compact revision %d, %d was promised", compact, max(h.compact, h.promised))
	case compact > max(h.compact, h.asked):
		return fmt.Errorf("R3: compact revision %d, nobody asked for more than %d", compact, max(h.compact, h.asked))
	case h.store.Rev() < h.top:
		return fmt.Errorf("R1: revision %d, %d was shown", h.store.Rev(), h.top)
	}
	return nil
}

// history: what is there is a prefix of what was proposed, whole and in order,
// and nothing that was held before has changed (R1, E1).
func (h *holding) history() error {
	compact := max(h.store.CompactRev(), 1)
	got, err := h.readHistory(compact)
	if err != nil {
		return err
	}
	last := int64(0) // with a record
	if len(got) > 0 {
		last = got[len(got)-1].rev
	}
	if err := h.rememberedIn(got, compact); err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(got, h.rev+1, func(c committed, rev int64) int { return int(c.rev - rev) })
	fresh := got[i:]
	for rev := h.rev + 1; rev <= max(last, compact); rev++ {
		if g, in := h.gapOver(rev); in {
			rev = g.ceiling
			continue
		}
		var there *committed
		if len(fresh) > 0 && fresh[0].rev == rev {
			there, fresh = &fresh[0], fresh[1:]
		}
		effects, err := h.contentOf(rev, there, compact)
		if err != nil {
			return err
		}
		h.now.apply(effects)
		h.commits = append(h.commits, committed{rev, effects})
	}
	h.rev = max(h.rev, last, compact)
	return nil
}

// gapOver is the gap that a revision is in, found now or before.
func (h *holding) gapOver(rev int64) (gap, bool) {
	for _, g := range slices.Concat(h.gaps, h.found.gaps) {
		if rev > g.tail && rev <= g.ceiling {
			return g, true
		}
	}
	return gap{}, false
}

func (h *holding) readHistory(from int64) (got []committed, err error) {
	for next := from; next <= h.store.Rev(); {
		chunk, err := h.store.History(h.ctx, mvcc.HistoryQuery{From: next, To: h.store.Rev(), MaxEvents: 10_000})
		if err != nil {
			return nil, fmt.Errorf("history from revision %d: %w", next, err)
		}
		for i := range chunk.Events {
			e := effectOf(&chunk.Events[i])
			if n := len(got); n == 0 || got[n-1].rev != e.v.mod {
				got = append(got, committed{rev: e.v.mod})
			}
			c := &got[len(got)-1]
			c.effects = append(c.effects, e)
		}
		next = chunk.Next
	}
	return got, nil
}

// rememberedIn compares what was held before with what is there now.
func (h *holding) rememberedIn(got []committed, compact int64) error {
	for _, c := range h.commits {
		if c.rev < compact {
			continue
		}
		if len(got) == 0 || got[0].rev != c.rev {
			return fmt.Errorf("R1: revision %d was there before and is gone", c.rev)
		}
		if !slices.Equal(got[0].effects, c.effects) {
			return fmt.Errorf("R1: revision %d holds %v, it held %v", c.rev, got[0].effects, c.effects)
		}
		got = got[1:]
	}
	return nil
}

// contentOf is what revision rev did: what its writer was answered, if there
// is one, else what one of the open operations would have done.
func (h *holding) contentOf(rev int64, there *committed, compact int64) ([]effect, error) {
	if a, ok := h.acks[rev]; ok {
		o := h.load.op(a.id)
		want := o.effects(h.now, rev)
		if rev >= compact && there == nil {
			return nil, fmt.Errorf("R1: revision %d was acknowledged to operation %v and is gone", rev, a.id)
		}
		if there != nil && !slices.Equal(want, there.effects) {
			return nil, fmt.Errorf("R1: revision %d was acknowledged to operation %v with %v, it holds %v", rev, a.id, want, there.effects)
		}
		return want, nil
	}
	if there == nil {
		return nil, fmt.Errorf("R1: history has a hole at revision %d", rev)
	}
	for id := range h.open {
		o := h.load.op(id)
		if slices.Equal(o.effects(h.now, rev), there.effects) {
			delete(h.open, id)
			return there.effects, nil
		}
	}
	return nil, fmt.Errorf("R1: revision %d holds %v, which nobody asked for", rev, there.effects)
}

// forget drops what lies below the compact revision.
func (h *holding) forget() {
	h.compact = h.store.CompactRev()
	keep := 0
	for keep < len(h.commits) && h.commits[keep].rev < h.compact {
		h.base.apply(h.commits[keep].effects)
		keep++
	}
	h.commits = slices.Delete(h.commits, 0, keep)
	h.gaps = slices.DeleteFunc(h.gaps, func(g gap) bool { return g.ceiling < h.compact })
}

// compaction: one that was interrupted finishes by itself, and then the engine
// holds below the compact revision the versions alive there and nothing else
// (R3).
func (h *holding) compaction() error {
	h.forget()
	if _, err := h.store.HashKV(h.ctx, 0); err != nil { // waits for it
		return fmt.Errorf("R3: waiting for the compaction: %w", err)
	}
	after, err := readMarks(h.engine)
	if err != nil {
		return err
	}
	if after.finished != h.compact || after.scheduled > after.finished {
		return fmt.Errorf("R3: compaction at %d is not finished: %+v", h.compact, after)
	}
	if after.intent != 0 {
		return fmt.Errorf("R1: the intent of revision %d is still there", after.intent)
	}
	alive := maps.Clone(h.base)
	want := map[int64]int{}
	for _, c := range h.commits {
		if c.rev == h.compact {
			alive.apply(c.effects)
			for _, e := range c.effects {
				if e.del {
					want[c.rev]++
				}
			}
		}
	}
	for _, v := range alive {
		want[v.mod]++
	}
	got := map[int64]int{}
	view, err := h.engine.View()
	if err != nil {
		return err
	}
	err = view.Scan(backend.SpaceKey, nil, revKey(h.compact+1), func(key, _ []byte) bool {
		got[int64(binary.BigEndian.Uint64(key))]++
		return true
	})
	if err := errors.Join(err, view.Close()); err != nil {
		return err
	}
	if h.compact > 0 && !maps.Equal(want, got) {
		return fmt.Errorf("R3: below compact revision %d the engine holds %d revisions, %d are alive", h.compact, len(got), len(want))
	}
	return nil
}

func revKey(rev int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(rev)) }

// present: the keys are what the history made of them.
func (h *holding) present() error {
	res, err := h.store.Range([]byte("k"), []byte("l"), mvcc.RangeOptions{})
	if err != nil {
		return err
	}
	got := state{}
	for i := range res.KVs {
		e := effectOf(&mvcc.Event{KV: res.KVs[i]})
		got[e.key] = e.v
	}
	if !maps.Equal(got, h.now) {
		return fmt.Errorf("R1: %d keys are there, history makes %d, or they differ", len(got), len(h.now))
	}
	return nil
}

// write: the store takes writes, at revisions nobody has seen.
func (h *holding) write() error {
	before := h.store.Rev()
	key, value := keyName(0), fmt.Appendf(nil, "held at %d", before)
	rev, err := h.store.Put(h.ctx, []byte(key), value)
	if err != nil {
		return fmt.Errorf("a write after the crash: %w", err)
	}
	if rev != before+1 || rev <= h.top {
		return fmt.Errorf("R1: the next revision is %d, want %d, above %d", rev, before+1, h.top)
	}
	o := op{keys: []string{key}, values: [][]byte{value}}
	effects := o.effects(h.now, rev)
	h.now.apply(effects)
	h.commits = append(h.commits, committed{rev, effects})
	h.rev, h.top = rev, rev
	return nil
}
