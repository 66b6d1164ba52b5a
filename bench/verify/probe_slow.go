package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
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
		if !l.answered() {
			return
		}
		l.stalled()
		s.fill(reusePuts, func(i int) (string, string) { return "foo", fmt.Sprintf("%d %d %s", round, i, big) })
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
		s.tally.saw("X5", reusePuts)
		s.tally.saw("X1", 1)
		s.tally.saw("X3", 1)
		l.finish()
		s.delete("foo")
	}
}

// queuedPuts are few enough to be queued whole.
const queuedPuts = 30

// probeQueue: progress is asked for while events wait to be read. It must not
// come ahead of them.
func probeQueue(s *scene) {
	for range 3 {
		l := s.open()
		l.create(s.prefixed())
		if !l.answered() {
			return
		}
		for i := range queuedPuts {
			s.put("k", fmt.Sprint(i))
		}
		unread := queuedPuts - l.all[0].events
		l.finish()
		if !s.failed() {
			s.tally.saw("N4", int64(unread))
		}
	}
}

const (
	slowWatches = 12
	slowPuts    = 40
	slowRounds  = 2
	slowValue   = 16 << 10
	slowControl = 200
)

// probeSlow: a stream that nobody reads, with more events for it than can be
// queued, beside one that is read.
func probeSlow(s *scene) {
	slow, healthy := s.open(), s.open()
	for i := range slowWatches { // each range is a queue of its own
		r := s.between(s.key("k"), s.key(fmt.Sprintf("l%02d", i)))
		r.PrevKV = i == 0
		slow.create(r)
	}
	healthy.create(s.prefixed())
	if !slow.answered() || !healthy.answered() {
		return
	}
	big := strings.Repeat("x", slowValue)
	for round := range slowRounds {
		s.fill(slowPuts, func(i int) (string, string) { return fmt.Sprintf("k%02d", i), fmt.Sprintf("%d %s", round, big) })
		last := s.put("k", fmt.Sprint(round))
		s.unhindered(slow, healthy, last)
		s.bounded(int64(slowValue))
		if round < slowRounds-1 { // reads a little, and stops again
			for n := 0; n < slowWatches*2 && slow.recvFor(again); n++ {
			}
		}
	}
	last := s.put("k", "the last")
	for _, w := range slow.all {
		slow.until("what was queued", func() bool { return w.failed || w.has(s.key("k"), last) })
		s.tally.saw("V1", int64(w.events))
	}
	slow.finish()
	if s.failed() {
		return
	}
	s.provoked()
	s.control()
}

// unhindered: what is written reaches the stream that is read, though the
// other is not.
func (s *scene) unhindered(slow, healthy *lane, last int64) {
	w := healthy.all[0]
	arrived := func() bool { return w.failed || w.has(s.key("k"), last) }
	for until := time.Now().Add(s.patience); !arrived() && time.Now().Before(until) && !s.failed(); {
		healthy.recvFor(again)
	}
	if s.failed() {
		return
	}
	if arrived() {
		s.tally.saw("V4", slowPuts)
		return
	}
	// Late is no break. Held up is, if it ends as soon as the other reads.
	stop := s.beside(func(ctx context.Context) error {
		for ctx.Err() == nil {
			slow.recvFor(again)
		}
		return nil
	})
	for until := time.Now().Add(again * 3); !arrived() && time.Now().Before(until); {
		healthy.recvFor(again)
	}
	stop()
	if !arrived() {
		s.tally.lacking("V4", fmt.Sprintf("nothing came within %v", s.patience))
		return
	}
	s.broke("V4", fmt.Sprintf("nothing came for %v, until another stream was read", s.patience),
		Line{What: "put", Text: fmt.Sprintf("k@%d", last), Note: "one stream is not read"},
		Line{What: "wait", Text: "on another stream", Note: fmt.Sprintf("nothing for %v", s.patience)},
		Line{What: "read", Text: "the first stream"},
		Line{Mark: true, What: "event", Text: fmt.Sprintf("PUT k@%d", last), Note: "now it comes"})
}

// bounded: what waits for a stream is within what its hub is configured to.
func (s *scene) bounded(largest int64) {
	inside, ok := s.subject.(Inspector)
	if !ok || s.failed() {
		return
	}
	st, bound := inside.HubStats(), max(inside.HubConfig().OutboxBytes, 2*largest+1024)
	s.tally.saw("V2", 1)
	if st.PendingBytesMax > bound {
		s.broke("V2", fmt.Sprintf("%d bytes waited for one stream, the bound is %d", st.PendingBytesMax, bound),
			Line{Mark: true, What: "stats", Text: fmt.Sprintf("PendingBytesMax %d", st.PendingBytesMax), Note: fmt.Sprintf("bound %d", bound)})
	}
}

// provoked: where it can be seen, there must have been victims.
func (s *scene) provoked() {
	if inside, ok := s.subject.(Inspector); ok && inside.HubStats().VictimsEver == 0 {
		s.fail("slow reader", errNotProvoked)
	}
}

// control: the answers to many requests, none of them read meanwhile, all
// come.
func (s *scene) control() {
	l := s.open()
	for i := range slowControl {
		r := s.between(s.key("c"), nil)
		r.ID = int64(i + 1)
		l.create(r)
	}
	if !l.answered() {
		return
	}
	for _, w := range l.all {
		l.cancel(w)
	}
	l.until("cancel", func() bool { return len(l.open) == 0 })
	if !s.failed() {
		s.tally.saw("V7", 2*slowControl)
	}
}

const (
	churnStreams = 4
	churnRounds  = 60
)

// probeChurn: watches come and go while everything is written to.
func probeChurn(s *scene) {
	s.put("k0", "0")
	first := s.book.last()
	before := s.inside()
	var stops []func()
	for i := range 2 {
		stops = append(stops, s.beside(func(ctx context.Context) error { return s.keepWriting(ctx, fmt.Sprintf("k%d", i)) }))
	}
	for range churnStreams {
		s.open()
	}
	s.each(func(i int, l *lane) { l.churn(rand.New(rand.NewPCG(uint64(i), 1)), first) })
	for _, stop := range stops {
		stop()
	}
	if s.failed() {
		return
	}
	s.each(func(_ int, l *lane) {
		l.finish()
		l.stream.Close()
	})
	if after := s.inside(); after != before {
		s.broke("X4", fmt.Sprintf("gauges were %s, and are %s when all is closed", before, after),
			Line{What: "stats", Text: before}, Line{What: "churn", Text: fmt.Sprintf("%d watches", churnStreams*churnRounds)}, Line{Mark: true, What: "stats", Text: after})
	}
}

// inside is what the gauges say, where they can be seen.
func (s *scene) inside() string {
	inside, ok := s.subject.(Inspector)
	if !ok {
		return ""
	}
	st := inside.HubStats()
	return fmt.Sprintf("%d streams, %d synced, %d unsynced, %d victims, %d bytes waiting", st.Streams, st.Synced, st.Unsynced, st.Victims, st.PendingBytes)
}

// churn creates watches and cancels them at any moment: at once, while they
// read history, when they have caught up.
func (l *lane) churn(random *rand.Rand, first int64) {
	s := l.s
	var going []*watched
	for i := range churnRounds {
		if s.failed() {
			return
		}
		r := s.between(s.key("k"), s.key("l"))
		r.ID = int64(1 + i)
		if random.IntN(2) == 0 {
			r.StartRevision = first
		}
		w := l.create(r)
		if random.IntN(3) == 0 {
			l.cancel(w)
		}
		going = append(going, w)
		if old := going[random.IntN(len(going))]; !old.canceled {
			l.cancel(old)
		}
		if random.IntN(2) == 0 {
			l.recv("churn")
		}
	}
	for _, w := range going {
		if !w.canceled {
			l.cancel(w)
		}
	}
	l.until("cancel", func() bool { return len(l.asked) == 0 && len(l.open) == 0 })
	if s.failed() {
		return
	}
	// Whatever would come after Canceled has a last chance to.
	l.create(s.prefixed())
	l.answered()
	s.tally.saw("X1", churnRounds)
	s.tally.saw("X4", churnRounds)
	s.tally.saw("X3", churnRounds)
}
