package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/bench"
	"github.com/watchkv/watchkv/bench/figure"
)

// source is an etcd file, opened read-only, and its history.
type source struct {
	driver    backend.Driver
	engine    backend.Engine
	recording *bench.Recording
}

// loadOnly are flags that describe a load; a replay has none.
var loadOnly = []string{"scenario", "rate", "writers", "keys", "value-size", "history", "duration", "warmup", "durability"}

// openEtcdFile opens and decodes the file of --etcd-file.
func (f *runFlags) openEtcdFile() (_ *source, err error) {
	for _, flag := range loadOnly {
		if f.set.Changed(flag) {
			return nil, misused("--%s with --etcd-file: its history is replayed as it is; leave the flag out", flag)
		}
	}
	path := f.etcdFile
	info, err := os.Stat(path)
	switch {
	case path == "":
		return nil, misused("--etcd-file \"\": a file is missing")
	case errors.Is(err, os.ErrNotExist):
		return nil, misused("--etcd-file %q: no such file", path)
	case err != nil:
		return nil, misused("--etcd-file %q: %v", path, errors.Unwrap(err))
	case info.IsDir():
		return nil, misused("--etcd-file %q: is a directory; in an etcd data directory the file is member/snap/db", path)
	}
	driver, ok := engines.Holding(path)
	if !ok {
		return nil, misused("--etcd-file %q: %s", path, foreign(path))
	}
	engine, err := driver.Open(path, backend.Options{ReadOnly: true})
	switch {
	case errors.Is(err, backend.ErrLocked):
		return nil, unmeasured("--etcd-file %q: held by a running etcd; replay a snapshot of it: etcdctl snapshot save snap.db", path)
	case err != nil:
		return nil, unmeasured("--etcd-file %q: %v", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, engine.Close())
		}
	}()
	recording, err := bench.ReadRecording(filepath.Base(path), info.Size(), engine)
	switch {
	case errors.Is(err, bench.ErrNoHistory):
		return nil, unmeasured("--etcd-file %q: holds no history: nothing was ever put, or all of it was compacted", path)
	case err != nil:
		return nil, unmeasured("--etcd-file %q: %v", path, err)
	}
	return &source{driver: driver, engine: engine, recording: recording}, nil
}

// foreign says what a file is that is none of etcd's.
func foreign(path string) string {
	head := make([]byte, 4)
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprint(errors.Unwrap(err))
	}
	defer file.Close()
	n, err := io.ReadFull(file, head)
	switch {
	case n == 0:
		return "not a bolt file: it is empty"
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err.Error()
	}
	head = head[:n]
	s := fmt.Sprintf("not a bolt file (first bytes % x)", head[:min(2, n)])
	for _, packed := range []struct {
		magic []byte
		how   string
	}{{[]byte{0x1f, 0x8b}, "gzipped"}, {[]byte{0x28, 0xb5, 0x2f, 0xfd}, "packed by zstd"}, {[]byte("BZh"), "packed by bzip2"}, {[]byte("PK"), "zipped"}} {
		if bytes.HasPrefix(head, packed.magic) {
			return s + "; is it still " + packed.how + "?"
		}
	}
	return s + ", or one that was cut off; a snapshot or member/snap/db is needed"
}

// replay opens the store that replays the source.
func (r *runCommand) replay() (*bench.Replayed, error) {
	return bench.OpenReplayed(r.kind, filepath.Join(r.place.dir, "copy"), r.source.engine, r.source.driver.Name)
}

// printSource says what is replayed.
func (r *runCommand) printSource() string {
	f := r.source.recording.Facts
	from := fmt.Sprintf("%s events, revisions %d to %d", figure.Count(f.Events), f.FirstRev, f.LastRev)
	if f.CompactRev > 0 {
		from += fmt.Sprintf(", compacted at %d", f.CompactRev)
	}
	how := "opened read-only"
	if r.kind.Driver.Name != r.source.driver.Name {
		how += ", copied to " + r.kind.Driver.Name
	}
	return lines([]string{f.File, how, from}, 9)
}
