package mvcc

import (
	"bytes"

	"github.com/watchkv/watchkv/backend"
)

// applyPartsLocked writes a revision that no batch of the engine can hold, in
// parts. The first part carries an intent naming the revision, the last one
// removes it; whoever opens the data in between removes what is there of the
// revision. Readers see none of it before it is visible, which is after the
// last part. Needs applyMu.
func (s *Store) applyPartsLocked(rev int64) error {
	events, beside := s.tail.events(rev), s.beside.takeOwn(rev)
	sub := 0
	for first := true; len(events)+len(beside) > 0; first = false {
		s.batch.Reset()
		s.keys = s.keys[:0]
		if first {
			addOp(&s.batch, putNumber(metaIntent, rev))
		}
		if len(events) == 0 { // a last part of their own, since they fit one
			addOps(&s.batch, beside)
			beside = nil
		}
		n := s.partLen(events)
		s.addRecords(events[:n], rev, sub)
		events = events[n:]
		sub += n
		syncing := backend.NoSync
		if len(events)+len(beside) == 0 {
			addOp(&s.batch, deleteMeta(metaIntent))
			syncing = backend.Sync
		}
		if err := s.applyLocked(&s.batch, syncing); err != nil {
			return err
		}
	}
	return nil
}

// partLen is how many of events one batch takes, at least one.
func (s *Store) partLen(events []Event) int {
	n := 0
	for bytes := int64(0); n < len(events); n++ {
		bytes += int64(len(events[n].record)) + recordOverhead
		over := s.limits.batchBytes > 0 && bytes > s.limits.batchBytes || s.limits.batchOps > 0 && n >= s.limits.batchOps
		if over && n > 0 {
			break
		}
	}
	return n
}

// removeParts takes back what an incomplete intent left of revision rev and
// then the intent, in batches of at most limit records.
func (s *Store) removeParts(rev int64, limit int) error {
	for {
		view, err := s.engine.View()
		if err != nil {
			return err
		}
		s.batch.Reset()
		err = view.Scan(backend.SpaceKey, firstKeyOf(rev), firstKeyOf(rev+1), func(key, _ []byte) bool {
			s.batch.Delete(backend.SpaceKey, append([]byte(nil), key...))
			return s.batch.Len() < limit
		})
		if closeErr := view.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
		done := s.batch.Len() < limit
		if done {
			addOp(&s.batch, deleteMeta(metaIntent))
		}
		if err := s.applyLocked(&s.batch, backend.Sync); err != nil {
			return err
		}
		if done {
			return nil
		}
	}
}

// scanRecords is the view's Scan of the records, without those of a revision
// that never was: parts of it are there, and the store may not remove them.
func (s *Store) scanRecords(view backend.View, lo, hi []byte, visit func(key, value []byte) bool) error {
	if s.partial == 0 {
		return view.Scan(backend.SpaceKey, lo, hi, visit)
	}
	first, end := firstKeyOf(s.partial), firstKeyOf(s.partial+1)
	return view.Scan(backend.SpaceKey, lo, hi, func(key, value []byte) bool {
		if bytes.Compare(first, key) <= 0 && bytes.Compare(key, end) < 0 {
			return true
		}
		return visit(key, value)
	})
}
