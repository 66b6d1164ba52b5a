package watchtest

import "slices"

// A history that is shared with strangers cannot wait for every revision to
// be told: some are theirs. It must not skip one of ours either, whose answer
// is still under way. What tells them apart is that a revision which exists
// was asked for before:
//
//	If R was answered, and all writes of ours that were under way at that
//	moment have been answered since, every revision up to R that nobody here
//	was answered with is a stranger's.
//
// A write of ours with a revision at or below R was begun before R's answer;
// so it was under way then, or answered already.
//
// grace keeps count of it as RCU does: writes are counted by the parity of the
// epoch they began in. An epoch ends when none of the one before is left; the
// newest revision answered by then is the next epoch's target, known in full
// once the writes of the epoch that ended are answered.

// grace is what a shared History knows of the writes under way.
type grace struct {
	epoch  uint64
	open   [2]int64 // writes under way, by parity of their epoch
	target int64    // known in full when those of the epoch before are answered
	newest int64    // newest revision answered
	lost   bool     // a write ended without an answer: open never reaches 0 again
}

// Ticket is one write under way; see History.Begin.
type Ticket struct{ epoch uint64 }

// Begin tells, before it is sent, of a write to a shared store. The ticket
// goes back with exactly one of Answered, Refused and Lost. Without
// HistoryConfig.Shared it costs nothing and says nothing.
func (h *History) Begin() Ticket {
	if !h.cfg.Shared {
		return Ticket{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grace.open[h.grace.epoch&1]++
	return Ticket{h.grace.epoch}
}

// Answered is Commit of the write that the ticket is for.
func (h *History) Answered(t Ticket, rev int64, changes ...Change) error {
	if err := h.Commit(rev, changes...); err != nil || !h.cfg.Shared {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grace.newest = max(h.grace.newest, rev)
	return h.endLocked(t)
}

// Refused tells that the write did not happen and never will, or that it
// changed nothing.
func (h *History) Refused(t Ticket) error {
	if !h.cfg.Shared {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.endLocked(t)
}

// Lost tells that nobody knows whether the write happened. From here on no
// revision can be told from a stranger's: what is not known by now stays so,
// and what is delivered above Through ends up in Counts.Unmatched.
func (h *History) Lost(Ticket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grace.lost = true
}

// endLocked takes a ticket back and moves on as far as that allows.
func (h *History) endLocked(t Ticket) error {
	g := &h.grace
	g.open[t.epoch&1]--
	for !g.lost && g.open[(g.epoch-1)&1] == 0 {
		if err := h.reachLocked(g.target); err != nil {
			return err
		}
		if g.target == g.newest {
			return nil
		}
		g.target = g.newest
		g.epoch++
	}
	return nil
}

// reachLocked moves through to rev: what is not known up to there is a
// stranger's.
func (h *History) reachLocked(rev int64) error {
	if rev <= h.through.Load() {
		return nil
	}
	var ours []int64
	for early := range h.early {
		if early <= rev {
			ours = append(ours, early)
		}
	}
	slices.Sort(ours)
	for _, r := range ours {
		if err := h.takeEarlyLocked(r); err != nil {
			return err
		}
	}
	return h.followLocked(rev)
}

// uncertain reports that a write may have happened that nobody was told of.
func (h *History) uncertain() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.grace.lost
}
