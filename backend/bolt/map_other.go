//go:build !linux

package bolt

import "os"

const mapFlags = 0

// headMap watches nothing here: a file truncated below its first two pages
// stops views for ever.
type headMap struct{}

func mapHead(*os.File, int) (headMap, error) { return headMap{}, nil }

func (headMap) touch() byte { return 0 }

func (headMap) unmap() error { return nil }

// filePages reads page by page.
type filePages struct {
	file *os.File
	bufs map[int][]byte // by level
}

func openPages(file *os.File, _ uint64) (filePages, error) {
	return filePages{file, map[int][]byte{}}, nil
}

// at is n bytes of the file. They stay until the next call for the same level.
func (p filePages) at(offset, n int64, level int) ([]byte, error) {
	b := p.bufs[level]
	if int64(cap(b)) < n {
		b = make([]byte, n)
		p.bufs[level] = b
	}
	_, err := p.file.ReadAt(b[:n], offset)
	return b[:n], err
}

func (filePages) close() error { return nil }

// unlock leaves it to the closing of the file.
func unlock(*os.File) error { return nil }
