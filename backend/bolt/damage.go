package bolt

import (
	"bytes"
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

// walk visits every page in use through a handle of its own that reads only
// what it is asked for.
func walk(path string) (err error) {
	h, err := openHandle(path, &bbolt.Options{Timeout: lockWait, ReadOnly: true, MmapFlags: mapFlags})
	if err != nil {
		return err
	}
	defer func() {
		if closing := h.close(); err == nil {
			err = closing
		}
	}()
	defer watch(&err, "walk", path)()
	tx, err := h.db.Begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback() // also behind a panic: Close waits for it
	return tx.ForEach(walkBucket)
}

func walkBucket(name []byte, bucket *bbolt.Bucket) error {
	var last []byte
	cursor := bucket.Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		if last != nil && bytes.Compare(last, key) >= 0 {
			return fmt.Errorf("bucket %q: key %x after %x: %w", name, key, last, backend.ErrDamaged)
		}
		last = key
		if value != nil {
			continue
		}
		inner := bucket.Bucket(key)
		if inner == nil {
			continue
		}
		if err := walkBucket(key, inner); err != nil {
			return err
		}
	}
	return nil
}
