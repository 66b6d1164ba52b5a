package live

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/watchkv/watchkv/bench"
)

// Config says where progress goes and how.
type Config struct {
	// Lines is where a line a second goes, in whatever characters it can
	// write. Quiet keeps all but Stopping from it.
	Lines io.Writer
	Quiet bool
	// Screen is the terminal for the screen; nil is a line a second.
	Screen *os.File
	Style  Style
	// Interrupt is what q and Ctrl-C do on the screen, where the terminal
	// sends no signal for them. It must not wait for Progress.
	Interrupt func()
}

// Progress shows one measurement after another. Start, Tick, Stopping and
// Hold's writers may be called from any goroutine, also after the end.
type Progress struct {
	config Config
	queue  chan event
	over   chan struct{} // closed when nothing more is to be shown
	killed chan struct{} // closed by Abort
	done   chan struct{} // closed by the shower

	// The shower's own: the first Start, and the time from it to the last.
	began                  time.Time
	before                 time.Duration
	checked, checkedBefore int64

	mu      sync.Mutex // guards what is below; a leaf
	ended   bool
	aborted bool
	screen  bool // it stands, so what is written is held
	held    []heldText
}

type heldText struct {
	to   io.Writer
	text []byte
}

// event is one thing to be shown: a field that is not nil.
type event struct {
	run      *Run
	tick     *bench.Tick
	said     *string
	broke    *string
	stopping bool
}

// queued ticks that the terminal has not taken yet.
const queued = 16

// New takes a terminal over with the first Start. End must be called.
func New(c Config) *Progress {
	p := &Progress{
		config: c, queue: make(chan event, queued), over: make(chan struct{}), killed: make(chan struct{}), done: make(chan struct{}),
	}
	if c.Screen != nil && !usable(c.Screen) {
		p.config.Screen = nil
	}
	go p.show()
	return p
}

// Start says what is measured from now on.
func (p *Progress) Start(r Run) { p.send(event{run: &r}) }

// Tick is for bench.Options.Observe; it never waits for the terminal.
func (p *Progress) Tick(t bench.Tick) { p.send(event{tick: &t}) }

// Broke says of a measurement that is over that a promise broke: the target's
// name and the rule's.
func (p *Progress) Broke(what string) { p.send(event{broke: &what}) }

// Stopping says that the first Ctrl-C was obeyed.
func (p *Progress) Stopping() { p.send(event{stopping: true}) }

func (p *Progress) send(e event) {
	select {
	case p.queue <- e:
	default: // a terminal that takes nothing misses it
	}
}

// End gives the terminal back and writes what was held, in order. Only the
// first call of End or Abort does something; the others wait for it.
func (p *Progress) End() { p.end(false) }

// Abort is End for a program that ends at once: what is not shown yet is left.
func (p *Progress) Abort() { p.end(true) }

// patience is how long Abort waits for a terminal that takes nothing.
const patience = 2 * time.Second

func (p *Progress) end(abort bool) {
	p.mu.Lock()
	if !p.ended {
		p.ended = true
		close(p.over)
	}
	if abort && !p.aborted {
		p.aborted = true
		close(p.killed)
	}
	p.mu.Unlock()
	if !abort {
		<-p.done
		return
	}
	select {
	case <-p.done:
	case <-time.After(patience):
	}
}

// Hold returns a writer for what has its place under the screen: it is shown
// on the screen meanwhile, and written to w when that is gone. Without a
// screen it is w.
func (p *Progress) Hold(w io.Writer) io.Writer { return holder{p, w} }

type holder struct {
	p  *Progress
	to io.Writer
}

func (h holder) Write(text []byte) (int, error) {
	h.p.mu.Lock()
	standing := h.p.screen
	if standing {
		h.p.held = append(h.p.held, heldText{h.to, append([]byte(nil), text...)})
	}
	h.p.mu.Unlock()
	if !standing {
		return h.to.Write(text)
	}
	said := string(text)
	h.p.send(event{said: &said})
	return len(text), nil
}

// show is the shower.
func (p *Progress) show() {
	defer close(p.done)
	defer p.release()
	lines := lineWriter{width: lineWidth}
	for {
		select {
		case e := <-p.queue:
			p.shift(&e)
			if e.run == nil || p.config.Screen == nil {
				p.writeLine(e, &lines)
				continue
			}
			if p.showScreen(*e.run) {
				return
			}
			p.config.Screen = nil
		case <-p.over:
			p.drain(&lines)
			return
		}
	}
}

// shift counts the time of a tick, and what was checked, from the first Start
// on.
func (p *Progress) shift(e *event) {
	switch {
	case e.run != nil && p.began.IsZero():
		p.began = time.Now()
	case e.run != nil:
		p.before, p.checkedBefore = time.Since(p.began), p.checked
	case e.tick != nil:
		e.tick.Elapsed += p.before
		if e.tick.Checked >= 0 {
			e.tick.Checked += p.checkedBefore
			p.checked = e.tick.Checked
		}
	}
}

// drain shows what came before the end.
func (p *Progress) drain(lines *lineWriter) {
	for {
		select {
		case e := <-p.queue:
			p.shift(&e)
			p.writeLine(e, lines)
		default:
			return
		}
	}
}

// showScreen reports false if there could be no screen, or there is no more.
func (p *Progress) showScreen(r Run) (ended bool) {
	p.mu.Lock()
	p.screen = true
	p.mu.Unlock()
	s, began := Snapshot{}.began(r), time.Now()
	sc := openScreen(p.config.Screen, p.config.Style, s, p.config.Interrupt)
	for {
		select {
		case e := <-p.queue:
			p.shift(&e)
			s = s.with(e, time.Since(began))
			sc.show(s)
		case <-p.over:
			select {
			case <-p.killed:
				sc.kill()
			default:
				sc.close()
			}
			return true
		case <-sc.done: // it could not begin, or failed
			p.release()
			fmt.Fprintf(p.config.Lines, "no live view: %v\n", sc.err)
			return false
		}
	}
}

// with is the snapshot after one more event; at is since the screen began.
func (s Snapshot) with(e event, at time.Duration) Snapshot {
	switch {
	case e.run != nil:
		return s.began(*e.run)
	case e.tick != nil:
		return s.ticked(*e.tick, at)
	case e.said != nil:
		s.Said = last(append(s.Said, splitLines(*e.said)...), saidKept)
	case e.broke != nil:
		s.Broken = append(s.Broken, *e.broke)
	case e.stopping:
		s.Stopping = true
	}
	return s
}

func (p *Progress) writeLine(e event, lines *lineWriter) {
	switch {
	case e.stopping:
		fmt.Fprintln(p.config.Lines, "^C  stopping; press again to end at once")
	case p.config.Quiet:
	case e.broke != nil:
		fmt.Fprintf(p.config.Lines, "      ! BROKEN %s\n", *e.broke)
	case e.run != nil && e.run.Title != "":
		fmt.Fprintf(p.config.Lines, "     %s   %s\n", e.run.Target.Name(), e.run.Title)
	case e.tick != nil && e.tick.Second:
		for _, l := range lines.add(*e.tick) {
			fmt.Fprintln(p.config.Lines, l)
		}
	}
}

// release writes what was held.
func (p *Progress) release() {
	p.mu.Lock()
	held := p.held
	p.held, p.screen = nil, false
	p.mu.Unlock()
	for _, h := range held {
		_, _ = h.to.Write(h.text)
	}
}
