package watchtest

import (
	"hash/maphash"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// maxPending bounds the events and marks of one watch that wait for the
// history to reach them. Beyond it the watch is no longer compared.
const maxPending = 1 << 14

// item is what waits: the digest of an event, or a mark that everything up to
// rev has been delivered.
type item struct {
	rev       int64
	key       uint64
	value     uint64
	create    int64
	version   int64
	prevRev   int64 // 0: no previous value
	prevValue uint64
	prevVer   int64
	kind      kind
	conflated bool
}

type kind uint8

const (
	isEvent kind = iota
	markResponse
	markProgress
	markCaughtUp
)

// matcher compares what is delivered with the history, one for one. Where
// the history is behind, what is delivered waits in pending; it is compared
// with a later response, or by Finish.
type matcher struct {
	w       *Watch
	h       *History // nil: nothing to compare with
	view    view
	first   int64
	cursor  int64 // number in the view of the next event wanted
	known   int64 // length of the view when last looked at
	pending []item
	blind   bool // fell out of the window or had too much pending
	latest  *latest
}

func (m *matcher) init(w *Watch, h *History) {
	m.w, m.h, m.view = w, h, h.view(w.span)
	if w.req.Policy == watch.Latest {
		m.latest = newLatest()
	}
}

func (m *matcher) start(first int64) {
	if m.h == nil {
		return
	}
	m.first = first
	m.cursor = m.view.search(0, first)
}

// expect is the next event the watch should get; nil if that is not known.
func (m *matcher) expect() *entry {
	for {
		if m.cursor >= m.known {
			if m.known = m.view.len(); m.cursor >= m.known {
				return nil
			}
		}
		e := m.view.at(m.cursor)
		if e == nil {
			m.goBlind()
			return nil
		}
		if e.rev >= m.first && !m.filtered(e) {
			return e
		}
		if m.latest != nil {
			delete(m.latest.skipped, e.key) // what remains of the key is filtered out
		}
		m.cursor++
	}
}

func (m *matcher) filtered(e *entry) bool {
	return e.deletes() && m.w.req.NoDelete || !e.deletes() && m.w.req.NoPut
}

func (m *matcher) goBlind() {
	m.blind = true
	for i := range m.pending {
		if m.pending[i].kind == isEvent {
			m.w.counts.Unmatched++
		}
	}
	m.pending = nil
}

// event takes the next delivered event.
func (m *matcher) event(e *mvcc.Event, conflated bool) *Broken {
	if m.blind || m.w.suspect != nil {
		m.w.counts.Unmatched++
		return nil
	}
	if len(m.pending) == 0 && m.latest == nil && e.Prev == nil && !m.w.req.PrevKV { // the common case
		if want := m.expect(); want != nil && m.same(want, e) {
			m.w.counts.Matched++
			m.cursor++
			return nil
		}
	}
	it := item{
		rev: e.KV.ModRevision, key: maphash.Bytes(m.h.seed, e.KV.Key),
		create: e.KV.CreateRevision, version: e.KV.Version, conflated: conflated,
	}
	if e.Type == mvcc.EventPut {
		it.value = m.h.digest(e.KV.Value, e.KV.Lease)
	}
	if p := e.Prev; p != nil {
		it.prevRev, it.prevVer, it.prevValue = p.ModRevision, p.Version, m.h.digest(p.Value, p.Lease)
	}
	return m.push(it)
}

// same reports whether e is exactly what is wanted; what differs is found out
// by compare.
func (m *matcher) same(want *entry, e *mvcc.Event) bool {
	kv := &e.KV
	if want.rev != kv.ModRevision || want.create != kv.CreateRevision || int64(want.version) != kv.Version || want.deletes() != (e.Type == mvcc.EventDelete) {
		return false
	}
	return want.key == maphash.Bytes(m.h.seed, kv.Key) && (want.deletes() || want.value == m.h.digest(kv.Value, kv.Lease))
}

// mark takes the promise that everything up to rev has been delivered.
func (m *matcher) mark(k kind, rev int64, conflated bool) *Broken {
	if m.h == nil || m.blind || m.w.suspect != nil {
		return nil
	}
	return m.push(item{kind: k, rev: rev, conflated: conflated})
}

func (m *matcher) push(it item) *Broken {
	if m.blind {
		m.w.counts.Unmatched++
		return nil
	}
	m.pending = append(m.pending, it)
	if b := m.drain(); b != nil {
		return b
	}
	if len(m.pending) > maxPending {
		m.goBlind()
	}
	return nil
}

// drain compares what waits as far as the history goes.
func (m *matcher) drain() *Broken {
	done := 0
	for done < len(m.pending) && m.w.suspect == nil {
		it := &m.pending[done]
		through := m.h.Through() // before expect: all up to it is in the view
		var b *Broken
		switch {
		case m.latest != nil:
			if it.rev > through {
				m.keep(done)
				return nil
			}
			b = m.latest.step(m, it)
		case it.kind == isEvent:
			want := m.expect()
			if m.blind {
				return nil
			}
			if want == nil {
				if it.rev <= through {
					return m.invented(it)
				}
				m.keep(done)
				return nil
			}
			b = m.compare(want, it)
		default:
			if it.rev > through {
				m.keep(done)
				return nil
			}
			b = m.checkMark(it)
		}
		if m.blind {
			return nil
		}
		if b != nil {
			return b
		}
		done++
	}
	m.pending = m.pending[:0]
	return nil
}

func (m *matcher) keep(done int) {
	m.pending = m.pending[:copy(m.pending, m.pending[done:])]
}

// checkMark: all up to the mark is in the history, so nothing wanted may be
// left at or below it.
func (m *matcher) checkMark(it *item) *Broken {
	want := m.expect()
	if want == nil || want.rev > it.rev {
		return nil
	}
	what := m.text(want)
	switch it.kind {
	case markProgress:
		return broken("G6", "progress at revision %d, but %s was not delivered", it.rev, what)
	case markCaughtUp:
		return broken("V5", "the end of catch-up was told for all up to %d, but %s was not delivered", it.rev, what)
	}
	if want.rev == m.w.last {
		return nil // the rest of a split revision: G4 when it comes, G3 when it does not
	}
	return broken("N7", "resume point %d, but %s was not delivered", it.rev, what)
}

// finish compares what is left.
func (m *matcher) finish(upTo int64, open bool) *Broken {
	if m.h == nil || m.blind || m.w.suspect != nil {
		return nil
	}
	if b := m.drain(); b != nil || m.w.suspect != nil || m.blind {
		return b
	}
	if m.h.uncertain() {
		upTo = min(upTo, m.h.Through()) // what came above may be of the write without an answer
	}
	for i := range m.pending {
		if it := &m.pending[i]; it.kind == isEvent {
			if it.rev <= upTo {
				return m.invented(it)
			}
			m.w.counts.Unmatched++
		}
	}
	if !open {
		return nil
	}
	upTo = min(upTo, m.h.Through())
	if m.latest != nil {
		return m.latest.finish(m, upTo)
	}
	if want := m.expect(); want != nil && want.rev <= upTo {
		return m.gap(want)
	}
	return nil
}

// delivered reports whether e was matched or waits to be.
func (m *matcher) delivered(e *mvcc.Event) bool {
	key := maphash.Bytes(m.h.seed, e.KV.Key)
	for i := len(m.pending) - 1; i >= 0; i-- {
		if it := &m.pending[i]; it.kind == isEvent && it.rev == e.KV.ModRevision && it.key == key {
			return true
		}
	}
	if e.KV.ModRevision < m.first {
		return false
	}
	for i := m.view.search(0, e.KV.ModRevision); i < m.cursor; i++ {
		x := m.view.at(i)
		if x == nil || x.rev != e.KV.ModRevision {
			return false
		}
		if x.key == key {
			return true
		}
	}
	return false
}
