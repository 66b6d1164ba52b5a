package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/engines"
	"github.com/watchkv/watchkv/mvcc"
)

// syncChild is the configuration of role "sync": a child that marks, by a
// write of its own that a tracer sees, where each call begins and ends that
// must sync.
type syncChild struct {
	Role, Engine, Path string
	NoSync             bool // asks the engine for no sync, whatever is promised
}

const (
	syncBatches = 30
	syncWriters = 8
	syncPuts    = 25 // of each writer
)

var _ = addRole("sync", runSyncChild)

// marker writes marks to a file that keeps nothing.
type marker struct{ f *os.File }

const markPrefix = "watchkv mark "

// around runs call between two marks with the name. Names are not used twice.
func (m marker) around(name string, call func() error) error {
	if _, err := fmt.Fprintf(m.f, "%sbegin %s\n", markPrefix, name); err != nil {
		return err
	}
	if err := call(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err := fmt.Fprintf(m.f, "%send %s\n", markPrefix, name)
	return err
}

func runSyncChild(raw []byte) error {
	var c syncChild
	if err := json.Unmarshal(raw, &c); err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	m := marker{null}
	d, ok := engines.Lookup(c.Engine)
	if !ok {
		return fmt.Errorf("no engine %q", c.Engine)
	}
	e, err := d.Open(c.Path, backend.Options{})
	if err != nil {
		return err
	}
	if c.NoSync {
		e = noSyncEngine{e}
	}
	return errors.Join(m.batches(e), m.store(e, "sync", mvcc.Sync()), m.store(e, "relaxed", mvcc.Relaxed(time.Hour)), e.Close())
}

// batches gives the engine batches of many sizes.
func (m marker) batches(e backend.Engine) error {
	for i := range syncBatches {
		var b backend.Batch
		for k := range 1 + i {
			b.Put(backend.SpaceAlarm, fmt.Appendf(nil, "%d/%d", i, k), make([]byte, 100))
		}
		if err := m.around(fmt.Sprint("apply ", i), func() error { return e.Apply(&b, backend.Sync) }); err != nil {
			return err
		}
	}
	return nil
}

// store puts from several goroutines, so that puts share batches, compacts,
// and closes.
func (m marker) store(e backend.Engine, name string, d mvcc.Durability) error {
	s, err := mvcc.Open(e, mvcc.Config{Durability: d})
	if err != nil {
		return err
	}
	ctx := context.Background()
	errs := make([]error, syncWriters)
	var writers sync.WaitGroup
	for w := range syncWriters {
		writers.Go(func() {
			for i := range syncPuts {
				put := func() error { _, err := s.Put(ctx, fmt.Append(nil, w, i), []byte(name)); return err }
				if d != mvcc.Sync() {
					errs[w] = errors.Join(errs[w], put())
					continue
				}
				errs[w] = errors.Join(errs[w], m.around(fmt.Sprintf("%s put %d/%d", name, w, i), put))
			}
		})
	}
	writers.Wait()
	return errors.Join(errors.Join(errs...),
		m.around(name+" compact", func() error { return s.Compact(ctx, s.Rev()-2) }),
		m.around(name+" bump", func() error { return s.Bump(ctx, 10) }),
		m.around(name+" close", s.Close))
}

// syncMarks is every name the child marks.
func syncMarks() (names []string) {
	for i := range syncBatches {
		names = append(names, fmt.Sprint("apply ", i))
	}
	for w := range syncWriters {
		for i := range syncPuts {
			names = append(names, fmt.Sprintf("sync put %d/%d", w, i))
		}
	}
	for _, durability := range []string{"sync", "relaxed"} {
		for _, what := range []string{"compact", "bump", "close"} {
			names = append(names, durability+" "+what)
		}
	}
	return names
}

// G7, R1: between the call of Apply and its return, and between a put and its
// acknowledgement, the engine's process syncs, and what it syncs is what it
// wrote in that time. So do Compact, Bump and Close, in Relaxed too.
func TestSync_SystemCalls(t *testing.T) {
	onDisk(t, func(t *testing.T, d backend.Driver) {
		trace := traceSyncs(t, syncChild{Engine: d.Name})
		syncs := map[string]int{}
		for _, name := range syncMarks() {
			s, err := trace.syncedIn(name)
			require.NoError(t, err)
			syncs[s.name]++
		}
		t.Logf("%d calls traced; the last sync before a return: %v", len(trace.calls), syncs)
	})
}

// The trace shows it when nothing is synced: on pebble, which can be asked for
// that.
func TestSync_SystemCallsWithoutSync(t *testing.T) {
	trace := traceSyncs(t, syncChild{Engine: "pebble", NoSync: true})
	for _, name := range syncMarks() {
		if _, err := trace.syncedIn(name); err != nil {
			require.ErrorContains(t, err, "nothing was synced during "+name)
			return
		}
	}
	require.Fail(t, "all is said to be synced")
}

// traceSyncs runs a child under the tracer.
func traceSyncs(t *testing.T, c syncChild) *syscallTrace {
	t.Helper()
	strace, log := needTool(t, "strace"), filepath.Join(t.TempDir(), "trace")
	c.Role, c.Path = "sync", filepath.Join(t.TempDir(), "data")
	child := startChild(t, c, 0, strace, "-f", "-qq", "-y", "-s", "64", "-o", log, "-e", "signal=none", "-e", "trace="+tracedCalls)
	child.wait(t)
	require.NoError(t, child.err, "%v", child)
	trace, err := readTrace(log)
	require.NoError(t, err)
	return trace
}
