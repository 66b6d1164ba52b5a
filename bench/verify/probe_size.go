package verify

import (
	"fmt"
	"math"
	"strings"
)

const (
	// fragmentLimit is what etcd splits at by default: 1.5 MiB of a request
	// and 512 KiB. A server may have another, but not below what it takes as
	// one request.
	fragmentLimit = 2 << 20
	sizedValue    = 400 << 10
	sizedKeys     = 3
)

// probeSizes: two transactions of 1.2 MiB. With previous values their history
// is 3.6 MiB, without 2.4 MiB, one alone 1.2 MiB. A server with a higher limit
// splits less of them, and then less can be said.
func probeSizes(s *scene) {
	first := s.sized("a")
	second := s.sized("b")
	if s.failed() {
		return
	}
	whole := s.history(first, true, true)
	if !s.facts.Wire {
		s.boundedEvents()
		return
	}
	bare := s.history(first, false, true)
	small := s.history(second, false, true)
	plain := s.history(first, true, false)
	if s.failed() {
		return
	}
	s.fragments(whole, splitAt(whole, bare))
	s.tally.saw("S1", 2)
	for _, l := range []*lane{small, plain} {
		if len(l.fragmented) == 0 {
			continue
		}
		why := "fragments were not asked for"
		if l == small {
			why = fmt.Sprintf("the whole is below the limit of %d", fragmentLimit)
		}
		s.broke("S1", why, Line{What: "create", Text: l.all[0].describe()}, marked(l.partLine(&l.fragmented[0][0])))
	}
	s.boundedSize(plain, len(bare.fragmented) > 0)
}

// splitAt is the size of the smallest response that was split: the server's
// limit is not above it. It is huge if none was.
func splitAt(lanes ...*lane) int {
	least := math.MaxInt
	for _, l := range lanes {
		for _, parts := range l.fragmented {
			size := 0
			for i := range parts {
				size += parts[i].Size
			}
			least = min(least, size)
		}
	}
	return least
}

// otherLimit says why a size above the default limit proves nothing.
func otherLimit(what string, size int) string {
	return fmt.Sprintf("%s of %d bytes; has this server another --max-request-bytes?", what, size)
}

// sized puts the same keys again, in one revision.
func (s *scene) sized(fill string) int64 {
	big := strings.Repeat(fill, sizedValue)
	return s.txn(s.opPut("x", big), s.opPut("y", big), s.opPut("z", big))
}

// history reads everything from a revision on.
func (s *scene) history(from int64, prev, fragment bool) *lane {
	l := s.open()
	r := s.prefixed()
	r.StartRevision, r.PrevKV, r.Fragment = from, prev, fragment
	w := l.create(r)
	last := s.book.last()
	l.until("history", func() bool { return w.failed || w.has(s.key("z"), last) })
	l.finish()
	return l
}

// fragments looks at the pieces of a response that must have been split. What
// has the size split was seen to be too large.
func (s *scene) fragments(l *lane, split int) {
	if len(l.fragmented) == 0 {
		w := l.all[0]
		for i := range w.got {
			if w.got[i].Size >= fragmentLimit && len(w.got[i].Events) > 1 {
				for _, rule := range []string{"S1", "S2", "S3", "S4"} {
					s.tally.lacking(rule, otherLimit("an unsplit response", w.got[i].Size))
				}
			}
		}
		return
	}
	for _, parts := range l.fragmented {
		for i := range parts {
			s.tally.saw("S2", 1)
			s.tally.saw("S3", 1)
			s.tally.saw("S4", 1)
			switch p := &parts[i]; {
			case p.Size < fragmentLimit || len(p.Events) < 2:
			case p.Size < split:
				s.tally.lacking("S3", otherLimit("a fragment", p.Size))
			default:
				s.broke("S3", fmt.Sprintf("a fragment of %d events has %d bytes, a response of %d was split", len(p.Events), p.Size, split),
					Line{What: "create", Text: l.all[0].describe()}, marked(l.partLine(p)))
			}
		}
	}
}

// boundedSize: without fragments no response is above the limit, unless one
// revision alone is. Whether the server split as much where it was asked to
// says if that is above its own.
func (s *scene) boundedSize(l *lane, split bool) {
	for i := range l.all[0].got {
		r := &l.all[0].got[i]
		s.tally.saw("S5", 1)
		switch n := len(r.Events); {
		case r.Size < fragmentLimit || r.Events[0].KV.ModRevision == r.Events[n-1].KV.ModRevision:
		case !split:
			s.tally.lacking("S5", otherLimit("an unsplit response", r.Size))
		default:
			s.broke("S5", fmt.Sprintf("a response of several revisions has %d bytes, the limit is %d", r.Size, fragmentLimit),
				Line{What: "create", Text: l.all[0].describe()}, Line{Mark: true, What: what(r), Text: text(r, s), Note: fmt.Sprintf("%d bytes", r.Size)})
		}
	}
}

// boundedEvents is boundedSize where there is no wire: by the events' weight.
func (s *scene) boundedEvents() {
	const puts = 60
	first := s.book.last() + 1
	s.fill(puts, func(i int) (string, string) { return fmt.Sprintf("s%02d", i), strings.Repeat("s", 64<<10) })
	if s.failed() {
		return
	}
	l := s.open()
	r := s.between(s.key("s"), s.key("t"))
	r.StartRevision = first
	w := l.create(r)
	l.until("history", func() bool { return w.failed || w.events >= puts })
	for i := range w.got {
		size := 0
		events := w.got[i].Events
		for j := range events {
			size += events[j].Size()
		}
		if len(events) == 0 {
			continue
		}
		s.tally.saw("S5", 1)
		if size > fragmentLimit && events[0].KV.ModRevision != events[len(events)-1].KV.ModRevision {
			s.broke("S5", fmt.Sprintf("a response of several revisions has events of %d bytes, the limit is %d", size, fragmentLimit),
				Line{What: "create", Text: w.describe()}, Line{Mark: true, What: what(&w.got[i]), Text: text(&w.got[i], s), Note: fmt.Sprintf("%d bytes", size)})
		}
	}
}
