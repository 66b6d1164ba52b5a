package watchtest

import (
	"errors"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// ends takes the Canceled response and checks its reason.
func (w *Watch) ends(r *watch.Response) *Broken {
	w.phase = phaseEnded
	w.counts.Canceled++
	switch {
	case errors.Is(r.Err, mvcc.ErrCompacted) || r.CompactRevision != 0:
		w.phase = phaseCompacted
		w.counts.Compacted++
		return w.compacted(r)
	case errors.Is(r.Err, watch.ErrLagging) && w.req.Policy != watch.Cancel:
		return broken("V6", "cut off as too slow, policy is %v", w.req.Policy)
	case r.Err == nil && !w.asked.Load():
		return broken("X1", "the watch was ended without reason and unasked")
	}
	return nil
}

func (w *Watch) compacted(r *watch.Response) *Broken {
	switch next := w.Next(); {
	case r.CompactRevision == 0:
		return broken("C11", "told of compaction without the compact revision")
	case next == r.CompactRevision:
		return broken("C10", "refused at the compact revision %d itself", next)
	case next > r.CompactRevision:
		return broken("C11", "told of compaction at %d, which its next revision %d is not below", r.CompactRevision, next)
	case w.opts.EtcdRules && r.Revision < r.CompactRevision:
		w.counts.Unheaded++ // etcd sends 0
	case r.Revision < w.created || r.Revision < r.CompactRevision:
		return broken("C11", "told of compaction at %d with revision %d, Created was at %d", r.CompactRevision, r.Revision, w.created)
	}
	if h := w.opts.History; h != nil && r.CompactRevision > h.compacting.Load() {
		return broken("C11", "told of compaction at %d, nobody asked for one above %d", r.CompactRevision, h.compacting.Load())
	}
	return nil
}
