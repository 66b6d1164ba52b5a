package watchtest

import "maps"

// latest is the state of a watch with policy Latest: 24 bytes for each key
// delivered or skipped.
type latest struct {
	delivered map[uint64]*entry // the last version delivered of each key
	skipped   map[uint64]*entry // the newest version skipped, and no newer one delivered
	loose     []uint64          // skipped by a response that is not conflated
}

func newLatest() *latest {
	return &latest{delivered: map[uint64]*entry{}, skipped: map[uint64]*entry{}}
}

// step takes an event or mark, all up to which is in the history.
func (l *latest) step(m *matcher, it *item) *Broken {
	switch it.kind {
	case markProgress:
		if b := l.skipTo(m, it.rev+1, 0, true); b != nil {
			return b
		}
		return l.owed(m, it.rev)
	case markCaughtUp:
		return l.caughtUp(m, it.rev)
	}
	if it.kind != isEvent {
		if b := l.skipTo(m, it.rev+1, 0, it.conflated); b != nil {
			return b
		}
		return l.settle(m)
	}
	if b := l.skipTo(m, it.rev, it.key, it.conflated); b != nil || m.blind {
		return b
	}
	want := m.expect()
	if want == nil || want.rev != it.rev || want.key != it.key {
		return m.invented(it)
	}
	m.w.counts.Matched++
	m.cursor++
	if b := m.content(want, it); b != nil {
		return b
	}
	last := l.delivered[it.key]
	if want.deletes() && l.needless(m, want) && last == nil && !m.w.req.NoPut && !l.unsure(m, want) {
		return broken("V6", "%s ends a life of the key of which nothing was delivered", m.text(want))
	}
	if it.prevRev != 0 && (last == nil || it.prevRev != last.rev || it.prevValue != last.value) {
		// The key as it really was before is right too, where nothing was skipped.
		was, ok := m.before(want)
		if exact := !ok || was != nil && was.rev == it.prevRev; !exact || l.skipped[it.key] != nil {
			return broken("P1", "%s carries the previous value of revision %d, which is not what this watch had last", m.text(want), it.prevRev)
		}
	}
	l.delivered[it.key] = want
	delete(l.skipped, it.key)
	return nil
}

// caughtUp: of every key the newest version up to the watch's creation has
// arrived, unless it is superseded up to where the hub is. What the hub was
// at is not where the watch is, so nothing is passed over here.
func (l *latest) caughtUp(m *matcher, hub int64) *Broken {
	newest := maps.Clone(l.skipped)
	for i, n := m.cursor, m.view.len(); i < n; i++ {
		e := m.view.at(i)
		switch {
		case e == nil || e.rev > hub:
			i = n
		case m.filtered(e):
			delete(newest, e.key)
		case e.rev >= m.first:
			newest[e.key] = e
		}
	}
	if e := l.missing(m, newest, m.w.created); e != nil {
		return broken("V5", "the end of catch-up was told for all up to %d, but %s did not arrive, and nothing newer of the key", m.w.created, m.text(e))
	}
	return nil
}

// skipTo passes over what is below (rev, key).
func (l *latest) skipTo(m *matcher, rev int64, key uint64, conflated bool) *Broken {
	for {
		e := m.expect()
		if e == nil || e.rev > rev || e.rev == rev && (key == 0 || e.key == key) {
			return nil
		}
		l.skipped[e.key] = e
		if !conflated {
			l.loose = append(l.loose, e.key)
		}
		m.cursor++
	}
}

// settle: what a response skipped without saying so must be nothing that the
// watch needed.
func (l *latest) settle(m *matcher) *Broken {
	for _, key := range l.loose {
		if e := l.skipped[key]; e != nil && !l.needless(m, e) {
			return broken("G3", "%s was left out by a response that does not say it is conflated", m.text(e))
		}
	}
	l.loose = l.loose[:0]
	return nil
}

// unsure reports that a watch which keeps no list of its keys cannot know
// whether it ever delivered the key before the delete e: it had an earlier
// life inside the watch's history, or that may be compacted. A delete too
// many is then the safe side.
func (l *latest) unsure(m *matcher, e *entry) bool {
	if m.h.compacting.Load() >= m.first {
		return true
	}
	for next := e.prev; next != 0; {
		p := m.view.log.at(int64(next - 1))
		if p == nil || p.deletes() {
			return p == nil || p.rev >= m.first
		}
		next = p.prev
	}
	return false
}

// needless reports that e, if newest, need not arrive: a delete of a key
// whose last life began after what the watch had, so that it never knew.
func (l *latest) needless(m *matcher, e *entry) bool {
	if !e.deletes() {
		return false
	}
	if last := l.delivered[e.key]; last != nil {
		return last.deletes()
	}
	for next := e.prev; next != 0; {
		p := m.view.log.at(int64(next - 1))
		if p == nil {
			return true
		}
		if p.rev < m.first {
			return p.deletes()
		}
		next = p.prev
	}
	return true
}

// owed: the newest version of every key up to rev must have arrived.
func (l *latest) owed(m *matcher, rev int64) *Broken {
	if e := l.missing(m, l.skipped, rev); e != nil {
		return broken("V6", "%s was skipped and nothing newer of the key arrived up to revision %d", m.text(e), rev)
	}
	clear(l.skipped)
	l.loose = l.loose[:0]
	return nil
}

// missing is one of the newest versions of keys, up to rev, that had to
// arrive.
func (l *latest) missing(m *matcher, newest map[uint64]*entry, rev int64) *entry {
	for _, e := range newest {
		if e.rev <= rev && !l.needless(m, e) {
			return e
		}
	}
	return nil
}

func (l *latest) finish(m *matcher, upTo int64) *Broken {
	if b := l.skipTo(m, upTo+1, 0, true); b != nil {
		return b
	}
	return l.owed(m, upTo)
}
