package verify

import (
	"context"

	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Subject is a store whose promises are looked at. Its methods may be called
// from any goroutine. Errors that a store answers with wrap the sentinels of
// mvcc: ErrDuplicateKey, ErrCompacted.
type Subject interface {
	Facts() Facts
	// Put writes one key, attached to a lease if that is not 0, and returns
	// its revision.
	Put(ctx context.Context, key, value []byte, lease int64) (rev int64, err error)
	Delete(ctx context.Context, key, end []byte) (mvcc.DeleteResult, error)
	Range(ctx context.Context, key, end []byte, o mvcc.RangeOptions) (mvcc.RangeResult, error)
	Txn(ctx context.Context, t mvcc.Txn) (mvcc.TxnResult, error)
	// Compact forgets history below rev, for everybody.
	Compact(ctx context.Context, rev int64) error
	// NewStream opens a stream of watches, which must be closed. ctx bounds
	// the opening alone.
	NewStream(ctx context.Context) (Stream, error)
	Close() error
}

// Facts say what can be asked of a Subject.
type Facts struct {
	Name string // what people call it: "pebble/sync", "etcd 3.7.3"
	// EtcdRules: it promises what etcd promises and no more. A rule of class
	// Ours that it does not keep is shown and not counted as broken.
	EtcdRules bool
	// Wire: it speaks etcd's protocol, so there are fragments, filters as
	// numbers, half-closed streams. A wire Stream is a WireStream.
	Wire bool
	// Private: nobody else uses it, so that it may be compacted, and every key
	// may be written.
	Private bool
}

// Stream is one stream of watches. It belongs to one goroutine. Nothing is read ahead of Recv but one
// response: who does not call it is a slow reader.
type Stream interface {
	// Create asks for a watch. The answer, with the id, comes by Recv; answers
	// come in the order of the requests.
	Create(r Request) error
	Cancel(id int64) error
	RequestProgress() error
	// Recv waits for responses. They are the caller's.
	Recv(ctx context.Context) ([]Response, error)
	Close() error
}

// WireStream is what a Stream over etcd's protocol can do besides.
type WireStream interface {
	Stream
	// CloseSend ends the sending side alone.
	CloseSend() error
	// SendUnknown sends a request of a type that does not exist.
	SendUnknown() error
}

// Lessor is a Subject with leases.
type Lessor interface {
	// Grant makes a lease that lives for at least ttl seconds.
	Grant(ctx context.Context, ttl int64) (id int64, err error)
	Revoke(ctx context.Context, id int64) error
}

// Inspector is a Subject whose inside can be seen.
type Inspector interface {
	HubStats() watch.Stats
	HubConfig() watch.Config
}

// Request asks for one watch. Policy and its bounds are not on the wire.
type Request struct {
	watch.Request
	Fragment bool // wire only: responses may be split
	// UnknownFilter adds a filter that does not exist. Wire only.
	UnknownFilter bool
}

// Response is one message of a stream. A Canceled one that a request or a
// refusal led to has its reason in Err as far as the store gave one.
type Response struct {
	watch.Response
	Fragment bool // more of the same response follows
	Size     int  // bytes on the wire; 0 where there is none
}
