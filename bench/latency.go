package bench

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	longestLatency = time.Hour // larger values are counted in outOfRange, not clamped
	significant    = 3         // digits a histogram keeps
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(longestLatency), significant)
}

// maxPhases bounds the parts of a scenario that are measured apart.
const maxPhases = 3

// phases cuts the session's clock into parts: 0 is the warm-up, 1 to
// maxPhases are measured, what comes after the last mark is phase end. A mark
// may be set while the scenario runs, at or before the moment it takes effect.
type phases struct {
	marks [maxPhases + 1]atomic.Int64 // phase i+1 begins at marks[i]
}

func newPhases() *phases {
	p := &phases{}
	for i := range p.marks {
		p.marks[i].Store(math.MaxInt64)
	}
	return p
}

// at is the phase of a moment of the session's clock.
func (p *phases) at(nanos int64) int {
	n := 0
	for n < len(p.marks) && p.marks[n].Load() <= nanos {
		n++
	}
	return n
}

// begin sets the moment at which phase n, from 1 on, begins.
func (p *phases) begin(n int, nanos int64) { p.marks[n-1].Store(nanos) }

// follow sets the moments at which the phases from 1 on begin, one after
// another; the last ends what is measured.
func (p *phases) follow(moments ...int64) {
	for i, nanos := range moments {
		p.begin(i+1, nanos)
	}
}

// lane is the share of a recorder that one worker, or a few, write to.
type lane struct {
	mu         sync.Mutex // guards all below; a leaf, held for one batch of responses
	notify     [classes][maxPhases + 1]*hdrhistogram.Histogram
	put        [maxPhases + 1]*hdrhistogram.Histogram
	asked      [answersAsked][maxPhases + 1]*hdrhistogram.Histogram
	ackToEvent [2]*hdrhistogram.Histogram // by sign: event after the answer, event before it
	late       *hdrhistogram.Histogram
	second     secondFigures // since the last reading

	events     [classes][maxPhases + 2]int64 // delivered, by the phase of their arrival
	eventBytes [classes][maxPhases + 2]int64
	acked      [maxPhases + 2]int64 // puts, by the phase of their answer
	backlogged int64                // puts whose writers were all busy at their due time
	outOfRange int64
}

// secondFigures feed the series and the live figures.
type secondFigures struct {
	notify, late *hdrhistogram.Histogram
	puts, events int64
}

// Classes of consumers whose latency is told apart.
const (
	classHealthy  = iota // all of them, unless the scenario makes some slow
	classAffected        // stalled, or replaying
	classProbe           // in no figure
	classes
)

// Answers, beside those to puts, whose latency a scenario may measure.
const (
	answerCreated  = iota // of a watch: from when it was due
	answerCanceled        // of a watch: from the request for its end
	answerTold            // of a watch: from when it could be told of a compaction
	answerGet             // of a read of one key
	answerList            // of a read of a page
	answersAsked
)

// recorder collects figures from many workers. Each worker has a lane;
// reading merges them.
type recorder struct {
	phases *phases
	lanes  []*lane
}

func newRecorder() *recorder {
	r := &recorder{phases: newPhases(), lanes: make([]*lane, 2*runtime.GOMAXPROCS(0))}
	for i := range r.lanes {
		r.lanes[i] = &lane{second: newSecond()}
	}
	return r
}

// lane of worker i.
func (r *recorder) lane(i int) *lane { return r.lanes[i%len(r.lanes)] }

// record counts n equal values in a histogram that is made when first needed.
func (l *lane) record(h **hdrhistogram.Histogram, v time.Duration, n int64) {
	if *h == nil {
		*h = newHistogram()
	}
	if (*h).RecordValues(int64(v), n) != nil {
		l.outOfRange += n
	}
}

// recordNotifyLocked counts the notify latency of n watches. The phase is that
// of the put's due time.
func (l *lane) recordNotifyLocked(class, phase int, v time.Duration, n int64) {
	l.record(&l.second.notify, v, n)
	if phase >= 1 && phase <= maxPhases {
		l.record(&l.notify[class][phase], v, n)
	}
}

// recordAckToEventLocked counts the time from a put's answer to its event,
// whichever came first.
func (l *lane) recordAckToEventLocked(v time.Duration, n int64) {
	if v < 0 {
		l.record(&l.ackToEvent[1], -v, n)
		return
	}
	l.record(&l.ackToEvent[0], v, n)
}

// put counts one answered put: due and acked are moments, late how long after
// its due time the generator began it, or one of the values that are no delay.
func (r *recorder) put(l *lane, due, acked, late int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.second.puts++
	l.acked[r.phases.at(acked)]++
	phase := r.phases.at(due)
	measured := phase >= 1 && phase <= maxPhases
	if measured {
		l.record(&l.put[phase], time.Duration(acked-due), 1)
	}
	switch late {
	case lateBusy:
		l.backlogged++
		return
	case lateUnknown:
		return
	}
	l.record(&l.second.late, time.Duration(late), 1)
	if measured {
		l.record(&l.late, time.Duration(late), 1)
	}
}

// answer counts the time of one answer in a phase; out of those that are
// measured it is dropped.
func (r *recorder) answer(l *lane, kind, phase int, took time.Duration) {
	if phase < 1 || phase > maxPhases {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record(&l.asked[kind][phase], took, 1)
}

// late counts how long after its due time the generator itself began
// something that is no put.
func (r *recorder) late(l *lane, due, late int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.record(&l.second.late, time.Duration(late), 1)
	if phase := r.phases.at(due); phase >= 1 && phase <= maxPhases {
		l.record(&l.late, time.Duration(late), 1)
	}
}

// failed counts a put that was not answered, or refused, with the time that
// took until that was known: it is in the distribution and in no rate.
func (r *recorder) failed(l *lane, due, known int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if phase := r.phases.at(due); phase >= 1 && phase <= maxPhases {
		l.record(&l.put[phase], time.Duration(known-due), 1)
	}
}

// merged adds up one histogram of every lane. It is nil if nothing was
// recorded.
func (r *recorder) merged(pick func(*lane) *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	var sum *hdrhistogram.Histogram
	for _, l := range r.lanes {
		l.mu.Lock()
		if h := pick(l); h != nil && h.TotalCount() > 0 {
			if sum == nil {
				sum = newHistogram()
			}
			sum.Merge(h)
		}
		l.mu.Unlock()
	}
	return sum
}

// total adds up one counter of every lane.
func (r *recorder) total(pick func(*lane) int64) (n int64) {
	for _, l := range r.lanes {
		l.mu.Lock()
		n += pick(l)
		l.mu.Unlock()
	}
	return n
}

// takeSecond moves what was recorded since the last call into sum, which is
// emptied before. The empty spare changes places with what a lane has, so that
// nobody waits while histograms are added up.
func (r *recorder) takeSecond(sum, spare *secondFigures) {
	sum.reset()
	for _, l := range r.lanes {
		l.mu.Lock()
		l.second, *spare = *spare, l.second
		l.mu.Unlock()
		sum.add(spare)
		spare.reset()
	}
}

func newSecond() secondFigures {
	return secondFigures{notify: newHistogram(), late: newHistogram()}
}

func (f *secondFigures) reset() {
	f.notify.Reset()
	f.late.Reset()
	f.puts, f.events = 0, 0
}

func (f *secondFigures) add(o *secondFigures) {
	f.notify.Merge(o.notify)
	f.late.Merge(o.late)
	f.puts += o.puts
	f.events += o.events
}

// sum makes f the sum of two others.
func (f *secondFigures) sum(a, b *secondFigures) {
	f.reset()
	f.add(a)
	f.add(b)
}

// answers joins puts with their events by revision, whichever comes first: a
// ring of the newest revisions, written by the writers as they are answered
// and read by consumers without a lock.
type answers struct {
	slots []answer
}

type answer struct {
	rev, due, acked atomic.Int64
}

const answerSlots = 1 << 16 // half a second at the fastest rates seen

func newAnswers() *answers { return &answers{slots: make([]answer, answerSlots)} }

// put notes the answer of one put.
func (a *answers) put(rev, due, acked int64) {
	s := &a.slots[rev&(answerSlots-1)]
	s.rev.Store(0)
	s.due.Store(due)
	s.acked.Store(acked)
	s.rev.Store(rev)
}

// joined is what a look for an answer found.
type joined int

const (
	notYet joined = iota
	found
	forgotten // overwritten by a newer revision
)

func (a *answers) get(rev int64) (due, acked int64, j joined) {
	s := &a.slots[rev&(answerSlots-1)]
	switch at := s.rev.Load(); {
	case at > rev:
		return 0, 0, forgotten
	case at < rev:
		return 0, 0, notYet
	}
	due, acked = s.due.Load(), s.acked.Load()
	if s.rev.Load() != rev {
		return 0, 0, forgotten
	}
	return due, acked, found
}

// Decode reads the distribution. negative is not nil for a signed one and has
// the amounts below zero.
func (h Histogram) Decode() (positive, negative *hdrhistogram.Histogram, err error) {
	text := h.HDR
	if h.Signed {
		if negative, err = decode(h.Negative); err != nil {
			return nil, nil, err
		}
		text = h.Positive
	}
	positive, err = decode(text)
	return positive, negative, err
}

func decode(text string) (*hdrhistogram.Histogram, error) {
	h, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("bench: decode histogram: %w", err)
	}
	return h, nil
}

// encode writes a histogram as other HDR tools read it.
func encode(h *hdrhistogram.Histogram) (string, error) {
	if h == nil {
		h = newHistogram()
	}
	raw, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("bench: encode histogram: %w", err)
	}
	return string(raw), nil
}
