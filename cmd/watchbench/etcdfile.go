package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

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

// fileSubject is the history of an etcd file, in an engine of choice.
type fileSubject struct {
	engineSubject
	source   *source
	replayed *bench.Replayed
}

func (s *fileSubject) facts() bench.TargetFacts {
	facts := s.kind.Facts()
	facts.Durability = "" // nothing is written
	return facts
}

func (s *fileSubject) prepare(dir string) (_ bench.Kind, err error) {
	s.replayed, err = bench.OpenReplayed(s.kind, filepath.Join(dir, "copy"), s.source.engine, s.source.driver.Name)
	if err != nil {
		return nil, err
	}
	s.kind = s.replayed.Embedded
	return s.replayed, nil
}

func (s *fileSubject) release() error {
	if s.replayed == nil {
		return nil
	}
	return s.replayed.Close()
}

// openEtcdFile opens and decodes the file of --etcd-file, to be replayed in
// the engine of an embedded subject.
func openEtcdFile(path string, in subject, set *pflag.FlagSet) (*fileSubject, error) {
	for _, flag := range loadOnly {
		if set.Changed(flag) {
			return nil, misused("--%s with --etcd-file: its history is replayed as it is; leave the flag out", flag)
		}
	}
	source, err := readEtcdFile(path)
	if err != nil {
		return nil, err
	}
	return &fileSubject{engineSubject: engineSubject{kind: in.(*engineSubject).kind}, source: source}, nil
}

func readEtcdFile(path string) (_ *source, err error) {
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

// where implements subject: it says what is replayed.
func (s *fileSubject) where(bench.Plan, string) []note {
	f := s.source.recording.Facts
	from := fmt.Sprintf("%s events, revisions %d to %d", figure.Count(f.Events), f.FirstRev, f.LastRev)
	if f.CompactRev > 0 {
		from += fmt.Sprintf(", compacted at %d", f.CompactRev)
	}
	how := "opened read-only"
	if s.kind.Driver.Name != s.source.driver.Name {
		how += ", copied to " + s.kind.Driver.Name
	}
	return []note{{"history", lines([]string{f.File, how, from}, 9)}}
}
