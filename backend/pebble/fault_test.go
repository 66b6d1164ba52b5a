package pebble_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
)

var faultsOf = flag.Int("pebble.faults", 6, "how many places of each kind of fault to try")

// patience is far beyond what any call may take: a call that takes longer
// hangs.
const patience = time.Minute

var errDisk = errors.New("the disk said no")

// fault names changes of the file system.
type fault struct {
	name  string
	path  func(base string) bool
	kinds []errorfs.OpKind
}

func suffix(s string) func(string) bool {
	return func(b string) bool { return strings.HasSuffix(b, s) }
}
func prefix(s string) func(string) bool {
	return func(b string) bool { return strings.HasPrefix(b, s) }
}

var (
	creates = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite}
	writes  = []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}
	syncs   = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	renames = []errorfs.OpKind{errorfs.OpRename, errorfs.OpReuseForWrite}
	removes = []errorfs.OpKind{errorfs.OpRemove, errorfs.OpRemoveAll}
)

var faults = []fault{
	{"create log", suffix(".log"), creates},
	{"write log", suffix(".log"), writes},
	{"sync log", suffix(".log"), syncs},
	{"create table", suffix(".sst"), creates},
	{"write table", suffix(".sst"), writes},
	{"sync table", suffix(".sst"), syncs},
	{"create manifest", prefix("MANIFEST"), creates},
	{"write manifest", prefix("MANIFEST"), writes},
	{"sync manifest", prefix("MANIFEST"), syncs},
	{"create marker", prefix("marker."), creates},
	{"write options", prefix("temporary."), writes},
	{"rename", func(string) bool { return true }, renames},
	{"sync directory", func(b string) bool { return b == "data" }, syncs},
	{"write copy", prefix("checkpoint"), append(append(creates, writes...), syncs...)},
	{"remove", func(string) bool { return true }, removes},
}

// once fails the nth operation that f names, and all behind it if lasting.
func (f fault) once(n int64, lasting bool, seen *atomic.Int64) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		base := op.Path[strings.LastIndexByte(op.Path, '/')+1:]
		if strings.Contains(op.Path, "/checkpoint.tmp/") {
			base = "checkpoint/" + base
		}
		kind := false
		for _, k := range f.kinds {
			kind = kind || op.Kind == k
		}
		if !kind || !f.path(base) {
			return nil
		}
		if i := seen.Add(1); i == n || lasting && i > n && n > 0 {
			return fmt.Errorf("%s: %w", op.Path, errDisk)
		}
		return nil
	})
}

// bounded fails the test if fn hangs.
func bounded(t *testing.T, what string, fn func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		panic("hangs: " + what) // with the stacks of all that is stuck
	}
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%05d", i) }

// work opens the store and uses all of it. It returns how many keys must be
// there for good and the first error, after it has held the failed engine to
// what it promises.
func work(t *testing.T, fsys vfs.FS) (durable int, first error) {
	acked := 0
	var e backend.Engine
	err := bounded(t, "open", func() (err error) {
		e, err = pebble.DriverFS(fsys).Open("/data", backend.Options{})
		return err
	})
	if err != nil {
		return 0, err
	}
	value := bytes.Repeat([]byte("v"), 1000)
	for round := range 3 {
		for range 20 {
			var b backend.Batch
			how := backend.Sync
			if acked%3 == 2 {
				how = backend.NoSync
			}
			b.Put(backend.SpaceKey, key(acked), value)
			if err := bounded(t, "apply", func() error { return e.Apply(&b, how) }); err != nil {
				return durable, errors.Join(err, checkFailed(t, e, acked, err))
			}
			acked++
			if how == backend.Sync {
				durable = acked
			}
		}
		var b backend.Batch // ends the round durable
		b.Put(backend.SpaceMeta, []byte("round"), []byte{byte(round)})
		if err := bounded(t, "apply", func() error { return e.Apply(&b, backend.Sync) }); err != nil {
			return durable, errors.Join(err, checkFailed(t, e, acked, err))
		}
		durable = acked
		if err := bounded(t, "backup", func() error { return e.(backend.Backuper).Backup(context.Background(), io.Discard) }); err != nil {
			first = errors.Join(first, err)
		}
		if err := bounded(t, "reclaim", func() error { return e.(backend.Reclaimer).Reclaim(context.Background()) }); err != nil {
			return durable, errors.Join(first, err, checkFailed(t, e, acked, err))
		}
	}
	return durable, errors.Join(first, bounded(t, "close", e.Close))
}

// checkFailed: what is there stays readable, all else answers with the cause,
// and Close returns.
func checkFailed(t *testing.T, e backend.Engine, acked int, cause error) error {
	t.Helper()
	assert.ErrorIs(t, cause, errDisk)
	assert.ErrorContains(t, cause, "pebble: ")
	assert.ErrorContains(t, cause, "/data")
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("late"), nil)
	assert.ErrorIs(t, bounded(t, "late apply", func() error { return e.Apply(&b, backend.Sync) }), errDisk)
	assert.NoError(t, bounded(t, "read", func() error { return readAll(e, acked) }))
	assert.NoError(t, bounded(t, "stats", func() error { e.Stats(); return nil }))
	assert.ErrorIs(t, bounded(t, "verify", func() error { _, err := e.(backend.Verifier).Verify(context.Background()); return err }), errDisk)
	assert.ErrorIs(t, bounded(t, "backup", func() error { return e.(backend.Backuper).Backup(context.Background(), io.Discard) }), errDisk)
	assert.ErrorIs(t, bounded(t, "reclaim", func() error { return e.(backend.Reclaimer).Reclaim(context.Background()) }), errDisk)
	err := bounded(t, "close", e.Close)
	assert.ErrorIs(t, err, errDisk)
	assert.ErrorIs(t, bounded(t, "second close", e.Close), backend.ErrClosed)
	return err
}

// readAll holds the keys against how many there must be.
func readAll(e backend.Engine, acked int) error {
	v, err := e.View()
	if err != nil {
		return err
	}
	for i := range acked {
		_, ok, err := v.Get(backend.SpaceKey, nil, key(i))
		if err == nil && !ok {
			err = fmt.Errorf("key %d of %d acknowledged is missing", i, acked)
		}
		if err != nil {
			return errors.Join(err, v.Close())
		}
	}
	n := 0
	err = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { n++; return true })
	if err == nil && n < acked {
		err = fmt.Errorf("%d keys, %d acknowledged", n, acked)
	}
	return errors.Join(err, v.Close())
}

// R6: whatever change of the file system fails, the engine answers with the
// cause, stays readable and closes, the process lives, and on a file system
// that works again everything acknowledged is there.
func TestFault_EveryKindOfChange(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var total atomic.Int64
			_, err := work(t, errorfs.Wrap(vfs.NewMem(), f.once(0, false, &total)))
			require.NoError(t, err)
			require.Positive(t, total.Load(), "the work does none of these")
			var all sync.WaitGroup
			places := min(int64(*faultsOf), total.Load())
			for i := range places {
				n := 1 + i*(total.Load()-1)/max(places-1, 1)
				all.Go(func() { failAt(t, f, n, i%2 == 0) })
			}
			all.Wait()
		})
	}
}

func failAt(t *testing.T, f fault, n int64, lasting bool) {
	disk := vfs.NewMem()
	var seen atomic.Int64
	durable, err := work(t, errorfs.Wrap(disk, f.once(n, lasting, &seen)))
	if seen.Load() >= n && f.name != "remove" {
		assert.ErrorIs(t, err, errDisk, "place %d", n)
	}
	var e backend.Engine
	err = bounded(t, "open again", func() (err error) {
		e, err = pebble.DriverFS(disk).Open("/data", backend.Options{})
		return err
	})
	if assert.NoError(t, err, "place %d", n) {
		assert.NoError(t, readAll(e, durable), "place %d", n)
		assert.NoError(t, bounded(t, "close again", e.Close))
	}
}

// mergeless has room for everything but what compactions write.
type mergeless struct {
	vfs.FS
	full *atomic.Bool
}

func (m mergeless) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := m.FS.Create(name, category)
	if err == nil && category == "pebble-compaction" {
		file = mergelessFile{file, name, m.full}
	}
	return file, err
}

type mergelessFile struct {
	vfs.File
	name string
	full *atomic.Bool
}

func (f mergelessFile) Write(p []byte) (int, error) {
	if f.full.Load() {
		return 0, &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	return f.File.Write(p)
}

// A compaction that finds no room fails alone: writes go on, and with room it
// goes through.
func TestFault_CompactionWithoutRoom(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var full atomic.Bool
	e, err := pebble.DriverFS(mergeless{vfs.NewMem(), &full}).Open("/data", backend.Options{})
	require.NoError(t, err)
	reclaim := func() error {
		return bounded(t, "reclaim", func() error { return e.(backend.Reclaimer).Reclaim(context.Background()) })
	}
	put := func(value byte) {
		var b backend.Batch
		b.Put(backend.SpaceKey, []byte("same"), []byte{value})
		require.NoError(t, bounded(t, "apply", func() error { return e.Apply(&b, backend.Sync) }))
	}
	put(1)
	require.NoError(t, reclaim())
	put(2)
	full.Store(true)
	require.ErrorIs(t, reclaim(), syscall.ENOSPC)
	put(3)
	full.Store(false)
	require.NoError(t, reclaim())
	require.Equal(t, 1, count(t, e))
	require.NoError(t, e.Close())
}

// A log that fails while nobody holds a lock of pebble's: Close gives all of
// it back.
func TestFault_NothingStaysBehindALogThatFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var failing atomic.Bool
	disk := vfs.NewMem()
	e, err := pebble.DriverFS(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind == errorfs.OpFileSyncData && strings.HasSuffix(op.Path, ".log") {
			return fmt.Errorf("%s: %w", op.Path, errDisk)
		}
		return nil
	}))).Open("/data", backend.Options{})
	require.NoError(t, err)
	failing.Store(true)
	var b backend.Batch
	b.Put(backend.SpaceKey, key(0), nil)
	err = bounded(t, "apply", func() error { return e.Apply(&b, backend.Sync) })
	require.ErrorIs(t, err, errDisk)
	_ = checkFailed(t, e, 0, err)
}
