package badger

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/watchkv/watchkv/backend"
)

// View joins the current generation.
func (e *engine) View() (backend.View, error) {
	if err := e.gate.Enter(); err != nil {
		return nil, fmt.Errorf("badger: view: %w", err)
	}
	return &view{engine: e, generation: e.hold()}, nil
}

type view struct {
	engine     *engine
	generation *generation // nil once closed
	lo, hi     []byte      // reused by reads: the key, or the bounds
}

func (v *view) check(s backend.Space) error {
	if v.generation == nil {
		return fmt.Errorf("badger: view: %w", backend.ErrClosed)
	}
	if err := v.engine.spaces.Check(s); err != nil {
		return fmt.Errorf("badger: view: %w", err)
	}
	return nil
}

func (v *view) Get(s backend.Space, dst, key []byte) (value []byte, ok bool, err error) {
	if err := v.check(s); err != nil {
		return dst, false, err
	}
	defer func() {
		if r := recover(); r != nil {
			value, ok, err = dst, false, broken(r, "get")
		}
	}()
	v.lo = append(append(v.lo[:0], byte(s)), key...)
	item, err := v.generation.txn.Get(v.lo)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err == nil {
		err = item.Value(func(found []byte) error {
			dst = append(dst, found...)
			return nil
		})
	}
	if err != nil {
		return dst, false, fmt.Errorf("badger: get %x in space %d: %w", key, s, damage(err))
	}
	return dst, true, nil
}

// broken makes an error of the panic by which badger meets a block whose
// lengths do not add up.
func broken(r any, doing string) error {
	return fmt.Errorf("badger: %s: %v: %w", doing, r, backend.ErrDamaged)
}

func (v *view) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) (err error) {
	if err := v.check(s); err != nil {
		return err
	}
	visiting := false // the caller's own panics pass
	defer func() {
		if visiting {
			return
		}
		if r := recover(); r != nil {
			err = broken(r, "scan")
		}
	}()
	v.lo = append(append(v.lo[:0], byte(s)), lo...)
	if hi == nil {
		v.hi = append(v.hi[:0], byte(s)+1)
	} else {
		v.hi = append(append(v.hi[:0], byte(s)), hi...)
	}
	// Without prefetching: that starts a goroutine for each item.
	iter := v.generation.txn.NewIterator(badger.IteratorOptions{Prefix: v.lo[:1]})
	defer iter.Close()
	var key []byte
	more := true
	each := func(value []byte) error {
		visiting = true
		more = visit(key[1:], value)
		visiting = false
		return nil
	}
	for iter.Seek(v.lo); more && iter.Valid(); iter.Next() {
		item := iter.Item()
		if key = item.Key(); bytes.Compare(key, v.hi) >= 0 {
			break
		}
		if err := item.Value(each); err != nil {
			return fmt.Errorf("badger: scan space %d: value of %x: %w", s, key[1:], damage(err))
		}
	}
	return nil
}

func (v *view) Close() error {
	if v.generation == nil {
		return fmt.Errorf("badger: view: %w", backend.ErrClosed)
	}
	v.engine.release(v.generation)
	v.generation = nil
	v.engine.gate.Leave()
	return nil
}
