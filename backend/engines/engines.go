// Package engines is the table of all engines, for programs and tests that
// take an engine by name. Who uses one engine imports its folder alone.
package engines

import (
	"slices"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/badger"
	"github.com/watchkv/watchkv/backend/bolt"
	"github.com/watchkv/watchkv/backend/mem"
	"github.com/watchkv/watchkv/backend/pebble"
)

// All returns the engines, always in the same order. The slice is the
// caller's.
func All() []backend.Driver {
	return []backend.Driver{
		mem.Driver(),
		bolt.Driver(),
		pebble.Driver(),
		badger.Driver(),
	}
}

// Lookup finds an engine by its name.
func Lookup(name string) (backend.Driver, bool) {
	return first(func(d backend.Driver) bool { return d.Name == name })
}

// Holding finds the engine whose data stand at path, judged by the names of
// files alone.
func Holding(path string) (backend.Driver, bool) {
	return first(func(d backend.Driver) bool { return d.Holds != nil && d.Holds(path) })
}

func first(match func(backend.Driver) bool) (backend.Driver, bool) {
	all := All()
	if i := slices.IndexFunc(all, match); i >= 0 {
		return all[i], true
	}
	return backend.Driver{}, false
}
