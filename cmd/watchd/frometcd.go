package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/mvcc"
	"github.com/watchkv/watchkv/server/etcdfile"
)

// fromEtcd fills the engine of a data directory that holds nothing from the
// file of --from-etcd. The same start repeated goes on with what is there, so
// that the flag may stay where a supervisor has it.
func fromEtcd(ctx context.Context, engine backend.Engine, c *config, log *slog.Logger) error {
	origin, err := etcdfile.OriginOf(engine)
	if err != nil {
		return failed("--data-dir %q: %v", c.directory(), err)
	}
	if origin != "" && sameOrigin(origin, c.fromEtcd) {
		log.Info("this data directory was made from that etcd file before; going on with what it holds now", "from-etcd", c.fromEtcd, "data-dir", c.directory())
		return nil
	}
	fingerprint, err := etcdfile.Fingerprint(c.fromEtcd)
	if err != nil {
		return etcdFileMistake(c.fromEtcd, err)
	}
	file, err := openEtcdFile(ctx, c.fromEtcd, c.skipHashCheck)
	if err != nil {
		return err
	}
	warnOfFile(file.Info(), func(text string) { log.Warn(text, "from-etcd", c.fromEtcd) })
	loaded, err := file.Load(ctx, engine, etcdfile.LoadConfig{
		DiscardAuth: c.discardAuth, Origin: originText(fingerprint, c.fromEtcd),
		Progress: func(l etcdfile.Loaded) {
			log.Info("reading the etcd file", "records", l.Records, "bytes", l.Bytes)
		},
	})
	err = errors.Join(err, file.Close())
	switch {
	case errors.Is(err, mvcc.ErrNotEmpty):
		return failed("--from-etcd %q: --data-dir %q holds data already; leave --from-etcd out to go on with them, or give an empty directory", c.fromEtcd, c.directory())
	case err != nil:
		return failed("--from-etcd: %v", err)
	}
	log.Info("started from an etcd file", "from-etcd", c.fromEtcd, "revision", loaded.Rev, "records", loaded.Records, "leases", loaded.Leases,
		"alarms-kept", loaded.AlarmsKept, "alarms-dropped", loaded.AlarmsDropped)
	return nil
}

// originText is what a store remembers of the file it came from.
func originText(fingerprint, path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return fingerprint + " " + path
}

// sameOrigin reports whether a store came from the file at path. One that is
// gone by now is known by its name.
func sameOrigin(origin, path string) bool {
	fingerprint, err := etcdfile.Fingerprint(path)
	if errors.Is(err, fs.ErrNotExist) {
		before, _, _ := strings.Cut(origin, " ")
		return origin == originText(before, path)
	}
	return err == nil && strings.HasPrefix(origin, fingerprint+" ")
}

// openEtcdFile opens a file, with a mistake in one line if it cannot be used.
func openEtcdFile(ctx context.Context, path string, skipHash bool) (*etcdfile.File, error) {
	file, err := etcdfile.Open(ctx, path, etcdfile.OpenConfig{SkipHashCheck: skipHash})
	if err != nil {
		return nil, etcdFileMistake(path, err)
	}
	return file, nil
}

func etcdFileMistake(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return misused("%q: no such file", path)
	case errors.Is(err, etcdfile.ErrNoHash):
		return failed("%v; it was copied from a data directory or cut off: --skip-hash-check takes it without", err)
	}
	return failed("%v", err)
}

// warnOfFile says what a user should know before the file's data are served.
func warnOfFile(info etcdfile.Info, warn func(text string)) {
	if info.AuthEnabled {
		warn(fmt.Sprintf("authentication was enabled in the etcd file: its %d users and %d roles are left out, everybody may read and write everything", info.Users, info.Roles))
	}
	if !info.Hashed {
		warn(fmt.Sprintf("the etcd file is a member's own (applied up to index %d): changes that are only in that member's WAL are missing, "+
			"unless it was stopped cleanly; a snapshot is always whole", info.ConsistentIndex))
	}
	if wal := info.WAL; wal != nil {
		switch {
		case wal.Missing > 0:
			warn(fmt.Sprintf("%d changes are missing: the WAL in %s goes on to index %d, the file to %d; start that member once more and stop it cleanly, or take a snapshot of it",
				wal.Missing, wal.Dir, wal.Last, info.ConsistentIndex))
		case wal.Err != nil:
			warn(fmt.Sprintf("the WAL in %s cannot be read, so whether changes are missing is not known: %v", wal.Dir, wal.Err))
		}
	}
	for _, a := range info.Alarms {
		what := "is dropped: it is raised again if there is no room here"
		if a.Alarm.String() == "CORRUPT" {
			what = "is kept, and refuses writes until it is disarmed"
		}
		warn(fmt.Sprintf("alarm %s of member %x %s", a.Alarm, a.MemberID, what))
	}
}
