package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/watchkv/watchkv/watch"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// lane is one stream of a scene. It brings each response to the checker of
// its watch, and checks by itself what is about streams: ids, fragments, what
// comes for no watch. It belongs to one goroutine.
type lane struct {
	s      *scene
	stream Stream

	asked []*watched // creates that were not answered yet, in order
	open  map[int64]*watched
	ended map[int64]*watched // the last ended one of each id
	all   []*watched

	answers    []int64 // revisions of the answers to requests for progress
	requests   int     // for progress
	responses  int     // that came
	mixedUp    bool    // which create an answer is for is not certain any more
	last       Line    // the last of them
	joining    *Response
	parts      []Response   // fragments of joining
	fragmented [][]Response // the fragments of each response that had some
	notes      int          // entries of the log so far
	asks       []ask
}

// ask is a request, or something else worth telling, at its place among the
// responses.
type ask struct {
	at   int
	id   int64
	line Line
}

// everyID marks an ask that is in the record of every watch.
const everyID = math.MinInt64

func (l *lane) note(id int64, line Line) {
	l.notes++
	l.asks = append(l.asks, ask{l.notes, id, line})
}

// create asks for a watch. Its id is known when Created has come.
func (l *lane) create(r Request) *watched {
	w := &watched{lane: l, id: r.ID, req: r, asked: l.s.book.last()}
	w.opts = watchtest.Options{History: l.s.book.history, EtcdRules: l.s.facts.EtcdRules, Record: 8}
	if r.ID > 0 {
		l.note(r.ID, Line{What: "create", Text: w.describe()})
	}
	l.asked = append(l.asked, w)
	l.all = append(l.all, w)
	l.s.must("create", l.stream.Create(r))
	return w
}

// stalled notes at the newest create that nobody reads from here on.
func (l *lane) stalled() {
	if n := len(l.asks); n > 0 {
		l.asks[n-1].line.Note = "reader stalled"
	}
}

func (l *lane) cancel(w *watched) {
	w.canceled = true
	if w.check != nil {
		w.check.CancelAsked()
	}
	l.note(w.id, Line{What: "cancel", Text: fmt.Sprintf("id %d", w.id)})
	l.s.must("cancel", l.stream.Cancel(w.id))
}

// until receives until done, and reports whether it came to that.
func (l *lane) until(what string, done func() bool) bool {
	for !l.s.failed() && !done() {
		l.recv(what)
	}
	return !l.s.failed()
}

func (l *lane) recv(what string) {
	rs, err := l.stream.Recv(l.s.ctx)
	for i := range rs {
		l.take(&rs[i])
	}
	if err != nil {
		l.s.fail(what, err)
	}
}

// recvFor receives once and reports whether something came in time.
func (l *lane) recvFor(d time.Duration) bool {
	if l.s.failed() {
		return false
	}
	ctx, cancel := context.WithTimeout(l.s.ctx, d)
	defer cancel()
	rs, err := l.stream.Recv(ctx)
	for i := range rs {
		l.take(&rs[i])
	}
	if err != nil && ctx.Err() == nil {
		l.s.fail("receive", err)
	}
	return len(rs) > 0
}

// again is how long an answer to a request for progress is waited for before
// it is asked again: etcd forgets requests that it cannot answer at once.
const again = 300 * time.Millisecond

// ask requests progress.
func (l *lane) ask() {
	l.requests++
	l.s.must("ask for progress", l.stream.RequestProgress())
}

// sync asks for progress until it is told that everything written by now has
// been delivered on this stream.
func (l *lane) sync() {
	for !l.s.failed() && !l.trySync(1) {
		if l.s.ctx.Err() != nil {
			l.s.fail("progress", l.s.ctx.Err())
		}
	}
}

// trySync is sync that gives up after some requests.
func (l *lane) trySync(tries int) bool {
	s, bar := l.s, l.s.book.last()
	for n := len(l.answers); tries > 0 && !s.failed(); tries-- {
		l.ask()
		for until := time.Now().Add(again); time.Now().Before(until) && !s.failed(); {
			if !l.recvFor(time.Until(until)) {
				continue
			}
			for ; n < len(l.answers); n++ {
				if l.answers[n] >= bar {
					return true
				}
				if l.isLow(n, bar) {
					return true
				}
			}
		}
	}
	return false
}

// isLow reports an answer below the revision that was acknowledged before its
// request, if it is certain which request it answers.
func (l *lane) isLow(n int, bar int64) bool {
	if n+1 != l.requests {
		return false
	}
	l.s.broke("N3", fmt.Sprintf("the answer says %d, revision %d was acknowledged before the request", l.answers[n], bar),
		Line{What: "put", Text: fmt.Sprintf("at revision %d", bar)}, Line{What: "ask", Text: "for progress"},
		Line{Mark: true, What: "progress", Text: fmt.Sprintf("at revision %d", l.answers[n])})
	return true
}

// take is one response as it came, a fragment perhaps.
func (l *lane) take(r *Response) {
	l.notes++
	if l.joining == nil && !r.Fragment {
		l.deliver(r)
		return
	}
	l.join(r)
}

// deliver is one whole response.
func (l *lane) deliver(r *Response) {
	l.responses++
	l.last = Line{What: what(r), Text: text(r, l.s)}
	switch {
	case r.Created:
		l.created(r)
	case r.WatchID == watch.NoWatch && r.Progress():
		l.answers = append(l.answers, r.Revision)
		for _, w := range l.open {
			w.take(r)
		}
	default:
		w := l.open[r.WatchID]
		if w == nil {
			w = l.ended[r.WatchID]
		}
		if w == nil {
			l.s.broke("C15", fmt.Sprintf("a response came for id %d, which nobody has", r.WatchID), Line{Mark: true, What: what(r), Text: text(r, l.s)})
			return
		}
		w.take(r)
		if w.check.Ended() {
			delete(l.open, w.id)
			l.ended[w.id] = w
		}
	}
}

// created is the answer to the oldest create.
func (l *lane) created(r *Response) {
	if len(l.asked) == 0 {
		w := l.open[r.WatchID]
		if w == nil {
			w = l.ended[r.WatchID]
		}
		if w != nil {
			w.take(r) // Created a second time
			return
		}
		l.s.broke("C15", fmt.Sprintf("Created came for id %d, which nobody asked for", r.WatchID), Line{Mark: true, What: "created", Text: text(r, l.s)})
		return
	}
	w := l.asked[0]
	l.asked = l.asked[1:]
	if r.Canceled {
		if w.refused = r; !w.refusal {
			l.wronglyRefused(w)
		}
		return
	}
	if id := w.req.ID; id > 0 && id != r.WatchID {
		l.mixedUp = true
		l.s.broke("C13", fmt.Sprintf("the create of id %d was answered with id %d", id, r.WatchID),
			Line{What: "create", Text: w.describe()}, Line{Mark: true, What: what(r), Text: text(r, l.s)})
	}
	w.id, w.opts.ID = r.WatchID, r.WatchID
	if old := l.ended[w.id]; old != nil {
		w.opts.Reuses = old.check
	}
	if w.req.ID <= 0 { // known only now
		l.asks = append(l.asks, ask{l.notes, w.id, Line{What: "create", Text: w.describe()}})
	}
	w.check = watchtest.NewWatch(w.req.Request, w.opts)
	if w.canceled {
		w.check.CancelAsked()
	}
	l.open[w.id] = w
	w.take(r)
}

// finish waits until everything has come that was written by now, and tells
// the checkers so.
func (l *lane) finish() {
	l.sync()
	for _, w := range l.all {
		w.settled()
	}
}

// wronglyRefused ends the scene, which needs the watch. Where the reason is
// plainly not true, that is a break.
func (l *lane) wronglyRefused(w *watched) {
	switch err := w.refused.Err; {
	case errors.Is(err, watch.ErrEmptyRange):
		l.s.broke("C3", "a range that is not empty was refused as empty", w.answer()...)
	case errors.Is(err, watch.ErrDuplicateID):
		l.s.broke("C13", "an id that is free was refused as in use", w.answer()...)
	}
	l.s.fail("create", fmt.Errorf("refused: %v", w.refused.Err))
}
