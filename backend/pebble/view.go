package pebble

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/watchkv/watchkv/backend"
)

// View takes a snapshot.
func (e *engine) View() (backend.View, error) {
	if err := e.gate.Enter(); err != nil {
		return nil, fmt.Errorf("pebble: view: %w", err)
	}
	if err := e.readable(); err != nil {
		e.gate.Leave()
		return nil, fmt.Errorf("pebble: view: %w", err)
	}
	e.views.Add(1)
	return &view{engine: e, snapshot: e.db.NewSnapshot()}, nil
}

// readable is nil unless pebble gave up holding the lock that reads need.
func (e *engine) readable() error {
	if !e.failure.stuck.Load() {
		return nil
	}
	e.probe.Do(func() {
		done := make(chan error, 1)
		go func() { done <- e.db.NewSnapshot().Close() }()
		timer := time.NewTimer(callGrace)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			e.unreadable = e.failure.cause
		}
	})
	return e.unreadable
}

// retired is how many snapshots may wait to be closed: enough to carry on
// while a goroutine closes one, few enough to hold nothing up for long.
const retired = 64

// retire has a snapshot closed. That may wait for a write to the manifest, so
// a goroutine does it: reads do not wait for the disk, nor for ever once the
// engine has failed, when it is left open.
func (e *engine) retire(s *pebble.Snapshot) {
	select {
	case e.retired <- s:
	case <-e.failure.failed:
	}
}

func (e *engine) runRetired() {
	defer close(e.retiredAll)
	for s := range e.retired {
		if err := s.Close(); err != nil {
			e.events.log.Error("closing a snapshot", "error", err)
		}
	}
}

type view struct {
	engine   *engine
	snapshot *pebble.Snapshot // nil once closed
	lo, hi   []byte           // reused by reads: the key, or the bounds
}

func (v *view) check(s backend.Space) error {
	if v.snapshot == nil {
		return fmt.Errorf("pebble: view: %w", backend.ErrClosed)
	}
	if err := v.engine.spaces.Check(s); err != nil {
		return fmt.Errorf("pebble: view: %w", err)
	}
	if err := v.engine.readable(); err != nil {
		return fmt.Errorf("pebble: view: %w", err)
	}
	return nil
}

func (v *view) Get(s backend.Space, dst, key []byte) ([]byte, bool, error) {
	if err := v.check(s); err != nil {
		return dst, false, err
	}
	v.lo = append(append(v.lo[:0], byte(s)), key...)
	value, closer, err := v.snapshot.Get(v.lo)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err == nil {
		dst = append(dst, value...)
		err = closer.Close()
	}
	if err != nil {
		return dst, false, fmt.Errorf("pebble: get %x in space %d: %w", key, s, damage(err))
	}
	return dst, true, nil
}

func (v *view) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) (err error) {
	if err := v.check(s); err != nil {
		return err
	}
	v.lo = append(append(v.lo[:0], byte(s)), lo...)
	if hi == nil {
		v.hi = append(v.hi[:0], byte(s)+1)
	} else {
		v.hi = append(append(v.hi[:0], byte(s)), hi...)
	}
	iter, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: v.lo, UpperBound: v.hi})
	if err != nil {
		return fmt.Errorf("pebble: scan space %d: %w", s, damage(err))
	}
	defer func() { // also when visit panics: an open iterator fails Close of the engine
		if err = errors.Join(err, iter.Close()); err != nil {
			err = fmt.Errorf("pebble: scan space %d: %w", s, damage(err))
		}
	}()
	return each(iter, visit)
}

func each(iter *pebble.Iterator, visit func(key, value []byte) bool) error {
	for ok := iter.First(); ok; ok = iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return fmt.Errorf("value of %x: %w", iter.Key(), err)
		}
		if !visit(iter.Key()[1:], value) {
			return nil
		}
	}
	return iter.Error()
}

func (v *view) Close() error {
	if v.snapshot == nil {
		return fmt.Errorf("pebble: view: %w", backend.ErrClosed)
	}
	v.engine.retire(v.snapshot)
	v.snapshot = nil
	v.engine.views.Add(-1)
	v.engine.gate.Leave()
	return nil
}
