package watch

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/watchkv/watchkv/mvcc"
)

// progressJitter is the share of the interval that is added at random, so
// that the ticks of many hubs do not fall together.
const progressJitter = 10 // one part in

// runProgress ticks until ctx ends.
func (h *Hub) runProgress(ctx context.Context) {
	for {
		wait := h.cfg.ProgressInterval
		wait += time.Duration(rand.Int64N(int64(wait)/progressJitter + 1))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		for _, sh := range h.shards {
			sh.tick()
			sh.restIdle()
		}
	}
}

// tick sends the periodic notification to the watches that asked for it, are
// synced and got nothing since the last tick. It is skipped where the outbox
// is full.
func (sh *shard) tick() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for w, last := range sh.progress {
		st := w.seat
		if st.state != Synced || w.created > sh.offered || sh.admitted && w.start > sh.offered {
			continue
		}
		sh.progress[w] = sh.offered
		if st.lastRev <= last {
			st.stream.box.tellIfRoom(Response{WatchID: w.id, Revision: sh.offered})
		}
	}
}

// RequestProgress asks for one progress notification with id NoWatch. Its
// revision is at least the store's current one at the time of the call. It is
// owed until every watch of the stream is synced and past its start, and
// until an earlier answer was received; at most one is owed, and a later call
// raises its bar. A stream without watches gets none.
func (s *Stream) RequestProgress() error {
	sh := s.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.closed {
		return ErrStreamClosed
	}
	sh.owed[s] = max(sh.owed[s], sh.source.Rev())
	sh.answerOwedLocked(s)
	return nil
}

// answerOwedLocked sends the notification a stream is owed, if it is due.
func (sh *shard) answerOwedLocked(s *Stream) {
	bar, owed := sh.owed[s]
	switch {
	case !owed:
	case s.watches.len() == 0:
		delete(sh.owed, s)
	case s.behind == 0 && sh.offered >= bar && !sh.admitted:
		if s.box.answer(Response{WatchID: NoWatch, Revision: sh.offered}) {
			delete(sh.owed, s)
		}
	}
}

// lagError says by how much a watch exceeded which bound.
func lagError(revs, bytes int64, o *options) error {
	if o.maxLagRevisions > 0 && revs > o.maxLagRevisions {
		return fmt.Errorf("%w: %d revisions behind, %d are allowed", ErrLagging, revs, o.maxLagRevisions)
	}
	return fmt.Errorf("%w: %d bytes behind, %d are allowed", ErrLagging, bytes, o.maxLagBytes)
}

func asCompacted(err error) (*mvcc.CompactedError, bool) {
	var c *mvcc.CompactedError
	ok := errors.As(err, &c)
	return c, ok
}
