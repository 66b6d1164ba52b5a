package verify

import (
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// watched is one watch of a lane.
type watched struct {
	lane *lane
	id   int64
	req  Request
	opts watchtest.Options

	check    *watchtest.Watch
	got      []Response // all responses, fragments joined
	places   []int      // in the lane's log, of got
	events   int        // events in got
	periodic int        // progress under its own id
	asked    int64      // newest revision that was acknowledged before the create
	created  *Response  // not told to the checker yet
	refusal  bool       // it should be refused, or may be
	refused  *Response  // Created and Canceled at once
	header   int64      // highest revision of an event response that is no safe resume point for certain
	failed   bool       // a break was reported
	canceled bool       // asked to end
}

// kept bounds the responses that one watch keeps for its record.
const kept = 1 << 14

// unbound makes the watch one whose keys others write too: it is checked
// without the history. Call it before Created is received.
func (w *watched) unbound() *watched {
	w.opts.History = nil
	return w
}

// resuming makes the watch one that goes on where old stood.
func (w *watched) resuming(old *watched) *watched {
	w.opts.Resumes = old.check
	return w
}

// take gives the watch its next response.
func (w *watched) take(r *Response) {
	s := w.lane.s
	w.events += len(r.Events)
	if r.Progress() && r.WatchID == w.id {
		w.periodic++
	}
	if len(w.got) < kept {
		w.got = append(w.got, *r)
		w.places = append(w.places, w.lane.notes)
	}
	s.counted(r)
	if s.facts.EtcdRules {
		if w.lookAtCreated(r) {
			return
		}
		w.lookAtHeader(r)
	} else if r.Created && w.req.StartRevision == 0 {
		s.tally.saw(headerOfC7, 1) // the checker looks at it, under C7
	}
	if r.Canceled && r.CompactRevision > 0 {
		r = w.lookAtCompaction(r)
	}
	if !s.facts.Private && r.CompactRevision > 0 { // others may compact too
		s.book.history.Compacting(r.CompactRevision)
	}
	w.deliver(r)
}

func (w *watched) deliver(r *Response) {
	if err := w.check.Deliver(&r.Response); err != nil {
		w.fails(err)
	}
}

// fails reports the first break of a watch.
func (w *watched) fails(err error) {
	var b *watchtest.Broken
	if w.failed || !errors.As(err, &b) {
		return
	}
	w.failed = true
	w.lane.s.brokeWatch(w, b)
}

// lookAtCreated holds Created of a watch from now on back until its next
// response: etcd reads the revision for it after it made the watch, so it may
// be ahead of a write that came between. It reports whether r is held back.
func (w *watched) lookAtCreated(r *Response) bool {
	if r.Created && w.req.StartRevision == 0 && w.created == nil && len(w.got) == 1 {
		created := *r
		w.created = &created
		return true
	}
	c := w.created
	if c == nil {
		return false
	}
	w.created = nil
	s := w.lane.s
	s.tally.saw(headerOfC7, 1)
	if len(r.Events) > 0 {
		if first := r.Events[0].KV.ModRevision; first <= c.Revision && first > w.asked {
			s.broke(headerOfC7, fmt.Sprintf("%s came, which was written while the watch was made; Created says %d", eventText(&r.Events[0], s), c.Revision),
				Line{What: "create", Text: w.describe()}, Line{What: "created", Text: text(c, s)}, Line{Mark: true, What: what(r), Text: text(r, s)})
			c.Revision = first - 1
		}
	}
	w.deliver(c)
	return false
}

// lookAtHeader looks at N7 where the checker does not, because the store did
// not promise it.
func (w *watched) lookAtHeader(r *Response) {
	n := len(r.Events)
	if n == 0 {
		return
	}
	s := w.lane.s
	s.tally.saw("N7", 1)
	switch first, last := r.Events[0].KV.ModRevision, r.Events[n-1].KV.ModRevision; {
	case first <= w.header && first > w.lastBefore():
		s.broke("N7", fmt.Sprintf("%v came after a response with header revision %d", eventText(&r.Events[0], s), w.header), w.headerRecord()...)
	case r.Revision < last:
		s.broke("N7", fmt.Sprintf("header revision %d is below that of the last event", r.Revision),
			Line{What: "create", Text: w.describe()}, Line{Mark: true, What: what(r), Text: text(r, s), Note: fmt.Sprintf("header revision %d", r.Revision)})
	}
	w.header = max(w.header, r.Revision)
}

// lookAtCompaction looks at the part of C11 that is ours, and returns the
// response as one that keeps it.
func (w *watched) lookAtCompaction(r *Response) *Response {
	s := w.lane.s
	s.tally.saw(headerOfC11, 1)
	if r.Revision >= r.CompactRevision {
		return r
	}
	s.broke(headerOfC11, fmt.Sprintf("told of compaction at %d in a response of revision %d", r.CompactRevision, r.Revision),
		Line{What: "create", Text: w.describe()}, Line{Mark: true, What: what(r), Text: text(r, s), Note: fmt.Sprintf("header revision %d", r.Revision)})
	mended := *r
	mended.Revision = max(r.CompactRevision, w.got[0].Revision)
	return &mended
}

// lastBefore is the last event's revision before the newest response.
func (w *watched) lastBefore() int64 {
	for i := len(w.got) - 2; i >= 0; i-- {
		if n := len(w.got[i].Events); n > 0 {
			return w.got[i].Events[n-1].KV.ModRevision
		}
	}
	return 0
}

// headerRecord is the response whose header ran ahead, and the one that shows
// it.
func (w *watched) headerRecord() []Line {
	s := w.lane.s
	lines := []Line{{What: "create", Text: w.describe()}}
	for i := len(w.got) - 2; i >= 0; i-- {
		if r := &w.got[i]; len(r.Events) > 0 && r.Revision == w.header {
			lines = append(lines, Line{What: what(r), Text: text(r, s), Note: fmt.Sprintf("header revision %d", r.Revision)})
			break
		}
	}
	last := &w.got[len(w.got)-1]
	return append(lines, Line{Mark: true, What: what(last), Text: text(last, s), Note: "came after it"})
}

// settled tells that everything the watch should have is there.
func (w *watched) settled() {
	if w.check == nil || w.lane.s.failed() || w.lane.s.book.broken() != nil {
		return
	}
	if w.created != nil {
		w.deliver(w.created)
		w.created = nil
	}
	if err := w.check.Finish(w.lane.s.book.last()); err != nil {
		w.fails(err)
	}
}

// describe is the watch in a record.
func (w *watched) describe() string {
	s := fmt.Sprintf("id %d  %s", w.id, rangeText(w.req.Key, w.req.End, w.lane.s))
	if w.req.StartRevision != 0 {
		s += fmt.Sprintf(" from %d", w.req.StartRevision)
	}
	for _, o := range []struct {
		on   bool
		text string
	}{{w.req.PrevKV, "prevkv"}, {w.req.NoPut, "no puts"}, {w.req.NoDelete, "no deletes"}, {w.req.Fragment, "fragments"}, {w.req.Progress, "progress"}} {
		if o.on {
			s += ", " + o.text
		}
	}
	return s
}

// has reports whether an event of the key at or above rev has come.
func (w *watched) has(key []byte, rev int64) bool {
	for i := len(w.got) - 1; i >= 0; i-- {
		for j := len(w.got[i].Events) - 1; j >= 0; j-- {
			kv := &w.got[i].Events[j].KV
			if kv.ModRevision < rev {
				return false
			}
			if string(kv.Key) == string(key) {
				return true
			}
		}
	}
	return false
}

// allEvents is every event that came.
func (w *watched) allEvents() (out []mvcc.Event) {
	for i := range w.got {
		out = append(out, w.got[i].Events...)
	}
	return out
}
