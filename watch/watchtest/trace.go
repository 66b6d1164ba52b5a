package watchtest

import (
	"fmt"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// trace is a ring of what came last, without keeping any event alive.
type trace struct {
	keep int
	now  func() time.Duration // nil: times are not kept
	ring []line
	n    int
}

// line is one response in 88 bytes.
type line struct {
	at                    time.Duration
	revision, first, last int64
	events                int32
	typ                   mvcc.EventType
	keyLen                uint8 // of the whole key, 255 at most
	created, caughtUp     bool
	canceled, conflated   bool
	key                   [40]byte // the beginning of the first event's key
}

func (t *trace) add(r *watch.Response) {
	if t.keep < 0 {
		return
	}
	if t.ring == nil {
		t.ring = make([]line, t.keep)
	}
	l := &t.ring[t.n%t.keep]
	t.n++
	*l = line{revision: r.Revision, created: r.Created, caughtUp: r.CaughtUp, canceled: r.Canceled, conflated: r.Conflated}
	if t.now != nil {
		l.at = t.now()
	}
	if n := len(r.Events); n > 0 {
		e := &r.Events[0]
		l.events, l.typ = int32(n), e.Type
		l.first, l.last = e.KV.ModRevision, r.Events[n-1].KV.ModRevision
		l.keyLen = uint8(min(255, len(e.KV.Key)))
		copy(l.key[:], e.KV.Key)
	}
}

// lines are what is kept, and when it came if that is known.
func (t *trace) lines() (out []string, at []time.Duration) {
	for i := max(0, t.n-t.keep); i < t.n; i++ {
		l := &t.ring[i%t.keep]
		out = append(out, l.String())
		if t.now != nil {
			at = append(at, l.at)
		}
	}
	return out, at
}

func (l *line) String() string {
	s := ""
	switch {
	case l.events == 1:
		s = fmt.Sprintf("event     %d  %v %s", l.first, l.typ, l.text())
	case l.events > 1:
		s = fmt.Sprintf("events    %d to %d (%d), the first %v %s", l.first, l.last, l.events, l.typ, l.text())
	case l.created:
		s = fmt.Sprintf("created   %d", l.revision)
	case l.canceled:
		s = fmt.Sprintf("canceled  %d", l.revision)
	case l.caughtUp:
		s = fmt.Sprintf("caught up %d", l.revision)
	default:
		return fmt.Sprintf("progress  %d", l.revision)
	}
	if l.events > 0 && l.revision != l.last {
		s += fmt.Sprintf(", resume point %d", l.revision)
	}
	if l.conflated {
		s += ", conflated"
	}
	if l.caughtUp && (l.events > 0 || l.created) {
		s += ", caught up"
	}
	if l.canceled && (l.events > 0 || l.created) {
		s += ", canceled"
	}
	return s
}

func (l *line) text() string {
	n := int(l.keyLen)
	if n > len(l.key) {
		return fmt.Sprintf("%q...", l.key[:])
	}
	return fmt.Sprintf("%q", l.key[:n])
}

// describe is the line of a response, with the reason of its end.
func describe(r *watch.Response) string {
	t := trace{keep: 1}
	t.add(r)
	s := t.ring[0].String()
	if r.Err != nil {
		s += fmt.Sprintf(": %v", r.Err)
	}
	return s
}

func event(e *mvcc.Event) string {
	return fmt.Sprintf("%v %q at revision %d", e.Type, e.KV.Key, e.KV.ModRevision)
}

func (m *matcher) text(e *entry) string {
	typ := mvcc.EventPut
	if e.deletes() {
		typ = mvcc.EventDelete
	}
	return fmt.Sprintf("%v %q at revision %d", typ, m.h.name(e.key), e.rev)
}

func (m *matcher) textOf(it *item) string {
	typ := mvcc.EventPut
	if it.version == 0 {
		typ = mvcc.EventDelete
	}
	return fmt.Sprintf("%v %q at revision %d", typ, m.h.name(it.key), it.rev)
}
