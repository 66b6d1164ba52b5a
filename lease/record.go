package lease

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watchkv/watchkv/mvcc"
)

// stored is a lease as it is on disk: etcd's leasepb.Lease.
type stored struct {
	id        int64
	ttl       int64
	remaining int64 // of the last checkpoint; 0: none
}

const (
	fieldID        protowire.Number = 1
	fieldTTL       protowire.Number = 2
	fieldRemaining protowire.Number = 3
)

// recordKey is where a lease stands.
func recordKey(id int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

func (s stored) encode() []byte {
	var b []byte
	for _, f := range [...]struct {
		num protowire.Number
		v   int64
	}{{fieldID, s.id}, {fieldTTL, s.ttl}, {fieldRemaining, s.remaining}} {
		if f.v != 0 {
			b = protowire.AppendTag(b, f.num, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(f.v))
		}
	}
	return b
}

// decode reads an entry of the lease space, as a generated decoder does:
// fields in any order, the last of a repeated one, unknown ones skipped.
func decode(key, value []byte) (stored, error) {
	var s stored
	if len(key) != 8 {
		return s, fmt.Errorf("space lease: key %x has %d bytes, 8 of an id expected: %w", key, len(key), mvcc.ErrDamaged)
	}
	for b := value; len(b) > 0; {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return s, fmt.Errorf("space lease: key %x: tag: %w: %w", key, protowire.ParseError(n), mvcc.ErrDamaged)
		}
		b = b[n:]
		var v uint64
		if kind == protowire.VarintType {
			v, n = protowire.ConsumeVarint(b)
		} else {
			num, n = 0, protowire.ConsumeFieldValue(num, kind, b)
		}
		if n < 0 {
			return s, fmt.Errorf("space lease: key %x: %w: %w", key, protowire.ParseError(n), mvcc.ErrDamaged)
		}
		b = b[n:]
		switch num {
		case fieldID:
			s.id = int64(v)
		case fieldTTL:
			s.ttl = int64(v)
		case fieldRemaining:
			s.remaining = int64(v)
		}
	}
	if id := int64(binary.BigEndian.Uint64(key)); s.id != id || id == 0 {
		return s, fmt.Errorf("space lease: key %x holds the lease with id %d: %w", key, s.id, mvcc.ErrDamaged)
	}
	return s, nil
}
