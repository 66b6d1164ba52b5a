package pebble

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watchkv/watchkv/backend"
)

const (
	// grace is how long an engine that has failed is waited for: for views to
	// be closed, for calls of the file system to return, for pebble to close.
	grace = 5 * time.Second
	// callGrace is how long after a failure a call of ours is waited for that
	// most likely waits for ever. One given up too early is only memory lost.
	callGrace = time.Second
)

// openDB runs pebble.Open where it can be left: after a fault it may wait for
// a goroutine that waits for ever.
func (e *engine) openDB(o backend.Options) error {
	opened := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = e.panicked(r)
			}
			opened <- err
		}()
		e.db, err = pebble.Open(e.dir, e.options(o))
	}()
	err := e.within(opened)
	if err == nil {
		e.failure.opening.Store(false)
		err = e.failure.err()
		if err != nil {
			_ = e.closeDB() // says the same
		}
	}
	return err
}

// panicked is the error for a panic of pebble.Open: after a fault its way
// out, and else what it makes of files it cannot explain.
func (e *engine) panicked(r any) error {
	if err := e.failure.err(); err != nil {
		return err
	}
	return fmt.Errorf("pebble panicked: %v: %w", r, backend.ErrDamaged)
}

// within waits for what was begun elsewhere, and after a failure no longer
// than its grace.
func (e *engine) within(done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-e.failure.failed:
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("given up after %v: %w", grace, e.failure.cause)
	}
}

// call runs fn, which uses pebble beyond reading, where it can be left when
// the engine fails. fn may still run then.
func (e *engine) call(fn func() error) error {
	if err := e.failure.err(); err != nil {
		return err
	}
	done := make(chan error, 1)
	e.failure.enter()
	go func() {
		defer e.failure.leave()
		var err error
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("pebble panicked: %v", r)
				e.failure.set(err)
			}
			done <- err
		}()
		err = fn()
	}()
	select {
	case err := <-done:
		return err
	case <-e.failure.failed:
		return e.failure.cause
	}
}

// Close of an engine that has failed takes two graces at most.
func (e *engine) Close() error {
	left := make(chan error, 1)
	go func() { left <- e.gate.Close() }()
	err := e.within(left)
	if errors.Is(err, backend.ErrClosed) {
		return fmt.Errorf("pebble: close: %w", err)
	}
	if err == nil {
		close(e.committer.work)
		close(e.retired)
		e.settle()
		err = e.closeDB()
	} else {
		err = errors.Join(err, e.giveUp())
	}
	if err != nil {
		return fmt.Errorf("pebble: close %s: %w", e.dir, err)
	}
	return nil
}

// closeDB closes pebble. After a failure it is closed only if no call of ours
// is left inside, where an error would end the process, and if it can.
func (e *engine) closeDB() error {
	if e.failure.err() != nil && (e.failure.lost.Load() || !e.failure.settles(&e.failure.inside, callGrace)) {
		return e.giveUp()
	}
	e.failure.letGo()
	closed := make(chan error, 1)
	go func() {
		if e.committer != nil { // else nobody has used the engine yet
			<-e.committer.ended
			<-e.retiredAll
		}
		err := e.db.Close()
		closed <- errors.Join(err, e.lock.Close())
	}()
	select {
	case err := <-closed:
		return cmp.Or(e.failure.err(), err)
	case <-e.failure.failed:
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-closed:
		return e.failure.cause
	case <-timer.C:
		return e.giveUp()
	}
}

// giveUp leaves what hangs behind, until the process ends. The directory can
// be opened again, unless the file system itself has not returned from a
// change of it.
func (e *engine) giveUp() error { return errors.Join(e.failure.cause, e.unlock()) }

// unlock lets the directory go once nothing of a failed engine changes it.
func (e *engine) unlock() error {
	if e.failure.err() != nil && !e.failure.settles(&e.failure.calls, grace) {
		return fmt.Errorf("the directory stays locked, as the file system has not returned in %v", grace)
	}
	return e.fs.lock.Close()
}
