package bolt

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
)

// handle is an open file and the views that read it. A view enters before it
// asks bbolt for anything: bbolt's Close takes the lock that a beginning view
// needs and then waits for the views that have begun, so Reclaim calls it
// when there are none and none can come.
type handle struct {
	db    *bbolt.DB
	file  *os.File // bbolt's, which holds the lock; for its length, and to let go
	head  headMap  // the meta pages, which a transaction reads under bbolt's locks
	views backend.Gate
}

func newHandle(db *bbolt.DB, file *os.File) (*handle, error) {
	head, err := mapHead(file, 2*db.Info().PageSize)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &handle{db: db, file: file, head: head}, nil
}

func (h *handle) close() error { return errors.Join(h.db.Close(), h.head.unmap()) }

// abandon lets the lock go and nothing else: bbolt's own are held for ever.
func (h *handle) abandon() error {
	return errors.Join(unlock(h.file), h.file.Close(), h.head.unmap())
}

// holds answers ErrDamaged for a file that is shorter than that.
func (h *handle) holds(size int64) error {
	info, err := h.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < size {
		return fmt.Errorf("%s was truncated, it has %d bytes of %d: %w", h.file.Name(), info.Size(), size, backend.ErrDamaged)
	}
	return nil
}

// unusable is why nothing but reads is taken any more, as from now on if the
// file is shorter than it was. Needs mu.
func (e *engine) unusable() error {
	if lost := e.lost.Load(); lost != nil {
		return *lost
	}
	if e.stopped == nil {
		e.stopped = e.current.Load().holds(e.size.Load())
	}
	return e.stopped
}

// begin starts a read transaction, unless the pages it begins with are gone.
func (e *engine) begin(h *handle) (tx *bbolt.Tx, err error) {
	if lost := e.lost.Load(); lost != nil {
		return nil, *lost
	}
	if err := e.touch(h); err != nil {
		return nil, err
	}
	defer e.loseUnless(&tx, &err)
	defer watch(&err, "view of", e.file)()
	return h.db.Begin(false)
}

// touch meets the fault before bbolt holds a lock.
func (e *engine) touch(h *handle) (err error) {
	defer watch(&err, "view of", e.file)()
	runtime.KeepAlive(h.head.touch()) // or the loads would be left out
	return nil
}

// loseUnless gives bbolt up if there is neither a transaction nor an error of
// bbolt's own: a fault came in between and bbolt's locks stay taken.
func (e *engine) loseUnless(tx **bbolt.Tx, err *error) {
	if *tx == nil && errors.Is(*err, backend.ErrDamaged) {
		e.lose(*err)
	}
}

func (e *engine) lose(err error) { e.lost.CompareAndSwap(nil, &err) }

// update is bbolt's Update, but for a fault: bbolt would roll back, which
// walks all pages and ends the process at what it finds in a broken file. The
// caller has looked at the file's length.
func (e *engine) update(fn func(tx *bbolt.Tx) error) (err error) {
	returned := false
	defer func() {
		if !returned {
			e.lose(err)
		}
	}()
	defer watch(&err, "apply to", e.file)()
	tx, err := e.current.Load().db.Begin(true)
	if err == nil {
		if err = fn(tx); err != nil {
			err = errors.Join(err, tx.Rollback())
		} else {
			err = tx.Commit()
		}
	}
	returned = true
	return err
}
