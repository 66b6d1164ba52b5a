package verify

import (
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
)

// probeLive: watches of every kind, while everything that can be done to keys
// is done to them.
func probeLive(s *scene) {
	l := s.open()
	with := func(r Request, options func(*Request)) *watched {
		options(&r)
		return l.create(r)
	}
	all := s.prefixed()
	l.create(all)
	with(all, func(r *Request) { r.PrevKV = true })
	with(s.between(s.key("a"), nil), func(r *Request) { r.PrevKV = true })
	with(s.between(s.key("b"), s.key("d")), func(*Request) {})
	noPut := with(all, func(r *Request) { r.NoPut = true })
	noDelete := with(all, func(r *Request) { r.NoDelete, r.PrevKV = true, true })
	neither := with(all, func(r *Request) { r.NoPut, r.NoDelete = true, true })
	if !l.until("create", func() bool { return len(l.asked) == 0 }) {
		return
	}
	for round := range 3 {
		s.lifeOfKeys(round)
		s.nothingHappens(l)
	}
	l.finish()
	if s.failed() {
		return
	}
	l.all[0].together(s.txns)
	s.tally.saw("F2", int64(len(s.puts(l.all[0], mvcc.EventPut))+len(s.puts(l.all[0], mvcc.EventDelete))))
	for _, c := range []struct {
		w      *watched
		unseen []mvcc.EventType
	}{{noPut, []mvcc.EventType{mvcc.EventPut}}, {noDelete, []mvcc.EventType{mvcc.EventDelete}}, {neither, []mvcc.EventType{mvcc.EventPut, mvcc.EventDelete}}} {
		for _, typ := range c.unseen {
			s.tally.saw("F1", int64(len(s.puts(l.all[0], typ)))) // each could have come
		}
	}
}

// together: the events of a transaction have its revision, all of them.
func (w *watched) together(txns map[int64]int) {
	s := w.lane.s
	got := map[int64]int{}
	for _, e := range w.allEvents() {
		got[e.KV.ModRevision]++
	}
	for rev, n := range txns {
		s.tally.saw("E1", int64(n))
		if got[rev] != n {
			s.broke("E1", fmt.Sprintf("%d of a transaction's %d events have its revision %d", got[rev], n, rev),
				Line{What: "txn", Text: fmt.Sprintf("of %d changes at revision %d", n, rev)},
				Line{Mark: true, What: "events", Text: fmt.Sprintf("%d at revision %d", got[rev], rev)})
		}
	}
}

// puts are the events of one type that a watch got.
func (s *scene) puts(w *watched, typ mvcc.EventType) (out []mvcc.Event) {
	for _, e := range w.allEvents() {
		if e.Type == typ {
			out = append(out, e)
		}
	}
	return out
}

// lifeOfKeys creates, updates, deletes and creates again, one by one and many
// at once.
func (s *scene) lifeOfKeys(round int) {
	v := fmt.Sprint(round)
	for _, name := range []string{"a", "a", "b", "c", "d", "cc"} { // a twice with the same value
		s.put(name, v)
	}
	s.delete("a")
	s.put("a", "again "+v)
	s.put("empty", "")
	s.put("large", strings.Repeat(v, 64<<10))
	s.txn(s.opPut("z", v), s.opPut("c", v), s.opPut("m", v), s.opPut("a", v)) // not sorted
	s.txn(s.opDelete("m"), s.opPut("b", v), s.opDelete("z"), s.opPut("y", v))
	var many []mvcc.Op
	for i := range 40 {
		many = append(many, s.opPut(fmt.Sprintf("many%02d", (i*7)%40), v))
	}
	s.txn(many...)
	s.txn(s.opDeleteTo("many00", "many20"), s.opPut("many50", v))
	s.txn(s.opDelete("a"), s.opDeleteTo("b", "e"), s.opDeleteTo("many", "many99"), s.opDelete("y"))
}

// nothingHappens: deletes of what is not there, and transactions that change
// nothing.
func (s *scene) nothingHappens(l *lane) {
	if s.failed() {
		return
	}
	quiet := false
	for range 5 { // somebody else may write between
		before := s.rev()
		gone, err := s.subject.Delete(s.ctx, s.key("never"), nil)
		s.must("delete what is not there", err)
		read, err := s.subject.Txn(s.ctx, mvcc.Txn{Then: []mvcc.Op{s.opDelete("never"), {Type: mvcc.OpRange, Key: s.key("a")}}})
		s.must("transaction that changes nothing", err)
		after := s.rev()
		if s.failed() {
			return
		}
		if gone.Deleted != 0 {
			s.broke("E3", fmt.Sprintf("%d keys were deleted where none is", gone.Deleted), Line{Mark: true, What: "delete", Text: "never"})
		}
		if quiet = before == after && gone.Rev == before && read.Rev == before; quiet {
			break
		}
		if s.facts.Private {
			s.broke("E3", fmt.Sprintf("revision %d became %d", before, after),
				Line{What: "read", Text: fmt.Sprintf("at revision %d", before)},
				Line{What: "delete", Text: "never", Note: "which is not there"},
				Line{Mark: true, What: "read", Text: fmt.Sprintf("at revision %d", after)})
			return
		}
	}
	if quiet {
		s.tally.saw("E3", 2)
	} else {
		s.tally.lacking("E3", "others write all the time")
	}
	_ = l
}
