package mvcc

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/backend"
)

// Loader fills an engine that holds nothing with the entries of another store.
// What is not whole never opens: until Finish, Open answers ErrUnfinished, and
// a second Loader begins anew. A Loader serves one goroutine; nobody else may
// use the engine meanwhile.
type Loader struct {
	engine backend.Engine
	limits limits
	batch  backend.Batch
	arena  arena
	last   map[backend.Space][]byte // the key put last
}

// loadBatchBytes is what a Loader gathers for one batch.
const loadBatchBytes = 4 << 20

// NewLoader begins. An engine that holds anything but what an unfinished
// Loader left answers ErrNotEmpty; what that left is deleted first.
func NewLoader(ctx context.Context, engine backend.Engine) (*Loader, error) {
	l := &Loader{engine: engine, limits: limitsOf(engine.Stats(), Config{}.withDefaults()), last: map[backend.Space][]byte{}}
	unfinished, err := l.unfinished()
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	if unfinished {
		err = l.erase(ctx)
	} else {
		addOp(&l.batch, putNumber(metaLoading, 1))
		err = l.apply(backend.Sync)
	}
	if err != nil {
		return nil, fmt.Errorf("loading: %w", err)
	}
	return l, nil
}

// unfinished reports whether an unfinished load is there; ErrNotEmpty if
// anything else is.
func (l *Loader) unfinished() (yes bool, err error) {
	view, err := l.engine.View()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	n, err := readNumber(view, metaLoading)
	if err != nil || n != 0 {
		return true, err
	}
	for _, info := range backend.DefaultSpaces() {
		holds := false
		err := view.Scan(info.Space, nil, nil, func(_, _ []byte) bool {
			holds = true
			return false
		})
		if err != nil {
			return false, err
		}
		if holds {
			stats := l.engine.Stats()
			return false, fmt.Errorf("%s at %s holds entries in space %s: %w", stats.Version, stats.Path, info.Name, ErrNotEmpty)
		}
	}
	return false, nil
}

// erase deletes everything but the mark.
func (l *Loader) erase(ctx context.Context) error {
	for _, info := range backend.DefaultSpaces() {
		for {
			view, err := l.engine.View()
			if err != nil {
				return err
			}
			err = view.Scan(info.Space, nil, nil, func(key, _ []byte) bool {
				if info.Space != backend.SpaceMeta || !bytes.Equal(key, metaLoading) {
					l.batch.Delete(info.Space, append([]byte(nil), key...))
				}
				return l.batch.Len() < l.mostOps()
			})
			if err := errors.Join(err, view.Close(), ctx.Err()); err != nil {
				return err
			}
			if l.batch.Len() == 0 {
				break
			}
			if err := l.apply(backend.NoSync); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Loader) mostOps() int {
	const most = 10_000
	if l.limits.batchOps > 0 {
		return min(most, l.limits.batchOps)
	}
	return most
}

func (l *Loader) mostBytes() int64 {
	if l.limits.batchBytes > 0 {
		return min(loadBatchBytes, l.limits.batchBytes)
	}
	return loadBatchBytes
}

// Put adds an entry. Keys of a space come in ascending order. A record is held
// against its key and the store's limits. The slices are the caller's again
// when it returns. Errors: ErrDamaged and ErrTooLarge, which name the key, and
// the engine's.
func (l *Loader) Put(s backend.Space, key, value []byte) error {
	if s == backend.SpaceKey {
		if err := l.check(key, value); err != nil {
			return fmt.Errorf("loading: %w", err)
		}
	}
	if before, any := l.last[s]; any && bytes.Compare(before, key) >= 0 {
		return fmt.Errorf("loading: space %d: key %x comes after %x: %w", s, key, before, ErrDamaged)
	}
	size := int64(len(key)+len(value)) + recordOverhead
	if n := l.batch.Len(); n > 0 && (n >= l.mostOps() || l.batch.Size()+size > l.mostBytes()) {
		if err := l.apply(backend.NoSync); err != nil {
			return fmt.Errorf("loading: %w", err)
		}
	}
	l.last[s] = append(l.last[s][:0], key...)
	key, value = l.arena.copy(key), l.arena.copy(value)
	if s == backend.SpaceKey {
		l.batch.Append(s, key, value)
	} else {
		l.batch.Put(s, key, value)
	}
	return nil
}

// check is what can be said of one record; Open holds them against each other.
func (l *Loader) check(key, value []byte) error {
	r, name, err := restoreRecord(key, value)
	if err != nil {
		return err
	}
	if _, err := eventOf(r.kr, value); err != nil {
		return fmt.Errorf("space key: key %q: %w", name, err)
	}
	if most := l.limits.batchBytes; most > 0 && int64(len(value))+2*recordOverhead > most {
		return fmt.Errorf("revision %d: key %q has a record of %d bytes, this engine takes %d: %w", r.kr.Main, name, len(value), most, ErrTooLarge)
	}
	return nil
}

// Finish makes everything durable, opens it as Open does and then takes the
// mark away. What Open would refuse is answered, and stays marked.
func (l *Loader) Finish() error {
	if l.batch.Len() > 0 {
		if err := l.apply(backend.Sync); err != nil {
			return fmt.Errorf("loading: %w", err)
		}
	}
	t := defaultTuning
	t.loading = true
	s, err := open(l.engine, Config{ReadOnly: true}, t)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	addOp(&l.batch, deleteMeta(metaLoading))
	if err := l.apply(backend.Sync); err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	return nil
}

func (l *Loader) apply(syncing backend.Syncing) error {
	err := l.engine.Apply(&l.batch, syncing)
	l.batch.Reset()
	l.arena = arena{}
	return err
}
