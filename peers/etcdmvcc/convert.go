package etcdmvcc

import (
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	kv "github.com/watchkv/watchkv/mvcc"
)

// ConvertCost measures what it costs to copy one event of etcd's into the
// form that the benchmark's consumers read: the part of a peer's figures that
// is not etcd's. In nanoseconds.
func ConvertCost() float64 {
	const events, rounds = 1000, 2000
	in := make([]*mvccpb.Event, events)
	for i := range in {
		in[i] = &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: make([]byte, 64), Value: make([]byte, 256), ModRevision: int64(i)}}
	}
	var out []kv.Event
	at := time.Now()
	for range rounds {
		out, _ = appendEvents(out[:0], nil, in)
	}
	return float64(time.Since(at)) / (events * rounds)
}
