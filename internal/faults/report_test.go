package faults

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchkv/watchkv/mvcc"
)

// A child reports on its standard output, one fact a line, each written by one
// write of its own, so that what was written before a kill arrives whole:
//
//	nanoseconds-since-its-start word arguments
//
//	opening                   engine and store are about to be opened
//	opened REV COMPACT        the store is open at these revisions
//	try WRITER INDEX          an operation begins
//	ack WRITER INDEX REV      it was acknowledged; 0: it changed nothing
//	refuse WRITER INDEX TEXT  it was refused and has not happened
//	fail WRITER INDEX TEXT    it failed and may have happened
//	compact REV               a compaction will be asked for
//	scheduled REV             it was accepted, its caller did not wait
//	compacted REV             it has finished
//	watch NAME START KEY END  a watch will be made
//	from NAME REV             Created: with START 0, events above REV follow
//	saw NAME REV COUNT DIGEST it got its events of one revision
//	told NAME COMPACT         it was told that its start is compacted
//	read REV                  a read answered from this revision
//	apply N OPS REV           a batch is given to the engine; its last revision
//	applied N TEXT            the engine has answered; no text: success
//	closing                   Close of the store begins
//	closed TEXT               store and engine are closed
//	late NANOSECONDS          a timer woke so late; the worst so far
//	note TEXT                 anything else
//
// TEXT, NAME, KEY and END are quoted as in Go.
type reporter struct {
	start time.Time

	mu sync.Mutex // leaf: one write at a time
	w  io.Writer
}

func newReporter() *reporter { return &reporter{start: time.Now(), w: os.Stdout} }

func (r *reporter) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Appendf(nil, "%d ", time.Since(r.start))
	line = append(fmt.Appendf(line, format, args...), '\n')
	if _, err := r.w.Write(line); err != nil {
		// The test that listened is gone.
		os.Exit(childFailed)
	}
}

// fact is one line of a report.
type fact struct {
	At   time.Duration
	Word string
	Args []string
}

func (f fact) String() string {
	return fmt.Sprintf("%v %s %s", f.At, f.Word, strings.Join(f.Args, " "))
}

// num is argument i as a number, 0 if it is none.
func (f fact) num(i int) int64 {
	if i >= len(f.Args) {
		return 0
	}
	n, _ := strconv.ParseInt(f.Args[i], 10, 64)
	return n
}

// text is argument i unquoted.
func (f fact) text(i int) string {
	if i >= len(f.Args) {
		return ""
	}
	s, err := strconv.Unquote(f.Args[i])
	if err != nil {
		return f.Args[i]
	}
	return s
}

func parseFact(line string) (fact, error) {
	at, rest, _ := strings.Cut(line, " ")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fact{}, fmt.Errorf("no line of a report: %q", line)
	}
	f := fact{At: time.Duration(n)}
	f.Word, rest, _ = strings.Cut(rest, " ")
	for rest != "" {
		var arg string
		if rest[0] == '"' {
			if arg, err = strconv.QuotedPrefix(rest); err != nil {
				return f, fmt.Errorf("line of a report %q: %w", line, err)
			}
			rest = strings.TrimPrefix(rest[len(arg):], " ")
		} else {
			arg, rest, _ = strings.Cut(rest, " ")
		}
		f.Args = append(f.Args, arg)
	}
	return f, nil
}

// ack is an acknowledged operation that made a revision.
type ack struct {
	id  opID
	rev int64
	at  time.Duration
}

// watched is what one watch of a child asked for and got.
type watched struct {
	start int64 // first revision wanted, once Created has come for a start of 0
	span  mvcc.Span
	saw   []sighting
	told  int64 // compact revision it was told, 0 if it was not
}

// sighting is the events of one revision, as a watch got them.
type sighting struct {
	rev    int64
	n      int
	digest uint64
}

// applied is one batch that a child gave to its engine. end is 0 if it was
// not answered, err what it was answered.
type applied struct {
	begin, end time.Duration
	ops        int64
	rev        int64 // last revision with a record in it, 0 for none
	err        string
}

// report is what one child told. It is filled by one goroutine; who started
// the child reads it once that has ended.
type report struct {
	seed      uint64
	opened    bool
	openedRev int64
	openedAt  int64         // compact revision it opened at
	opening   time.Duration // when it began to open
	openedIn  time.Duration // how long that took

	acks    []ack // in the order told
	open    map[opID]time.Duration
	nothing int // acknowledged and changed nothing
	refused []string
	failed  []string

	asked     []int64 // compactions asked for
	compacted int64   // greatest compact revision acknowledged
	watches   map[string]*watched
	read      int64 // greatest revision a read answered from
	seen      int64 // greatest revision that anybody was shown, in any way
	applies   map[int64]*applied
	closing   bool
	closed    bool
	closeErr  string
	late      time.Duration // worst lateness of a timer
	notes     []string
	last      time.Duration // of the last line
	lines     int
}

func newReport(seed uint64) *report {
	return &report{seed: seed, open: map[opID]time.Duration{}, watches: map[string]*watched{}, applies: map[int64]*applied{}}
}

// add takes one fact.
func (r *report) add(f fact) {
	r.last = f.At
	r.lines++
	id := opID{r.seed, int(f.num(0)), int(f.num(1))}
	switch f.Word {
	case "opening":
		r.opening = f.At
	case "opened":
		r.openedIn = f.At - r.opening
		r.opened, r.openedRev, r.openedAt = true, f.num(0), f.num(1)
		r.seen = max(r.seen, f.num(0))
	case "try":
		r.open[id] = f.At
	case "ack":
		delete(r.open, id)
		if f.num(2) == 0 {
			r.nothing++
			break
		}
		r.acks = append(r.acks, ack{id, f.num(2), f.At})
		r.seen = max(r.seen, f.num(2))
	case "refuse":
		delete(r.open, id)
		r.refused = append(r.refused, f.text(2))
	case "fail":
		r.failed = append(r.failed, f.text(2)) // and stays open
	case "compact":
		r.asked = append(r.asked, f.num(0))
	case "scheduled", "compacted":
		r.compacted = max(r.compacted, f.num(0))
	case "read":
		r.read = max(r.read, f.num(0))
		r.seen = max(r.seen, f.num(0))
	case "apply":
		r.applies[f.num(0)] = &applied{begin: f.At, ops: f.num(1), rev: f.num(2)}
	case "applied":
		if a := r.applies[f.num(0)]; a != nil {
			a.end, a.err = f.At, f.text(1)
		}
	case "closing":
		r.closing = true
	case "closed":
		r.closed, r.closeErr = true, f.text(0)
	case "late":
		r.late = time.Duration(f.num(0))
	case "note":
		r.notes = append(r.notes, f.text(0))
	default:
		r.addWatched(f)
	}
}

func (r *report) addWatched(f fact) {
	name := f.text(0)
	w := r.watches[name]
	if w == nil {
		w = &watched{}
		r.watches[name] = w
	}
	switch f.Word {
	case "watch":
		w.start, w.span = f.num(1), mvcc.SpanOf([]byte(f.text(2)), []byte(f.text(3)))
	case "from":
		if w.start == 0 {
			w.start = f.num(1) + 1
		}
		r.seen = max(r.seen, f.num(1))
	case "saw":
		sum, _ := strconv.ParseUint(f.Args[3], 10, 64)
		w.saw = append(w.saw, sighting{f.num(1), int(f.num(2)), sum})
		r.seen = max(r.seen, f.num(1))
	case "told":
		w.told = f.num(1)
	default:
		panic("a report holds the unknown word " + f.Word)
	}
}

// scanReport hands every whole line of in to each until in ends. Lines that
// are none of a report (of a tool around the child, or of the race detector)
// go to other.
func scanReport(in io.Reader, each func(fact), other func(string)) error {
	r := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			return nil // what has no line end was cut by the kill
		}
		if err != nil {
			return err
		}
		f, err := parseFact(strings.TrimSuffix(line, "\n"))
		if err != nil {
			other(line)
			continue
		}
		each(f)
	}
}
