package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"github.com/watchkv/watchkv/backend"
)

// A bbolt file begins with two meta pages, written in turn. Each, in the
// machine's byte order, little endian wherever we run:
//
//	 0  page header   16 bytes
//	16  magic          4
//	20  version        4   2
//	24  page size      4
//	28  flags          4
//	32  root bucket   16
//	48  free list      8   page, all ones if not on disk
//	56  high water     8   first page never used: the end of the file
//	64  transaction    8
//	72  checksum       8   FNV-1a of bytes 16 to 71
const (
	metaBytes   = 80
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	minPage     = 1 << 10
	maxPage     = 16 << 20
)

// meta is what open needs to know before it lets bbolt near the file.
type meta struct {
	pageSize  uint32
	root      uint64
	highWater uint64
	tx        uint64
	// broken: one of the two pages does not read. If it was the newer one,
	// what it made durable is lost.
	broken bool
}

// readMeta answers ErrDamaged for what is no bbolt file, or one that is
// shorter than it says: reading past its end would end the process.
func readMeta(path string) (meta, error) {
	file, err := os.Open(path)
	if err != nil {
		return meta{}, err
	}
	m, err := findMeta(file)
	return m, errors.Join(err, file.Close())
}

func findMeta(file *os.File) (meta, error) {
	info, err := file.Stat()
	if err != nil {
		return meta{}, err
	}
	var buf [metaBytes]byte
	n, err := file.ReadAt(buf[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return meta{}, err
	}
	head := buf
	best, ok := decodeMeta(buf[:n])
	// The second one stands at the page size: known if the first is whole,
	// else to be tried.
	for size := int64(minPage); size <= maxPage; size *= 2 {
		if n, err := file.ReadAt(buf[:], size); n < metaBytes {
			if err != nil && !errors.Is(err, io.EOF) {
				return meta{}, err
			}
			break
		}
		m, found := decodeMeta(buf[:])
		if found && int64(m.pageSize) == size && (!ok || m.pageSize == best.pageSize && m.tx > best.tx) {
			best, ok = m, true
		}
	}
	if !ok {
		return meta{}, fmt.Errorf("not a bbolt file, it begins with %q: %w", head[:min(n, 24)], backend.ErrDamaged)
	}
	if want := int64(best.highWater) * int64(best.pageSize); info.Size() < want {
		return meta{}, fmt.Errorf("the file has %d bytes of %d: %w", info.Size(), want, backend.ErrDamaged)
	}
	for _, at := range [2]int64{0, int64(best.pageSize)} {
		n, err := file.ReadAt(buf[:], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return meta{}, err
		}
		if m, ok := decodeMeta(buf[:n]); !ok || m.pageSize != best.pageSize {
			best.broken = true
		}
	}
	return best, nil
}

func decodeMeta(b []byte) (meta, bool) {
	if len(b) < metaBytes {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(b[16:72])
	le := binary.LittleEndian
	if le.Uint32(b[16:]) != metaMagic || le.Uint32(b[20:]) != metaVersion || le.Uint64(b[72:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{pageSize: le.Uint32(b[24:]), root: le.Uint64(b[32:]), highWater: le.Uint64(b[56:]), tx: le.Uint64(b[64:])}
	return m, m.pageSize >= minPage && m.pageSize <= maxPage && m.highWater < 1<<40
}
