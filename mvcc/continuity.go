package mvcc

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/backend"
)

// continuity watches a scan in revision order for what is left out. Above the
// compact revision and outside the gaps nothing may be: a transaction that
// changes nothing makes no revision, and the changes of one are numbered from
// 0 on.
type continuity struct {
	compact int64
	gaps    []gap  // ascending
	last    KeyRev // the record before; to begin at revision r, Main is r-1
}

// add takes the next record. Its errors are damage.
func (c *continuity) add(kr KeyRev) error {
	if !c.last.less(kr) {
		return fmt.Errorf("revision %d/%d comes after %d/%d: %w", kr.Main, kr.Sub, c.last.Main, c.last.Sub, ErrDamaged)
	}
	sub := int64(0)
	switch {
	case kr.Main == c.last.Main:
		sub = c.last.Sub + 1
	case kr.Main > c.last.Main+1:
		if err := c.reach(kr.Main - 1); err != nil {
			return err
		}
	}
	c.last = kr
	if kr.Sub != sub && kr.Main > c.compact {
		return fmt.Errorf("revision %d lacks its change %d, change %d is there: %w", kr.Main, sub, kr.Sub, ErrDamaged)
	}
	return nil
}

// reach is told that there are no records between the last one and the end of
// revision rev.
func (c *continuity) reach(rev int64) error {
	first := max(c.last.Main, c.compact, 1) + 1
	for _, g := range c.gaps {
		if g.tail < first && first <= g.ceiling {
			first = g.ceiling + 1
		}
	}
	if first > rev {
		return nil
	}
	last := rev
	for _, g := range c.gaps {
		if g.tail >= first {
			last = min(last, g.tail)
		}
	}
	return fmt.Errorf("revisions %d to %d have no record, and history is kept from %d on: %w", first, last, c.compact, ErrDamaged)
}

// continuityFrom begins at revision from, for who reads a view that was opened
// before: what that may lack is compacted by now.
func (s *Store) continuityFrom(from int64) continuity {
	return continuity{compact: s.compactRev.Load(), gaps: *s.gaps.Load(), last: KeyRev{Main: from - 1}}
}

// follows says what is wrong with a version as the next one of the key found
// on disk; "" if nothing is. Up to the compact revision versions before it may
// be gone, so nothing can be said.
func (h *keyEntry) follows(kr KeyRev, l life, compact int64) string {
	alive := !h.empty() && !h.newest.tombstone()
	switch {
	case kr.Main <= compact:
	case kr.Tombstone && !alive:
		return "is deleted there and did not exist before"
	case kr.Tombstone:
	case alive && (l.create != h.create || l.count != h.count+1):
		return fmt.Sprintf("has create revision %d and version %d there, %d and %d before", l.create, l.count, h.create, h.count)
	case !alive && (l.create != kr.Main || l.count != 1):
		return fmt.Sprintf("has create revision %d and version %d there and did not exist before", l.create, l.count)
	}
	return ""
}

// damaged adds to an error of damage, or of a newer format, whose data it is
// and what to do, and makes ErrDamaged of the engine's own. Other errors pass.
func damaged(engine backend.Engine, err error) error {
	own, format := errors.Is(err, ErrDamaged), errors.Is(err, ErrFormat)
	if !own && !format && !errors.Is(err, backend.ErrDamaged) {
		return err
	}
	stats := engine.Stats()
	where := stats.Version
	if stats.Path != "" {
		where += " at " + stats.Path
	}
	if format {
		return fmt.Errorf("%w (%s; open it with the version that wrote it, or a later one)", err, where)
	}
	if !own {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w (%s; keep a copy of it and restore it from a backup)", err, where)
}
