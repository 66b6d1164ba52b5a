package watchtest

// compare holds one delivered event against the one wanted.
func (m *matcher) compare(want *entry, it *item) *Broken {
	if want.rev != it.rev || want.key != it.key {
		return m.mismatch(want, it)
	}
	m.w.counts.Matched++
	m.cursor++
	if b := m.content(want, it); b != nil {
		return b
	}
	if m.w.req.PrevKV {
		return m.previous(want, it)
	}
	return nil
}

func (m *matcher) content(want *entry, it *item) *Broken {
	if want.value == it.value && int64(want.version) == it.version && want.create == it.create {
		return nil
	}
	switch {
	case want.deletes() != (it.version == 0):
		return broken("G9", "%s was delivered as the opposite", m.text(want))
	case int64(want.version) != it.version:
		return broken("E4", "%s has version %d, it was written with %d", m.text(want), it.version, want.version)
	case want.create != it.create:
		return broken("E6", "%s has create revision %d, it was created at %d", m.text(want), it.create, want.create)
	default:
		return broken("G9", "%s has a value or lease that was not written there", m.text(want))
	}
}

// before finds the key as it was before an event's revision: nil if it did
// not exist; ok is false if the history has forgotten.
func (m *matcher) before(e *entry) (was *entry, ok bool) {
	for next := e.prev; next != 0; {
		p := m.view.log.at(int64(next - 1))
		if p == nil {
			return nil, false
		}
		if p.rev < e.rev {
			if p.deletes() {
				return nil, true
			}
			return p, true
		}
		next = p.prev
	}
	return nil, true
}

func (m *matcher) previous(want *entry, it *item) *Broken {
	was, ok := m.before(want)
	switch {
	case !ok:
		return nil
	case was == nil && it.prevRev == 0:
		return nil
	case was == nil:
		return broken("P1", "%s carries a previous value of revision %d, the key did not exist", m.text(want), it.prevRev)
	case it.prevRev == 0 && want.rev-1 < m.h.compacting.Load():
		m.w.counts.PreviousGone++
		return nil
	case it.prevRev == 0:
		return broken("P2", "%s comes without its previous value of revision %d, which is not compacted", m.text(want), was.rev)
	case it.prevRev != was.rev || it.prevValue != was.value || it.prevVer != int64(was.version):
		return broken("P1", "%s carries the previous value of revision %d, version %d; it was revision %d, version %d",
			m.text(want), it.prevRev, it.prevVer, was.rev, was.version)
	}
	return nil
}

// mismatch names the rule when an event came that is not the one wanted.
func (m *matcher) mismatch(want *entry, it *item) *Broken {
	found := false
	for i := m.view.search(0, it.rev); i < m.view.len(); i++ {
		e := m.view.at(i)
		if e == nil || e.rev != it.rev {
			break
		}
		if e.key != it.key {
			continue
		}
		if i < m.cursor {
			return broken("G2", "%s came twice", m.text(e))
		}
		found = true
	}
	switch {
	case found && it.rev == want.rev:
		return broken("G8", "%s came before %s", m.textOf(it), m.text(want))
	case found || it.rev > m.h.Through():
		m.w.suspect = &suspect{broken: m.gap(want), rev: want.rev, key: want.key, wait: patience}
		return nil
	default:
		return m.invented(it)
	}
}

func (m *matcher) invented(it *item) *Broken {
	return broken("G9", "%s was delivered and never written", m.textOf(it))
}

// gap names the rule when want was left out.
func (m *matcher) gap(want *entry) *Broken {
	w, what := m.w, m.text(want)
	compact := m.h.compacting.Load()
	fresh := w.counts.Matched == 0
	switch {
	case fresh && w.opts.Resumes != nil:
		return broken("G5", "%s was left out, the watch continues at revision %d", what, m.first)
	case fresh && want.rev == w.req.StartRevision && want.rev == compact:
		return broken("C10", "%s was left out, it is at the compact revision and the start", what)
	case want.rev < compact && !m.h.cfg.Shared:
		return broken("V3", "%s was jumped over, history is compacted at %d", what, compact)
	case fresh && w.counts.FromHistory > 0:
		return broken("C9", "%s was left out, the start is revision %d", what, m.first)
	default:
		return broken("G3", "%s was left out", what)
	}
}
