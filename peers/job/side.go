package job

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/mvcc"

	"github.com/watchkv/watchkv/peers/bare"
	"github.com/watchkv/watchkv/peers/etcdmvcc"
)

// Side names what is measured: etcd's store, watchkv on an engine, or the
// harness with nothing behind it.
type Side struct {
	Name string `json:"name"` // Etcd, Bare, or an engine of watchkv
	// Sync: durable before the answer; of etcd's store a commit for each put.
	// Else within 100 ms.
	Sync bool `json:"sync,omitempty"`
}

// Names of sides that are no engine.
const (
	Etcd = "etcd"
	Bare = "bare"
)

// relaxed is how often etcd's backend commits by default.
const relaxed = 100 * time.Millisecond

func (s Side) String() string {
	switch {
	case s.Name == Bare:
		return s.Name
	case s.Sync:
		return s.Name + "/sync"
	}
	return s.Name + "/relaxed"
}

func (s Side) driver() (backend.Driver, error) {
	d, ok := engines.Lookup(s.Name)
	if !ok {
		return d, fmt.Errorf("engine %q: unknown; one of %s", s.Name, strings.Join(EngineNames(), ", "))
	}
	return d, nil
}

// Volatile sides keep nothing when they are closed.
func (s Side) Volatile() bool {
	d, ok := engines.Lookup(s.Name)
	return s.Name == Bare || ok && d.Volatile
}

// EngineNames lists watchkv's engines.
func EngineNames() (names []string) {
	for _, d := range engines.All() {
		names = append(names, d.Name)
	}
	return names
}

func (s Side) kind() (bench.Kind, error) {
	switch s.Name {
	case Etcd:
		return etcdmvcc.Kind{CommitEach: s.Sync}, nil
	case Bare:
		return bare.Kind{}, nil
	}
	d, err := s.driver()
	if err != nil {
		return nil, err
	}
	durability := mvcc.Relaxed(relaxed)
	if s.Sync {
		durability = mvcc.Sync()
	}
	dir, err := os.MkdirTemp("", "watchkv-probe-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	return bench.Embedded{Driver: d, Durability: durability}.Probe(dir + "/data")
}
