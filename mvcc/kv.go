package mvcc

// Revision is the position of one change in history: Main is the number of
// the committed transaction, Sub counts the changes inside it from 0.
type Revision struct {
	Main int64
	Sub  int64
}

// KeyValue is a key as it was at one revision. Its slices are frozen: they
// are shared with other readers and must not be changed.
type KeyValue struct {
	Key   []byte
	Value []byte
	// CreateRevision is the revision of the put that began the key's present
	// life; ModRevision the revision of this version.
	CreateRevision int64
	ModRevision    int64
	// Version counts the puts since CreateRevision, from 1.
	Version int64
	// Lease is the id of the lease the key is attached to; 0 is none.
	Lease int64
}

// EventType tells a put from a delete.
type EventType uint8

// The two kinds of events, numbered as on etcd's wire.
const (
	EventPut    EventType = 0
	EventDelete EventType = 1
)

// String names the type as etcd does.
func (t EventType) String() string {
	if t == EventDelete {
		return "DELETE"
	}
	return "PUT"
}

// Event is one change of one key. It is immutable once published and shared
// by everybody who reads it.
type Event struct {
	Type EventType
	// KV is the key after the change. For a delete only Key and ModRevision
	// are set.
	KV KeyValue
	// Prev is the key before the change. It is nil unless it was asked for
	// and existed and is not compacted.
	Prev *KeyValue

	// record is the stored form of KV, as written to the engine.
	record []byte
}

// Size is what the event weighs against bounds in bytes: its record, and its
// previous value if it carries one. The struct itself is not counted.
func (e *Event) Size() int {
	n := len(e.record)
	if n == 0 {
		n = len(e.KV.Key) + len(e.KV.Value)
	}
	if e.Prev != nil {
		n += len(e.Prev.Key) + len(e.Prev.Value)
	}
	return n
}

// Record is the event's stored form, the protobuf wire form of etcd's
// mvccpb.KeyValue: of a delete it has the key only, not the mod revision.
// Frozen and shared like the event; nil for an event that no store made.
func (e *Event) Record() []byte { return e.record }

// Commit is one revision of history: all its events, in the order of the
// operations that made them. Frozen and shared.
type Commit struct {
	Rev    int64
	Events []Event
}

// Span is a set of keys: the half-open range [Lo, Hi) in byte order. A nil Hi
// has no end. A single key k is [k, k+0x00).
type Span struct {
	Lo []byte
	Hi []byte
}

// SpanOf reads a range as etcd writes it: an empty end is the single key, an
// end of one byte 0x00 means every key from key on, anything else is the
// excluded end; an empty key with an end stands for the byte 0x00, the
// smallest key. The slices are shared with the arguments, but for a single
// key's Hi.
func SpanOf(key, end []byte) Span {
	if len(key) == 0 {
		key = []byte{0}
	}
	switch {
	case len(end) == 0:
		hi := make([]byte, len(key)+1)
		copy(hi, key)
		return Span{Lo: key, Hi: hi}
	case len(end) == 1 && end[0] == 0:
		return Span{Lo: key}
	default:
		return Span{Lo: key, Hi: end}
	}
}

// Single reports whether the span is exactly one key.
func (s Span) Single() bool {
	return s.Hi != nil && len(s.Hi) == len(s.Lo)+1 && s.Hi[len(s.Lo)] == 0 && string(s.Hi[:len(s.Lo)]) == string(s.Lo)
}

// Empty reports whether no key is in the span.
func (s Span) Empty() bool { return s.Hi != nil && string(s.Lo) >= string(s.Hi) }

// Contains reports whether key is in the span.
func (s Span) Contains(key []byte) bool {
	return string(key) >= string(s.Lo) && (s.Hi == nil || string(key) < string(s.Hi))
}

// CloneEvents copies events together with their bytes into memory of their
// own, for keeping a few out of many that share an arena. Previous values are
// shared as they are.
func CloneEvents(events []Event) []Event {
	size := 0
	for i := range events {
		e := &events[i]
		size += len(e.record) + len(e.KV.Key) + len(e.KV.Value)
	}
	arena := make([]byte, 0, size)
	own := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(arena)
		arena = append(arena, b...)
		return arena[at:len(arena):len(arena)]
	}
	out := make([]Event, len(events))
	for i := range events {
		out[i] = events[i]
		out[i].record, out[i].KV.Key, out[i].KV.Value = own(events[i].record), own(events[i].KV.Key), own(events[i].KV.Value)
	}
	return out
}
