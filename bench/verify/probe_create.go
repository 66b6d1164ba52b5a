package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// negative is an id that means nothing to anybody.
const negative = -5

// answered waits until every create of the lane has its answer, and reports
// whether each is known to be its own.
func (l *lane) answered() bool {
	return l.until("create", func() bool { return len(l.asked) == 0 || l.mixedUp }) && !l.mixedUp
}

// probeIDs: ids that are picked, given, in use, negative; and cancels of ids
// that are not there.
func probeIDs(s *scene) {
	l := s.open()
	given := s.prefixed()
	given.ID = 2
	picked := []*watched{l.create(s.prefixed()), l.create(s.prefixed()), l.create(given), l.create(s.prefixed())} // the last skips 2
	for i, id := range []int64{7, 2, 1 << 40} {
		r := s.prefixed()
		r.ID = id
		if i == 1 {
			l.expectRefused(r, "C13", watch.ErrDuplicateID)
			continue
		}
		picked = append(picked, l.create(r))
	}
	if !l.answered() {
		return
	}
	for i, want := range []int64{0, 1, 2, 3, 7, 1 << 40} {
		s.tally.saw("C13", 1)
		if w := picked[i]; w.refused != nil || w.id != want {
			s.broke("C13", fmt.Sprintf("id %d was given, want %d", w.id, want), w.answer()...)
		}
	}
	s.negativeID()
	s.cancelUnknown(l, picked[0])
}

// answer is a create and what came of it.
func (w *watched) answer() []Line {
	lines := []Line{{What: "create", Text: w.describe()}}
	switch {
	case w.refused != nil:
		lines = append(lines, Line{Mark: true, What: "refused", Text: text(w.refused, w.lane.s), Note: fmt.Sprint(w.refused.Err)})
	case len(w.got) > 0:
		lines = append(lines, Line{Mark: true, What: "created", Text: text(&w.got[0], w.lane.s)})
	}
	return lines
}

// expectRefused asks for what should be refused with this reason.
func (l *lane) expectRefused(req Request, rule string, reason error) {
	s, w := l.s, l.create(req)
	w.refusal = true
	if !l.answered() {
		return
	}
	s.tally.saw(rule, 1)
	switch r := w.refused; {
	case r == nil:
		s.broke(rule, "the create was granted", w.answer()...)
	case r.WatchID != watch.NoWatch:
		s.broke(rule, fmt.Sprintf("a refusal with id %d, want %d", r.WatchID, watch.NoWatch), w.answer()...)
	case r.CompactRevision != 0:
		s.broke(rule, fmt.Sprintf("a refusal with compact revision %d", r.CompactRevision), w.answer()...)
	case !errors.Is(r.Err, reason):
		s.broke(rule, fmt.Sprintf("refused with %q, want %q", fmt.Sprint(r.Err), reason), w.answer()...)
	}
}

func (s *scene) negativeID() {
	l := s.open()
	r := s.prefixed()
	r.ID = negative
	l.expectRefused(r, "C14", watch.ErrNegativeID)
}

// cancelUnknown: the answer to a create that is sent after the cancels must
// be the next thing that comes.
func (s *scene) cancelUnknown(l *lane, w *watched) {
	l.cancel(w)
	if !l.until("cancel", func() bool { return w.failed || w.check.Ended() }) {
		return
	}
	for _, id := range []int64{w.id, 4711} {
		before := l.responses
		s.must("cancel", l.stream.Cancel(id))
		l.create(s.prefixed())
		if !l.answered() {
			return
		}
		s.tally.saw("X2", 1)
		if l.responses != before+1 {
			s.broke("X2", "cancelling an id that is not there was answered",
				Line{What: "cancel", Text: fmt.Sprintf("id %d", id), Note: "which is not there"}, marked(l.last))
		}
	}
}

// rangeCase is a range and the keys that are in it.
type rangeCase struct {
	key, end string // of the scene; "^" is the byte 0x00 and "" nothing at all
	want     string // names, by space
}

var rangeNames = []string{"a", "b", "b\x00", "bb", "c", "c\xff", "c\xff\xff", "d"}

var rangeCases = []rangeCase{
	{"b", "", "b"},
	{"b", "c", "b b\x00 bb"},
	{"b", "b\x00", "b"},
	{"b\x00", "d", "b\x00 bb c c\xff c\xff\xff"},
	{"c\xff", "d", "c\xff c\xff\xff"},
	{"c", "^", "c c\xff c\xff\xff d"},
	{"c\xff\xff\x00", "^", "d"},
	{"^", "^", "a b b\x00 bb c c\xff c\xff\xff d"},
	{"^", "c", "a b b\x00 bb"},
	{"", "^", "a b b\x00 bb c c\xff c\xff\xff d"},
	{"", "c", "a b b\x00 bb"},
	{"", "", ""},
}

// ours reports whether all keys of the range are below the scene's prefix.
func (c rangeCase) ours() bool { return c.key != "" && c.key != "^" && c.end != "^" }

// probeRanges: every shape of a range, and those that are empty. Ranges in
// which others may write come last: a user may not be allowed to watch them.
func probeRanges(s *scene) {
	for _, c := range [][2]string{{"c", "b"}, {"b", "b"}, {"b\x00", "b"}} {
		s.open().expectRefused(s.between(s.key(c[0]), s.key(c[1])), "C3", watch.ErrEmptyRange)
	}
	for _, start := range []int64{-1, -1 << 62} {
		r := s.prefixed()
		r.StartRevision = start
		s.open().expectRefused(r, "C6", mvcc.ErrCompacted)
	}
	s.ranges(rangeCase.ours)
	s.ranges(func(c rangeCase) bool { return !c.ours() })
}

// ranges watches some of the cases while every name is put.
func (s *scene) ranges(some func(c rangeCase) bool) {
	l := s.open()
	bound := func(name string) []byte {
		switch name {
		case "":
			return nil
		case "^":
			return []byte{0}
		}
		return s.key(name)
	}
	var cases []rangeCase
	for _, c := range rangeCases {
		if !some(c) {
			continue
		}
		cases = append(cases, c)
		if w := l.create(s.between(bound(c.key), bound(c.end))); !c.ours() {
			w.unbound()
		}
	}
	if !l.answered() {
		return
	}
	for _, name := range rangeNames {
		s.put(name, "1")
	}
	if s.facts.Private {
		_, err := s.write(func() (wrote, error) {
			rev, err := s.subject.Put(s.ctx, []byte{0}, nil, 0)
			return wrote{rev: rev}, err // below the smallest prefix: not in the history
		})
		s.must("put", err)
	}
	l.sync()
	for i, c := range cases {
		l.all[i].expectKeys(c)
	}
}

// expectKeys compares the keys of this scene that came with those wanted.
func (w *watched) expectKeys(c rangeCase) {
	s := w.lane.s
	if s.failed() {
		return
	}
	rule := "C2"
	if c.key == "" {
		rule = "C1"
	}
	var got []string
	for _, e := range w.allEvents() {
		if name, ours := strings.CutPrefix(string(e.KV.Key), s.prefix); ours {
			got = append(got, name)
		}
		if c.key == "" && c.end == "" && string(e.KV.Key) == "\x00" {
			got = append(got, "^")
		}
	}
	want := strings.Fields(strings.ReplaceAll(c.want, "\x00", "^"))
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "^", "\x00")
	}
	if c.key == "" && c.end == "" && s.facts.Private {
		want = []string{"^"}
	}
	s.tally.saw(rule, int64(len(rangeNames)))
	if !slices.Equal(got, want) {
		s.broke(rule, fmt.Sprintf("a watch on %s got %q, want %q", rangeText(w.req.Key, w.req.End, s), got, want),
			Line{What: "create", Text: w.describe()},
			Line{What: "put", Text: fmt.Sprintf("%q", rangeNames)},
			Line{Mark: true, What: "events", Text: fmt.Sprintf("%q", got), Note: fmt.Sprintf("want %q", want)})
	}
}

// ahead is how far in the future a start is.
const ahead = 6

// probeStarts: a start in the future. Nothing below it may come, and no
// progress before it is reached.
func probeStarts(s *scene) {
	begin := s.put("a", "0")
	l := s.open()
	r := s.prefixed()
	r.StartRevision = begin + ahead
	l.create(r)
	if !l.answered() {
		return
	}
	l.ask()
	for i := 0; !s.failed() && s.book.last() < r.StartRevision+2; i++ {
		s.put("a", fmt.Sprint(i))
	}
	l.finish()
	s.tally.saw("C8", ahead-1)
}

const (
	fromNowStreams = 4
	fromNowWatches = 60
	fromNowWriters = 4
	fromNowMost    = 10_000 // writes; etcd was seen to take a few hundred
)

// probeFromNow: watches from now on, made while their key is written all the
// time.
func probeFromNow(s *scene) {
	var stops []func()
	for range fromNowWriters {
		stops = append(stops, s.beside(func(ctx context.Context) error {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := s.tryPut("k", fmt.Sprint(i)); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for range fromNowStreams {
		s.open()
	}
	s.each(func(_ int, l *lane) {
		for range fromNowWatches {
			w := l.create(s.between(s.key("k"), nil))
			l.answered()
			l.until("an event", func() bool { return w.failed || w.events > 0 })
			if s.failed() {
				return
			}
			l.cancel(w)
		}
	})
	for _, stop := range stops {
		stop()
	}
}

// probeWire: what only etcd's protocol can ask.
func probeWire(s *scene) {
	l := s.open()
	stream, ok := l.stream.(WireStream)
	if !ok {
		return
	}
	s.must("send an unknown request", stream.SendUnknown())
	r := s.prefixed()
	plain := l.create(r)
	r.UnknownFilter = true
	odd := l.create(r)
	odd.refusal = true
	if !l.survives("C17", "send", "an unknown request", func() bool { return len(l.asked) == 0 }) {
		return
	}
	if odd.refused != nil {
		s.broke("C17", "a create with an unknown filter was refused", odd.answer()...)
		return
	}
	rev := s.put("a", "1")
	l.until("an event", func() bool { return plain.failed || plain.has(s.key("a"), rev) })
	l.finish()
	if s.failed() {
		return
	}
	s.tally.saw("C17", 2)
	s.must("close the sending side", stream.CloseSend())
	s.settle(2)
	rev = s.put("a", "2")
	if l.survives("C18", "close", "the sending side", func() bool { return plain.failed || plain.has(s.key("a"), rev) }) {
		s.tally.saw("C18", 1)
	}
}

// survives receives until done. A stream that ends instead breaks the rule:
// what was done to it stands in the record.
func (l *lane) survives(rule, did, to string, done func() bool) bool {
	s := l.s
	for !s.failed() && !done() {
		rs, err := l.stream.Recv(s.ctx)
		for i := range rs {
			l.take(&rs[i])
		}
		switch {
		case err == nil:
		case s.ctx.Err() != nil:
			s.fail(did+" "+to, err)
		default:
			s.broke(rule, fmt.Sprintf("the stream ended: %v", err),
				Line{What: "create", Text: l.all[0].describe()}, Line{What: did, Text: to}, Line{Mark: true, What: "end", Text: err.Error()})
			return false
		}
	}
	return !s.failed()
}
