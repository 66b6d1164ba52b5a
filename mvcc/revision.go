package mvcc

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The key of a record on disk, as etcd writes it:
//
//	bytes 0-7   main, big endian
//	byte  8     '_'
//	bytes 9-16  sub, big endian
//	byte  17    't', tombstones only
//
// so that byte order is revision order.
const (
	revKeyLen       = 17
	tombstoneKeyLen = 18
	revSeparator    = '_'
	tombstoneMark   = 't'
)

// maxRevision is the last revision that a store assigns. What is above it is
// room for sums of revisions and for reserved ceilings: nothing overflows.
const maxRevision int64 = math.MaxInt64 - 1<<32

// ceilingAbove is what Relaxed reserves when the store stands at rev.
func (s *Store) ceilingAbove(rev int64) int64 {
	return max(rev, min(rev+s.tuning.ceilingStep, maxRevision+1))
}

// appendRevKey appends the record key of one version.
func appendRevKey(dst []byte, kr KeyRev) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(kr.Main))
	dst = append(dst, revSeparator)
	dst = binary.BigEndian.AppendUint64(dst, uint64(kr.Sub))
	if kr.Tombstone {
		dst = append(dst, tombstoneMark)
	}
	return dst
}

// parseRevKey reads a record key; anything a store does not write is damage.
func parseRevKey(b []byte) (KeyRev, error) {
	if len(b) != revKeyLen && len(b) != tombstoneKeyLen {
		return KeyRev{}, fmt.Errorf("record key %x has %d bytes, %d or %d expected: %w", b, len(b), revKeyLen, tombstoneKeyLen, ErrDamaged)
	}
	kr := KeyRev{
		Main:      int64(binary.BigEndian.Uint64(b)),
		Sub:       int64(binary.BigEndian.Uint64(b[9:])),
		Tombstone: len(b) == tombstoneKeyLen,
	}
	switch {
	case b[8] != revSeparator, kr.Tombstone && b[revKeyLen] != tombstoneMark:
		return KeyRev{}, fmt.Errorf("record key %x is no revision: %w", b, ErrDamaged)
	case kr.Main < 0 || kr.Sub < 0 || kr.Sub > maxSub:
		return KeyRev{}, fmt.Errorf("record key %x has revision %d/%d out of bounds: %w", b, kr.Main, kr.Sub, ErrDamaged)
	}
	return kr, nil
}

// firstKeyOf is the smallest record key a revision can have: the bound of
// scans.
func firstKeyOf(rev int64) []byte { return appendRevKey(nil, KeyRev{Main: rev}) }

// less orders versions as their record keys do.
func (a KeyRev) less(b KeyRev) bool {
	return a.Main < b.Main || a.Main == b.Main && a.Sub < b.Sub
}

// compareKeyRevs orders versions for sorting.
func compareKeyRevs(a, b KeyRev) int {
	switch {
	case a.less(b):
		return -1
	case b.less(a):
		return 1
	}
	return 0
}
