package etcdfile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
)

// WAL is what the write-ahead log beside a member's file says.
type WAL struct {
	Dir string
	// Last is the index of the last entry.
	Last uint64
	// Missing counts entries with content above the file's index: changes that
	// a load of the file does not have.
	Missing int
	// Err is why no more could be read; nil if all was.
	Err error
}

// readWAL looks for the log of the member whose file is at path, and reads the
// part that may hold more than the file, which has applied up to index.
func readWAL(path string, index uint64) *WAL {
	snap, err := filepath.Abs(filepath.Dir(path))
	if err != nil || filepath.Base(snap) != "snap" {
		return nil
	}
	dir := filepath.Join(filepath.Dir(snap), "wal")
	files, err := filepath.Glob(filepath.Join(dir, "*-*.wal"))
	if err != nil || len(files) == 0 {
		return nil
	}
	sort.Strings(files) // their names begin with their number, in hex of one length
	w := &WAL{Dir: dir}
	missing := map[uint64]bool{} // an entry may be written twice; the later counts
	for i, name := range files {
		if i+1 < len(files) && firstIndex(files[i+1]) <= index {
			continue // all of it is in the file
		}
		if w.Err = w.readFile(name, index, missing); w.Err != nil {
			break
		}
	}
	for _, content := range missing {
		if content {
			w.Missing++
		}
	}
	return w
}

// firstIndex is the index that a log file begins with, from its name.
func firstIndex(name string) uint64 {
	base := filepath.Base(name)
	var n uint64
	for _, c := range base[min(17, len(base)):] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return n
		}
	}
	return n
}

// walEntry is the type of the frames that hold raft's entries.
const walEntry = 2

// readFile walks the frames of one log file: a length with padding in its top
// byte, a walpb.Record, the padding; zeros from the end on.
func (w *WAL) readFile(name string, index uint64, missing map[uint64]bool) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(file, 1<<20)
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}
		length := binary.LittleEndian.Uint64(head[:])
		if length == 0 {
			return nil
		}
		size := length &^ (0xff << 56)
		padding := uint64(0)
		if length>>63 == 1 {
			padding = length >> 56 & 7
		}
		if size > uint64(info.Size()) {
			return damage("%s: a frame of %d bytes", name, size)
		}
		frame := make([]byte, size+padding)
		if _, err := io.ReadFull(r, frame); err != nil {
			return nil // torn at the end, as after a crash
		}
		kind, data := fields(frame[:size], 1, 3)
		if kind != walEntry {
			continue
		}
		entry, content := fields(data, 3, 4)
		if entry > index {
			missing[entry] = len(content) > 0
		}
		w.Last = max(w.Last, entry)
	}
}

// fields reads a number and some bytes from a message; what does not read
// counts as absent.
func fields(b []byte, number, bytes protowire.Number) (n uint64, data []byte) {
	for len(b) > 0 {
		field, kind, length := protowire.ConsumeTag(b)
		if length < 0 {
			return n, data
		}
		b = b[length:]
		switch {
		case field == number && kind == protowire.VarintType:
			n, length = protowire.ConsumeVarint(b)
		case field == bytes && kind == protowire.BytesType:
			data, length = protowire.ConsumeBytes(b)
		default:
			length = protowire.ConsumeFieldValue(field, kind, b)
		}
		if length < 0 {
			return n, data
		}
		b = b[length:]
	}
	return n, data
}
