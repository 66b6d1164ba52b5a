package wire

import (
	"context"
	"path/filepath"
	"sync"

	"github.com/watchkv/watchkv/peers/process"
)

// Etcd is the name of the real etcd among the servers; the others are named
// like watchkv's engines.
const Etcd = "etcd"

// Binaries builds the two servers, each once, when it is first needed. Safe
// for concurrent use.
type Binaries struct {
	dir string // where they are put; the caller removes it

	mu    sync.Mutex // guards built; held while building
	built map[string]string
}

// NewBinaries builds into dir. The working directory is in this module.
func NewBinaries(dir string) *Binaries {
	return &Binaries{dir: dir, built: map[string]string{}}
}

// of is the path of a program.
func (b *Binaries) of(program string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.built[program] == "" {
		path, err := process.Build(b.dir, program)
		if err != nil {
			return "", err
		}
		b.built[program] = path
	}
	return b.built[program], nil
}

// Start runs a server on a free port of loopback, with its data in dir. Both
// answer a put when the disk has it.
func (b *Binaries) Start(ctx context.Context, server, dir string) (*Server, error) {
	program := process.Watchd
	if server == Etcd {
		program = process.Etcd
	}
	path, err := b.of(program)
	if err != nil {
		return nil, err
	}
	c := process.Config{Program: path, Dir: filepath.Join(dir, "data")}
	s := &Server{}
	if server == Etcd {
		c.Args = []string{"--unsafe-no-fsync=false"} // of two the last counts
		s.process, err = process.StartEtcd(ctx, c)
	} else {
		s.process, err = process.StartWatchd(ctx, server, c)
	}
	return s, err
}
