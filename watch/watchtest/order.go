package watchtest

import "github.com/watchkv/watchkv/mvcc"

// early names the rule that the first event of a response broke by coming
// below what the watch was promised.
func (w *Watch) early(e *mvcc.Event) *Broken {
	rev := e.KV.ModRevision
	if !w.span.Contains(e.KV.Key) {
		return w.outside(e)
	}
	if w.suspect == nil && w.delivered(e) {
		return broken("G2", "%s came twice", event(e))
	}
	switch {
	case rev < w.first:
		return w.belowStart(e)
	case w.suspect != nil && !w.suspect.is(w, e):
		return w.suspect.broken
	case rev <= w.progress:
		return broken("G6", "%s came after progress at revision %d", event(e), w.progress)
	case rev == w.last:
		return broken("G4", "revision %d is split: %s came in a response of its own", rev, event(e))
	case rev < w.last:
		return broken("G1", "%s came after an event of revision %d", event(e), w.last)
	case rev <= w.resume:
		return broken("N7", "%s came after a response with resume point %d", event(e), w.resume)
	default:
		return broken("V5", "%s came after the end of catch-up, told for all up to %d", event(e), w.caughtUp)
	}
}

func (w *Watch) belowStart(e *mvcc.Event) *Broken {
	rev := e.KV.ModRevision
	switch old := w.opts.Reuses; {
	case w.opts.Resumes != nil:
		return broken("G5", "%s came again, the watch continues at revision %d", event(e), w.first)
	case old != nil && rev >= old.first && old.span.Contains(e.KV.Key):
		return broken("X5", "%s belongs to the watch that had this id before", event(e))
	case w.req.StartRevision <= 0:
		return broken("C7", "%s is not after the revision of Created, %d", event(e), w.created)
	case w.req.StartRevision > w.created:
		return broken("C8", "%s is below the start", event(e))
	default:
		return broken("C9", "%s is below the start", event(e))
	}
}

// backwards names the rule for an event below the one before it in the same
// response.
func (w *Watch) backwards(e *mvcc.Event) *Broken {
	if w.delivered(e) {
		return broken("G2", "%s came twice", event(e))
	}
	return broken("G1", "%s stands behind a later revision in one response", event(e))
}

func (w *Watch) outside(e *mvcc.Event) *Broken {
	if old := w.opts.Reuses; old != nil && old.span.Contains(e.KV.Key) {
		return broken("X5", "%s belongs to the watch that had this id before", event(e))
	}
	return broken("C2", "%s is outside the range", event(e))
}

// delivered reports whether e is known to have come before.
func (w *Watch) delivered(e *mvcc.Event) bool {
	if w.matcher.h != nil {
		return w.matcher.delivered(e)
	}
	return w.chain.delivered(e)
}
