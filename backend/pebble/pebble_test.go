package pebble_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/watchkv/watchkv/backend"
	"github.com/watchkv/watchkv/backend/backendtest"
	"github.com/watchkv/watchkv/backend/pebble"
)

func TestContract(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	backendtest.Run(t, pebble.Driver())
}

// filled returns a directory with one large table.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	e, err := pebble.Open(dir, backend.Options{})
	require.NoError(t, err)
	var b backend.Batch
	for i := range 2000 {
		b.Append(backend.SpaceKey, []byte{byte(i >> 8), byte(i)}, bytes.Repeat([]byte{byte(i), byte(i >> 3)}, 100))
	}
	require.NoError(t, e.Apply(&b, backend.Sync))
	require.NoError(t, e.(backend.Reclaimer).Reclaim(t.Context()))
	require.NoError(t, e.Close())
	return dir
}

// A flipped bit is an error of the read that meets it, and of Verify; the
// process lives on.
func TestFlippedBit(t *testing.T) {
	dir := filled(t)
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	require.Len(t, tables, 1)
	data, err := os.ReadFile(tables[0])
	require.NoError(t, err)
	data[len(data)/3] ^= 1
	require.NoError(t, os.WriteFile(tables[0], data, 0o600))

	var log bytes.Buffer
	e, err := pebble.Open(dir, backend.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	v, err := e.View()
	require.NoError(t, err)
	seen := 0
	err = v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { seen++; return true })
	require.ErrorIs(t, err, backend.ErrDamaged)
	assert.Less(t, seen, 2000)
	require.NoError(t, v.Close())
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.ErrorIs(t, err, backend.ErrDamaged)
	assert.ErrorContains(t, err, filepath.Base(tables[0]))
	require.NoError(t, e.Close())
	assert.Contains(t, log.String(), "data damaged")
}

// Verify reads past the cache.
func TestVerifyReadsTheDisk(t *testing.T) {
	dir := filled(t)
	e, err := pebble.Open(dir, backend.Options{})
	require.NoError(t, err)
	v, err := e.View()
	require.NoError(t, err)
	require.NoError(t, v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { return true }))
	require.NoError(t, v.Close())
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	require.NoError(t, err)
	file, err := os.OpenFile(tables[0], os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = file.WriteAt([]byte("flipped"), 1000)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	_, err = e.(backend.Verifier).Verify(t.Context())
	require.ErrorIs(t, err, backend.ErrDamaged)
	require.NoError(t, e.Close())
}

func TestNoCheckpointStays(t *testing.T) {
	dir := filled(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "checkpoint.tmp"), 0o700)) // as a crash leaves it
	e, err := pebble.Open(dir, backend.Options{})
	require.NoError(t, err)
	assert.NoDirExists(t, filepath.Join(dir, "checkpoint.tmp"))
	require.NoError(t, e.(backend.Backuper).Backup(context.Background(), new(bytes.Buffer)))
	assert.NoDirExists(t, filepath.Join(dir, "checkpoint.tmp"))
	require.NoError(t, e.Close())
}

// A read-only engine backs up and verifies without a checkpoint of its own.
func TestReadOnlyBackup(t *testing.T) {
	e, err := pebble.Open(filled(t), backend.Options{ReadOnly: true})
	require.NoError(t, err)
	var copied bytes.Buffer
	require.NoError(t, e.(backend.Backuper).Backup(t.Context(), &copied))
	require.NoError(t, e.Close())
	restored, err := pebble.Driver().Restore(t.Context(), filepath.Join(t.TempDir(), "restored"), &copied, backend.Options{})
	require.NoError(t, err)
	v, err := restored.View()
	require.NoError(t, err)
	seen := 0
	require.NoError(t, v.Scan(backend.SpaceKey, nil, nil, func(key, value []byte) bool { seen++; return true }))
	assert.Equal(t, 2000, seen)
	require.NoError(t, v.Close())
	require.NoError(t, restored.Close())
}
