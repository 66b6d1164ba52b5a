package watchtest

import (
	"hash/maphash"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// patience is how many responses a missing event may be late before it counts
// as lost and not as out of order.
const patience = 16

// suspect is an event that was passed over. Until it comes, which makes the
// break one of order, or patience ends, nothing else is compared.
type suspect struct {
	broken *Broken
	rev    int64
	key    uint64
	wait   int
}

func (s *suspect) is(w *Watch, e *mvcc.Event) bool {
	return e.KV.ModRevision == s.rev && maphash.Bytes(w.opts.History.seed, e.KV.Key) == s.key
}

// suspicion ends the wait for a missing event, if it is time.
func (w *Watch) suspicion(r *watch.Response) *Broken {
	s := w.suspect
	if s == nil {
		return nil
	}
	if s.wait--; s.wait <= 0 || r.Canceled {
		return s.broken
	}
	return nil
}

// chain follows the versions of a watch on one key, where there is no
// history to compare with; for a range it remembers the last event only.
type chain struct {
	rev, create, version int64
	key                  string
	known                bool
}

func (c *chain) event(w *Watch, e *mvcc.Event) *Broken {
	kv := &e.KV
	if !w.single {
		if c.rev == kv.ModRevision && c.key == string(kv.Key) {
			return broken("G2", "%s came twice", event(e))
		}
		c.rev, c.key = kv.ModRevision, string(kv.Key)
		return nil
	}
	old := *c
	*c = chain{rev: kv.ModRevision, create: kv.CreateRevision, version: kv.Version, key: old.key, known: true}
	if !old.known {
		c.key = string(kv.Key)
		return nil
	}
	if w.req.NoPut || w.req.NoDelete || w.req.Policy == watch.Latest || e.Type == mvcc.EventDelete {
		if e.Type == mvcc.EventDelete && old.version == 0 && !w.req.NoPut && w.req.Policy != watch.Latest {
			return broken("G3", "%s deletes a key that was deleted at revision %d: the put between is missing", event(e), old.rev)
		}
		return nil
	}
	switch {
	case kv.Version == old.version+1 && (old.version == 0 || kv.CreateRevision == old.create):
		return nil
	case old.version > 0 && kv.CreateRevision != old.create && kv.CreateRevision <= old.rev:
		return broken("E6", "%s has create revision %d, before it was %d", event(e), kv.CreateRevision, old.create)
	case kv.Version <= old.version && kv.CreateRevision == old.create:
		return broken("E4", "%s has version %d after version %d", event(e), kv.Version, old.version)
	default:
		return broken("G3", "%s has version %d after version %d at revision %d: something between is missing", event(e), kv.Version, old.version, old.rev)
	}
}

func (c *chain) delivered(e *mvcc.Event) bool {
	return c.rev == e.KV.ModRevision && c.key == string(e.KV.Key)
}
