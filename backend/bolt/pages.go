package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/watchkv/watchkv/backend"
)

// A page, in the machine's byte order, as the meta pages:
//
//	 0  number          8
//	 8  flags           2   1 branch, 2 leaf
//	10  elements        2
//	12  overflow        4   pages that follow and belong to it
//	16  elements       16 each
//	    keys, or keys and values, one behind the other without a hole
//
// An element of a branch is: where its key stands, counted from the element 4,
// key size 4, page 8. An element of a leaf: flags 4 (1: a bucket), where its
// key stands 4, key size 4, value size 4. A bucket's value is its root page 8
// and a sequence 8; with root 0 a page follows in the value.
const (
	pageHead    = 16
	elementSize = 16
	pageBranch  = 1
	pageLeaf    = 2
	leafBucket  = 1
	bucketHead  = 16
)

// tree checks the pages in use without bbolt, which ends the process at some
// broken ones and passes over others: numbers, kinds and sizes that agree
// with each other to the byte, keys in order and inside the bounds that the
// branches above give, no page used twice.
type tree struct {
	pages filePages
	meta  meta
	used  []bool // by page
}

// checkTree reads every page in use from the file at path, which must not
// change meanwhile.
func checkTree(path string) (err error) {
	defer watch(&err, "check", path)()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	m, err := findMeta(file)
	if err != nil {
		return err
	}
	pages, err := openPages(file, max(m.highWater, 2)*uint64(m.pageSize))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pages.close()) }()
	t := &tree{pages: pages, meta: m, used: make([]bool, m.highWater)}
	return t.page(m.root, 0, nil, nil)
}

// page checks a page and all below it. Keys must be in [lo, hi); nil is no
// bound.
func (t *tree) page(number uint64, level int, lo, hi []byte) error {
	b, err := t.read(number, level)
	if err == nil {
		err = t.elements(b, level, lo, hi)
	}
	if err != nil && !errors.Is(err, errInPage) {
		err = fmt.Errorf("%w %d: %w", errInPage, number, err)
	}
	return err
}

// errInPage marks errors that name their page.
var errInPage = errors.New("page")

func (t *tree) read(number uint64, level int) ([]byte, error) {
	size := int64(t.meta.pageSize)
	if number < 2 || number >= t.meta.highWater {
		return nil, fmt.Errorf("the file has pages 2 to %d: %w", t.meta.highWater-1, backend.ErrDamaged)
	}
	b, err := t.pages.at(int64(number)*size, size, level)
	if err != nil {
		return nil, err
	}
	overflow := uint64(binary.LittleEndian.Uint32(b[12:]))
	if found := binary.LittleEndian.Uint64(b); found != number || number+overflow >= t.meta.highWater {
		return nil, fmt.Errorf("it says it is page %d with %d more: %w", found, overflow, backend.ErrDamaged)
	}
	for n := number; n <= number+overflow; n++ {
		if t.used[n] {
			return nil, fmt.Errorf("page %d is used twice: %w", n, backend.ErrDamaged)
		}
		t.used[n] = true
	}
	if overflow > 0 {
		return t.pages.at(int64(number)*size, (1+int64(overflow))*size, level)
	}
	return b, nil
}

// elements checks what page b holds, and the pages below it.
func (t *tree) elements(b []byte, level int, lo, hi []byte) error {
	kind, count := binary.LittleEndian.Uint16(b[8:]), int(binary.LittleEndian.Uint16(b[10:]))
	if kind != pageBranch && kind != pageLeaf {
		return fmt.Errorf("kind %#x: %w", kind, backend.ErrDamaged)
	}
	next := pageHead + count*elementSize // where the next key must stand
	if next > len(b) || kind == pageBranch && count == 0 {
		return fmt.Errorf("%d elements in %d bytes: %w", count, len(b), backend.ErrDamaged)
	}
	var last []byte
	for i := range count {
		e, err := elementAt(b, kind, i, next)
		if err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		next = e.end
		if i > 0 && bytes.Compare(last, e.key) >= 0 || lo != nil && bytes.Compare(e.key, lo) < 0 || hi != nil && bytes.Compare(e.key, hi) >= 0 {
			return fmt.Errorf("key %x is out of order: %w", e.key, backend.ErrDamaged)
		}
		last = e.key
		switch {
		case kind == pageBranch:
			upper := hi
			if i+1 < count {
				following, err := elementAt(b, kind, i+1, next)
				if err != nil {
					return fmt.Errorf("element %d: %w", i+1, err)
				}
				upper = following.key
			}
			err = t.page(e.child, level+1, e.key, upper)
		case e.flags == leafBucket:
			err = t.bucket(e.value, level+1)
		case e.flags != 0:
			err = fmt.Errorf("key %x has flags %#x: %w", e.key, e.flags, backend.ErrDamaged)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks the pages of a bucket by its value.
func (t *tree) bucket(value []byte, level int) error {
	if len(value) < bucketHead {
		return fmt.Errorf("a bucket of %d bytes: %w", len(value), backend.ErrDamaged)
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return t.page(root, level, nil, nil)
	}
	if len(value) < bucketHead+pageHead {
		return fmt.Errorf("a bucket of %d bytes: %w", len(value), backend.ErrDamaged)
	}
	return t.elements(value[bucketHead:], level, nil, nil)
}

// element is one of a page.
type element struct {
	flags      uint32
	child      uint64
	key, value []byte
	end        int
}

func elementAt(b []byte, kind uint16, i, at int) (e element, err error) {
	head := pageHead + i*elementSize
	field := func(n int) uint32 { return binary.LittleEndian.Uint32(b[head+4*n:]) }
	var position, keySize, valueSize uint32
	if kind == pageBranch {
		position, keySize = field(0), field(1)
		e.child = binary.LittleEndian.Uint64(b[head+8:])
	} else {
		e.flags, position, keySize, valueSize = field(0), field(1), field(2), field(3)
	}
	end := int64(at) + int64(keySize) + int64(valueSize)
	if int64(head)+int64(position) != int64(at) || end > int64(len(b)) {
		return e, fmt.Errorf("key and value of %d and %d bytes at byte %d, expected at %d of %d: %w",
			keySize, valueSize, int64(head)+int64(position), at, len(b), backend.ErrDamaged)
	}
	e.key, e.value, e.end = b[at:at+int(keySize)], b[at+int(keySize):end], int(end)
	return e, nil
}
