package watchtest

import (
	"errors"
	"slices"
	"sync"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// maxUnclaimed bounds the responses kept of watches that Expect has not
// named yet.
const maxUnclaimed = 1024

// Stream checks all watches of one stream: it brings each response to the
// Watch it is for, and checks what concerns ids, refusals and requested
// progress.
//
// Safe for one requesting and one receiving goroutine; both take the
// stream's own lock.
type Stream struct {
	history *History
	record  int

	mu        sync.Mutex // guards all below; calls no lock
	open      map[int64]*Watch
	ended     map[int64]*Watch // the last ended watch of each id
	expected  map[int64][]*Watch
	unclaimed []watch.Response
	refusals  []watch.Request // refused with an error, their responses to come
	owed      []int64         // lowest revisions of the progress answers to come
	served    int             // requests that an answer covered, which may get one more
	all       Counts          // of watches that are gone, and of the stream itself
	broken    error
}

// NewStream begins the check of a stream. The history may be nil. record is
// Options.Record of every watch.
func NewStream(h *History, record int) *Stream {
	return &Stream{history: h, record: record, open: map[int64]*Watch{}, ended: map[int64]*Watch{}, expected: map[int64][]*Watch{}}
}

// Expect tells of a watch that was granted the id, and returns its check. It
// may come after the first responses of the watch. resumes is the watch it
// continues, or nil.
func (s *Stream) Expect(id int64, req watch.Request, resumes *Watch) (*Watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := NewWatch(req, Options{History: s.history, ID: id, Resumes: resumes, Record: s.record})
	if b := granted(id, req); b != nil {
		w.fail(b, nil)
		return w, s.failLocked(b)
	}
	s.expected[id] = append(s.expected[id], w)
	held := s.unclaimed
	s.unclaimed = nil
	for i := range held {
		if err := s.deliverLocked(&held[i]); err != nil {
			return w, err
		}
	}
	return w, nil
}

// granted names the rule by which a request should have been refused.
func granted(id int64, req watch.Request) *Broken {
	switch {
	case req.ID < 0:
		return broken("C14", "id %d was granted", req.ID)
	case mvcc.SpanOf(req.Key, req.End).Empty():
		return broken("C3", "the empty range %q to %q was granted", req.Key, req.End)
	case req.StartRevision < 0:
		return broken("C6", "start revision %d was granted", req.StartRevision)
	case req.ID > 0 && id != req.ID:
		return broken("C13", "id %d was asked for and %d granted", req.ID, id)
	}
	return nil
}

// Refused tells of a watch that was refused with err; a response must say so
// too.
func (s *Stream) Refused(req watch.Request, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Refused++
	if want := reason(req); want != nil && !errors.Is(err, want) {
		return s.failLocked(broken(refusalRule(req), "refused with %v, want %v", err, want))
	}
	s.refusals = append(s.refusals, req)
	return nil
}

func reason(req watch.Request) error {
	switch {
	case req.ID < 0:
		return watch.ErrNegativeID
	case mvcc.SpanOf(req.Key, req.End).Empty():
		return watch.ErrEmptyRange
	case req.StartRevision < 0:
		return mvcc.ErrCompacted
	}
	return nil
}

func refusalRule(req watch.Request) string {
	switch {
	case req.ID < 0:
		return "C14"
	case mvcc.SpanOf(req.Key, req.End).Empty():
		return "C3"
	case req.StartRevision < 0:
		return "C6"
	}
	return "C13"
}

// CancelAsked tells that the watch of this id will be asked to end.
func (s *Stream) CancelAsked(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.open[id]; w != nil {
		w.CancelAsked()
	}
	for _, w := range s.expected[id] {
		w.CancelAsked()
	}
}

// ProgressAsked tells, before the request, that progress will be requested
// while the store shows revision visible.
func (s *Stream) ProgressAsked(visible int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed = append(s.owed, visible)
}

// Deliver takes what one Recv returned. It returns nil or the first *Broken,
// which every later call repeats.
func (s *Stream) Deliver(responses []watch.Response) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range responses {
		if err := s.deliverLocked(&responses[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stream) deliverLocked(r *watch.Response) error {
	if s.broken != nil {
		return s.broken
	}
	id := r.WatchID
	if id == watch.NoWatch {
		return s.failLocked(s.streamLocked(r))
	}
	w := s.open[id]
	if queue := s.expected[id]; len(queue) > 0 && (r.Created || w == nil && s.ended[id] == nil) && (w == nil || w.Ended()) {
		w = queue[0]
		s.expected[id] = queue[1:]
		w.opts.Reuses = s.ended[id]
		s.open[id] = w
	}
	if w == nil {
		if old := s.ended[id]; old != nil && !r.Created && !s.unclaimedLocked(id) {
			return s.failLocked(old.Deliver(r))
		}
		if len(s.unclaimed) >= maxUnclaimed {
			return s.failLocked(broken("C15", "watch %d, which nobody asked for, gets responses", id))
		}
		s.unclaimed = append(s.unclaimed, *r)
		return nil
	}
	if err := w.Deliver(r); err != nil {
		return s.failLocked(err)
	}
	if w.Ended() {
		delete(s.open, id)
		if old := s.ended[id]; old != nil {
			s.all.Add(old.counts)
		}
		w.opts.Reuses = nil
		s.ended[id] = w
	}
	return nil
}

// unclaimedLocked reports that the id was created again and Expect has not
// said so yet.
func (s *Stream) unclaimedLocked(id int64) bool {
	return slices.ContainsFunc(s.unclaimed, func(r watch.Response) bool { return r.WatchID == id })
}

// streamLocked checks a response that is for no single watch.
func (s *Stream) streamLocked(r *watch.Response) error {
	switch {
	case r.Created && r.Canceled:
		if len(s.refusals) > 0 {
			req := s.refusals[0]
			s.refusals = s.refusals[1:]
			if r.Err == nil || r.CompactRevision != 0 {
				return broken(refusalRule(req), "a refusal with reason %v and compact revision %d", r.Err, r.CompactRevision)
			}
		}
		return nil
	case !r.Progress():
		return broken("C15", "%s came for no watch", describe(r))
	case len(s.owed) == 0 && s.served == 0:
		return broken("N3", "progress at revision %d was requested by nobody", r.Revision)
	case s.served > 0 && (len(s.owed) == 0 || r.Revision < s.owed[0]):
		s.served-- // to a request that an earlier answer happened to cover
	case r.Revision < s.owed[0]:
		return broken("N3", "progress at revision %d answers a request made at %d", r.Revision, s.owed[0])
	default:
		// One answer may serve every request whose bar it reaches. Whether
		// the later ones were made before it was sent cannot be known here,
		// so each of them may get another.
		covered := 1
		for covered < len(s.owed) && s.owed[covered] <= r.Revision {
			covered++
		}
		s.served += covered - 1
		s.owed = append(s.owed[:0], s.owed[covered:]...)
	}
	s.all.Answers++
	for _, w := range s.open {
		if err := w.Deliver(r); err != nil {
			return err
		}
	}
	return nil
}

// failLocked keeps the first break.
func (s *Stream) failLocked(err error) error {
	if err != nil && s.broken == nil {
		s.broken = err
	}
	return s.broken
}

// Owes is how many requests for progress have not been answered.
func (s *Stream) Owes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.owed)
}

// Watch returns the open watch of an id, or nil.
func (s *Stream) Watch(id int64) *Watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// Finish ends the check of every open watch; see Watch.Finish.
func (s *Stream) Finish(upTo int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	if len(s.unclaimed) > 0 {
		return s.failLocked(broken("C15", "%s came for watch %d, which nobody asked for", describe(&s.unclaimed[0]), s.unclaimed[0].WatchID))
	}
	for _, queue := range s.expected {
		for _, w := range queue {
			if err := w.Finish(upTo); err != nil {
				return s.failLocked(err)
			}
		}
	}
	for _, group := range []map[int64]*Watch{s.open, s.ended} {
		for _, w := range group {
			if err := w.Finish(upTo); err != nil {
				return s.failLocked(err)
			}
		}
	}
	return nil
}

// Counts is how much was looked at on this stream.
func (s *Stream) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	for _, group := range []map[int64]*Watch{s.open, s.ended} {
		for _, w := range group {
			all.Add(w.counts)
		}
	}
	return all
}

// Ended reports whether a watch that Expect returned has had its last
// response. Unlike Watch.Ended it may be called while the stream is received.
func (s *Stream) Ended(w *Watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return w.Ended()
}
