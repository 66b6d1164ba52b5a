package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/watchkv/watchkv/backend"
)

// badger trusts its files: it ends the process at a table that is cut short,
// begins anew beside a missing MANIFEST and deletes every table then, deletes
// those a MANIFEST cut short does not name, and drops what stands behind the
// first damaged entry of a memtable's log. So open looks first.

// fileSet is what a directory holds, by kind.
type fileSet struct {
	manifest bool
	tables   map[uint64]string
	mems     []string // logs of memtables
	vlogs    []string // ascending
	others   []string
}

func listFiles(dir string) (fileSet, error) {
	set := fileSet{tables: map[uint64]string{}}
	entries, err := os.ReadDir(dir) // ascending
	if err != nil {
		return set, err
	}
	for _, entry := range entries {
		name := entry.Name()
		stem, suffix, _ := strings.Cut(name, ".")
		number, notNumber := strconv.ParseUint(stem, 10, 64)
		switch {
		case name == badger.ManifestFilename:
			set.manifest = true
		case name == rewriteName: // all of it is in MANIFEST, or nothing was ever written
		case suffix == "sst" && notNumber == nil:
			set.tables[number] = name
		case suffix == "mem":
			set.mems = append(set.mems, name)
		case suffix == "vlog":
			set.vlogs = append(set.vlogs, name)
		case ownName(name):
			set.others = append(set.others, name)
		}
	}
	return set, nil
}

// check answers ErrDamaged, with the file in the text, for what badger would
// not survive or would pass over.
func check(dir string) error {
	set, err := listFiles(dir)
	if err != nil {
		return err
	}
	if !set.manifest {
		if n := len(set.tables) + len(set.mems) + len(set.vlogs) + len(set.others); n > 0 {
			return fmt.Errorf("MANIFEST is missing beside %d files of data, and badger would delete them: %w", n, backend.ErrDamaged)
		}
		return nil
	}
	if err := checkRegistry(filepath.Join(dir, badger.KeyRegistryFileName)); err != nil {
		return err
	}
	newest := uint64(0) // commit
	for _, name := range set.mems {
		last, err := checkLog(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("log of a memtable %s: %w", name, err)
		}
		newest = max(newest, last)
	}
	for i, name := range set.vlogs {
		if err := checkValueLog(filepath.Join(dir, name), i == len(set.vlogs)-1); err != nil {
			return fmt.Errorf("value log %s: %w", name, err)
		}
	}
	return checkTables(dir, set, newest)
}

// checkTables reads every table that the MANIFEST names. A table that it does
// not name is the work of a flush or compaction that a crash cut short, and
// then its content stands elsewhere, too; one with a newer commit than all
// else says that the MANIFEST has lost its end.
func checkTables(dir string, set fileSet, newest uint64) error {
	manifest, err := readManifest(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return err
	}
	for id := range manifest.Tables {
		name, ok := set.tables[id]
		if !ok {
			return fmt.Errorf("table %06d.sst is missing: %w", id, backend.ErrDamaged)
		}
		version, err := checkTable(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
		newest = max(newest, version)
	}
	for id, name := range set.tables {
		if _, named := manifest.Tables[id]; named {
			continue
		}
		version, err := checkTable(filepath.Join(dir, name))
		if err == nil && version > newest {
			return fmt.Errorf("MANIFEST does not name table %s, which holds the newest commit, %d: it has lost its end: %w", name, version, backend.ErrDamaged)
		}
		if err != nil && !errors.Is(err, backend.ErrDamaged) {
			return err
		}
	}
	return nil
}

func readManifest(path string) (badger.Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return badger.Manifest{}, err
	}
	manifest, _, err := badger.ReplayManifestFile(file, 0, badger.DefaultOptions(""))
	if err != nil {
		err = fmt.Errorf("MANIFEST: %w: %w", err, backend.ErrDamaged)
	}
	return manifest, errors.Join(err, file.Close())
}

// checkRegistry: the file holds no keys, only 16 random bytes and a word in
// clear, because nothing is encrypted. badger makes a missing one anew.
func checkRegistry(path string) error {
	const random, word = 16, "Hello Badger"
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && (len(data) != random+len(word) || string(data[random:]) != word) {
		err = fmt.Errorf("KEYREGISTRY is %x, 16 bytes and %q expected: %w", data[:min(len(data), 64)], word, backend.ErrDamaged)
	}
	return err
}

// checkValueLog looks at the head. The newest may be empty after a power loss,
// and holds nothing then.
func checkValueLog(path string, newest bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var head [logHead]byte
	n, err := file.ReadAt(head[:], 0)
	switch {
	case n == 0 && newest:
		return nil
	case n < logHead:
		return fmt.Errorf("it has %d bytes: %w", n, backend.ErrDamaged)
	case binary.BigEndian.Uint64(head[:]) != 0:
		return fmt.Errorf("it names an encryption key, and there are none: %w", backend.ErrDamaged)
	}
	return err
}

// A table, integers big endian:
//
//	blocks, the index, 4 bytes its size, its checksum, 4 bytes the size of that
//
// and a block ends the same way in its checksum and the size of that.

// checkTable reads a whole table and returns its newest commit.
func checkTable(path string) (version uint64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	defer func() { // the index is decoded by code that trusts it
		if r := recover(); r != nil {
			err = fmt.Errorf("index: %v: %w", r, backend.ErrDamaged)
		}
	}()
	rest, sum, err := cutSum(data)
	if err != nil {
		return 0, fmt.Errorf("%d bytes: end: %w", len(data), err)
	}
	rest, raw, ok := cutSized(rest)
	if !ok {
		return 0, fmt.Errorf("%d bytes: the index does not fit: %w", len(data), backend.ErrDamaged)
	}
	if err := sum.check(raw); err != nil {
		return 0, fmt.Errorf("index: %w", err)
	}
	index := fb.GetRootAsTableIndex(raw, 0)
	var at fb.BlockOffset
	for i := range index.OffsetsLength() {
		if !index.Offsets(&at, i) {
			return 0, fmt.Errorf("index: no block %d: %w", i, backend.ErrDamaged)
		}
		from, to := int64(at.Offset()), int64(at.Offset())+int64(at.Len())
		if to > int64(len(rest)) {
			return 0, fmt.Errorf("block %d ends at byte %d of %d: %w", i, to, len(rest), backend.ErrDamaged)
		}
		block, sum, err := cutSum(rest[from:to])
		if err == nil {
			err = sum.check(block)
		}
		if err != nil {
			return 0, fmt.Errorf("block %d at byte %d: %w", i, from, err)
		}
	}
	return index.MaxVersion(), nil
}

// cutSized takes bytes off the end of b that are followed by their number.
func cutSized(b []byte) (rest, part []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := int64(binary.BigEndian.Uint32(b[len(b)-4:]))
	at := int64(len(b)) - 4 - n
	if at < 0 {
		return nil, nil, false
	}
	return b[:at], b[at : len(b)-4], true
}

// checksum is badger's message of that name: field 1 is the algorithm, field
// 2 the sum, both varints.
type checksum struct{ algorithm, sum uint64 }

func cutSum(b []byte) (rest []byte, sum checksum, err error) {
	rest, raw, ok := cutSized(b)
	for ok && len(raw) > 0 {
		field := raw[0]
		value, n := binary.Uvarint(raw[1:])
		if ok = n > 0; !ok {
			break
		}
		raw = raw[1+n:]
		switch field {
		case 1 << 3:
			sum.algorithm = value
		case 2 << 3:
			sum.sum = value
		default:
			ok = false
		}
	}
	if !ok {
		return nil, sum, fmt.Errorf("no checksum: %w", backend.ErrDamaged)
	}
	return rest, sum, nil
}

func (c checksum) check(data []byte) error {
	kind := pb.Checksum_Algorithm(c.algorithm)
	if kind != pb.Checksum_CRC32C && kind != pb.Checksum_XXHash64 {
		return fmt.Errorf("checksum of kind %d: %w", c.algorithm, backend.ErrDamaged)
	}
	if got := y.CalculateChecksum(data, kind); got != c.sum {
		return fmt.Errorf("checksum %08x, computed %08x: %w", c.sum, got, backend.ErrDamaged)
	}
	return nil
}

// zeroTail is how many zeros in a row end a log for checkLog: badger makes
// logs of 128 MiB and fills them from the front.
const zeroTail = 8 << 20

// readLog reads a log up to its last byte that is not zero.
func readLog(path string) (data []byte, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	size = info.Size()
	part, zeros := make([]byte, 1<<20), make([]byte, 1<<20)
	used := 0
	for at := int64(0); at < size && len(data)-used < zeroTail; {
		n, err := file.ReadAt(part[:min(int64(len(part)), size-at)], at)
		if err != nil {
			return nil, 0, err
		}
		at += int64(n)
		data = append(data, part[:n]...)
		if !bytes.Equal(part[:n], zeros[:n]) {
			used = len(data)
		}
	}
	return bytes.TrimRight(data[:used], "\x00"), size, nil
}
