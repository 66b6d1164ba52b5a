package etcdfile

import (
	"errors"
	"io"
	"os"
	"time"
)

// Built is a file that Build made, to be read once and closed. It serves one
// goroutine.
type Built struct {
	Facts BuiltFacts

	file *os.File
	path string // empty: the file has no name any more
	left int64
}

// BuiltFacts say what was built.
type BuiltFacts struct {
	Size       int64 // bytes
	Rev        int64 // the revision it shows
	CompactRev int64 // history is complete from here on; 0: all of it
	Records    int64 // tombstones included
	Took       time.Duration
}

// Read reads the next bytes of the file, without a trailing hash.
func (b *Built) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close removes the file.
func (b *Built) Close() error {
	err := b.file.Close()
	if b.path != "" {
		err = errors.Join(err, os.Remove(b.path))
	}
	return err
}
