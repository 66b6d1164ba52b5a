package mvcc

import (
	"context"
	"errors"
	"slices"
)

// readAnswerBytes is about what one answer of ReadRevisions or Previous reads
// from the engine at most: callers who ask for thousands of large records get
// them in pieces.
const readAnswerBytes = 1 << 20

// ReadRevisions appends the events of the versions asked for, in the order
// asked for, read in one fresh view or from memory. Once about 1 MiB was read
// it leaves out the rest: it answers as many as it read, from the first on
// and at least one. It answers a *CompactedError if any of them is below the
// compact revision.
func (s *Store) ReadRevisions(ctx context.Context, dst []Event, revs []KeyRev) ([]Event, error) {
	if err := s.readable(ctx); err != nil || len(revs) == 0 {
		return dst, err
	}
	lowest := revs[0].Main
	for _, kr := range revs {
		lowest = min(lowest, kr.Main)
	}
	if compact := s.compactRev.Load(); lowest < compact {
		return dst, &CompactedError{Requested: lowest, Compact: compact}
	}
	events, err := s.resolve(dst, revs, lowest, nil, readAnswerBytes)
	if err != nil {
		return dst, err
	}
	return events, nil
}

// readable is what every read that takes a context asks first.
func (s *Store) readable(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return ctx.Err()
}

// Previous appends, for each event, the key as it was just before the event's
// revision: nil if it did not exist, and nil and counted in missing if that
// revision is compacted. Values come from the recent log where it has them,
// the others from one fresh view. Once about 1 MiB was read it leaves out the
// rest: it answers for as many events as it could, from the first on and at
// least one.
func (s *Store) Previous(ctx context.Context, dst []*KeyValue, evs []*Event) (prev []*KeyValue, missing int, err error) {
	if err := s.readable(ctx); err != nil {
		return dst, 0, err
	}
	for {
		prev, missing, err = s.previous(dst, evs)
		// A compaction that passed meanwhile turns some into missing ones.
		if !errors.Is(err, ErrCompacted) {
			return prev, missing, err
		}
		if err := s.readable(ctx); err != nil {
			return dst, 0, err
		}
	}
}

func (s *Store) previous(dst []*KeyValue, evs []*Event) (prev []*KeyValue, missing int, err error) {
	compact := s.compactRev.Load()
	var revs []KeyRev
	var places, absent []int // in prev: whose version is in revs; whose is compacted
	lowest := int64(0)
	prev = dst
	for _, e := range evs {
		prev = append(prev, nil)
		before := e.KV.ModRevision - 1
		if e.KV.ModRevision < 1 || e.Type == EventPut && e.KV.CreateRevision == e.KV.ModRevision {
			continue
		}
		if s.checkRead(before) != nil {
			absent = append(absent, len(prev)-1)
			continue
		}
		kr, ok := s.VersionAt(e.KV.Key, before)
		if !ok || kr.Tombstone {
			continue
		}
		if lowest == 0 || before < lowest {
			lowest = before
		}
		revs = append(revs, kr)
		places = append(places, len(prev)-1)
	}
	// After the look-ups, which a compaction may have passed.
	if now := s.compactRev.Load(); lowest > 0 && lowest < now || now != compact {
		return dst, 0, &CompactedError{Requested: lowest, Compact: now}
	}
	if len(revs) == 0 {
		return prev, len(absent), nil
	}
	found, err := s.resolve(nil, revs, lowest, nil, readAnswerBytes)
	if err != nil {
		return dst, 0, err
	}
	for i := range found {
		kv := found[i].KV
		prev[places[i]] = &kv
	}
	if len(found) < len(places) {
		prev = prev[:places[len(found)]]
	}
	missing, _ = slices.BinarySearch(absent, len(prev))
	return prev, missing, nil
}
