package mvcc

import "errors"

// Close ends writing, lets what is staged become visible, makes durable what
// Relaxed still owes, records the exact end of history and ends the store's
// goroutines. A compaction stops between two batches and goes on after the
// next Open. It returns the error that kept something from becoming durable,
// if any. The engine stays open. A second Close answers ErrClosed.
func (s *Store) Close() error {
	if !s.refuse() {
		return ErrClosed
	}
	s.background.cancel()
	s.room.wake()
	s.leaders.Wait()
	s.background.wg.Wait()
	<-s.compacting // for good: who had it may have been about to write
	s.ended.Store(true)
	err := s.recordEnd()
	s.shown.wake()
	return err
}

// refuse ends the staging of transactions; false if that was done before.
func (s *Store) refuse() bool {
	s.writer.Lock()
	defer s.writer.Unlock()
	return s.closed.CompareAndSwap(false, true)
}

// recordEnd writes what is not applied, and with it the exact end in place of
// the ceiling.
func (s *Store) recordEnd() error {
	if s.readOnly != "" {
		return nil
	}
	end := s.visible.Load()
	recorded, err := s.recordedEnd()
	if err != nil || recorded == end && !s.relaxed() {
		return err
	}
	s.applyMu.Lock()
	defer s.applyMu.Unlock()
	// The end is recorded after the data, never before: a crash in between
	// leaves the ceiling, which says that the end is not known.
	if _, err := s.applyThroughLocked(end, nil); err != nil {
		return err
	}
	return s.applyMetaLocked("closing", putNumber(metaEnd, end), deleteMeta(metaCeiling))
}

// recordedEnd is the end that the engine holds.
func (s *Store) recordedEnd() (int64, error) {
	if f := s.failure.Load(); f != nil {
		return 0, f.err()
	}
	view, err := s.engine.View()
	if err != nil {
		return 0, err
	}
	end, err := readNumber(view, metaEnd)
	return end, errors.Join(err, view.Close())
}
