package mvcc

import (
	"context"
	"fmt"

	"github.com/watchkv/watchkv/backend"
)

// Bump raises the current revision by `by` and compacts there, durably: after
// a restore from a backup that is older than what clients have seen, old
// watches and reads answer *CompactedError instead of meeting revisions that
// mean something else now. Keys and values stay. It returns when the
// compaction has finished; errors are those of Compact, and ErrExhausted.
func (s *Store) Bump(ctx context.Context, by int64) error {
	if by < 1 {
		return fmt.Errorf("mvcc: bump by %d, at least 1 expected", by)
	}
	if err := s.takeToken(ctx); err != nil {
		return err
	}
	rev, err := s.jump(by)
	if err != nil {
		s.giveToken()
		return err
	}
	return s.awaitCompaction(ctx, rev)
}

// jump holds off writers, makes everything staged durable and moves the
// current and the compact revision.
func (s *Store) jump(by int64) (rev int64, err error) {
	if err := s.refusal(); err != nil {
		return 0, err
	}
	if err := s.roomToCompact(); err != nil {
		return 0, err
	}
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	staged := s.pause(true)
	defer func() {
		s.pause(false)
		s.room.wake()
	}()
	if _, err := s.applyThroughLocked(staged, nil); err != nil {
		return 0, err
	}
	if by > maxRevision-staged {
		return 0, fmt.Errorf("bump by %d from revision %d, the last one is %d: %w", by, staged, maxRevision, ErrExhausted)
	}
	rev = staged + by
	meta := []backend.Op{putMark(metaScheduled, rev)}
	if s.relaxed() {
		meta = append(meta, putNumber(metaCeiling, s.ceilingAbove(rev)))
	}
	if err := s.applyMetaLocked("bumping the revision", meta...); err != nil {
		return 0, err
	}
	s.setRevision(rev)
	return rev, nil
}

// pause ends or resumes the staging of transactions and returns the last
// revision staged.
func (s *Store) pause(on bool) int64 {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.paused = on
	return s.next - 1
}

func (s *Store) setRevision(rev int64) {
	s.writer.Lock()
	defer s.writer.Unlock()
	s.next = rev + 1
	s.ceiling = s.ceilingAbove(rev)
	// First of all: who sees the hole must see that it is compacted.
	s.compacted(rev)
	s.tail.reset(s.next)
	s.applied.Store(rev)
	s.visible.Store(rev)
	s.shown.wake()
}
