package pebble

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/watchkv/watchkv/backend"
)

// opened is an engine in memory with one key.
func opened(t *testing.T) *engine {
	t.Helper()
	e, err := DriverFS(vfs.NewMem()).Open("/data", backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("k"), []byte("v"))
	require.NoError(t, e.Apply(&b, backend.Sync))
	return e.(*engine)
}

var errInvariant = errors.New("an invariant is broken")

// all calls everything that is not reading.
func all(t *testing.T, e *engine) {
	t.Helper()
	var b backend.Batch
	b.Put(backend.SpaceKey, []byte("late"), nil)
	assert.ErrorIs(t, e.Apply(&b, backend.Sync), errInvariant)
	assert.ErrorIs(t, e.Backup(context.Background(), io.Discard), errInvariant)
	assert.ErrorIs(t, e.Reclaim(context.Background()), errInvariant)
	_, err := e.Verify(context.Background())
	assert.ErrorIs(t, err, errInvariant)
	e.Stats()
}

// Fatalf on a goroutine of pebble's that holds nothing: reads go on.
func TestFatalf_Alone(t *testing.T) {
	e := opened(t)
	v, err := e.View()
	require.NoError(t, err)
	go e.events.Fatalf("%w", errInvariant)
	<-e.failure.failed
	all(t, e)
	_, ok, err := v.Get(backend.SpaceKey, nil, []byte("k"))
	require.NoError(t, err)
	assert.True(t, ok)
	require.NoError(t, v.Close())
	v, err = e.View()
	require.NoError(t, err)
	require.NoError(t, v.Close())
	require.ErrorIs(t, e.Close(), errInvariant)
}

// fullFS has no room for compactions.
type fullFS struct{ vfs.FS }

func (f fullFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == mergeCategory {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, category)
}

// fatalHandler calls Fatalf for the goroutine that logs a failed compaction:
// pebble holds its lock then.
type fatalHandler struct {
	slog.Handler
	failure *failure
}

func (h *fatalHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h *fatalHandler) WithAttrs([]slog.Attr) slog.Handler       { return h }

func (h *fatalHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "background work failed" {
		h.failure.fatal(errInvariant)
	}
	return nil
}

// Fatalf on a goroutine that holds pebble's lock: reads answer the cause as
// all else does, Close gives pebble up, and the directory can be opened again.
func TestFatalf_UnderTheLock(t *testing.T) {
	disk := vfs.NewMem()
	handler := &fatalHandler{Handler: slog.DiscardHandler}
	opened, err := DriverFS(fullFS{disk}).Open("/data", backend.Options{Logger: slog.New(handler)})
	require.NoError(t, err)
	e := opened.(*engine)
	handler.failure = e.failure
	for i := range 2 {
		var b backend.Batch
		b.Put(backend.SpaceKey, []byte("k"), []byte{byte(i)})
		require.NoError(t, e.Apply(&b, backend.Sync))
		if i == 0 {
			require.NoError(t, e.Reclaim(context.Background())) // moves the one table down
		}
	}
	v, err := e.View()
	require.NoError(t, err)
	require.Error(t, e.Reclaim(context.Background()))
	<-e.failure.failed
	all(t, e)
	_, _, err = v.Get(backend.SpaceKey, nil, []byte("k"))
	require.ErrorIs(t, err, errInvariant)
	require.NoError(t, v.Close())
	_, err = e.View()
	require.ErrorIs(t, err, errInvariant)
	require.ErrorIs(t, e.Close(), errInvariant)

	e2, err := DriverFS(disk).Open("/data", backend.Options{})
	require.NoError(t, err)
	v, err = e2.View()
	require.NoError(t, err)
	value, _, err := v.Get(backend.SpaceKey, nil, []byte("k"))
	require.NoError(t, err)
	assert.Equal(t, []byte{1}, value)
	require.NoError(t, v.Close())
	require.NoError(t, e2.Close())
}
