package mvcc

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// A record is the protobuf wire form of etcd's mvccpb.KeyValue, fields in
// ascending order and zero fields left out. A tombstone's record holds the key
// alone. Everything about the format stands in docs/format.md.
const (
	fieldKey     protowire.Number = 1
	fieldCreate  protowire.Number = 2
	fieldMod     protowire.Number = 3
	fieldVersion protowire.Number = 4
	fieldValue   protowire.Number = 5
	fieldLease   protowire.Number = 6
)

// encodeRecord writes kv into one allocation of exactly its size. The Key and
// Value of the result alias the record.
func encodeRecord(kv KeyValue) (KeyValue, []byte) {
	n := sizeOfBytes(len(kv.Key)) + sizeOfInt(kv.CreateRevision) + sizeOfInt(kv.ModRevision) +
		sizeOfInt(kv.Version) + sizeOfBytes(len(kv.Value)) + sizeOfInt(kv.Lease)
	b := make([]byte, 0, n)
	if len(kv.Key) > 0 {
		b = protowire.AppendTag(b, fieldKey, protowire.BytesType)
		b = protowire.AppendBytes(b, kv.Key)
		kv.Key = b[len(b)-len(kv.Key) : len(b) : len(b)]
	}
	b = appendInt(b, fieldCreate, kv.CreateRevision)
	b = appendInt(b, fieldMod, kv.ModRevision)
	b = appendInt(b, fieldVersion, kv.Version)
	if len(kv.Value) > 0 {
		b = protowire.AppendTag(b, fieldValue, protowire.BytesType)
		b = protowire.AppendBytes(b, kv.Value)
		kv.Value = b[len(b)-len(kv.Value) : len(b) : len(b)]
	}
	b = appendInt(b, fieldLease, kv.Lease)
	return kv, b
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(v))
}

// sizeOfInt and sizeOfBytes count one byte of tag: all fields are below 16.
func sizeOfInt(v int64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(uint64(v))
}

func sizeOfBytes(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(n)
}

// decodeRecord reads a whole record. Key and Value alias b. It accepts and
// reads exactly what a generated decoder does: fields in any order, the last
// of a repeated one, unknown ones skipped.
func decodeRecord(b []byte) (KeyValue, error) {
	var kv KeyValue
	err := walkFields(b, func(num protowire.Number, raw []byte, n uint64) bool {
		switch num {
		case fieldKey:
			kv.Key = raw
		case fieldCreate:
			kv.CreateRevision = int64(n)
		case fieldMod:
			kv.ModRevision = int64(n)
		case fieldVersion:
			kv.Version = int64(n)
		case fieldValue:
			kv.Value = raw
		case fieldLease:
			kv.Lease = int64(n)
		}
		return true
	})
	return kv, err
}

// decodeHead reads all but the value: what opening needs, without touching
// the bytes of values. Key aliases b.
func decodeHead(b []byte) (KeyValue, error) {
	if kv, ok := plainHead(b); ok {
		return kv, nil
	}
	kv, err := decodeRecord(b)
	kv.Value = nil
	return kv, err
}

// plainHead reads a record as this package writes it: fields in order, each at
// most once, and none that is unknown. It answers like decodeRecord for those,
// several times as fast, and false for others.
func plainHead(b []byte) (kv KeyValue, ok bool) {
	if kv.Key, b, ok = plainBytes(b, fieldKey); !ok {
		return KeyValue{}, false
	}
	for _, f := range [...]struct {
		num protowire.Number
		to  *int64
	}{{fieldCreate, &kv.CreateRevision}, {fieldMod, &kv.ModRevision}, {fieldVersion, &kv.Version}} {
		if *f.to, b, ok = plainInt(b, f.num); !ok {
			return KeyValue{}, false
		}
	}
	if _, b, ok = plainBytes(b, fieldValue); !ok {
		return KeyValue{}, false
	}
	kv.Lease, b, ok = plainInt(b, fieldLease)
	return kv, ok && len(b) == 0
}

// plainBytes takes a field off b if that is the next one; ok is false if it
// is and does not read.
func plainBytes(b []byte, num protowire.Number) (v, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != byte(num)<<3|byte(protowire.BytesType) {
		return nil, b, true
	}
	v, n := protowire.ConsumeBytes(b[1:])
	if n < 0 {
		return nil, nil, false
	}
	return v[:len(v):len(v)], b[1+n:], true
}

func plainInt(b []byte, num protowire.Number) (v int64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != byte(num)<<3|byte(protowire.VarintType) {
		return 0, b, true
	}
	u, n := protowire.ConsumeVarint(b[1:])
	if n < 0 {
		return 0, nil, false
	}
	return int64(u), b[1+n:], true
}

// recordKey finds the key of a record without decoding the rest. It answers
// like decodeRecord for every record whose key comes first and once, as all
// writers have it; for others it decodes.
func recordKey(b []byte) ([]byte, error) {
	if len(b) > 2 && b[0] == byte(fieldKey)<<3|byte(protowire.BytesType) {
		if key, n := protowire.ConsumeBytes(b[1:]); n > 0 {
			rest := b[1+n:]
			if len(rest) == 0 || rest[0]>>3 > byte(fieldKey) && rest[0] < 0x80 {
				return key, nil
			}
		}
	}
	kv, err := decodeRecord(b)
	return kv.Key, err
}

// walkFields calls visit for every known field until it answers false. raw is
// the content of a bytes field, n that of a varint field.
func walkFields(b []byte, visit func(num protowire.Number, raw []byte, n uint64) bool) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("record: tag: %w: %w", protowire.ParseError(n), ErrDamaged)
		}
		if num > protowire.MaxValidNumber {
			return fmt.Errorf("record: field number %d is out of range: %w", num, ErrDamaged)
		}
		b = b[n:]
		var raw []byte
		var value uint64
		known := true
		switch {
		case kind == protowire.BytesType && (num == fieldKey || num == fieldValue):
			raw, n = protowire.ConsumeBytes(b)
		case kind == protowire.VarintType && (num >= fieldCreate && num <= fieldVersion || num == fieldLease):
			value, n = protowire.ConsumeVarint(b)
		default:
			known = false
			n = protowire.ConsumeFieldValue(num, kind, b)
		}
		if n < 0 {
			return fmt.Errorf("record: field %d: %w: %w", num, protowire.ParseError(n), ErrDamaged)
		}
		if known && !visit(num, raw[:len(raw):len(raw)], value) {
			return nil
		}
		b = b[n:]
	}
	return nil
}

// eventOf reads the event that a record is. Its bytes alias record.
func eventOf(kr KeyRev, record []byte) (Event, error) {
	kv, err := decodeRecord(record)
	switch {
	case err != nil:
		return Event{}, fmt.Errorf("record at revision %d/%d: %w", kr.Main, kr.Sub, err)
	case len(kv.Key) == 0:
		return Event{}, fmt.Errorf("record at revision %d/%d has no key: %w", kr.Main, kr.Sub, ErrDamaged)
	case kr.Tombstone:
		return Event{Type: EventDelete, KV: KeyValue{Key: kv.Key, ModRevision: kr.Main}, record: record}, nil
	case kv.ModRevision != kr.Main:
		return Event{}, fmt.Errorf("record of key %q at revision %d/%d says mod revision %d: %w", kv.Key, kr.Main, kr.Sub, kv.ModRevision, ErrDamaged)
	}
	return Event{Type: EventPut, KV: kv, record: record}, nil
}
