package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// failure holds the first fault after which pebble would end the process,
// panic in a goroutine of its own, stall its writers or try again for ever.
// From then on no change of the file system is begun, and who asks for one
// waits: pebble never learns what it cannot live with.
//
// Those who wait do so until Close lets them go, if what they hold allows it,
// and else until the process ends.
type failure struct {
	failed   chan struct{} // closed once cause is set; never sent to
	released chan struct{} // closed by release

	once    sync.Once // sets cause
	cause   error     // valid once failed is closed
	release sync.Once

	opening atomic.Bool  // pebble.Open has not returned
	stuck   atomic.Bool  // pebble gave up by itself, maybe under its lock
	lost    atomic.Bool  // a goroutine of pebble's never returns, so its Close would not
	calls   atomic.Int64 // changes of the file system at work
	inside  atomic.Int64 // calls of ours in pebble that may hold its locks
	moved   chan struct{}

	// full is why the last compaction found no room, nil if it found some.
	full atomic.Pointer[error]
}

// mergePause is how long a compaction that found no room is held, so that the
// next attempt does not follow at once.
const mergePause = time.Second

func newFailure() *failure {
	f := &failure{
		failed:   make(chan struct{}),
		released: make(chan struct{}),
		moved:    make(chan struct{}, 1), // one receiver, Close; a second token would say nothing new
	}
	f.opening.Store(true)
	return f
}

// set records the first cause.
func (f *failure) set(cause error) {
	f.once.Do(func() {
		f.cause = cause
		close(f.failed)
	})
}

// err is the cause, nil while all is well.
func (f *failure) err() error {
	select {
	case <-f.failed:
		return f.cause
	default:
		return nil
	}
}

// letGo sends those who wait for the release of ordinary files on their way.
func (f *failure) letGo() { f.release.Do(func() { close(f.released) }) }

// enter counts a call of ours into pebble, leave ends it.
func (f *failure) enter() { f.inside.Add(1) }

func (f *failure) leave() {
	f.inside.Add(-1)
	f.move()
}

// move tells Close that a count went down.
func (f *failure) move() {
	if f.err() == nil {
		return // nobody waits yet, and who comes reads the counts first
	}
	select {
	case f.moved <- struct{}{}:
	default:
	}
}

// settles waits until the count is zero, but not longer than that.
func (f *failure) settles(count *atomic.Int64, longest time.Duration) bool {
	timer := time.NewTimer(longest)
	defer timer.Stop()
	for count.Load() > 0 {
		select {
		case <-f.moved:
		case <-timer.C:
			return false
		}
	}
	return true
}

// change runs one change of the file system, unless there was a fault.
func (f *failure) change(what, path string, op func() error) error {
	f.calls.Add(1)
	if f.err() == nil {
		err := op()
		if err == nil {
			f.calls.Add(-1)
			f.move()
			return nil
		}
		f.set(named(what, path, err))
	}
	f.calls.Add(-1)
	f.move()
	return f.park(path)
}

// merge runs a change of a table that a compaction writes. No room for it is
// no fault: pebble tries again, here once a second, until there is some.
func (f *failure) merge(what, path string, op func() error) error {
	var full error
	err := f.change(what, path, func() error {
		err := op()
		if errors.Is(err, syscall.ENOSPC) {
			full, err = err, nil
		}
		return err
	})
	if full == nil {
		return err
	}
	full = named(what, path, full)
	f.full.Store(&full)
	pause := time.NewTimer(mergePause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-f.released:
	}
	return full
}

// merged notes how a compaction ended.
func (f *failure) merged(err error) {
	if err == nil {
		f.full.Store(nil)
	}
}

// stalls fails the engine if writers wait for a compaction that finds no room.
func (f *failure) stalls(reason string) {
	if full := f.full.Load(); full != nil {
		f.set(fmt.Errorf("writers stand still (%s): %w", reason, *full))
	}
}

// named says what was tried, unless the error does.
func named(what, path string, err error) error {
	var atPath *fs.PathError
	var link *os.LinkError
	if errors.As(err, &atPath) || errors.As(err, &link) {
		return err
	}
	return fmt.Errorf("%s %s: %w", what, path, err)
}

// park keeps the error from pebble. Two may have it: who opens, because
// nothing goes on from there, and in Close who writes a table or the log.
func (f *failure) park(path string) error {
	log := strings.HasSuffix(path, ".log")
	if f.opening.Load() && (log || calledFrom(opener)) {
		return f.cause
	}
	if log || strings.HasSuffix(path, ".sst") {
		<-f.released
		return f.cause
	}
	f.stay() // the manifest, markers, directories: pebble would panic
	return f.cause
}

// fatal is where pebble says that it cannot go on and must not return.
func (f *failure) fatal(cause error) {
	if f.opening.Load() && calledFrom(opener) {
		f.set(cause)
		panic(fatalError{cause}) // for openDB
	}
	f.stuck.Store(true) // before anybody hears of it
	f.set(cause)
	f.stay()
}

// stay does not return.
func (f *failure) stay() {
	f.lost.Store(true)
	f.move()
	select {}
}

// fatalError unwinds a goroutine of ours.
type fatalError struct{ error }

// opener is pebble.Open on a stack.
const opener = "github.com/cockroachdb/pebble/v2.Open"

// calledFrom reports whether a function of that name is on the stack.
func calledFrom(function string) bool {
	const deepest = 100 // frames; pebble's own stay below 50
	pcs := make([]uintptr, deepest)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if frame.Function == function {
			return true
		}
		if !more {
			return false
		}
	}
}
