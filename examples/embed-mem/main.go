// Embed-mem puts a key twice, then watches it from the first revision on.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/watch"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func main() {
	ctx := context.Background()
	engine := must(mem.Open("", backend.Options{}))
	store := must(mvcc.Open(engine, mvcc.Config{}))
	hub := must(watch.NewHub(store, watch.Config{}))
	first, last := must(store.Put(ctx, []byte("k"), []byte("hello"))), must(store.Put(ctx, []byte("k"), []byte("again")))
	stream := must(hub.NewStream("example"))
	must(stream.Watch(watch.Request{Key: []byte("k"), StartRevision: first}))
	for e := (mvcc.Event{}); e.KV.ModRevision < last; {
		for _, r := range must(stream.Recv(ctx)) {
			for _, e = range r.Events {
				fmt.Printf("revision %d: %v %s = %s\n", e.KV.ModRevision, e.Type, e.KV.Key, e.KV.Value)
			}
		}
	}
	must(0, errors.Join(hub.Close(), store.Close(), engine.Close()))
}
