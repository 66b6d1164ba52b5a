package watchtest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Options says what a Watch is to its History and to other watches. The zero
// value is a first watch checked without a history.
type Options struct {
	// History is what was written. Without one, only what the responses show
	// by themselves is checked; for a single key that still finds gaps, by
	// the versions.
	History *History
	// ID is the watch's id on its stream, for messages.
	ID int64
	// Resumes is the watch this one continues, if it does: one that is not
	// used any more.
	Resumes *Watch
	// Reuses is the ended watch that had the same id before, if any.
	Reuses *Watch
	// EtcdRules leaves the rules of class Ours out: the watch is one of a
	// store that promises what etcd promises and no more.
	EtcdRules bool
	// Record is how many responses are kept for Broken.Record; 0 means 4.
	// They cost 88 bytes each.
	Record int
	// Now is the time for Broken.At, from any moment on; it is asked for every
	// response. nil leaves times out.
	Now func() time.Duration
	// Excuse is asked about a broken promise, by the goroutine that delivers.
	// If it agrees, nobody is told, and the watch is checked no further; nil
	// excuses nothing.
	Excuse func(*Broken) bool
}

// Watch checks the responses of one watch. It takes about 700 bytes and its
// Record, and 72 bytes for each event that arrived before its writer told the
// History, up to maxPending.
//
// It belongs to the goroutine that receives: nothing of it is safe for
// concurrent use but CancelAsked.
type Watch struct {
	req    watch.Request
	span   mvcc.Span
	single bool
	opts   Options
	phase  phase

	created  int64 // revision of the Created response
	first    int64 // no event below it may come; set with created
	last     int64 // revision of the newest event
	resume   int64 // newest resume point told by an event response
	claimed  int64 // as resume, under EtcdRules: a claim that may be false
	progress int64 // newest progress notification
	caughtUp int64 // events at or below it are over; 0: not told yet

	asked   atomic.Bool // CancelAsked was called
	broken  *Broken
	excused bool // broken was, by Options.Excuse
	suspect *suspect
	trace   trace
	matcher matcher
	chain   chain // used without a history
	counts  Counts
}

type phase uint8

const (
	phaseNew phase = iota
	phaseOpen
	phaseEnded
	phaseCompacted // ended, and told of compaction
)

// NewWatch begins the check of one watch, before its first response.
func NewWatch(req watch.Request, opts Options) *Watch {
	req.Key, req.End = append([]byte(nil), req.Key...), append([]byte(nil), req.End...)
	w := &Watch{req: req, span: mvcc.SpanOf(req.Key, req.End), opts: opts}
	w.single = w.span.Single()
	if opts.Record == 0 {
		w.opts.Record = 4
	}
	w.trace.keep, w.trace.now = w.opts.Record, w.opts.Now
	w.counts.Watches = 1
	if opts.History != nil && !w.span.Empty() {
		w.matcher.init(w, opts.History)
	}
	return w
}

// CancelAsked tells that the consumer has asked to end the watch. Safe for
// concurrent use; call it before the request.
func (w *Watch) CancelAsked() { w.asked.Store(true) }

// Counts is how much was looked at so far.
func (w *Watch) Counts() Counts { return w.counts }

// Ended reports whether the last response was delivered.
func (w *Watch) Ended() bool { return w.phase >= phaseEnded }

// Next is the revision from which another watch continues exactly: one above
// all that is known to be delivered. Before Created it is the start asked for.
func (w *Watch) Next() int64 {
	if w.phase == phaseNew {
		return w.req.StartRevision
	}
	return max(w.first, w.last+1, w.resume+1, w.progress+1)
}

// Deliver takes the next response of the watch. It returns nil, or a *Broken,
// which every later call repeats. The response is not kept.
func (w *Watch) Deliver(r *watch.Response) error {
	if w.excused {
		w.counts.Responses++
		return nil
	}
	if w.broken == nil {
		w.counts.Responses++
		b := w.deliver(r)
		if b == nil {
			b = w.suspicion(r)
		}
		if b == nil {
			w.trace.add(r)
			return nil
		}
		w.fail(b, r)
		if w.excuses() {
			return nil
		}
	}
	return w.broken
}

// excuses reports that the break just found is to be passed over.
func (w *Watch) excuses() bool {
	w.excused = w.opts.Excuse != nil && w.opts.Excuse(w.broken)
	return w.excused
}

func (w *Watch) fail(b *Broken, r *watch.Response) {
	b.Watch = w.String()
	b.Record, b.At = w.trace.lines()
	b.Responses = w.counts.Responses
	if r != nil {
		b.Record = append(b.Record, describe(r))
		if w.opts.Now != nil {
			b.At = append(b.At, w.opts.Now())
		}
	}
	w.broken = b
}

// String names the watch for a message.
func (w *Watch) String() string {
	s := fmt.Sprintf("watch %d, key %q", w.opts.ID, w.req.Key)
	if len(w.req.End) > 0 {
		s += fmt.Sprintf(" to %q", w.req.End)
	}
	if w.req.StartRevision == 0 {
		s += ", from now on"
	} else {
		s += fmt.Sprintf(", from revision %d", w.req.StartRevision)
	}
	for _, o := range []struct {
		on   bool
		text string
	}{
		{w.req.PrevKV, "prevkv"}, {w.req.NoPut, "no puts"}, {w.req.NoDelete, "no deletes"},
		{w.req.Policy != watch.Wait, w.req.Policy.String()},
	} {
		if o.on {
			s += ", " + o.text
		}
	}
	return s
}

func (w *Watch) deliver(r *watch.Response) *Broken {
	switch {
	case w.phase == phaseNew && !r.Created:
		return broken("C15", "a response came before Created")
	case w.phase == phaseCompacted && r.Canceled:
		return broken("C12", "compaction was told a second time")
	case w.phase >= phaseEnded:
		return broken("X1", "a response came after Canceled")
	case w.phase == phaseOpen && r.Created:
		return broken("C15", "Created came a second time")
	case r.Created:
		w.start(r)
	}
	if len(r.Events) > 0 {
		if b := w.events(r); b != nil {
			return b
		}
	}
	if r.CaughtUp {
		if b := w.catchesUp(r); b != nil {
			return b
		}
	}
	if r.Progress() {
		if b := w.progresses(r); b != nil {
			return b
		}
	}
	if r.Canceled {
		return w.ends(r)
	}
	return nil
}

// start notes where events may begin.
func (w *Watch) start(r *watch.Response) {
	w.phase = phaseOpen
	w.created = r.Revision
	w.counts.Created++
	switch start := w.req.StartRevision; {
	case start <= 0:
		w.first = r.Revision + 1
		w.counts.FromNow++
	case start > r.Revision:
		w.first = start
		w.counts.FromFuture++
	default:
		w.first = start
		w.counts.FromHistory++
	}
	if w.opts.Resumes != nil {
		w.counts.Resumed++
	}
	if w.opts.Reuses != nil {
		w.counts.Reused++
	}
	w.matcher.start(w.first)
}

// events checks a response's events against what the watch asked for and what
// it has been told before, then gives each to the history.
func (w *Watch) events(r *watch.Response) *Broken {
	evs := r.Events
	w.counts.EventResponses++
	w.counts.Events += int64(len(evs))
	if r.Conflated {
		w.counts.Conflated++
		if w.req.Policy != watch.Latest {
			return broken("V6", "a response is conflated, policy is %v", w.req.Policy)
		}
	}
	at := evs[0].KV.ModRevision
	if at < w.first || at <= max(w.last, w.resume, w.progress, w.caughtUp) {
		return w.early(&evs[0])
	}
	for i := range evs {
		e := &evs[i]
		if e.KV.ModRevision < at {
			return w.backwards(e)
		}
		at = e.KV.ModRevision
		if w.single && string(e.KV.Key) != string(w.span.Lo) || !w.single && !w.span.Contains(e.KV.Key) {
			return w.outside(e)
		}
		if b := w.form(e); b != nil {
			return b
		}
		if w.matcher.h != nil {
			if b := w.matcher.event(e, r.Conflated); b != nil {
				return b
			}
		} else if b := w.chain.event(w, e); b != nil {
			return b
		}
	}
	w.last = at
	if r.Canceled || r.Created {
		return nil
	}
	if w.opts.EtcdRules {
		w.claims(r, evs[0].KV.ModRevision)
		return nil
	}
	if r.Revision < at {
		return broken("N7", "the response's revision %d is below that of its last event, %d", r.Revision, at)
	}
	if r.CaughtUp { // its revision is where the hub is, not a resume point
		return nil
	}
	w.resume = r.Revision
	if r.Revision > at || w.req.Policy == watch.Latest {
		return w.matcher.mark(markResponse, r.Revision, r.Conflated)
	}
	return nil
}

// claims counts, where nobody promised it, the responses whose revision was no
// resume point: one below its own events, or below which more came.
func (w *Watch) claims(r *watch.Response, first int64) {
	if first <= w.claimed {
		w.counts.Unresumable++
	}
	if r.Revision < w.last {
		w.counts.Unresumable++
	}
	w.claimed = r.Revision
}

// form checks what an event shows by itself.
func (w *Watch) form(e *mvcc.Event) *Broken {
	kv := &e.KV
	if w.req.NoPut || w.req.NoDelete {
		w.counts.Filtered++
		if e.Type == mvcc.EventPut && w.req.NoPut || e.Type == mvcc.EventDelete && w.req.NoDelete {
			return broken("F1", "%s was filtered out", event(e))
		}
	}
	if e.Type == mvcc.EventDelete {
		w.counts.Deletes++
		if len(kv.Value) > 0 || kv.CreateRevision != 0 || kv.Version != 0 || kv.Lease != 0 {
			return broken("E5", "%s carries more than key and mod revision", event(e))
		}
	} else if kv.Version < 1 || kv.CreateRevision > kv.ModRevision || (kv.Version == 1) != (kv.CreateRevision == kv.ModRevision) {
		return broken("E6", "%s has version %d and create revision %d", event(e), kv.Version, kv.CreateRevision)
	}
	if w.req.PrevKV {
		w.counts.Previous++
	} else if e.Prev != nil {
		return broken("P1", "%s carries a previous value nobody asked for", event(e))
	}
	return nil
}

func (w *Watch) catchesUp(r *watch.Response) *Broken {
	if w.caughtUp != 0 {
		return broken("V5", "the end of catch-up was told a second time")
	}
	w.counts.CaughtUp++
	w.caughtUp = max(w.created, 1)
	if w.req.Policy == watch.Latest { // what it skipped may be superseded up to where it is now
		return w.matcher.mark(markCaughtUp, max(w.created, r.Revision), false)
	}
	return w.matcher.mark(markCaughtUp, w.created, false)
}

func (w *Watch) progresses(r *watch.Response) *Broken {
	w.counts.Progress++
	switch {
	case r.WatchID != watch.NoWatch && !w.req.Progress:
		return broken("N1", "a progress notification that nobody asked for, at revision %d", r.Revision)
	case r.Revision < w.created:
		return broken("N2", "progress at revision %d, Created was at %d", r.Revision, w.created)
	case w.req.StartRevision > w.created && r.Revision < w.req.StartRevision:
		return broken("C8", "progress at revision %d before the start is reached", r.Revision)
	case r.Revision < max(w.progress, w.last, w.resume):
		return broken("N5", "progress at revision %d after revision %d was reached", r.Revision, max(w.progress, w.last, w.resume))
	}
	w.progress = r.Revision
	return w.matcher.mark(markProgress, r.Revision, false)
}

// Finish ends the check: everything that matches up to revision upTo should
// have been delivered, unless the watch has ended. Pass the last revision
// that was acknowledged; what no writer was answered with is then known to
// be nobody's.
func (w *Watch) Finish(upTo int64) error {
	if w.excused {
		return nil
	}
	if w.broken != nil {
		return w.broken
	}
	if b := w.finish(upTo); b != nil {
		w.fail(b, nil)
		if w.excuses() {
			return nil
		}
		return b
	}
	return nil
}

func (w *Watch) finish(upTo int64) *Broken {
	if w.phase == phaseNew {
		return broken("C15", "Created never came")
	}
	b := w.matcher.finish(upTo, w.phase == phaseOpen)
	switch {
	case b != nil:
		return b
	case w.suspect != nil:
		return w.suspect.broken
	case w.phase == phaseOpen && w.caughtUp == 0 && upTo >= w.created && !w.opts.EtcdRules:
		return broken("V5", "the end of catch-up was never told")
	}
	return nil
}
