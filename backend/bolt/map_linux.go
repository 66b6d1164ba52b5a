package bolt

import (
	"os"
	"syscall"
)

// mapFlags: read the whole file ahead at open. Without it the first walk over
// the tree, which open does to find free pages, takes one page fault at a
// time: 9.6 s instead of 1.1 s for a cold file of 437 MiB.
const mapFlags = syscall.MAP_POPULATE

// headMap is a map of our own of the file's beginning, to see whether it is
// still there for the price of two loads.
type headMap []byte

func mapHead(file *os.File, size int) (headMap, error) {
	data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return data, nil
}

// touch faults if either page is gone.
func (m headMap) touch() byte { return m[0] ^ m[len(m)-1] }

func (m headMap) unmap() error { return os.NewSyscallError("munmap", syscall.Munmap(m)) }

// filePages is a map of a whole file, read ahead: copying 4 KiB by a system
// call for each page takes longer than checking it. Reading what was truncated
// meanwhile faults.
type filePages struct{ data []byte }

func openPages(file *os.File, size uint64) (filePages, error) {
	data, err := syscall.Mmap(int(file.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED|mapFlags)
	if err != nil {
		return filePages{}, os.NewSyscallError("mmap", err)
	}
	return filePages{data}, nil
}

// at is n bytes of the file. They stay until close, or the next call for the
// same level.
func (p filePages) at(offset, n int64, _ int) ([]byte, error) {
	return p.data[offset : offset+n : offset+n], nil
}

func (p filePages) close() error { return os.NewSyscallError("munmap", syscall.Munmap(p.data)) }

// unlock takes bbolt's lock from the file, which closing it does not do while
// bbolt's map of it stays.
func unlock(file *os.File) error {
	return os.NewSyscallError("flock", syscall.Flock(int(file.Fd()), syscall.LOCK_UN))
}
