package verify

import (
	"fmt"
	"strings"
)

const (
	reuseRounds = 2
	reusePuts   = 64
	reuseValue  = 16 << 10 // so that a server that queues 128 KiB for a stream queues few of them there
)

// probeReuse: a reader stops, its watch is cancelled while events are queued
// for it, and its id is used again. Nothing of the old watch may come under
// the new one.
func probeReuse(s *scene) {
	big := strings.Repeat("x", reuseValue)
	for round := range reuseRounds {
		l := s.open()
		r := s.between(s.key("foo"), nil)
		r.ID = 7
		old := l.create(r)
		if !l.until("create", func() bool { return len(l.asked) == 0 }) {
			return
		}
		for i := range reusePuts {
			s.put("foo", fmt.Sprintf("%d %d %s", round, i, big))
		}
		s.tally.saw("X3", 1)
		l.cancel(old)
		l.asks[len(l.asks)-1].line.Note = fmt.Sprintf("%d events of \"foo\" not read yet", reusePuts)
		name := "bar"
		if round%2 == 1 {
			name = "foo" // the same key: only its newer events
		}
		r.Key = s.key(name)
		fresh := l.create(r)
		if !l.until("create again", func() bool { return len(l.asked) == 0 }) {
			return
		}
		rev := s.put(name, "the only one")
		l.until("an event after create again", func() bool { return fresh.failed || fresh.has(r.Key, rev) })
		if s.failed() {
			return
		}
		s.tally.saw("X5", int64(reusePuts))
		s.tally.saw("X1", 1)
		fresh.settled()
		s.delete("foo")
	}
}
