package badger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/dgraph-io/badger/v4/y"

	"github.com/watchkv/watchkv/backend"
)

// A memtable's log begins with 8 bytes that name a key, 0 for none, and 12
// random ones. Entries follow:
//
//	flags 1, 0, key size, value size, 0 (varints), key, value
//	CRC-32C of all that, 4 bytes big endian
//
// A key ends in 8 bytes that count down with the commit. The entries of one
// commit have flagTxn and are followed by one that has flagEnd, the commit's
// number in decimal as its value, and endKey. What a collection of the value
// log moved has neither flag. Commits are made durable one after the other, so
// of all of them only the last can be torn by a crash.
const (
	logHead    = 20
	commitSize = 8
	flagsOther = 0xf
	flagTxn    = 1 << 6
	flagEnd    = 1 << 7
	endKey     = "!badger!txn"
	// longestKey is the longest of ours with space and commit.
	longestKey = backend.MaxKeyBytes + 1 + commitSize
)

// logEntry is what checkLog wants of an entry.
type logEntry struct {
	commit uint64 // 0: of none
	ends   bool   // the commit
	size   int
}

// entryAt decodes the entry that b begins with.
func entryAt(b []byte) (e logEntry, ok bool) {
	if len(b) < 2 || b[0]&^(flagTxn|flagEnd|flagsOther) != 0 || b[1] != 0 {
		return e, false
	}
	keySize, n := binary.Uvarint(b[2:])
	if n <= 0 || keySize <= commitSize || keySize > longestKey {
		return e, false
	}
	at := 2 + n
	valueSize, n := binary.Uvarint(b[at:])
	if n <= 0 || valueSize > uint64(len(b)) {
		return e, false
	}
	at += n
	if at >= len(b) || b[at] != 0 {
		return e, false
	}
	at++
	end := at + int(keySize) + int(valueSize)
	if end+crc32.Size > len(b) {
		return e, false
	}
	key := b[at : at+int(keySize)]
	if b[0]&(flagTxn|flagEnd) != 0 {
		e.commit = y.ParseTs(key)
	}
	e.ends = b[0]&flagEnd != 0
	e.size = end + crc32.Size
	if e.ends != bytes.HasPrefix(key, []byte(endKey)) {
		return e, false
	}
	return e, crc32.Checksum(b[:end], y.CastagnoliCrcTable) == binary.BigEndian.Uint32(b[end:])
}

// checkLog returns the last commit that is whole. It answers ErrDamaged for
// damage in front of a commit later than the one it is in, which badger would
// drop with everything behind it, and for a log cut short.
func checkLog(path string) (last uint64, err error) {
	data, size, err := readLog(path)
	if err != nil || size == 0 {
		return 0, err
	}
	if len(data) >= commitSize && binary.BigEndian.Uint64(data) != 0 {
		return 0, fmt.Errorf("it names an encryption key, and there are none: %w", backend.ErrDamaged)
	}
	whole, torn := logHead, uint64(0) // end of the last whole commit; the one behind it
	at := logHead
	for at < len(data) {
		e, ok := entryAt(padded(data[at:]))
		if !ok || torn != 0 && e.commit != torn {
			break
		}
		at += e.size
		switch torn = e.commit; {
		case e.ends:
			whole, last, torn = at, e.commit, 0
		case e.commit == 0:
			whole = at
		}
	}
	// badger gives a log its full size at once, and cuts it to what is whole
	// when it opens it again.
	if size < 2*memTableBytes && size != int64(whole) {
		return last, fmt.Errorf("it has %d bytes, the last whole commit ends at %d: it was cut: %w", size, whole, backend.ErrDamaged)
	}
	if torn == 0 && last != 0 {
		torn = last + 1
	}
	for behind := at; behind < len(data); {
		e, ok := entryAt(padded(data[behind:]))
		if !ok {
			behind++
			continue
		}
		if torn == 0 {
			torn = e.commit
		}
		if e.commit > torn {
			return last, fmt.Errorf("damage at byte %d, in front of commit %d at byte %d: %w", at, e.commit, behind, backend.ErrDamaged)
		}
		behind += e.size
	}
	return last, nil
}

// padded gives back to the last entry the zeros that readLog took off.
func padded(b []byte) []byte {
	if len(b) > 64 {
		return b
	}
	return append(bytes.Clone(b), make([]byte, 64)...)
}
