package bolt

import (
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/watchkv/watchkv/backend"
)

// bbolt reports a broken page by a panic, and one that points outside the
// file by a memory fault. Both become errors here, on the goroutine that
// reads. On goroutines that bbolt starts they end the process; one of those
// walks all pages at open, so walk goes there first.

// watch turns panics and faults until the returned function runs into an
// error in err; it is to be deferred: defer watch(&err, "get", path)().
func watch(err *error, doing, path string) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if r := recover(); r != nil {
			*err = broken(r, doing, path)
		}
	}
}

// isFault tells a memory fault from other panics; only faults have an address.
func isFault(r any) bool {
	_, ok := r.(interface{ Addr() uintptr })
	return ok
}

func broken(r any, doing, path string) error {
	if isFault(r) {
		r = "a page cannot be read, as the file was truncated or the disk fails"
	}
	return fmt.Errorf("bolt: %s %s: %v: %w", doing, path, r, backend.ErrDamaged)
}

// walk checks every page in use under the lock of a reader, before bbolt looks
// at any but the meta pages; so bbolt's map is not read ahead here, ours is.
func walk(path string) (err error) {
	h, err := openHandle(path, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() {
		if closing := h.close(); err == nil {
			err = closing
		}
	}()
	return checkTree(path)
}
