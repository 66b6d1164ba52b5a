package backend_test

import (
	"fmt"
	"log"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/mem"
)

// Any engine serves: pebble.Open(dir, backend.Options{}) is used the same way.
func Example() {
	engine, err := mem.Open("", backend.Options{})
	if err != nil {
		log.Fatal(err)
	}
	var batch backend.Batch
	batch.Put(backend.SpaceMeta, []byte("format"), []byte("1"))
	batch.Append(backend.SpaceKey, []byte{0, 1}, []byte("first"))
	batch.Append(backend.SpaceKey, []byte{0, 2}, []byte("second"))
	if err := engine.Apply(&batch, backend.Sync); err != nil {
		log.Fatal(err)
	}

	view, err := engine.View()
	if err != nil {
		log.Fatal(err)
	}
	format, ok, err := view.Get(backend.SpaceMeta, nil, []byte("format"))
	fmt.Printf("%s %v %v\n", format, ok, err)
	err = view.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool {
		fmt.Printf("%x %s\n", key, value) // both die when this returns
		return true
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := view.Close(); err != nil { // Close of the engine waits for it
		log.Fatal(err)
	}
	if err := engine.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1 true <nil>
	// 0001 first
	// 0002 second
}
