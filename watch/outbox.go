package watch

import (
	"sync"

	"github.com/watchkv/watchkv/mvcc"
)

// run is a piece of history for all watchers of a seat: events that match,
// ascending, cut between revisions, and the revision it is complete up to.
type run struct {
	events    []mvcc.Event
	rev       int64
	bytes     int64 // of the records in it
	conflated bool
	maySplit  bool
	shared    *slot // nil: nothing to share
}

// An event or run takes about so much memory beside its bytes. Counting it
// keeps an outbox of tiny events to its bound too.
const (
	eventWeight = 128
	runWeight   = 64
)

// weight is what the run counts against bounds in bytes.
func (r *run) weight() int64 { return r.bytes + int64(len(r.events))*eventWeight + runWeight }

// entry is one hand-over in an outbox: runs of events for the watchers that
// sat together when it was queued, or one control response. It becomes
// responses in Recv, on the consumer's goroutine.
type entry struct {
	members []*watcher // as they were; appended to by others, never changed
	first   run
	more    []run
	control *Response
}

// run returns the i-th run.
func (e *entry) run(i int) *run {
	if i == 0 {
		return &e.first
	}
	return &e.more[i-1]
}

// outbox is the bounded queue of a stream between the hub and its consumer.
type outbox struct {
	maxEntries int   // event entries; control has room of its own
	maxBytes   int64 // weight of the runs in them

	mu      sync.Mutex // guards all below; a leaf
	queue   []entry
	taken   int64 // entries ever taken: the sequence number of queue[0]
	entries int   // event entries in queue
	bytes   int64 // weight of the runs in queue
	events  int64 // in queue, for each watch
	peak    int64 // most bytes ever
	control int64 // sequence number behind the last control entry
	parked  bool  // the consumer waits on wake
	bare    bool  // the consumer has received all it took
	victims bool  // something was refused since the last take
	closed  error

	answered int64 // sequence number behind the last answer to RequestProgress

	// wake has room for one signal: sent by whoever queues for a parked
	// consumer, received by Recv, never closed.
	wake chan struct{}
}

// offer queues runs for the members of a seat, as a new entry or, if the last
// entry of the seat is still queued and nothing has changed since, at its
// end. It returns how many of the runs, from the first, it had room for, and
// if not all remembers that there are victims. An empty outbox takes at least
// one.
func (o *outbox) offer(st *seat, runs []run) (taken int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var bytes int64
	for taken < len(runs) && (o.entries+taken == 0 || o.bytes+bytes+runs[taken].weight() <= o.maxBytes) {
		bytes += runs[taken].weight()
		taken++
	}
	e := o.growable(st)
	if e == nil && o.entries >= o.maxEntries {
		taken = 0
	}
	o.victims = o.victims || taken < len(runs)
	if taken == 0 {
		return 0
	}
	if runs = runs[:taken]; e != nil {
		e.more = append(e.more, runs...)
	} else {
		o.queue = append(o.queue, entry{members: st.members, first: runs[0]})
		if len(runs) > 1 {
			o.queue[len(o.queue)-1].more = append([]run(nil), runs[1:]...)
		}
		o.entries++
		st.lastEntry = o.taken + int64(len(o.queue))
	}
	o.bytes += bytes
	for i := range runs {
		o.events += int64(len(runs[i].events)) * int64(len(st.members))
	}
	o.peak = max(o.peak, o.bytes)
	o.signal()
	return taken
}

// refuses reports whether the outbox has no room for anything, and if so
// remembers that there are victims.
func (o *outbox) refuses() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	full := o.entries > 0 && (o.entries >= o.maxEntries || o.bytes >= o.maxBytes)
	o.victims = o.victims || full
	return full
}

// growable returns the seat's last entry if runs may still be added to it:
// it is queued, has the same members, and no control response came behind it,
// which would then speak of a lower revision than what is before it.
func (o *outbox) growable(st *seat) *entry {
	if st.lastEntry <= o.taken || st.lastEntry <= o.control {
		return nil
	}
	e := &o.queue[st.lastEntry-1-o.taken]
	if len(e.members) != len(st.members) || &e.members[0] != &st.members[0] {
		return nil
	}
	return e
}

// tell queues a control response; there is always room. It returns the place
// behind it.
func (o *outbox) tell(r Response) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue = append(o.queue, entry{control: &r})
	o.control = o.taken + int64(len(o.queue))
	o.signal()
	return o.control
}

// tellIfRoom queues a control response that may as well not be sent, unless
// the outbox is full, of whatever.
func (o *outbox) tellIfRoom(r Response) {
	o.mu.Lock()
	full := len(o.queue) >= o.maxEntries || o.bytes >= o.maxBytes
	o.mu.Unlock()
	if !full {
		o.tell(r)
	}
}

// answer queues the answer to a request for progress, unless one is queued
// already: then it reports false, and the next take tells of it as of victims.
func (o *outbox) answer(r Response) bool {
	o.mu.Lock()
	queued := o.answered > o.taken
	o.victims = o.victims || queued
	o.mu.Unlock()
	if queued {
		return false
	}
	at := o.tell(r)
	o.mu.Lock()
	o.answered = at
	o.mu.Unlock()
	return true
}

// signal wakes the consumer if it waits. The lock is held.
func (o *outbox) signal() {
	if o.parked {
		o.parked = false
		o.wake <- struct{}{}
	}
}

// poke wakes the consumer though nothing was queued, to look at the state.
func (o *outbox) poke() {
	o.mu.Lock()
	o.signal()
	o.mu.Unlock()
}

// close ends the outbox: what is queued is dropped, Recv answers err.
func (o *outbox) close(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed != nil {
		return
	}
	o.closed = err
	o.queue, o.entries, o.bytes, o.events = nil, 0, 0, 0
	o.signal()
}

// take swaps the queue for an empty one. With nothing queued it parks the
// consumer: the next signal goes to wake. victims tells that offers were
// refused since the last take, at is the place of the queue's first entry.
func (o *outbox) take(empty []entry) (queue []entry, at int64, victims bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed != nil {
		return nil, o.taken, false, o.closed
	}
	if len(o.queue) == 0 {
		o.parked, o.bare = true, true
		if cap(empty) == 0 {
			o.queue = nil // who keeps no memory for the next queue wants none kept
		}
		return empty, o.taken, false, nil
	}
	at = o.taken
	queue, o.queue = o.queue, empty
	o.taken += int64(len(queue))
	o.bare = false
	o.entries, o.bytes, o.events = 0, 0, 0
	victims, o.victims = o.victims, false
	return queue, at, victims, nil
}

// unpark withdraws from waiting; a signal may already be on its way.
func (o *outbox) unpark() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.parked {
		<-o.wake
	}
	o.parked = false
}

// pending returns the bytes and events queued now, and the most bytes there
// ever were.
func (o *outbox) pending() (bytes, peak, events int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes, o.peak, o.events
}

// spent reports whether the consumer has received all there ever was.
func (o *outbox) spent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bare && len(o.queue) == 0
}

// idle reports whether nothing is queued.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue) == 0
}
