package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch/watchtest"
)

// fill writes the history of a scenario and returns the revision before it.
func (s *session) fill() (base int64, err error) {
	var value []byte
	s.perKey = make([]int64, len(s.work.keys))
	return s.fillFrom(func(i int64) ([]byte, []byte) {
		value = s.work.appendValue(value[:0], i, untimed)
		return s.work.key(i), value
	}, func(key []byte) { s.perKey[s.work.numberOf(key)]++ })
}

// fillFrom is fill with what next makes; wrote is told each key in the order
// of revisions.
func (s *session) fillFrom(next func(i int64) (key, value []byte), wrote func(key []byte)) (base int64, err error) {
	filler, ok := s.target.(Filler)
	if !ok {
		return 0, fmt.Errorf("scenario %s: this target cannot be filled", s.sc.Name)
	}
	if base, err = s.target.Rev(s.ctx); err != nil {
		return 0, err
	}
	if s.options.Prepared && base != emptyRev+s.sc.History {
		return 0, fmt.Errorf("scenario %s: the store is at revision %d, not prepared with %d revisions", s.sc.Name, base, s.sc.History)
	}
	if s.options.Prepared {
		base = emptyRev
	}
	s.rev.Store(base)
	sam := &sampler{session: s, stage: StageFilling, filling: true, part: func() float64 {
		return float64(s.rev.Load()-base) / float64(max(1, s.sc.History))
	}}
	sam.start()
	defer sam.end()
	var broken error
	lane := s.rec.lane(0)
	fill := filler.Fill
	if s.options.Prepared {
		fill = s.prepared
	}
	err = fill(s.ctx, s.sc.History, next, func(rev int64, key, value []byte) {
		wrote(key)
		if err := s.filled(rev, key, value); err != nil && broken == nil {
			broken = err
		}
		s.rev.Store(rev)
		s.historyBytes += int64(len(key) + len(value))
		lane.mu.Lock()
		lane.second.puts++
		lane.mu.Unlock()
	})
	return base, errors.Join(broken, err)
}

// emptyRev is the revision of a store without history.
const emptyRev = 1

// prepared is Fill where it was done before: it only tells what is there.
func (s *session) prepared(ctx context.Context, n int64, next func(int64) (key, value []byte), wrote func(rev int64, key, value []byte)) error {
	for i := range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		key, value := next(i)
		wrote(emptyRev+1+i, key, value)
	}
	return nil
}

// written tells the checker of a put that began with the ticket.
func (s *session) written(t watchtest.Ticket, rev int64, key, value []byte) error {
	if s.options.Unchecked {
		return nil
	}
	return s.history.Answered(t, rev, watchtest.Change{Key: key, Value: value})
}

// deleted tells the checker of a delete that began with the ticket; rev is 0
// if there was nothing to delete.
func (s *session) deleted(t watchtest.Ticket, rev int64, key []byte) error {
	if s.options.Unchecked {
		return nil
	}
	if rev == 0 {
		return s.history.Refused(t)
	}
	return s.history.Answered(t, rev, watchtest.Change{Type: mvcc.EventDelete, Key: key})
}

// unwritten tells the checker of a write that ended with err: it may have been
// done all the same. It returns nil if the load may go on, else err.
func (s *session) unwritten(t watchtest.Ticket, err error) error {
	switch {
	case errors.Is(err, ErrSpent):
		return errors.Join(err, s.history.Refused(t))
	case errors.Is(err, ErrRefused):
		s.refused.Add(1)
		s.errors.Add(1)
		return s.history.Refused(t)
	case errors.Is(err, ErrUnanswered):
		s.unanswered.Add(1)
		s.errors.Add(1)
		s.history.Lost(t)
		return nil
	}
	s.history.Lost(t)
	return err
}

// filled tells the checker of a put of the history. All below it is told, so
// what is not known there is others'.
func (s *session) filled(rev int64, key, value []byte) error {
	if s.options.Unchecked {
		return nil
	}
	if s.work.shared && rev > s.history.Through()+1 {
		if err := s.history.Skip(rev - 1); err != nil {
			return err
		}
	}
	return s.history.Put(rev, key, value)
}

// historyOf is how many events of the history are for watch i of a shape.
func (s *session) historyOf(shape Shape, i int) (n int64) {
	from, to := s.work.keysOf(shape, i, s.parts())
	for _, events := range s.perKey[from:to] {
		n += events
	}
	return n
}
