package pebble

import (
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system as pebble sees it: a change that fails, fails the
// engine, and nothing is changed any more afterwards. Reads pass, and so do
// the errors of what pebble can do without: removing what is obsolete,
// preallocation, and the copies a checkpoint makes.
type guard struct {
	vfs.FS
	failure *failure
	lock    *onceCloser // of the directory; set by Lock, before pebble opens
}

// onceCloser can be closed by pebble's lock and by a Close that gives up.
type onceCloser struct {
	io.Closer
	once sync.Once
	err  error
}

func (c *onceCloser) Close() error {
	c.once.Do(func() { c.err = c.Closer.Close() })
	return c.err
}

func (g *guard) Unwrap() vfs.FS { return g.FS }

func (g *guard) Lock(name string) (io.Closer, error) {
	closer, err := g.FS.Lock(name)
	if err != nil {
		return nil, err
	}
	g.lock = &onceCloser{Closer: closer}
	return g.lock, nil
}

// copied tells files of a checkpoint, which are nothing pebble relies on.
func copied(name string) bool { return strings.Contains(name, checkpointName) }

// mergeCategory is what pebble calls the tables of a compaction.
const mergeCategory vfs.DiskWriteCategory = "pebble-compaction"

// open runs what makes a file to be written.
func (g *guard) open(what, name string, category vfs.DiskWriteCategory, make func() (vfs.File, error)) (vfs.File, error) {
	if copied(name) {
		file, err := make()
		if err != nil {
			return nil, err
		}
		return copiedFile{file}, nil
	}
	change := g.failure.change
	if category == mergeCategory {
		change = g.failure.merge
	}
	var file vfs.File
	err := change(what, name, func() (err error) {
		file, err = make()
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardFile{File: file, name: name, change: change}, nil
}

func (g *guard) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open("create", name, category, func() (vfs.File, error) { return g.FS.Create(name, category) })
}

func (g *guard) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.open("open", name, category, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, category, opts...) })
}

func (g *guard) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return g.open("reuse", to, category, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, category) })
}

func (g *guard) OpenDir(name string) (vfs.File, error) {
	file, err := g.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if copied(name) {
		return copiedFile{file}, nil
	}
	// The separator keeps a directory called x.log from counting as a log.
	return &guardFile{File: file, name: name + string(filepath.Separator), change: g.failure.change}, nil
}

func (g *guard) Rename(from, to string) error {
	return g.failure.change("rename to", to, func() error { return g.FS.Rename(from, to) })
}

func (g *guard) Remove(name string) error {
	if err := g.failure.err(); err != nil {
		return err
	}
	return g.FS.Remove(name)
}

func (g *guard) RemoveAll(name string) error {
	if err := g.failure.err(); err != nil {
		return err
	}
	return g.FS.RemoveAll(name)
}

// guardFile is a file open for writing, or a directory for its sync.
type guardFile struct {
	vfs.File
	name   string
	change func(what, path string, op func() error) error // failure's change or merge
}

func (f *guardFile) Write(p []byte) (n int, err error) {
	err = f.change("write", f.name, func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *guardFile) WriteAt(p []byte, at int64) (n int, err error) {
	err = f.change("write", f.name, func() (err error) {
		n, err = f.File.WriteAt(p, at)
		return err
	})
	return n, err
}

func (f *guardFile) Sync() error { return f.change("sync", f.name, f.File.Sync) }

func (f *guardFile) SyncData() error { return f.change("sync", f.name, f.File.SyncData) }

func (f *guardFile) SyncTo(length int64) (full bool, err error) {
	err = f.change("sync", f.name, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// Close gives the descriptor back in any case.
func (f *guardFile) Close() error {
	err := f.File.Close()
	if err == nil {
		return nil
	}
	return f.change("close", f.name, func() error { return err })
}

// copiedFile belongs to a checkpoint, which is read and removed: its syncs
// would be in vain, and pebble panics if the last of them fails.
type copiedFile struct{ vfs.File }

func (f copiedFile) Sync() error                { return nil }
func (f copiedFile) SyncData() error            { return nil }
func (f copiedFile) SyncTo(int64) (bool, error) { return false, nil }
