package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/cmd/watchbench/live"
)

// measuring is what a command has that measures one subject or several.
type measuring struct {
	term   *terminal
	args   []string // the command line, the program's name first
	output outputFlags
	place  place
	// progress shows what goes on, from stoppable on; title is for the next
	// measurement of several.
	progress *live.Progress
	title    string
	opened   opened
	allowed  []string // rules that may break
}

// opened are the subjects that were opened, for one who ends the program at
// once.
type opened struct {
	mu  sync.Mutex
	all []subject
}

func (o *opened) add(s subject) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, s)
}

// leaver is a subject of which something stays when the program ends at once.
type leaver interface{ left() string }

// sayLeft says what stays where.
func (m *measuring) sayLeft() {
	m.opened.mu.Lock()
	defer m.opened.mu.Unlock()
	for _, s := range m.opened.all {
		if l, ok := s.(leaver); ok {
			if text := l.left(); text != "" {
				fmt.Fprintf(m.term.err, "watchbench: %s\n", text)
			}
		}
	}
}

// bed is a subject that is ready to be measured.
type bed struct {
	subject subject
	kind    bench.Kind
	machine bench.Machine
}

// open makes a subject ready, and looks at the machine and its disk. The bed's
// subject must be released, also after an error.
func (m *measuring) open(s subject) (b bed, err error) {
	b.subject = s
	m.opened.add(s)
	if b.kind, err = s.prepare(m.place.dir); err != nil {
		return b, err
	}
	b.machine = bench.InspectMachine(m.place.dir)
	if facts := b.kind.Facts(); facts.Durability != "" && !facts.Volatile {
		b.machine.Fsync, err = bench.MeasureFsync(m.place.dir)
	}
	return b, err
}

// measure takes a plan on a bed and shows how it goes. Options.Kind, Dir and
// Observe are filled in here. The result is not nil.
func (m *measuring) measure(ctx context.Context, b bed, plan bench.Plan, o bench.Options) (*bench.Result, error) {
	o.Kind, o.Dir, o.Keep = b.kind, m.place.dir, !m.place.temp
	o.Observe, o.Allowed = m.progress.Tick, m.allowed
	m.progress.Start(live.Run{Title: m.title, Label: m.title, Target: b.kind.Facts(), Plan: plan, Cores: b.machine.Cores})
	res, err := bench.Measure(ctx, plan, o)
	m.tellBroken(res)
	res.MadeBy, res.Machine, res.Command = madeBy(b.kind.Facts().Engine), b.machine, recorded(m.args)
	return res, err
}

// tellBroken shows a broken promise while other targets are measured.
func (m *measuring) tellBroken(res *bench.Result) {
	if res.Broken != nil {
		m.progress.Broke(res.Target.Name() + " " + res.Broken.Rule)
	}
}

// stoppable is a context that the first Ctrl-C ends; the second ends the
// program. A reader of the output that went away counts as one: without it
// the program would die and leave its files. The function returned ends the
// progress too.
func (m *measuring) stoppable() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	m.progress = live.New(live.Config{
		Lines: m.term.err, Quiet: m.output.quiet, Screen: m.liveScreen(),
		Style:     live.Style{Color: m.term.colors(m.output.color, m.term.errTTY), ASCII: m.term.plain},
		Interrupt: func() { asIfSignalled(signals) },
	})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // a write says so
	over := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-m.term.unread.ch:
		case <-over:
			return
		}
		m.progress.Stopping()
		cancel()
		select {
		case <-signals:
			m.progress.Abort()
			// Files may still be made meanwhile: what can be removed now is.
			_ = m.place.remove()
			m.sayLeft()
			os.Exit(exitInterrupted)
		case <-over:
		}
	}()
	return ctx, func() {
		m.progress.End()
		signal.Stop(signals)
		signal.Reset(syscall.SIGPIPE)
		close(over)
		cancel()
	}
}

// liveScreen is the terminal for a live view, nil if there is to be none.
func (m *measuring) liveScreen() *os.File {
	if m.output.quiet {
		return nil
	}
	return m.term.screen
}

// asIfSignalled is Ctrl-C where the terminal sends no signal for it.
func asIfSignalled(signals chan<- os.Signal) {
	select {
	case signals <- os.Interrupt:
	default: // two are waiting already
	}
}

// cause says why it could not be measured, and what a result file keeps.
func (m *measuring) cause(s subject, err error) error {
	var exit *exitError
	var refused *bench.RefusedError
	switch {
	case errors.As(err, &exit):
		return exit
	case errors.As(err, &refused):
		return misused("--scenario %s: %s", refused.Scenario, refused.Reason)
	case errors.Is(err, backend.ErrLocked):
		return unmeasured("--dir %q: held by another process (%s LOCK); choose another directory", m.place.dir, s.facts().Engine)
	}
	return unmeasured("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
}

// letGo releases a subject after a measurement that ended with err. What that
// leaves behind is told too.
func (m *measuring) letGo(s subject, err error) error {
	left := s.release()
	var exit *exitError
	switch {
	case left == nil:
		return err
	case errors.As(err, &exit):
		text := strings.ReplaceAll(left.Error(), "\n", "; ")
		if exit.text != "" {
			text = exit.text + "; " + text
		}
		return &exitError{exit.code, text}
	}
	return m.cause(s, errors.Join(err, left))
}

// recorded is the command line as a result keeps it: without the folders of
// the program, without passwords, and with ~ for the user's home directory.
func recorded(args []string) []string {
	words := append([]string{"watchbench"}, struck(args[1:])...)
	home, err := os.UserHomeDir()
	if err != nil {
		return words
	}
	return homeless(words, filepath.Clean(home))
}

// homeless has ~ for the home directory.
func homeless(words []string, home string) []string {
	if len(home) < 2 { // it is the root of everything, or nothing
		return words
	}
	for i, word := range words {
		value := word
		if at := strings.IndexByte(word, '='); strings.HasPrefix(word, "-") && at >= 0 {
			value = word[at+1:]
		}
		if value == home || strings.HasPrefix(value, home+string(filepath.Separator)) {
			words[i] = strings.TrimSuffix(word, value) + "~" + value[len(home):]
		}
	}
	return words
}
