package verify

import "fmt"

// longHistory is more revisions than etcd gives to one watch at once.
const longHistory = 1200

// probeCatchUp: watches that read a long history, whole and in parts.
func probeCatchUp(s *scene) {
	first := s.put("begin", "1")
	s.fill(longHistory, func(i int) (string, string) { return fmt.Sprintf("k%03d", i%200), fmt.Sprint(i) })
	rev := s.put("end", "1")
	l := s.open()
	requests := []Request{s.prefixed(), s.between(s.key("k"), s.key("k1")), s.between(s.key("k007"), nil)}
	for i := range requests {
		requests[i].StartRevision = first
		l.create(requests[i])
	}
	whole := l.all[0]
	l.until("the end of history", func() bool { return whole.failed || whole.has(s.key("end"), rev) })
	if !s.failed() {
		whole.settled()
	}
}
