package bench

import (
	"context"
	"fmt"
	"strings"

	"github.com/watchkv/watchkv/bench/figure"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

// Kind opens stores of one kind for a run: an engine in this process, or a
// server.
type Kind interface {
	// Open opens the store in dir, creating it if there is none. Kinds that
	// live elsewhere ignore dir.
	Open(dir string) (Target, error)
	// Facts describes the kind; known before anything is opened.
	Facts() TargetFacts
}

// Target is an open store under test. Safe for concurrent use.
type Target interface {
	// Put writes one key and returns its revision. Key and value are the
	// caller's again when it returns.
	Put(ctx context.Context, key, value []byte) (rev int64, err error)
	// Rev is the current revision.
	Rev(ctx context.Context) (int64, error)
	// NewStream opens a stream of watches; the name is for people.
	NewStream(name string) (Stream, error)
	Close() error
}

// Stream is one consumer with many watches. Recv has one caller at a time;
// the others may be called from anywhere.
type Stream interface {
	// Watch begins a watch; its first response is Created.
	Watch(r watch.Request) (id int64, err error)
	// Recv waits for responses. They and their events are valid until the
	// next Recv.
	Recv(ctx context.Context) ([]watch.Response, error)
	// RequestProgress asks for a progress notification with id watch.NoWatch
	// once every watch of the stream is synced.
	RequestProgress() error
	Close() error
}

// Filler is a Target that can write a history faster than by single puts, in
// whatever durability; the history is durable when Fill returns, and nothing
// of it is left in caches that a restart would empty.
type Filler interface {
	// Fill writes n revisions of one key each. next makes the key and value
	// of revision i, which are the target's only until the next call; wrote
	// is told each put, in order, before anybody can watch it.
	Fill(ctx context.Context, n int64, next func(i int64) (key, value []byte), wrote func(rev int64, key, value []byte)) error
}

// Inspector is a Target whose inside can be seen.
type Inspector interface {
	HubStats() watch.Stats
	StoreStats() mvcc.Stats
}

// The interfaces below are abilities that a Target or Stream may lack. What a
// scenario needs is looked for, by type assertion, before anything is written.

// Canceler is a Stream whose watches can be ended one by one.
type Canceler interface {
	// Cancel asks for the end of a watch. Its last response is Canceled; the
	// call may return before it. An id that has no watch is an error.
	Cancel(id int64) error
}

// Compactor is a Target that can be told to forget history. On a target that
// others use too it must not be called without their leave.
type Compactor interface {
	// Compact forgets history below rev, for all clients. It returns when
	// reads and watches from below rev are refused; what is forgotten may be
	// deleted later.
	Compact(ctx context.Context, rev int64) error
}

// Deleter is a Target whose keys can be deleted.
type Deleter interface {
	// Delete deletes one key and returns the revision of it, 0 if there was
	// no such key and so no event. The key is the caller's again on return.
	Delete(ctx context.Context, key []byte) (rev int64, err error)
}

// Reader is a Target that can be read.
type Reader interface {
	// Read reads the keys of a range, written as in a watch.Request, with
	// their values as they are now; limit bounds the keys, 0 is no bound. It
	// returns how many keys came and the bytes of them and their values.
	Read(ctx context.Context, key, end []byte, limit int64) (keys, bytes int64, err error)
}

// TargetFacts describe what was measured; part of every result.
type TargetFacts struct {
	Kind            string `json:"kind"`
	Engine          string `json:"engine,omitempty"`
	Version         string `json:"version,omitempty"`
	Durability      string `json:"durability,omitempty"`
	OutboxResponses int    `json:"outbox_responses,omitempty"`
	OutboxBytes     int64  `json:"outbox_bytes,omitempty"`
	RecentBytes     int64  `json:"recent_log_bytes,omitempty"`
	CacheBytes      int64  `json:"cache_bytes,omitempty"`
	Volatile        bool   `json:"volatile,omitempty"`
	// EtcdRules: the target promises what etcd promises and no more. It tells
	// no end of catch-up; a watch is taken for caught up once it has as many
	// events as the history holds for it.
	EtcdRules bool `json:"etcd_rules_only,omitempty"`
	// Shared: others write to the same store; see Prefixed.
	Shared bool `json:"shared,omitempty"`
	// Endpoints of a server, as given.
	Endpoints []string `json:"endpoints,omitempty"`
	// Connections is how many the streams have at most, one each below that.
	Connections int `json:"connections_max,omitempty"`
	// Prefix of the keys on a server.
	Prefix string `json:"prefix,omitempty"`
	// DBBytes is the size of a server's file before the run.
	DBBytes int64 `json:"db_bytes,omitempty"`
}

// Name is what people call the target: "pebble/sync", "etcd 3.7.3".
func (f TargetFacts) Name() string {
	switch {
	case f.Engine == "":
		return strings.TrimSpace(f.Kind + " " + f.Version)
	case f.Durability == "":
		return f.Engine
	}
	return f.Engine + "/" + f.Durability
}

// Server reports a target that runs somewhere else, on its own.
func (f TargetFacts) Server() bool { return len(f.Endpoints) > 0 }

// Buffers says what the target may keep in memory on purpose; shown with every
// result. Of a server it says how it was reached.
func (f TargetFacts) Buffers() string {
	if f.Server() {
		return fmt.Sprintf("%s   keys under %s   a connection a stream, at most %d", strings.Join(f.Endpoints, " "), f.Prefix, f.Connections)
	}
	held := func(n int64, none string) string {
		if n == 0 {
			return none
		}
		return figure.ShortBytes(n)
	}
	return fmt.Sprintf("outbox %d responses a stream, %s   recent log %s   cache %s",
		f.OutboxResponses, held(f.OutboxBytes, "no bound in bytes"), held(f.RecentBytes, "none"), held(f.CacheBytes, "none"))
}
