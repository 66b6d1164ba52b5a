package wire

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/watchkv/watchkv/mvcc"
)

// Encoder encodes runs of events under the header of one member. It is
// immutable and safe for concurrent use.
type Encoder struct {
	member []byte // the header's fields before the revision
	term   []byte // and behind it
	ids    [smallIDs]mem.Buffer
}

// smallIDs is how many watch ids are encoded beforehand. Streams number their
// watches from 0, so most ids are among them.
const smallIDs = 1024

// NewEncoder makes an encoder for responses whose headers have the ids and the
// term of header. Its revision is not looked at.
func NewEncoder(header *pb.ResponseHeader) *Encoder {
	e := &Encoder{}
	e.member = appendUint(e.member, headerCluster, header.ClusterId)
	e.member = appendUint(e.member, headerMember, header.MemberId)
	e.term = appendUint(e.term, headerTerm, header.RaftTerm)
	for id := range e.ids {
		e.ids[id] = idBuffer(int64(id))
	}
	return e
}

func idBuffer(id int64) mem.Buffer {
	if id == 0 {
		return nil // the default is not on the wire
	}
	return mem.SliceBuffer(appendUint(nil, responseWatchID, uint64(id)))
}

func (e *Encoder) id(id int64) mem.Buffer {
	if uint64(id) < smallIDs {
		return e.ids[id]
	}
	return idBuffer(id)
}

// Batch is a header and events, encoded. It is immutable and safe for
// concurrent use.
type Batch struct {
	encoder *Encoder
	body    mem.Buffer // all of it, boxed once
	bytes   []byte     // the same
	header  int        // how many of them are the header
}

// Encode encodes events under a header with revision rev. The events are read
// before it returns and not kept.
func (e *Encoder) Encode(events []mvcc.Event, rev int64) *Batch {
	inner := len(e.member) + sizeUint(uint64(rev)) + len(e.term)
	header := 1 + protowire.SizeBytes(inner)
	size := header
	for i := range events {
		size += 1 + protowire.SizeBytes(sizeEvent(&events[i]))
	}
	b := make([]byte, 0, size)
	b = protowire.AppendTag(b, responseHeader, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(inner))
	b = append(b, e.member...)
	b = appendUint(b, headerRevision, uint64(rev))
	b = append(b, e.term...)
	for i := range events {
		b = protowire.AppendTag(b, responseEvents, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeEvent(&events[i])))
		b = appendEvent(b, &events[i])
	}
	return &Batch{encoder: e, body: mem.SliceBuffer(b), bytes: b, header: header}
}

// EncodedBy reports whether e made the batch: its header is that one's.
func (b *Batch) EncodedBy(e *Encoder) bool { return b.encoder == e }

// Size is the length in bytes of the batch as one message for a watch.
func (b *Batch) Size(id int64) int {
	n := len(b.bytes)
	if p := b.encoder.id(id); p != nil {
		n += p.Len()
	}
	return n
}

// Message is the batch as one message for a watch.
func (b *Batch) Message(id int64) *Message {
	if p := b.encoder.id(id); p != nil {
		return &Message{parts: [3]mem.Buffer{p, b.body}}
	}
	return &Message{parts: [3]mem.Buffer{b.body}}
}

// Fragments calls send with the batch as messages for a watch that are
// shorter than limit, unless they hold a single event, until send fails; all
// but the last are marked as fragments. A batch that is below the limit, or a
// single event, is one message without a mark.
func (b *Batch) Fragments(id int64, limit int, send func(*Message) error) error {
	events := b.bytes[b.header:]
	if b.Size(id) < limit || eventLen(events) == len(events) {
		return send(b.Message(id))
	}
	head := append(b.bytes[:b.header:b.header], fragmentMark...)
	fixed := b.Size(id) - len(events) + len(fragmentMark)
	for len(events) > 0 {
		n := eventLen(events)
		for n < len(events) {
			next := eventLen(events[n:])
			if fixed+n+next >= limit {
				break
			}
			n += next
		}
		if n == len(events) {
			head = head[:b.header] // the last one has no mark
		}
		if err := send(b.encoder.message(id, head, events[:n])); err != nil {
			return err
		}
		events = events[n:]
	}
	return nil
}

// message is a message of parts.
func (e *Encoder) message(id int64, parts ...[]byte) *Message {
	m, n := &Message{}, 0
	if p := e.id(id); p != nil {
		m.parts[n] = p
		n++
	}
	for _, p := range parts {
		m.parts[n] = mem.SliceBuffer(p)
		n++
	}
	return m
}

// fragmentMark is the field fragment, set.
var fragmentMark = appendUint(nil, responseFragment, 1)

// eventLen is the length of the first of encoded events, 0 of none.
func eventLen(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	size, n := protowire.ConsumeVarint(b[1:]) // the tag is one byte
	return 1 + n + int(size)
}
