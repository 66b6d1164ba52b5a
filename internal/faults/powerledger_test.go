package faults

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
)

// powerLedger is what the writers of one disk asked for and what they were
// told, over any number of lives of the store.
type powerLedger struct {
	mu       sync.Mutex         // guards all below
	proposed map[int64][]effect // by revision; what a cut took away is taken out
	last     int64              // greatest revision proposed
	now      state              // at last
	tried    int64              // greatest revision a compaction or bump was asked for
	gaps     []lostGap          // what verify found lost, oldest first
}

// lostGap is the revisions (tail, end] that a cut in Relaxed took.
type lostGap struct{ tail, end int64 }

func newPowerLedger() *powerLedger {
	return &powerLedger{proposed: map[int64][]effect{}, now: state{}, last: 1}
}

// told is what the outside had seen, read before the power was cut.
type told struct {
	relaxed bool  // the store that was cut
	seen    int64 // revisions up to here were shown to somebody
	durable int64 // revisions up to here were acknowledged as durable, or seen in Sync
	compact int64 // shown as compacted
}

// propose runs the operation of an id as one transaction and notes it.
func (l *powerLedger) propose(ctx context.Context, s *mvcc.Store, o op) (rev int64, err error) {
	return s.Update(ctx, func(tx *mvcc.WriteTx) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		effects := o.effects(l.now, tx.Rev())
		if len(effects) == 0 {
			return nil
		}
		values := map[string][]byte{}
		for i, k := range o.keys {
			values[k] = o.values[i]
		}
		for _, e := range effects {
			var err error
			if e.del {
				_, err = tx.DeleteRange([]byte(e.key), nil)
			} else {
				err = tx.Put([]byte(e.key), values[e.key], 0)
			}
			if err != nil {
				return err
			}
		}
		l.proposed[tx.Rev()] = effects
		l.last = tx.Rev()
		l.now.apply(effects)
		return nil
	})
}

// try notes a compaction that is about to be asked for.
func (l *powerLedger) try(rev int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried = max(l.tried, rev)
}

// stateAt is the keys alive at rev.
func (l *powerLedger) stateAt(rev int64) state {
	s := state{}
	for _, r := range slices.Sorted(maps.Keys(l.proposed)) {
		if r <= rev {
			s.apply(l.proposed[r])
		}
	}
	return s
}

// verify holds a store, just opened on what a cut left, against the ledger,
// and takes what the cut took out of it. R1, R2, R3, G7.
func (l *powerLedger) verify(ctx context.Context, e backend.Engine, s *mvcc.Store, was told) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	rev, compact := s.Rev(), s.CompactRev()
	if rev < was.seen {
		return fmt.Errorf("revision %d was shown, the store opened at %d", was.seen, rev)
	}
	if compact < was.compact || compact > l.tried {
		return fmt.Errorf("compacted at %d, shown was %d, asked for %d at most", compact, was.compact, l.tried)
	}
	if _, err := s.HashKV(ctx, 0); err != nil { // waits for a compaction that goes on
		return err
	}
	tail, err := l.verifyHistory(ctx, s, compact)
	if err != nil {
		return err
	}
	if err := l.verifyTail(tail, rev, was); err != nil {
		return err
	}
	maps.DeleteFunc(l.proposed, func(r int64, _ []effect) bool { return r > tail })
	l.last, l.now = rev, l.stateAt(rev)
	return errors.Join(l.verifyState(s), l.verifyGaps(s, compact), l.verifyCompacted(e, compact))
}

// verifyHistory compares everything from the compact revision on, and returns
// the end of what is there.
func (l *powerLedger) verifyHistory(ctx context.Context, s *mvcc.Store, compact int64) (tail int64, err error) {
	chunk, err := s.History(ctx, mvcc.HistoryQuery{From: max(compact, 1), To: math.MaxInt64})
	if err != nil {
		return 0, err
	}
	got := map[int64][]effect{}
	tail = max(compact, 1)
	for i := range chunk.Events {
		e := &chunk.Events[i]
		got[e.KV.ModRevision] = append(got[e.KV.ModRevision], effectOf(e))
		tail = max(tail, e.KV.ModRevision)
	}
	for r, effects := range got {
		if !slices.Equal(effects, l.proposed[r]) {
			return 0, fmt.Errorf("revision %d is %v, proposed was %v", r, effects, l.proposed[r])
		}
	}
	for r, effects := range l.proposed {
		if r >= compact && r <= tail && got[r] == nil {
			return 0, fmt.Errorf("history to %d lacks revision %d, %v", tail, r, effects)
		}
	}
	for _, g := range l.gaps {
		tail = max(tail, g.end)
	}
	return tail, nil
}

// verifyTail says whether history may end at tail and the store stand at rev.
func (l *powerLedger) verifyTail(tail, rev int64, was told) error {
	switch {
	case tail < was.durable:
		return fmt.Errorf("revision %d was acknowledged as durable, history ends at %d", was.durable, tail)
	case rev < tail:
		return fmt.Errorf("the store stands at %d, its history ends at %d", rev, tail)
	case rev > tail && !was.relaxed:
		return fmt.Errorf("Sync leaves no gap, this is from %d to %d", tail, rev)
	case rev > tail:
		l.gaps = append(l.gaps, lostGap{tail, rev})
	}
	return nil
}

func (l *powerLedger) verifyState(s *mvcc.Store) error {
	all, err := s.Range([]byte{0}, []byte{0}, mvcc.RangeOptions{})
	if err != nil {
		return err
	}
	got := state{}
	for _, kv := range all.KVs {
		got[string(kv.Key)] = version{kv.CreateRevision, kv.ModRevision, kv.Version, sumOf(kv.Value)}
	}
	if !maps.Equal(got, l.now) {
		return fmt.Errorf("keys at revision %d are %v, expected were %v", all.Rev, got, l.now)
	}
	return nil
}

// verifyGaps checks that whoever asks inside a gap is told, and nobody else.
func (l *powerLedger) verifyGaps(s *mvcc.Store, compact int64) error {
	for _, g := range l.gaps {
		var gone *mvcc.CompactedError
		for _, inside := range []int64{g.tail + 2, g.end} {
			if inside > g.tail+1 && inside >= compact && g.end >= compact &&
				(!errors.As(s.CheckStart(inside), &gone) || gone.Compact != g.end+1) {
				return fmt.Errorf("a watch from %d in the gap %v: %v", inside, g, s.CheckStart(inside))
			}
		}
		for _, beside := range []int64{g.tail + 1, g.end + 1} {
			if err := s.CheckStart(beside); beside >= compact && err != nil {
				return fmt.Errorf("a watch from %d beside the gap %v: %w", beside, g, err)
			}
		}
	}
	return nil
}

// verifyCompacted checks that below the compact revision there is exactly the
// newest version of each key that lived there. R3.
func (l *powerLedger) verifyCompacted(e backend.Engine, compact int64) error {
	if compact == 0 {
		return nil
	}
	view, err := e.View()
	if err != nil {
		return err
	}
	defer view.Close()
	var want, got []int64
	for _, v := range l.stateAt(compact) {
		if v.mod < compact {
			want = append(want, v.mod)
		}
	}
	end := binary.BigEndian.AppendUint64(nil, uint64(compact))
	if err := view.Scan(backend.SpaceKey, nil, end, func(key, _ []byte) bool {
		got = append(got, int64(binary.BigEndian.Uint64(key)))
		return true
	}); err != nil {
		return err
	}
	slices.SortFunc(want, cmp.Compare[int64])
	if !slices.Equal(want, got) {
		return fmt.Errorf("below the compact revision %d are records of %v, expected were %v", compact, got, want)
	}
	scheduled, _, err := view.Get(backend.SpaceMeta, nil, []byte("scheduledCompactRev"))
	if err != nil {
		return err
	}
	finished, _, err := view.Get(backend.SpaceMeta, nil, []byte("finishedCompactRev"))
	if err == nil && !bytes.Equal(scheduled, finished) {
		err = fmt.Errorf("compaction scheduled at %x is finished at %x", scheduled, finished)
	}
	return err
}
