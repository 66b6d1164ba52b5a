package bolt

import (
	"bytes"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
)

// View begins a read transaction.
func (e *engine) View() (backend.View, error) {
	if err := e.gate.Enter(); err != nil {
		return nil, fmt.Errorf("bolt: view: %w", err)
	}
	h := e.current.Load()
	for h.views.Enter() != nil {
		h = e.current.Load() // a Reclaim put another file in place
	}
	tx, err := e.begin(h)
	if err != nil {
		h.views.Leave()
		e.gate.Leave()
		return nil, fmt.Errorf("bolt: view: %w", err)
	}
	e.views.Add(1)
	return &view{engine: e, handle: h, tx: tx}, nil
}

type view struct {
	engine *engine
	handle *handle   // entered by View, left by Close
	tx     *bbolt.Tx // nil once closed

	space  backend.Space // of bucket; 0 before the first read
	bucket *bbolt.Bucket // nil: the file has none, so it is empty
}

func (v *view) open(s backend.Space) (*bbolt.Bucket, error) {
	if v.tx == nil {
		return nil, fmt.Errorf("bolt: view: %w", backend.ErrClosed)
	}
	if s != v.space {
		if err := v.engine.spaces.Check(s); err != nil {
			return nil, fmt.Errorf("bolt: view: %w", err)
		}
		v.space, v.bucket = s, v.tx.Bucket(v.engine.buckets[s])
	}
	return v.bucket, nil
}

func (v *view) Get(s backend.Space, dst, key []byte) (value []byte, ok bool, err error) {
	defer watch(&err, "get from", v.engine.file)()
	bucket, err := v.open(s)
	if err != nil || bucket == nil {
		return dst, false, err
	}
	found := bucket.Get(key)
	if found == nil {
		return dst, false, nil
	}
	return append(dst, found...), true, nil
}

// Scan hands out slices of the memory map.
func (v *view) Scan(s backend.Space, lo, hi []byte, visit func(key, value []byte) bool) (err error) {
	visiting := false // the caller's own panics pass, but faults in what it was given
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		r := recover()
		switch {
		case r == nil:
		case visiting && !isFault(r):
			panic(r)
		default:
			err = broken(r, "scan", v.engine.file)
		}
	}()
	bucket, err := v.open(s)
	if err != nil || bucket == nil {
		return err
	}
	cursor := bucket.Cursor()
	for key, value := cursor.Seek(lo); key != nil; key, value = cursor.Next() {
		if hi != nil && bytes.Compare(key, hi) >= 0 {
			return nil
		}
		if value == nil {
			continue // a bucket in the bucket: not ours
		}
		visiting = true
		more := visit(key, value)
		visiting = false
		if !more {
			return nil
		}
	}
	return nil
}

func (v *view) Close() error {
	if v.tx == nil {
		return fmt.Errorf("bolt: view: %w", backend.ErrClosed)
	}
	err := v.tx.Rollback()
	v.tx, v.bucket, v.space = nil, nil, 0
	v.handle.views.Leave()
	v.engine.views.Add(-1)
	v.engine.gate.Leave()
	if err != nil {
		return fmt.Errorf("bolt: close view: %w", err)
	}
	return nil
}
