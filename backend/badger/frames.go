package badger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/watchkv/watchkv/backend"
)

// badger's backup stream has no end mark, so one that was cut between two
// entries would restore without an error. It is therefore framed:
//
//	magic
//	frames: size 4 bytes, little endian, 1 to maxFrame; that many bytes
//	end:    size 0; CRC-32C of the bytes in all frames, 4 bytes
const (
	frameMagic = "watchkv badger 1\n"
	maxFrame   = 1 << 20
)

type frameWriter struct {
	w       io.Writer
	sum     hash.Hash32
	pending []byte // the frame being filled, behind its size
	started bool
}

func newFrameWriter(w io.Writer) *frameWriter {
	return &frameWriter{w: w, sum: crc32.New(crc32.MakeTable(crc32.Castagnoli)), pending: make([]byte, 4, 4+maxFrame)}
}

func (f *frameWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := min(len(p), cap(f.pending)-len(f.pending))
		f.pending = append(f.pending, p[:n]...)
		p = p[n:]
		if len(f.pending) == cap(f.pending) {
			if err := f.flush(); err != nil {
				return written, err
			}
		}
		written += n
	}
	return written, nil
}

func (f *frameWriter) flush() error {
	if !f.started {
		f.started = true
		if _, err := io.WriteString(f.w, frameMagic); err != nil {
			return err
		}
	}
	if len(f.pending) == 4 {
		return nil
	}
	binary.LittleEndian.PutUint32(f.pending, uint32(len(f.pending)-4))
	f.sum.Write(f.pending[4:])
	_, err := f.w.Write(f.pending)
	f.pending = f.pending[:4]
	return err
}

// close writes what is pending and the end.
func (f *frameWriter) close() error {
	if err := f.flush(); err != nil {
		return err
	}
	var end [8]byte
	binary.LittleEndian.PutUint32(end[4:], f.sum.Sum32())
	_, err := f.w.Write(end[:])
	return err
}

// frameReader gives back the bytes in the frames and io.EOF at a true end.
type frameReader struct {
	r       io.Reader
	sum     hash.Hash32
	left    int // bytes of the current frame not read yet
	started bool
	done    bool
	err     error // the first one but io.EOF
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: r, sum: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
}

func (f *frameReader) Read(p []byte) (int, error) {
	if f.err == nil && f.left == 0 && !f.done {
		f.err = f.next()
	}
	if f.err != nil {
		return 0, f.err
	}
	if f.done {
		return 0, io.EOF
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.sum.Write(p[:n])
	f.left -= n
	if err != nil && n == 0 {
		f.err = cutShort(err)
	}
	return n, f.err
}

// next reads the head of a frame, or the end.
func (f *frameReader) next() error {
	if !f.started {
		magic := make([]byte, len(frameMagic))
		if _, err := io.ReadFull(f.r, magic); err != nil {
			return cutShort(err)
		}
		if !bytes.Equal(magic, []byte(frameMagic)) {
			return fmt.Errorf("no backup of badger, it begins with %q: %w", magic, backend.ErrDamaged)
		}
		f.started = true
	}
	var word [4]byte
	if _, err := io.ReadFull(f.r, word[:]); err != nil {
		return cutShort(err)
	}
	size := binary.LittleEndian.Uint32(word[:])
	if size > maxFrame {
		return fmt.Errorf("frame of %d bytes, at most %d: %w", size, maxFrame, backend.ErrDamaged)
	}
	f.left = int(size)
	if size > 0 {
		return nil
	}
	if _, err := io.ReadFull(f.r, word[:]); err != nil {
		return cutShort(err)
	}
	if got, want := f.sum.Sum32(), binary.LittleEndian.Uint32(word[:]); got != want {
		return fmt.Errorf("checksum %08x, computed %08x: %w", want, got, backend.ErrDamaged)
	}
	f.done = true
	return nil
}

// ended tells whether everything was read and whole.
func (f *frameReader) ended() error {
	if f.err == nil && !f.done {
		return fmt.Errorf("bytes behind the last entry: %w", backend.ErrDamaged)
	}
	return f.err
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the backup is cut short: %w", backend.ErrDamaged)
	}
	return err
}
