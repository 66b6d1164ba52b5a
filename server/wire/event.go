package wire

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watchkv/watchkv/mvcc"
)

// The fields of etcd's messages that are encoded here, all below 16: a tag is
// one byte.
const (
	responseHeader   protowire.Number = 1 // WatchResponse
	responseWatchID  protowire.Number = 2
	responseFragment protowire.Number = 7
	responseEvents   protowire.Number = 11

	headerCluster  protowire.Number = 1 // ResponseHeader
	headerMember   protowire.Number = 2
	headerRevision protowire.Number = 3
	headerTerm     protowire.Number = 4

	eventType protowire.Number = 1 // Event
	eventKV   protowire.Number = 2
	eventPrev protowire.Number = 3

	kvKey     protowire.Number = 1 // KeyValue
	kvCreate  protowire.Number = 2
	kvMod     protowire.Number = 3
	kvVersion protowire.Number = 4
	kvValue   protowire.Number = 5
	kvLease   protowire.Number = 6
)

func sizeEvent(e *mvcc.Event) int {
	n := sizeUint(uint64(e.Type))
	n += 1 + protowire.SizeBytes(sizeAfter(e))
	if e.Prev != nil {
		n += 1 + protowire.SizeBytes(sizeKV(e.Prev))
	}
	return n
}

func appendEvent(b []byte, e *mvcc.Event) []byte {
	b = appendUint(b, eventType, uint64(e.Type))
	b = protowire.AppendTag(b, eventKV, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeAfter(e)))
	b = appendAfter(b, e)
	if e.Prev != nil {
		b = protowire.AppendTag(b, eventPrev, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeKV(e.Prev)))
		b = appendKV(b, e.Prev)
	}
	return b
}

// sizeAfter and appendAfter are for the key after the change: of a put the
// stored record, which is just that in the wire's form.
func sizeAfter(e *mvcc.Event) int {
	switch record := e.Record(); {
	case e.Type == mvcc.EventDelete:
		return sizeBytes(e.KV.Key) + sizeUint(uint64(e.KV.ModRevision))
	case len(record) > 0:
		return len(record)
	}
	return sizeKV(&e.KV)
}

func appendAfter(b []byte, e *mvcc.Event) []byte {
	switch record := e.Record(); {
	case e.Type == mvcc.EventDelete:
		b = appendBytes(b, kvKey, e.KV.Key)
		return appendUint(b, kvMod, uint64(e.KV.ModRevision))
	case len(record) > 0:
		return append(b, record...)
	}
	return appendKV(b, &e.KV)
}

func sizeKV(kv *mvcc.KeyValue) int {
	return sizeBytes(kv.Key) + sizeUint(uint64(kv.CreateRevision)) + sizeUint(uint64(kv.ModRevision)) +
		sizeUint(uint64(kv.Version)) + sizeBytes(kv.Value) + sizeUint(uint64(kv.Lease))
}

func appendKV(b []byte, kv *mvcc.KeyValue) []byte {
	b = appendBytes(b, kvKey, kv.Key)
	b = appendUint(b, kvCreate, uint64(kv.CreateRevision))
	b = appendUint(b, kvMod, uint64(kv.ModRevision))
	b = appendUint(b, kvVersion, uint64(kv.Version))
	b = appendBytes(b, kvValue, kv.Value)
	return appendUint(b, kvLease, uint64(kv.Lease))
}

// A field that has its zero value is not on the wire.

func sizeUint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func sizeBytes(v []byte) int {
	if len(v) == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(len(v))
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}
