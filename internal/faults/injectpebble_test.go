package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/pebble"
)

// pebbleFault is a change of pebble's files that fails for good after it went
// well some times.
type pebbleFault struct {
	kinds []errorfs.OpKind
	part  string // of the file's path
	good  int64
}

var (
	fileWrites  = []errorfs.OpKind{errorfs.OpFileWrite}
	fileSyncs   = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData}
	fileCreates = []errorfs.OpKind{errorfs.OpCreate, errorfs.OpReuseForWrite}
)

var pebbleFaults = map[string]pebbleFault{
	"write log":       {fileWrites, ".log", 6},
	"sync log":        {fileSyncs, ".log", 6},
	"create log":      {fileCreates, ".log", 3},
	"write table":     {fileWrites, ".sst", 3},
	"sync table":      {fileSyncs, ".sst", 3},
	"write manifest":  {fileWrites, "/MANIFEST", 5},
	"sync manifest":   {fileSyncs, "/MANIFEST", 5},
	"sync directory":  {fileSyncs, "/data", 60}, // all that is in it, too
	"create anything": {fileCreates, "/data", 60},
}

func (f pebbleFault) injector() errorfs.Injector {
	var seen atomic.Int64
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if slices.Contains(f.kinds, op.Kind) && strings.Contains(op.Path, f.part) && seen.Add(1) > f.good {
			return fmt.Errorf("%s: %w", op.Path, syscall.EIO)
		}
		return nil
	})
}

// freshFiles makes a new file where an old one would be used again: errorfs
// loses sight of those.
type freshFiles struct{ vfs.FS }

func (f freshFiles) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Remove(old); err != nil {
		return nil, err
	}
	return f.Create(name, category)
}

var _ = addPebbleFaults()

// addPebbleFaults makes each fault a way to open pebble in a child.
func addPebbleFaults() struct{} {
	for name, f := range pebbleFaults {
		addOpener(name, func(c childConfig) (backend.Engine, error) {
			e, err := pebble.DriverFS(freshFiles{errorfs.Wrap(vfs.Default, f.injector())}).Open(c.dataPath(), backend.Options{})
			if err != nil {
				return nil, err
			}
			return startChurning(e), nil
		})
	}
	return struct{}{}
}

// churning reclaims again and again, so that there are flushes, compactions
// and new logs without much data.
type churning struct {
	backend.Engine
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func startChurning(e backend.Engine) backend.Engine {
	ctx, cancel := context.WithCancel(context.Background())
	c := &churning{Engine: e, cancel: cancel}
	c.wg.Go(func() {
		for ctx.Err() == nil {
			_ = e.(backend.Reclaimer).Reclaim(ctx)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	return c
}

func (c *churning) Close() error {
	c.cancel()
	c.wg.Wait()
	return c.Engine.Close()
}

// R6: the same on pebble, whose own answer to these is a stalled writer, a
// panic or the end of the process, by the kind of the file.
func TestInject_PebbleFiles(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(pebbleFaults)) {
		relaxed := time.Duration(i%2) * 50 * time.Millisecond
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := childConfig{Engine: "pebble", Opener: name, Dir: t.TempDir(), Relaxed: relaxed, Writers: 4, Seed: *seedFlag, CompactEvery: 100, Streams: 2, RecentBytes: 64 << 10}
			w := startWorker(t, c)
			f, ok := w.await(t, w.expect(word("fail")))
			require.True(t, ok, "%v", w)
			assert.Contains(t, f.text(2), "mvcc: store failed")
			assert.Contains(t, f.text(2), c.dataPath())
			assert.Contains(t, f.text(2), syscall.EIO.Error())
			_, ok = w.await(t, w.expect(nth("read", 5)))
			require.True(t, ok, "%v", w)
			w.stop()
			rep := w.wait(t)
			require.NoError(t, w.err, "%v", w)
			require.True(t, rep.closed, "%v", w)
			t.Logf("%d acknowledged, closed %q", len(rep.acks), rep.closeErr)
			c.Opener = ""
			newLedger(c).verify(t, c, rep)
		})
	}
}
