package faults

import (
	"errors"
	"fmt"
	"slices"

	"github.com/watchkv/watchkv/mvcc"
)

// lostPart: Sync loses nothing that anybody saw; Relaxed what one interval
// wrote, and none of its numbers is used again (R1, G7).
func (h *holding) lostPart() error {
	known := len(h.gaps)
	for _, g := range h.found.gaps {
		if !slices.Contains(h.gaps, g) {
			h.gaps = append(h.gaps, g)
		}
	}
	end := h.rev
	for _, g := range h.gaps {
		end = max(end, g.ceiling)
	}
	if h.found.ceiling > end {
		h.gaps = append(h.gaps, gap{end, h.found.ceiling})
		end = h.found.ceiling
	}
	var lost []ack
	for rev, a := range h.acks {
		if rev > h.rev {
			lost = append(lost, a)
		}
	}
	crashed := len(h.gaps) > known
	switch {
	case h.store.Rev() != end:
		return fmt.Errorf("R1: revision %d, history and gaps end at %d", h.store.Rev(), end)
	case crashed && h.interval == 0:
		return fmt.Errorf("R1: Sync left the gaps %v", h.gaps[known:])
	case !crashed && len(lost) > 0:
		return fmt.Errorf("R1: %d acknowledged operations are gone, first %v", len(lost), lost[0])
	case !crashed && h.top > end:
		return fmt.Errorf("G7: revision %d was shown, history ends at %d", h.top, end)
	}
	h.lost += len(lost)
	for _, r := range h.reports {
		if err := r.lostInTime(lost, h.interval); err != nil {
			return err
		}
	}
	return nil
}

// told: who asks inside a gap is told where history goes on, and only they.
func (h *holding) told() error {
	compact := h.store.CompactRev()
	for _, g := range h.gaps {
		gone := &mvcc.CompactedError{Compact: g.ceiling + 1}
		starts := map[int64]error{g.tail + 1: nil, g.ceiling + 1: nil}
		reads := map[int64]error{g.tail: nil, g.ceiling: nil}
		for _, rev := range []int64{g.tail + 1, g.tail + 2, (g.tail + g.ceiling) / 2, g.ceiling - 1, g.ceiling} {
			if rev > g.tail+1 && rev <= g.ceiling {
				starts[rev] = gone
			}
			if rev > g.tail && rev < g.ceiling {
				reads[rev] = gone
			}
		}
		for rev, want := range starts {
			if err := answered(h.store.CheckStart(rev), want, rev); err != nil && rev >= compact {
				return fmt.Errorf("R1: a watch from %d in the gap %+v: %w", rev, g, err)
			}
		}
		for rev, want := range reads {
			_, err := h.store.Range([]byte("k"), []byte("l"), mvcc.RangeOptions{Rev: rev, CountOnly: true})
			if err := answered(err, want, rev); err != nil && rev >= compact {
				return fmt.Errorf("R1: a read at %d in the gap %+v: %w", rev, g, err)
			}
		}
	}
	return nil
}

// answered compares an answer with the one wanted at rev.
func answered(got, want error, rev int64) error {
	var compacted *mvcc.CompactedError
	if want == nil {
		return got
	}
	if !errors.As(got, &compacted) {
		return fmt.Errorf("answered %w", got)
	}
	w := *want.(*mvcc.CompactedError)
	w.Requested = rev
	if *compacted != w {
		return fmt.Errorf("answered %w, want %w", got, &w)
	}
	return nil
}
