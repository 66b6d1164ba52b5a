package mvcc

import (
	"context"
	"errors"
	"time"
)

// autoCompactInterval is how often retention is looked at by default.
func autoCompactInterval(a AutoCompact) time.Duration {
	switch {
	case a.Interval > 0:
		return a.Interval
	case a.Age > 0:
		return min(max(a.Age/10, time.Millisecond), 5*time.Minute)
	}
	return time.Minute
}

// retention decides what may be forgotten. It has no clock of its own.
type retention struct {
	AutoCompact
	samples []sample // ascending in both; only kept for Age
}

// sample says which revision was current at a moment.
type sample struct {
	at  time.Time
	rev int64
}

// target is the revision to compact at, 0 for nothing to do. Called with the
// current revision from time to time.
func (r *retention) target(now time.Time, rev int64) int64 {
	target := rev
	if r.Revisions > 0 {
		target = min(target, rev-r.Revisions)
	}
	if r.Age > 0 {
		r.samples = append(r.samples, sample{now, rev})
		old := 0 // samples that are older than Age
		for old < len(r.samples) && !r.samples[old].at.After(now.Add(-r.Age)) {
			old++
		}
		if old == 0 {
			return 0
		}
		target = min(target, r.samples[old-1].rev)
		r.samples = r.samples[old-1:]
	}
	return max(target, 0)
}

// runAutoCompact keeps the history that Config.AutoCompact asks for.
func (s *Store) runAutoCompact(ctx context.Context) {
	r := retention{AutoCompact: s.cfg.AutoCompact}
	ticker := time.NewTicker(autoCompactInterval(s.cfg.AutoCompact))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		target := r.target(time.Now(), s.visible.Load())
		if target <= s.compactRev.Load() {
			continue
		}
		err := s.Compact(ctx, target)
		if err != nil && ctx.Err() == nil && !errors.Is(err, ErrCompacted) && !errors.Is(err, ErrClosed) {
			s.cfg.Logger.Error("automatic compaction", "revision", target, "error", err)
		}
	}
}
